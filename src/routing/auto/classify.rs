//! What kind of task a conversation is, by its form and by words of its last question. Microseconds, and no model asked.
//!
//! A wrong guess costs little: the skills of a model mostly rise and fall together.

use crate::{
    catalog::skills::Skill,
    chat::{ChatRequest, Part, Role},
};

/// How much of the last question is read, in bytes: its beginning and its end.
const READ: usize = 4_000;
/// Points from which on the words decide.
const ENOUGH: u32 = 2;

/// Words that speak for a skill; each counts once, with these points.
const WORDS: [(Skill, u32, &[&str]); 9] = [
    (
        Skill::Code,
        2,
        &[
            "function",
            "python",
            "javascript",
            "typescript",
            "rust",
            "java",
            "c++",
            "golang",
            "sql",
            "regex",
            "compile",
            "compiler",
            "stack trace",
            "traceback",
            "refactor",
            "unit test",
            "debug",
            "bug",
            "api endpoint",
            "dockerfile",
            "kubernetes",
            "git ",
            "html",
            "css",
            "react",
            "class ",
            "script",
            "algorithm",
            "code",
            "program",
        ],
    ),
    (
        Skill::Math,
        2,
        &[
            "prove",
            "integral",
            "derivative",
            "equation",
            "theorem",
            "probability",
            "solve for",
            "matrix",
            "polynomial",
            "how many",
            "calculate",
            "compute",
            "percent",
            "sum of",
            "arithmetic",
            "geometry",
            "triangle",
            "modulo",
            "prime number",
        ],
    ),
    (
        Skill::Reasoning,
        2,
        &[
            "physics",
            "chemistry",
            "biology",
            "molecule",
            "quantum",
            "enzyme",
            "hypothesis",
            "step by step",
            "puzzle",
            "riddle",
            "logic",
            "deduce",
            "trade-off",
            "trade-offs",
            "why does",
            "analyse",
            "analyze",
            "diagnose",
            "root cause",
        ],
    ),
    (
        Skill::Instruction,
        2,
        &[
            "write a",
            "write an",
            "rewrite",
            "rephrase",
            "summarise",
            "summarize",
            "summary",
            "essay",
            "poem",
            "story",
            "e-mail",
            "email",
            "blog post",
            "letter",
            "tone",
            "headline",
            "extract",
            "bullet points",
            "proofread",
            "slogan",
            "product description",
            "in the style of",
        ],
    ),
    (
        Skill::Languages,
        3,
        &[
            "translate",
            "translation",
            "into french",
            "into german",
            "into spanish",
            "into chinese",
            "into japanese",
            "in french",
            "in german",
            "in spanish",
            "in english",
            "übersetze",
            "traduis",
            "traduce",
        ],
    ),
    (
        Skill::Knowledge,
        1,
        &[
            "who is",
            "who was",
            "what is",
            "what are",
            "when did",
            "when was",
            "where is",
            "which country",
            "capital of",
            "history of",
            "define",
            "definition",
            "explain",
            "tell me about",
        ],
    ),
    (
        Skill::Code,
        3,
        &[
            "```",
            "#include",
            "def ",
            "fn ",
            "public static",
            "select * from",
            "npm ",
            "</",
        ],
    ),
    (
        Skill::Math,
        3,
        &["\\frac", "\\int", "\\sum", "x^2", "x²", "√"],
    ),
    (
        Skill::Reasoning,
        1,
        &["explain why", "compare", "evaluate", "assess"],
    ),
];

/// The skill that a request asks for most.
pub fn classify(request: &ChatRequest) -> Skill {
    let pictures = request
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .any(|part| {
            matches!(
                part,
                Part::Image { .. } | Part::File { .. } | Part::Video { .. }
            )
        });
    if pictures {
        return Skill::Vision;
    }
    if !request.tools.is_empty() {
        return Skill::Agent;
    }
    let question = last_question(request);
    let mut points = [0; Skill::ALL.len()];
    for (skill, each, words) in WORDS {
        let found = words
            .iter()
            .filter(|word| has_word(&question, word))
            .count();
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if let Some(sum) = points.get_mut(skill as usize) {
            *sum += each.saturating_mul(found);
        }
    }
    // The first of equals wins: the list is in order of how sure its words are.
    let best = Skill::ALL
        .iter()
        .zip(points)
        .rev()
        .max_by_key(|(_, points)| *points);
    match best {
        Some((skill, points)) if points >= ENOUGH => *skill,
        _ if is_foreign(&question) => Skill::Languages,
        Some((skill, 1)) => *skill,
        _ => Skill::Instruction,
    }
}

/// The text of the last question, in lower case; its middle is left out where it is long.
fn last_question(request: &ChatRequest) -> String {
    let questions = request.messages.iter().rev();
    let Some(message) = questions
        .into_iter()
        .find(|message| message.role == Role::User)
    else {
        return String::new();
    };
    let mut text = String::new();
    for part in &message.parts {
        if let Part::Text { text: piece, .. } = part {
            if text.is_empty() {
                text.clone_from(piece);
            } else {
                text.push('\n');
                text.push_str(piece);
            }
        }
    }
    let tail = text.ceil_char_boundary(text.len().saturating_sub(READ));
    let head = text.floor_char_boundary(READ.min(tail));
    let read = format!(
        "{}\n{}",
        text.get(..head).unwrap_or_default(),
        text.get(tail..).unwrap_or_default()
    );
    read.to_lowercase()
}

/// Whether the word stands in the text, and not inside another.
fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        let goes_on_before = is_letter(before) && is_letter(word.chars().next());
        let goes_on_after = is_letter(after) && is_letter(word.chars().next_back());
        !goes_on_before && !goes_on_after
    })
}

/// Whether a third of the letters are not of the Latin alphabet's plain 26.
fn is_foreign(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let foreign = text
        .chars()
        .filter(|c| c.is_alphabetic() && !c.is_ascii())
        .count();
    letters > 0 && foreign * 3 > letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::openai_chat::client::parse_request;
    use serde_json::json;

    fn skill(question: &str) -> Skill {
        let body = json!({"model": "m", "messages": [
            {"role": "user", "content": "Write a poem in French."}, {"role": "assistant", "content": "No."},
            {"role": "user", "content": question},
        ]});
        classify(&parse_request(&serde_json::to_vec(&body).unwrap()).unwrap())
    }

    #[test]
    fn the_last_question_tells_the_task() {
        let table = [
            (
                "Refactor this Python function so that it streams.",
                Skill::Code,
            ),
            (
                "```\nfn main() { panic!() }\n```\nWhat happens here?",
                Skill::Code,
            ),
            (
                "My Dockerfile fails with a stack trace, debug it",
                Skill::Code,
            ),
            (
                "SELECT * FROM users is slow, which index helps?",
                Skill::Code,
            ),
            (
                "Prove that the sum of two even numbers is even.",
                Skill::Math,
            ),
            ("Solve for x: x^2 - 5x + 6 = 0", Skill::Math),
            (
                "What is the probability of two sixes in three throws?",
                Skill::Math,
            ),
            (
                "Which enzyme cuts this molecule, and why does it fail at pH 2?",
                Skill::Reasoning,
            ),
            (
                "A riddle: what walks on four legs in the morning? Use logic.",
                Skill::Reasoning,
            ),
            (
                "Translate this letter into German: Dear Sir",
                Skill::Languages,
            ),
            ("請告訴我今天應該吃什麼", Skill::Languages),
            (
                "Summarize the meeting in three bullet points",
                Skill::Instruction,
            ),
            (
                "Write an e-mail that declines an offer politely",
                Skill::Instruction,
            ),
            ("Who was the first emperor of Rome?", Skill::Knowledge),
            ("What is the capital of Australia?", Skill::Knowledge),
            ("hi", Skill::Instruction),
            ("", Skill::Instruction),
        ];
        for (question, expected) in table {
            assert_eq!(skill(question), expected, "{question}");
        }
    }

    #[test]
    fn words_inside_other_words_do_not_count() {
        assert!(has_word("a git tree", "git ") && !has_word("digit tree", "git "));
        assert!(has_word("in c++, please", "c++") && !has_word("codec", "code"));
    }

    #[test]
    fn pictures_and_tools_decide_before_words() {
        let picture = json!({"model": "m", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Fix the code"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ]}]});
        let tools = json!({"model": "m", "messages": [{"role": "user", "content": "Translate"}],
            "tools": [{"type": "function", "function": {"name": "f"}}]});
        for (body, expected) in [(picture, Skill::Vision), (tools, Skill::Agent)] {
            let request = parse_request(&serde_json::to_vec(&body).unwrap()).unwrap();
            assert_eq!(classify(&request), expected);
        }
    }

    #[test]
    fn a_long_question_is_read_at_both_ends() {
        let filler = "é".repeat(50_000);
        assert_eq!(skill(&format!("Translate:{filler}")), Skill::Languages);
        assert_eq!(
            skill(&format!("{filler}. Refactor this function")),
            Skill::Code
        );
    }
}
