//! What is done to the events of an answer, between the reader of the upstream's dialect and the writer of the client's.

use std::fmt;

use super::Note;
use crate::chat::Event;

/// Changes the events of one answer.
pub trait Filter {
    /// Takes the next events and leaves those that may go on. What it holds back has to leave before a choice's
    /// [`Event::Finish`].
    fn filter(&mut self, events: &mut Vec<Event>);

    /// The answer ended: appends what was held back.
    fn finish(&mut self, _events: &mut Vec<Event>) {}

    /// What was done since this was last asked.
    fn take_notes(&mut self) -> Vec<Note> {
        Vec::new()
    }
}

/// Filters in the order in which events pass them.
#[derive(Default)]
pub struct Filters(Vec<Box<dyn Filter>>);

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filters({})", self.0.len())
    }
}

impl Filters {
    /// Whether events pass as they are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a filter behind the others.
    pub fn push(&mut self, filter: impl Filter + 'static) {
        self.0.push(Box::new(filter));
    }

    /// The next events of an answer.
    pub fn filter(&mut self, events: &mut Vec<Event>) {
        for filter in &mut self.0 {
            filter.filter(events);
        }
    }

    /// The last events of an answer, or all of one in one piece.
    pub fn end(&mut self, events: &mut Vec<Event>) {
        for filter in &mut self.0 {
            filter.filter(events);
            filter.finish(events);
        }
    }

    /// What was done since this was last asked.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.0
            .iter_mut()
            .flat_map(|filter| filter.take_notes())
            .collect()
    }
}
