//! A request in words as features: stems and pairs of neighbouring stems. Pure.
//!
//! In scope: splitting (also of names like `getWeather` and of scripts without spaces), a light stemmer for English, and which words say
//! nothing of what is wanted. Out of scope: what features weigh (`index`).

/// The most bytes of a text that are read.
pub const MAX_BYTES: usize = 4_000;

/// Words that only hold a sentence together.
const FUNCTION_WORDS: &str = " a an the and or but nor so if then than as at by for from in into of off on onto out over to up upon with without within about \
    after before between during through via per i me my mine myself we us our ours you your yours he him his she her hers it its they them \
    their theirs this that these those there here who whom whose which what when where why how am is are was were be been being do does did \
    done has have had having can could will would shall should may might must ought not no nor yes too very just also only more most some \
    any each every all both few such own same other another again once let s t d ll m re ve don doesn didn isn aren won wouldn couldn \
    shouldn cannot im ive id youre thats whats hes shes lets got get gets getting because while until although though however ";

/// Words of asking: in any request, whatever is asked for.
const ASKING_WORDS: &str = " please help want need like look know tell give show find make use provide assist assistance thank hi hello hey okay ok \
    ask question answer try able wonder interest recommend recommendation suggest suggestion advice idea tool app api way thing something \
    anything everything someone specific specifically information detail detailed explain user option possible possibly right now good \
    better best great new current currently latest recent recently available comprehensive various different relevant regard regarding \
    effective effectively efficient efficiently overall potential believe seek experience upcoming popular range relate related curious \
    feature insight tip particular particularly suitable appreciate technique ensure quality enhance improve reliable guidance \
    instruction significant additional additionally unique accurate accurately understand aspect taking offer necessary wide number start \
    level step complete perfect high highly quick quickly easy easily expert top include including access kind type many much lot \
    using purpose people kindly overview impact frustrated ridiculous hour real certain special known ";

/// What is known of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// Stems, in order, with repetitions.
    pub words: Vec<u32>,
    /// Of each word: whether it says little of which tool is wanted.
    pub asking: Vec<bool>,
    /// Pairs of neighbouring stems.
    pub pairs: Vec<u32>,
}

impl Features {
    /// Reads a text.
    pub fn of(text: &str) -> Self {
        let mut features = Self::default();
        let mut last: Option<String> = None;
        // What stands in quotes is what a tool is to work on, and says little of which tool is wanted.
        let parts: Vec<&str> = cut(text).split(['"', '“', '”']).collect();
        let quotes = parts.len() > 2;
        for (place, part) in parts.into_iter().enumerate() {
            let is_quoted = quotes && place % 2 == 1;
            for word in words(part) {
                if says_nothing(&word) || listed(FUNCTION_WORDS, &word) {
                    continue;
                }
                let stem = stem(&word);
                features.words.push(hash(&[&stem]));
                let is_asking = listed(ASKING_WORDS, &word) || listed(ASKING_WORDS, &stem);
                features.asking.push(is_quoted || is_asking);
                if let Some(last) = &last {
                    features.pairs.push(hash(&[last, " ", &stem]));
                }
                last = Some(stem);
            }
        }
        features
    }

    /// Whether nothing was understood.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Numbers and single letters: amounts, places in a list, pieces of ids.
pub fn says_nothing(word: &str) -> bool {
    word.len() < 2 || (word.len() < 4 && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn listed(list: &str, word: &str) -> bool {
    // A word stands between spaces there.
    word.len() < 16 && list.split_ascii_whitespace().any(|listed| listed == word)
}

/// The words of a text in lower case. A change of case or between letters and digits ends a word; a script without spaces is read
/// in pairs of characters.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for letter in text.chars() {
        if !letter.is_alphanumeric() {
            finish(&mut word, &mut words);
        } else if is_dense(letter) {
            if !is_dense(before) {
                finish(&mut word, &mut words);
            }
            word.push(letter);
            if word.chars().count() == 2 {
                words.push(std::mem::take(&mut word));
                word.push(letter);
            }
        } else {
            let ends = is_dense(before)
                || (letter.is_uppercase() && before.is_lowercase())
                || (letter.is_numeric() != before.is_numeric() && before.is_alphanumeric());
            if ends {
                finish(&mut word, &mut words);
            }
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    finish(&mut word, &mut words);
    words
}

fn finish(word: &mut String, words: &mut Vec<String>) {
    let done = std::mem::take(word);
    let dense_rest = done.chars().all(is_dense) && done.chars().count() < 2 && !words.is_empty();
    if !done.is_empty() && !dense_rest {
        words.push(done);
    }
}

/// Scripts that put no spaces between words.
fn is_dense(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{0e00}'..='\u{0e7f}')
}

/// What the forms of an English word have in common. Other words stay nearly as they are.
pub fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    if word.len() == 3 {
        plural(&mut stem);
    }
    if !word.is_ascii() || word.len() < 4 {
        return stem;
    }
    plural(&mut stem);
    for (ending, least) in [("ingly", 4), ("edly", 4), ("ing", 3), ("ed", 3), ("ly", 4)] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.len() >= least
            && has_vowel(rest)
        {
            stem.truncate(rest.len());
            undouble(&mut stem);
            break;
        }
    }
    for (ending, least) in [
        ("ational", 4),
        ("ional", 4),
        ("al", 5),
        ("ment", 4),
        ("ness", 4),
        ("er", 4),
        ("or", 5),
    ] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.len() >= least
        {
            let kept = if ending == "ional" || ending == "ational" {
                stem.len() - 2
            } else {
                rest.len()
            };
            stem.truncate(kept);
            break;
        }
    }
    if let Some(rest) = stem.strip_suffix("ion")
        && rest.len() >= 4
        && rest.ends_with(['t', 's'])
    {
        stem.truncate(rest.len());
    }
    if let Some(rest) = stem.strip_suffix('e')
        && rest.len() >= 3
    {
        stem.truncate(rest.len());
    }
    if let Some(rest) = stem.strip_suffix("at")
        && rest.len() >= 5
    {
        stem.truncate(rest.len());
    }
    if stem.len() > 3 && stem.ends_with('y') {
        stem.pop();
        stem.push('i');
    }
    stem
}

fn plural(stem: &mut String) {
    let drop = if stem.ends_with("ies") && stem.len() > 4 {
        stem.truncate(stem.len() - 3);
        stem.push('y');
        0
    } else if ["sses", "xes", "zes", "ches", "shes"]
        .iter()
        .any(|ending| stem.ends_with(ending))
    {
        2
    } else {
        let is_plural = stem.ends_with('s')
            && !["ss", "us", "is"]
                .iter()
                .any(|ending| stem.ends_with(ending));
        usize::from(is_plural)
    };
    stem.truncate(stem.len() - drop);
}

fn has_vowel(text: &str) -> bool {
    text.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

/// `runn` → `run`, but `tell` stays.
fn undouble(stem: &mut String) {
    let mut letters = stem.bytes().rev();
    if let (Some(last), Some(before)) = (letters.next(), letters.next())
        && last == before
        && !b"lsz".contains(&last)
        && stem.len() > 3
    {
        stem.pop();
    }
}

/// A feature's number (FNV-1a, folded to 32 bits).
pub fn hash(parts: &[&str]) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_sentences_fall_into_words() {
        for (text, expected) in [
            (
                "getWeather_forecast v2",
                vec!["get", "weather", "forecast", "v", "2"],
            ),
            ("What's up, Lisbon?", vec!["what", "s", "up", "lisbon"]),
            ("Tempo em São Paulo", vec!["tempo", "em", "são", "paulo"]),
            ("天气预报", vec!["天气", "气预", "预报"]),
            ("PDF天气", vec!["pdf", "天气"]),
            ("", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn forms_of_a_word_share_their_stem() {
        for forms in [
            vec![
                "translate",
                "translation",
                "translating",
                "translated",
                "translations",
            ],
            vec!["ad", "ads"],
            vec!["city", "cities"],
            vec!["search", "searches", "searching", "searched"],
            vec!["run", "running", "runs"],
            vec!["calculate", "calculator", "calculation"],
        ] {
            let stems: std::collections::BTreeSet<String> =
                forms.iter().map(|form| stem(form)).collect();
            assert_eq!(stems.len(), 1, "{stems:?}");
        }
        assert_ne!(stem("weather"), stem("web"));
    }

    #[test]
    fn what_is_quoted_or_only_asks_says_little() {
        let features = Features::of("Please translate \"the weather report\" for me");
        let said: Vec<(bool, u32)> = features
            .asking
            .iter()
            .copied()
            .zip(features.words.iter().copied())
            .collect();
        let is = |word: &str| {
            said.iter()
                .find(|(_, stem_of)| *stem_of == hash(&[&stem(word)]))
                .map(|(asking, _)| *asking)
        };
        assert_eq!(
            (is("please"), is("translate"), is("weather")),
            (Some(true), Some(false), Some(true))
        );
        // Numbers and words that hold a sentence together are not there at all.
        assert_eq!((is("the"), is("me")), (None, None));
        assert!(Features::of("what is it 5 to you").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let features = Features::of(&text);
            prop_assert_eq!(features.words.len(), features.asking.len());
            prop_assert!(features.pairs.len() <= features.words.len());
        }
    }
}
