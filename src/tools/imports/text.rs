//! Texts of strangers: what cannot be seen is taken out, what is long is cut.
//!
//! A description is read by people and by language models. Control characters, marks that turn the direction of text, characters
//! of no width and the block of tags can hide from the former what they tell the latter. What a text says is not judged: it is
//! told as imported, and nothing is decided by it.

/// The longest description of an operation (OpenAI's functions).
pub const MAX_DESCRIPTION: usize = 1_024;
/// The longest description inside a schema.
pub const MAX_NOTE: usize = 400;
/// The longest title.
pub const MAX_TITLE: usize = 120;

/// A text of at most so many characters, with single spaces and nothing invisible.
pub fn clean(text: &str, longest: usize) -> String {
    let mut made = String::with_capacity(text.len().min(longest));
    let (mut count, mut is_cut) = (0_usize, false);
    for word in text.split(|c: char| c.is_whitespace()) {
        let seen = word.chars().filter(|c| !is_hidden(*c));
        let mut is_first = true;
        for c in seen {
            let space = usize::from(is_first && !made.is_empty());
            if count + space + 1 > longest {
                is_cut = true;
                break;
            }
            if space == 1 {
                made.push(' ');
            }
            made.push(c);
            count += space + 1;
            is_first = false;
        }
        if is_cut {
            break;
        }
    }
    if is_cut && longest > 1 {
        made.pop();
        made.push('…');
    }
    made
}

/// Characters that are not seen and change what is read.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{f0000}'..='\u{10ffff}'
        )
}
