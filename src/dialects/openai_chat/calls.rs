//! Tool calls of one choice, put together from deltas.
//!
//! The canonical index counts calls from 0 in the order in which they begin, whatever the host's own index does (P49, P50).

use super::answer::{Call, Function, filled};
use crate::chat::{Completion, Delta};

/// Whether a client can read a call as the host wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As the specification has it.
    Regular,
    /// Its index, id or arguments had to be put right.
    Irregular,
}

#[derive(Debug, Default)]
struct Seen {
    /// The host's index, if it sent one.
    index: Option<u32>,
    id: Option<String>,
    name: Option<String>,
    /// Arguments that came before the name.
    held: String,
    has_arguments: bool,
}

/// What is known of the calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Seen>);

impl Calls {
    /// Was there any call?
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|seen| seen.name.is_some())
    }

    /// Reads one delta, or one whole call (which needs no index).
    pub(super) fn feed(
        &mut self,
        call: Call<'_>,
        whole: bool,
        emit: &mut impl FnMut(Delta),
    ) -> Form {
        let id = filled(call.id);
        let mut function = call.function.unwrap_or_default();
        let mut is_regular = function.is_regular();
        let name = filled(function.name.take());
        let arguments = function.arguments();
        let arguments = arguments.as_ref();
        let at = match self.find(call.index, id.as_deref(), name.is_some()) {
            Some(at) => at,
            None => {
                if self.0.len() >= Completion::MAX_INDEX as usize {
                    return Form::Irregular;
                }
                self.0.push(Seen {
                    index: call.index,
                    ..Seen::default()
                });
                self.0.len() - 1
            }
        };
        let (Some(seen), Ok(index)) = (self.0.get_mut(at), u32::try_from(at)) else {
            return Form::Irregular;
        };
        is_regular &= whole || call.index == Some(index);
        seen.id = seen.id.take().or(id);
        if seen.name.is_none() {
            seen.held.push_str(arguments);
            let Some(name) = name else {
                return Form::Irregular;
            };
            is_regular &= seen.id.is_some() && seen.held == arguments;
            emit(Delta::ToolCallStart {
                index,
                id: seen.id.clone().unwrap_or_else(|| made_up_id(index, &name)),
                name: name.clone(),
            });
            seen.name = Some(name);
            let held = std::mem::take(&mut seen.held);
            seen.push(index, &held, emit);
        } else {
            seen.push(index, arguments, emit);
        }
        if is_regular {
            Form::Regular
        } else {
            Form::Irregular
        }
    }

    /// Reads the form before tools: one call at most, without an id.
    pub(super) fn feed_function(&mut self, function: Function<'_>, emit: &mut impl FnMut(Delta)) {
        let call = Call {
            index: Some(0),
            id: None,
            function: Some(function),
        };
        self.feed(call, true, emit);
    }

    /// The choice ended: a call without arguments gets the empty object (P55).
    pub(super) fn end(&mut self, emit: &mut impl FnMut(Delta)) -> Form {
        let mut form = Form::Regular;
        for (index, seen) in (0_u32..).zip(&mut self.0) {
            if seen.name.is_some() && !seen.has_arguments {
                seen.push(index, "{}", emit);
                form = Form::Irregular;
            }
        }
        form
    }

    /// The call that a delta continues, if it continues one.
    fn find(&self, index: Option<u32>, id: Option<&str>, is_named: bool) -> Option<usize> {
        let last = |fits: &dyn Fn(&Seen) -> bool| self.0.iter().rposition(fits);
        match (index, id) {
            // A host that reuses an index names the new call by another id.
            (Some(index), Some(id)) => {
                last(&|seen| seen.index == Some(index)).filter(|at| self.has_id(*at, id))
            }
            (Some(index), None) => last(&|seen| seen.index == Some(index)),
            (None, Some(id)) => last(&|seen| seen.id.as_deref() == Some(id)),
            (None, None) if is_named => None,
            (None, None) => self.0.len().checked_sub(1),
        }
    }

    /// Has the call this id, or none yet?
    fn has_id(&self, at: usize, id: &str) -> bool {
        let seen = self.0.get(at).and_then(|seen| seen.id.as_deref());
        seen.is_none_or(|seen| seen == id)
    }
}

impl Seen {
    fn push(&mut self, index: u32, json: &str, emit: &mut impl FnMut(Delta)) {
        if json.is_empty() {
            return;
        }
        self.has_arguments = true;
        emit(Delta::ToolCallArguments {
            index,
            json: json.to_owned(),
        });
    }
}

/// An id for a call whose host gave none: the same for the stream and the whole answer.
fn made_up_id(index: u32, name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    format!("call_{index}_{safe}")
}
