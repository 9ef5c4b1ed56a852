//! One stream between provider and client: what is held back, what may leave, when it is late, and how it ends.

use super::{
    limits::{AFTER_FINISH_MS, IDLE_MS, MAX_PREAMBLE_BYTES, Patience},
    max_cost::Allowance,
    pipe::Pipe,
    tab::Tab,
    turn::Turn,
};
use crate::{
    chat::{Delta, Event, FinishReason},
    dialects::{report::UsageReport, surface::Writer},
    error::{Error, ErrorType, Result},
    transforms::Form,
};

/// The provider's word for an answer that `max_cost` ended; it is the gateway's.
pub const MAX_COST: &str = "max_cost";

/// What a piece of a stream leads to.
#[derive(Debug, Default)]
pub enum Piece {
    /// More is to come.
    #[default]
    Go,
    /// The end mark was seen, the body ended, or the gateway ends the answer.
    End,
    /// The upstream failed.
    Broken(Error),
}

/// The state of one stream.
pub struct Flow {
    /// The attempt's place on the tab.
    at: usize,
    pipe: Pipe,
    /// Client bytes to send next; held back until the commit (P116).
    pub pending: Vec<u8>,
    /// What the piece that committed led to.
    pub step: Piece,
    /// The text so far, while the answer is nothing but text and may be continued elsewhere.
    pub text: Option<String>,
    allowance: Option<Allowance>,
    /// The form that the answer has to have.
    form: Option<Form>,
    patience: Patience,
    events: Vec<Event>,
    /// When the response headers arrived.
    responded: u64,
    /// Since the commit: when the last event arrived. Comments are none.
    committed: Option<u64>,
    /// When every choice had its finish reason.
    finished: Option<u64>,
    /// It goes on where another provider stopped: the rest may be nothing.
    resumes: bool,
}

impl Flow {
    /// A stream whose response headers arrived now.
    pub fn new(at: usize, pipe: Pipe, patience: Patience, now: u64) -> Self {
        Self {
            at,
            pipe,
            pending: Vec::new(),
            step: Piece::Go,
            text: None,
            allowance: None,
            form: None,
            patience,
            events: Vec::new(),
            responded: now,
            committed: None,
            finished: None,
            resumes: false,
        }
    }

    /// Ends the answer when it has cost what it may.
    pub fn allow(&mut self, allowance: Option<Allowance>) {
        self.allowance = allowance;
    }

    /// Looks whether the answer has the form that was asked for.
    pub fn check(&mut self, form: Option<Form>) {
        self.form = form;
    }

    /// Keeps the text for a continuation; `resumes`: this is one.
    pub fn keep_text(&mut self, resumes: bool) {
        self.resumes = resumes;
        self.text = Some(String::new());
    }

    /// The answer serves a loop of tools: what the client sees of it leaves through this writer.
    pub fn adopt(&mut self, writer: Writer) {
        self.pipe.adopt(writer, &mut self.pending);
    }

    /// The answer is over: what the client saw of it, its writer, and the bytes that have not left.
    pub fn into_turn(self) -> Option<(Turn, Writer, Vec<u8>)> {
        let (turn, writer) = self.pipe.into_turn()?;
        Some((turn, writer, self.pending))
    }

    /// Whether content was seen.
    pub fn is_committed(&self) -> bool {
        self.committed.is_some()
    }

    /// When the next event is due.
    pub fn deadline(&self) -> u64 {
        let (from, limit) = match (self.finished, self.committed) {
            // Heartbeats do not put it off (P122).
            (Some(finished), _) => (finished, AFTER_FINISH_MS),
            (None, Some(last)) => (last, IDLE_MS),
            (None, None) => (self.responded, self.patience.content_ms),
        };
        from.saturating_add(limit)
    }

    /// The deadline has passed.
    pub fn late(&self, is_out_of_time: bool) -> Piece {
        let (phase, from) = match (self.finished, self.committed) {
            (Some(_), _) => return Piece::End,
            (None, Some(last)) => ("between_events", last),
            (None, None) => ("first_content", self.responded),
        };
        let limit = self.deadline().saturating_sub(from);
        Piece::Broken(if is_out_of_time {
            timed_out("the end of its stream")
        } else {
            stalled(phase, limit)
        })
    }

    /// Reads what the body gave: bytes, a failure, or its end.
    pub fn read(&mut self, next: Option<Result<Vec<u8>>>, tab: &mut Tab, now: u64) -> Piece {
        match next {
            Some(Ok(bytes)) => self.feed(Some(&bytes), tab, now),
            Some(Err(error)) => Piece::Broken(error),
            None => self.feed(None, tab, now),
        }
    }

    fn feed(&mut self, bytes: Option<&[u8]>, tab: &mut Tab, now: u64) -> Piece {
        let mut events = std::mem::take(&mut self.events);
        let read = match bytes {
            Some(bytes) => self.pipe.feed(bytes, &mut self.pending, &mut events),
            None => self.pipe.end(&mut self.pending, &mut events),
        };
        let step = self.note(&mut events, tab, now);
        self.events = events;
        let too_long = !self.is_committed() && self.pending.len() > MAX_PREAMBLE_BYTES;
        match (step, read) {
            (Piece::Go, Err(error)) => Piece::Broken(error),
            (Piece::Go, Ok(())) if bytes.is_none() => Piece::End,
            (Piece::Go, Ok(())) if too_long => Piece::Broken(unusable(
                "The provider sent a stream without content that does not end",
            )),
            (step, _) => step,
        }
    }

    /// Notes the events on the tab; content commits the request to this attempt.
    fn note(&mut self, events: &mut Vec<Event>, tab: &mut Tab, now: u64) -> Piece {
        tab.note(self.at, self.pipe.take_notes());
        if let Some(form) = &mut self.form {
            form.watch(events);
            tab.note(self.at, form.take_notes());
        }
        if events.is_empty() {
            return Piece::Go;
        }
        if self.committed.is_none() {
            tab.arrived(now);
        }
        let mut step = Piece::Go;
        let mut content = false;
        let Some(seen) = tab.seen_mut(self.at) else {
            return step;
        };
        for event in events.drain(..) {
            seen.see(&event, now);
            content |= event.is_content();
            if self.text.is_some() {
                keep(&mut self.text, &event);
            }
            match event {
                Event::Error(error) => {
                    step = Piece::Broken(error);
                    break;
                }
                Event::Done => step = Piece::End,
                _ => {}
            }
        }
        if content || self.committed.is_some() {
            self.committed = Some(now);
        }
        self.finished = seen.is_finished().then(|| self.finished.unwrap_or(now));
        if let Some(allowance) = &self.allowance
            && matches!(step, Piece::Go)
            && self.finished.is_none()
            && allowance.is_spent(seen)
        {
            let ends = seen.cut_short(FinishReason::Length, MAX_COST);
            self.pipe.write(&ends, &mut self.pending);
            step = Piece::End;
        }
        step
    }

    /// Why the stream is a failure, if it is. What breaks after a complete answer is no longer of interest.
    pub fn failure(&self, broken: Option<Error>, tab: &Tab) -> Option<Error> {
        let seen = tab.seen(self.at)?;
        match broken {
            _ if seen.is_complete() && self.is_committed() => None,
            // Nothing may have been missing but the end.
            _ if self.resumes && seen.ended_well() => None,
            _ if seen.is_complete() => seen.fault(),
            Some(error) => Some(error),
            None => Some(unusable(
                "The provider's stream ended before the answer was complete",
            )),
        }
    }

    /// A writer that knows what the client has, where going on needs one.
    pub fn fork(&self) -> Option<Writer> {
        self.pipe.fork()
    }

    /// The end of the stream for the client.
    pub fn end(&mut self, failure: Option<&Error>, report: &UsageReport) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.pending);
        match failure {
            Some(error) => self.pipe.error(error, report, &mut bytes),
            None => self.pipe.finish(report, &mut bytes),
        }
        bytes
    }
}

/// Adds an event to the text, or gives the text up: thoughts, calls and second answers cannot be continued by somebody else.
fn keep(text: &mut Option<String>, event: &Event) {
    match event {
        Event::Delta {
            choice: 0,
            delta: Delta::Text(more),
        } => {
            if let Some(text) = text {
                text.push_str(more);
            }
        }
        Event::Delta { .. } => *text = None,
        _ => {}
    }
}

/// The provider said nothing for so long.
pub fn stalled(phase: &str, silent_ms: u64) -> Error {
    let awaited = match phase {
        "headers" => "its response headers",
        "first_content" => "the first piece of its stream",
        _ => "the next piece of its stream",
    };
    let seconds = silent_ms / 1_000;
    let message = format!("The provider stalled: {seconds} seconds of silence before {awaited}");
    Error::upstream(ErrorType::ProviderStalled, message)
        .with("stalled_phase", phase)
        .with("silent_ms", silent_ms)
}

/// The provider's time is over, whether it said something or not.
pub fn timed_out(what: &str) -> Error {
    Error::upstream(
        ErrorType::Timeout,
        format!("The provider took too long: timed out waiting for {what}"),
    )
}

/// The provider's answer is no answer.
pub fn unusable(message: impl Into<String>) -> Error {
    Error::upstream(ErrorType::ProviderUnavailable, message)
}
