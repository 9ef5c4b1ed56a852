//! Reasoning between `<think>` tags at the start of the content, told apart from the answer.
//!
//! Only for hosts with the quirk: elsewhere the tags are content. Works on any split of the text.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Reasoning.
    Thought(String),
    /// Answer.
    Text(String),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space and perhaps a part of the opening tag was seen.
    #[default]
    Start,
    Inside,
    /// The closing tag was seen; white space after it belongs to neither.
    After,
    Text,
}

/// The splitter of one choice.
#[derive(Debug, Default)]
pub(super) struct Think {
    state: State,
    /// Text that may be a part of a tag.
    held: String,
}

impl Think {
    /// Reads the next text.
    pub(super) fn feed(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        let joined;
        let mut text = if self.held.is_empty() {
            text
        } else {
            joined = std::mem::take(&mut self.held) + text;
            &joined
        };
        if self.state == State::Start {
            let trimmed = text.trim_start();
            if let Some(rest) = trimmed.strip_prefix(OPEN) {
                self.state = State::Inside;
                text = rest;
            } else if OPEN.starts_with(trimmed) {
                self.held = text.to_owned();
                return;
            } else {
                self.state = State::Text;
            }
        }
        if self.state == State::Inside {
            if let Some((thought, rest)) = text.split_once(CLOSE) {
                push(pieces, Piece::Thought, thought);
                self.state = State::After;
                text = rest;
            } else {
                let (sure, maybe) = split_partial_close(text);
                push(pieces, Piece::Thought, sure);
                self.held = maybe.to_owned();
                return;
            }
        }
        if self.state == State::After {
            text = text.trim_start();
            if text.is_empty() {
                return;
            }
            self.state = State::Text;
        }
        push(pieces, Piece::Text, text);
    }

    /// The content ended: what was held back is what it looks like.
    pub(super) fn end(&mut self, pieces: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        let kind = match self.state {
            State::Inside => Piece::Thought,
            _ => Piece::Text,
        };
        push(pieces, kind, &held);
    }
}

fn push(pieces: &mut Vec<Piece>, kind: impl Fn(String) -> Piece, text: &str) {
    if !text.is_empty() {
        pieces.push(kind(text.to_owned()));
    }
}

/// Splits off the longest end of `text` with which the closing tag may begin.
fn split_partial_close(text: &str) -> (&str, &str) {
    let longest = (1..CLOSE.len()).rev().find(|length| {
        CLOSE
            .get(..*length)
            .is_some_and(|head| text.ends_with(head))
    });
    text.split_at_checked(text.len() - longest.unwrap_or_default())
        .unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> (String, String) {
        let mut think = Think::default();
        let mut pieces = Vec::new();
        for chunk in chunks {
            think.feed(chunk, &mut pieces);
        }
        think.end(&mut pieces);
        let (mut thought, mut text) = (String::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Thought(more) => thought.push_str(&more),
                Piece::Text(more) => text.push_str(&more),
            }
        }
        (thought, text)
    }

    #[test]
    fn tags_are_found_at_any_split() {
        let cases = [
            ("\n<think>a < b</think>\n\nyes", "a < b", "yes"),
            ("<think></think>yes", "", "yes"),
            ("<think>cut </thi", "cut </thi", ""),
            ("no <think>tags</think>", "", "no <think>tags</think>"),
            ("<thin", "", "<thin"),
            ("", "", ""),
        ];
        for (whole, thought, text) in cases {
            let expected = (thought.to_owned(), text.to_owned());
            assert_eq!(read(&[whole]), expected);
            for split in 0..whole.len() {
                let (a, b) = whole.split_at(split);
                assert_eq!(read(&[a, b]), expected, "{whole:?} at {split}");
            }
            let single: Vec<String> = whole.chars().map(String::from).collect();
            let single: Vec<&str> = single.iter().map(String::as_str).collect();
            assert_eq!(read(&single), expected);
        }
    }
}
