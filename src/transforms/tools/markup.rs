//! Reads calls out of an answer's text as it streams.
//!
//! Text goes on at once; only what may be the beginning of a mark is held back, and white space before it. Between marks
//! everything is held until the call is whole, because it may have to be mended. No mark ever reaches the client: what cannot be
//! read ends the answer as malformed, where nothing else of it could be used.

use super::{
    STOP,
    decode::{self, Grammar},
};
use crate::{
    chat::{ChatRequest, Delta, Event, FinishReason, Tool, ToolChoice},
    transforms::{Filter, Note, Setting},
};

/// The most bytes between two marks.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most calls of one answer.
const MAX_CALLS: u32 = 128;
/// The native finish reason of an answer whose only calls could not be read.
pub const MALFORMED: &str = "malformed_tool_call";

/// A pair of marks; without a closing one the calls go on to the end.
struct Marks {
    open: &'static str,
    close: &'static [&'static str],
    grammar: Grammar,
}

const fn marks(open: &'static str, close: &'static [&'static str], grammar: Grammar) -> Marks {
    Marks {
        open,
        close,
        grammar,
    }
}

/// How models write calls.
const MARKS: [Marks; 11] = [
    marks("<tool_call>", &["</tool_call>"], Grammar::Tagged),
    marks("<function=", &["</function>"], Grammar::Function),
    marks(
        "<minimax:tool_call>",
        &["</minimax:tool_call>"],
        Grammar::Invoke,
    ),
    marks("<function_calls>", &["</function_calls>"], Grammar::Invoke),
    marks(
        "<｜DSML｜function_calls>",
        &["</｜DSML｜function_calls>"],
        Grammar::Invoke,
    ),
    marks("<TOOLCALL>", &["</TOOLCALL>"], Grammar::Json),
    marks(
        "<|python_tag|>",
        &["<|eom_id|>", "<|eot_id|>"],
        Grammar::Json,
    ),
    marks("[TOOL_CALLS]", &[], Grammar::Mistral),
    marks(
        "<｜tool▁calls▁begin｜>",
        &["<｜tool▁calls▁end｜>"],
        Grammar::DeepSeek,
    ),
    marks(
        "<｜tool▁call▁begin｜>",
        &["<｜tool▁call▁end｜>"],
        Grammar::DeepSeek,
    ),
    marks(
        "<|tool_calls_section_begin|>",
        &["<|tool_calls_section_end|>"],
        Grammar::Kimi,
    ),
];

/// Reads calls out of text.
pub(super) struct Markup {
    reader: Reader,
    choices: Vec<(u32, Scan)>,
    notes: Vec<Note>,
}

/// What holds for all choices.
struct Reader {
    tools: Vec<Tool>,
    seed: String,
    /// The model was told how to call, so that words of its own may be calls without marks, and results its own invention.
    is_prompted: bool,
    is_single: bool,
    must_call: bool,
}

/// What is known of one choice.
#[derive(Debug, Default)]
struct Scan {
    state: State,
    /// Text that has not gone on.
    held: String,
    /// How far `held` was searched for a closing mark, and whether that place is inside a JSON string.
    searched: usize,
    in_string: bool,
    /// Words that are no call have gone on.
    has_text: bool,
    calls: u32,
    /// The host's own calls: the place that it gave each, and the place that it has among all calls.
    own: Vec<(u32, u32)>,
    mended: u32,
    malformed: u32,
    ignored: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Words.
    #[default]
    Text,
    /// Behind the opening mark of this place in the table.
    Inside(usize),
    /// In JSON that is a call without marks.
    Bare,
    /// The model went on by itself; the rest is nothing.
    Invented,
}

/// Whether a text is the beginning of a call without marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    No,
    Perhaps,
    Yes,
}

impl Markup {
    /// For a model that was told in words how to call.
    pub(super) fn prompted(setting: &Setting<'_>, request: &ChatRequest) -> Self {
        Self::new(setting, request, true)
    }

    /// For a host that leaks its model's own marks.
    pub(super) fn leaked(setting: &Setting<'_>, request: &ChatRequest) -> Self {
        Self::new(setting, request, false)
    }

    fn new(setting: &Setting<'_>, request: &ChatRequest, is_prompted: bool) -> Self {
        let letters = |c: &char| c.is_ascii_alphanumeric();
        let seed: Vec<char> = setting.generation.chars().filter(letters).collect();
        let last = seed.len().saturating_sub(12);
        let forced = matches!(
            request.tool_choice,
            Some(ToolChoice::Required | ToolChoice::Function(_))
        );
        Self {
            reader: Reader {
                tools: request.tools.clone(),
                seed: seed.iter().skip(last).collect(),
                is_prompted,
                is_single: request.parallel_tool_calls == Some(false),
                must_call: is_prompted && forced,
            },
            choices: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn pass(&mut self, event: Event, out: &mut Vec<Event>) {
        let choice = match &event {
            Event::Delta { choice, .. } | Event::Finish { choice, .. } => *choice,
            _ => return out.push(event),
        };
        let at = match self.choices.iter().position(|(id, _)| *id == choice) {
            Some(at) => at,
            None => {
                self.choices.push((choice, Scan::default()));
                self.choices.len() - 1
            }
        };
        let Some((_, scan)) = self.choices.get_mut(at) else {
            return;
        };
        match event {
            Event::Delta {
                delta: Delta::Text(text),
                ..
            } => {
                scan.held.push_str(&text);
                self.reader.scan(choice, scan, false, out);
            }
            Event::Delta { mut delta, .. } => {
                scan.place(&mut delta);
                out.push(Event::delta(choice, delta));
            }
            Event::Finish {
                reason,
                native,
                stop_sequence,
                ..
            } => {
                self.reader.scan(choice, scan, true, out);
                let called = scan.calls > 0;
                let lost = scan.malformed > 0 && !called;
                // P54: a limit or a filter stays what it is.
                let (reason, native) = match reason {
                    FinishReason::Stop if called => (FinishReason::ToolCalls, native),
                    FinishReason::Stop if lost => (FinishReason::Error, MALFORMED.to_owned()),
                    reason => (reason, native),
                };
                self.notes.extend(self.reader.tell(scan, reason));
                let stop_sequence = stop_sequence.filter(|sequence| sequence != STOP);
                out.push(Event::Finish {
                    choice,
                    reason,
                    native,
                    stop_sequence,
                });
            }
            _ => {}
        }
    }
}

impl Filter for Markup {
    fn filter(&mut self, events: &mut Vec<Event>) {
        for event in std::mem::take(events) {
            self.pass(event, events);
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        for (choice, scan) in &mut self.choices {
            self.reader.scan(*choice, scan, true, events);
        }
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}

impl Reader {
    /// Takes from the held text what is decided.
    fn scan(&self, choice: u32, scan: &mut Scan, is_end: bool, out: &mut Vec<Event>) {
        loop {
            let goes_on = match scan.state {
                State::Text => self.text(choice, scan, is_end, out),
                State::Inside(at) => self.inside(at, choice, scan, is_end, out),
                State::Bare => self.bare(choice, scan, is_end, out),
                State::Invented => {
                    scan.held.clear();
                    false
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Words go on up to a mark, or up to what may become one. Whether there is more to decide.
    fn text(&self, choice: u32, scan: &mut Scan, is_end: bool, out: &mut Vec<Event>) -> bool {
        if self.is_prompted && !scan.has_text {
            match self.is_bare(&scan.held) {
                Bare::Yes => {
                    scan.enter(State::Bare, 0);
                    return true;
                }
                Bare::Perhaps if !is_end => return false,
                _ => {}
            }
        }
        let opened = MARKS.iter().enumerate().filter_map(|(at, marks)| {
            let found = scan.held.find(marks.open)?;
            Some((found, State::Inside(at), marks.open.len()))
        });
        let invented = scan.held.find(STOP).filter(|_| self.is_prompted);
        let invented = invented.map(|found| (found, State::Invented, 0));
        if let Some((found, state, length)) =
            opened.chain(invented).min_by_key(|(found, ..)| *found)
        {
            let words = scan
                .held
                .get(..found)
                .unwrap_or_default()
                .trim_end()
                .to_owned();
            scan.say(choice, words, out);
            scan.enter(state, found + length);
            return true;
        }
        let keep = if is_end {
            0
        } else {
            self.undecided(&scan.held)
        };
        let until = scan.held.len() - keep;
        let words: String = scan.held.drain(..until).collect();
        // Between and behind calls white space and the end of a fence are no answer.
        let is_empty = words
            .trim_matches(|c: char| c.is_whitespace() || c == '`')
            .is_empty();
        let is_blank = scan.calls > 0 && !scan.has_text && is_empty;
        if !is_blank {
            scan.say(choice, words, out);
        }
        false
    }

    /// How many bytes at the end may be the beginning of a mark, with the white space before it.
    fn undecided(&self, text: &str) -> usize {
        let own = self.is_prompted.then_some(STOP);
        let opens = MARKS.iter().map(|marks| marks.open).chain(own);
        let begun = opens.map(|open| overlap(text, open)).max().unwrap_or(0);
        let before = text.get(..text.len() - begun).unwrap_or_default();
        text.len() - before.trim_end().len()
    }

    fn inside(
        &self,
        at: usize,
        choice: u32,
        scan: &mut Scan,
        is_end: bool,
        out: &mut Vec<Event>,
    ) -> bool {
        let Some(marks) = MARKS.get(at) else {
            return false;
        };
        if let Some((body, rest)) = scan.close(marks.close) {
            let body = scan.held.get(..body).unwrap_or_default().to_owned();
            self.call(marks.grammar, &body, choice, scan, out);
            scan.enter(State::Text, rest);
            return true;
        }
        if is_end {
            let held = std::mem::take(&mut scan.held);
            // A quote that was never closed hid the mark.
            let close = marks.close.iter().find_map(|close| held.rfind(close));
            let body = close.and_then(|at| held.get(..at)).unwrap_or(&held);
            self.call(marks.grammar, body, choice, scan, out);
            scan.state = State::Invented;
        } else if scan.held.len() > MAX_BYTES {
            scan.malformed += 1;
            scan.state = State::Invented;
        }
        false
    }

    fn bare(&self, choice: u32, scan: &mut Scan, is_end: bool, out: &mut Vec<Event>) -> bool {
        let start = scan.held.find(['{', '[']).unwrap_or(0);
        let json = scan.held.get(start..).unwrap_or_default();
        let mut values =
            serde_json::Deserializer::from_str(json).into_iter::<serde::de::IgnoredAny>();
        let is_whole = matches!(values.next(), Some(Ok(_)));
        let length = values.byte_offset();
        if is_whole {
            let body = json.get(..length).unwrap_or_default().to_owned();
            self.call(Grammar::Json, &body, choice, scan, out);
            let rest = scan.held.get(start + length..).unwrap_or_default();
            let rest = rest.trim_start_matches(['`', ';', ',', ' ', '\n']).len();
            scan.enter(State::Text, scan.held.len() - rest);
            return true;
        }
        if is_end || scan.held.len() > MAX_BYTES {
            let body = std::mem::take(&mut scan.held);
            self.call(Grammar::Json, &body, choice, scan, out);
            scan.state = State::Invented;
        }
        false
    }

    /// Whether the text so far is a call without marks: JSON that begins with the name of a tool.
    fn is_bare(&self, text: &str) -> Bare {
        let mut text = text.trim_start();
        if "```json".starts_with(text) {
            return if text.is_empty() {
                Bare::No
            } else {
                Bare::Perhaps
            };
        }
        for fence in ["```json", "```"] {
            text = text.strip_prefix(fence).unwrap_or(text);
        }
        let text = text.trim_start();
        if text.is_empty() {
            return Bare::Perhaps;
        }
        if !text.starts_with(['{', '[']) {
            return Bare::No;
        }
        let mut in_string = false;
        let compact: String = text
            .chars()
            .take(400)
            .filter(|c| {
                in_string ^= *c == '"';
                in_string || !c.is_whitespace()
            })
            .collect();
        let heads = [
            "{\"name\":",
            "[{\"name\":",
            "{\"type\":\"function\",\"name\":",
        ];
        let mut found = Bare::No;
        for tool in &self.tools {
            for head in heads {
                let begin = format!("{head}\"{}\"", tool.name);
                if compact.starts_with(&begin) {
                    return Bare::Yes;
                }
                if begin.starts_with(&compact) {
                    found = Bare::Perhaps;
                }
            }
        }
        found
    }

    /// Reads the calls in a body and says them.
    fn call(
        &self,
        grammar: Grammar,
        body: &str,
        choice: u32,
        scan: &mut Scan,
        out: &mut Vec<Event>,
    ) {
        let calls = decode::calls(grammar, body, &self.tools);
        if calls.is_empty() {
            scan.malformed += 1;
        }
        for call in calls {
            if scan.calls >= MAX_CALLS || (self.is_single && scan.calls > 0) {
                scan.ignored += 1;
                continue;
            }
            let index = scan.calls;
            scan.calls += 1;
            scan.mended += u32::from(call.is_mended);
            let place = if choice == 0 {
                format!("{index}")
            } else {
                format!("{choice}_{index}")
            };
            out.push(Event::delta(
                choice,
                Delta::ToolCallStart {
                    index,
                    id: format!("call_{}_{place}", self.seed),
                    name: call.name,
                },
            ));
            let json = call.arguments;
            out.push(Event::delta(
                choice,
                Delta::ToolCallArguments { index, json },
            ));
        }
    }

    /// What there is to tell of a choice.
    fn tell(&self, scan: &Scan, reason: FinishReason) -> Vec<Note> {
        let counts = [
            (scan.mended, "had to be mended", false),
            (scan.malformed, "could not be read", true),
            (scan.ignored, "were left out: one call was asked for", false),
        ];
        let told = counts.into_iter().filter(|(count, ..)| *count > 0);
        let told = told.map(|(count, what, is_warning)| Note {
            is_warning,
            ..Note::new(
                "plugin",
                "tool-calling",
                format!("{count} tool calls {what}"),
            )
        });
        let unmet = self.must_call && scan.calls == 0 && reason == FinishReason::Stop;
        let unmet = unmet.then(|| Note {
            is_warning: true,
            ..Note::new(
                "plugin",
                "tool-calling",
                "The model called no tool although it had to",
            )
        });
        told.chain(unmet).collect()
    }
}

impl Scan {
    /// Goes on behind the first `skip` bytes in another state.
    fn enter(&mut self, state: State, skip: usize) {
        self.held.drain(..skip);
        self.state = state;
        self.searched = 0;
        self.in_string = false;
    }

    /// Counts the host's own calls together with those that were read out of words before them.
    fn place(&mut self, delta: &mut Delta) {
        match delta {
            Delta::ToolCallStart { index, .. } => {
                let place = self.calls;
                self.own.push((*index, place));
                self.calls = self.calls.saturating_add(1);
                *index = place;
            }
            Delta::ToolCallArguments { index, .. } => {
                let known = self.own.iter().find(|(own, _)| own == index);
                *index = known.map_or(*index, |(_, place)| *place);
            }
            _ => {}
        }
    }

    fn say(&mut self, choice: u32, words: String, out: &mut Vec<Event>) {
        if !words.is_empty() {
            self.has_text |= !words.trim().is_empty();
            out.push(Event::delta(choice, Delta::Text(words)));
        }
    }

    /// Where a closing mark begins and ends. In JSON, marks inside strings are none.
    fn close(&mut self, marks: &[&str]) -> Option<(usize, usize)> {
        let is_json = self.held.trim_start().starts_with(['{', '[']);
        let bytes = self.held.as_bytes();
        let longest = marks.iter().map(|mark| mark.len()).max()?;
        while let Some(byte) = bytes.get(self.searched) {
            let ahead = bytes.get(self.searched..).unwrap_or_default();
            if !self.in_string {
                let found = marks.iter().find(|mark| ahead.starts_with(mark.as_bytes()));
                if let Some(mark) = found {
                    return Some((self.searched, self.searched + mark.len()));
                }
                let may_begin = marks.iter().any(|mark| mark.as_bytes().starts_with(ahead));
                if may_begin && ahead.len() < longest {
                    return None;
                }
            }
            match byte {
                b'\\' if self.in_string && ahead.len() < 2 => return None,
                b'\\' if self.in_string => self.searched += 1,
                b'"' if is_json => self.in_string = !self.in_string,
                _ => {}
            }
            self.searched += 1;
        }
        None
    }
}

/// The longest end of a text that begins the mark without being all of it.
fn overlap(text: &str, mark: &str) -> usize {
    let longest = mark.len().saturating_sub(1).min(text.len());
    let begins = |length: &usize| {
        mark.is_char_boundary(*length)
            && text
                .as_bytes()
                .ends_with(mark.as_bytes().get(..*length).unwrap_or_default())
    };
    (1..=longest).rev().find(begins).unwrap_or(0)
}
