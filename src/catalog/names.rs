//! Names that are nearly right: the nearest known slugs to an unknown one.
//!
//! Out of scope: resolving aliases and suffixes.

/// How many names are offered.
const OFFERED: usize = 3;

/// A slug longer than this is compared by its beginning only: nobody types more, and the cost stays bounded.
const COMPARED: usize = 96;

/// The known slugs nearest to an unknown one, best first; empty when nothing is near.
///
/// Case, separators, and dots for dashes do not count; a missing author costs nothing; a shared beginning counts for a name.
pub fn nearest<S: AsRef<str>>(slug: &str, known: &[S]) -> Vec<String> {
    let wanted = Spelling::of(slug);
    if wanted.name.is_empty() {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &str)> = known
        .iter()
        .map(AsRef::as_ref)
        .filter_map(|candidate| Some((wanted.distance(&Spelling::of(candidate))?, candidate)))
        .collect();
    scored.sort_unstable();
    scored
        .into_iter()
        .take(OFFERED)
        .map(|(_, candidate)| candidate.to_owned())
        .collect()
}

/// A slug reduced to what counts for comparing.
struct Spelling {
    author: String,
    name: Vec<char>,
    /// The name with its words in alphabetical order: `claude-4.5-sonnet` is `claude-sonnet-4.5`.
    sorted: Vec<char>,
}

impl Spelling {
    fn of(slug: &str) -> Self {
        let slug = slug.to_lowercase();
        let (author, name) = slug.rsplit_once('/').unwrap_or(("", &slug));
        let mut words: Vec<&str> = name
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .collect();
        let join = |words: &[&str]| {
            words
                .iter()
                .flat_map(|w| w.chars())
                .take(COMPARED)
                .collect()
        };
        let name = join(&words);
        words.sort_unstable();
        Self {
            author: author.chars().filter(|c| c.is_alphanumeric()).collect(),
            name,
            sorted: join(&words),
        }
    }

    /// A distance, or nothing when the two are strangers.
    fn distance(&self, other: &Self) -> Option<usize> {
        let edits =
            edit_distance(&self.name, &other.name).min(edit_distance(&self.sorted, &other.sorted));
        let prefix = other.name.starts_with(&self.name) || self.name.starts_with(&other.name);
        let (short, long) = (
            self.name.len().min(other.name.len()),
            self.name.len().max(other.name.len()),
        );
        let near = edits * 3 <= long || (prefix && short >= 4);
        let stranger = usize::from(!self.author.is_empty() && self.author != other.author);
        // A shared beginning is a stronger sign than the letters that follow it.
        near.then(|| if prefix { edits } else { edits * 2 } + stranger)
    }
}

/// Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut previous_x = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        let mut left = i + 1;
        row.push(left);
        let mut previous_y = None;
        for (j, (y, pair)) in b.iter().zip(above.windows(2)).enumerate() {
            let &[diagonal, up] = pair else { continue };
            let mut best = (diagonal + usize::from(x != y)).min(left + 1).min(up + 1);
            if previous_x == Some(y) && previous_y == Some(x) {
                let swapped = j
                    .checked_sub(1)
                    .and_then(|j| before.get(j))
                    .copied()
                    .unwrap_or(best);
                best = best.min(swapped + 1);
            }
            row.push(best);
            left = best;
            previous_y = Some(y);
        }
        before = std::mem::replace(&mut above, row);
        previous_x = Some(x);
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 8] = [
        "openai/gpt-4o",
        "openai/gpt-4o-mini",
        "openai/gpt-4.1",
        "anthropic/claude-sonnet-4.5",
        "anthropic/claude-opus-4.5",
        "google/gemini-2.5-flash",
        "deepseek/deepseek-v4-pro",
        "demo/chat",
    ];

    #[test]
    fn a_typo_finds_its_model() {
        let table = [
            ("openai/gtp-4o", "openai/gpt-4o"),
            ("gpt-4o", "openai/gpt-4o"),
            ("GPT_4o_mini", "openai/gpt-4o-mini"),
            ("anthropic/claude-4.5-sonet", "anthropic/claude-sonnet-4.5"),
            ("claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
            ("gemini-2.5-flash-preview", "google/gemini-2.5-flash"),
            ("openai/gemini-2.5-flash", "google/gemini-2.5-flash"),
            ("deepseek-v4", "deepseek/deepseek-v4-pro"),
        ];
        for (asked, expected) in table {
            assert_eq!(
                nearest(asked, &KNOWN).first().map(String::as_str),
                Some(expected),
                "{asked}"
            );
        }
    }

    #[test]
    fn the_right_author_comes_first_and_three_are_enough() {
        let known = ["b/llama-70b", "a/llama-70b", "c/llama-70b", "d/llama-70b"];
        assert_eq!(
            nearest("a/llama-70", &known),
            ["a/llama-70b", "b/llama-70b", "c/llama-70b"]
        );
    }

    #[test]
    fn strangers_and_nonsense_find_nothing() {
        for asked in ["", "/", "zzzzzzzz", "a", &"x".repeat(10_000)] {
            assert!(nearest(asked, &KNOWN).is_empty(), "{asked:.20}");
        }
    }

    #[test]
    fn a_swap_is_one_edit() {
        let d = |a: &str, b: &str| {
            edit_distance(
                &a.chars().collect::<Vec<_>>(),
                &b.chars().collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            (d("kitten", "sitting"), d("gtp", "gpt"), d("abcd", "badc")),
            (3, 1, 2)
        );
        assert_eq!((d("", "abc"), d("abc", ""), d("", "")), (3, 3, 0));
    }
}
