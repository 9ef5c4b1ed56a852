//! Content filters of all guardrails that hold, as one list, and what they make of one request's text.
//!
//! The same filter in several guardrails counts once, with the strongest action that any of them asks for. What is found is told by
//! the filter's name and a count, never by what it was.

use std::{cell::RefCell, collections::HashMap, ops::Range, rc::Rc};

use serde_json::{Map, Value, json};

use super::{
    body::Voice,
    detect::Builtin,
    policy::Applied,
    settings::{Action, ScanScope},
};
use crate::{
    error::{Error, ErrorType, Next, Result, Source},
    regex::{Budget, Exhausted, Regex},
};

/// The steps that all filters together may take for one request.
const MAX_STEPS: u64 = 50_000_000;
/// The most patterns that an isolate keeps compiled; a full cache starts over.
const MAX_PATTERNS: usize = 256;

/// Patterns that this isolate has compiled.
#[derive(Debug, Default)]
pub struct PatternCache {
    seen: RefCell<HashMap<String, Option<Rc<Regex>>>>,
}

impl PatternCache {
    /// The pattern, compiled. One that was stored and does not compile any more is none.
    fn get(&self, pattern: &str) -> Option<Rc<Regex>> {
        let mut seen = self.seen.borrow_mut();
        if let Some(known) = seen.get(pattern) {
            return known.clone();
        }
        if seen.len() >= MAX_PATTERNS {
            seen.clear();
        }
        let compiled = Regex::trusted(pattern).ok().map(Rc::new);
        seen.insert(pattern.to_owned(), compiled.clone());
        compiled
    }
}

#[derive(Debug, Clone)]
enum What {
    Builtin(Builtin, Option<Rc<Regex>>),
    Pattern(Rc<Regex>),
}

/// What becomes of what is found, and who says so.
#[derive(Debug, Clone, Copy)]
struct Rule {
    action: Action,
    guardrail: usize,
}

#[derive(Debug, Clone)]
struct Filter {
    /// What makes it the same as one of another guardrail.
    key: String,
    /// What it is told by: a built-in's slug, the mark of a pattern.
    name: String,
    mark: String,
    what: What,
    /// For what users say, and for what others do.
    user: Option<Rule>,
    others: Option<Rule>,
}

impl Filter {
    fn rule(&self, voice: Voice) -> Option<Rule> {
        match voice {
            Voice::User => self.user,
            Voice::Other => self.others,
        }
    }

    fn add(&mut self, rule: Rule, scope: ScanScope) {
        let stronger = |known: Option<Rule>| match known {
            Some(known) if known.action >= rule.action => Some(known),
            _ => Some(rule),
        };
        self.user = stronger(self.user);
        if scope == ScanScope::AllMessages {
            self.others = stronger(self.others);
        }
    }
}

/// The filters of a policy.
#[derive(Debug, Default)]
pub struct Filters {
    filters: Vec<Filter>,
    /// Id, title and scope of each guardrail.
    guardrails: Vec<(String, String, &'static str)>,
}

impl Filters {
    /// The filters of these guardrails.
    pub fn of(applied: &[Applied], patterns: &PatternCache) -> Self {
        let mut all = Self::default();
        for (guardrail, one) in applied.iter().enumerate() {
            let title = (one.id.clone(), one.title(), one.scope.as_str());
            all.guardrails.push(title);
            let rule = |action| Rule { action, guardrail };
            for one in &one.settings.content_filter_builtins {
                let slug = one.slug;
                let pattern = slug.pattern().and_then(|pattern| patterns.get(pattern));
                let what = What::Builtin(slug, pattern);
                let names = [slug.as_str(), slug.mark()];
                all.add(
                    slug.as_str(),
                    names,
                    what,
                    (rule(one.action), one.scan_scope),
                );
            }
            for one in &one.settings.content_filters {
                let Some(regex) = patterns.get(&one.pattern) else {
                    continue;
                };
                // No built-in's word begins so.
                let key = format!("/{}", one.pattern);
                let what = What::Pattern(regex);
                let rule = (rule(one.action), ScanScope::AllMessages);
                all.add(&key, [one.mark(), one.mark()], what, rule);
            }
        }
        all
    }

    /// Adds a rule to the filter of this key, which may be new.
    fn add(
        &mut self,
        key: &str,
        [name, mark]: [&str; 2],
        what: What,
        (rule, scope): (Rule, ScanScope),
    ) {
        if let Some(known) = self.filters.iter_mut().find(|filter| filter.key == key) {
            return known.add(rule, scope);
        }
        let mut fresh = Filter {
            key: key.to_owned(),
            name: name.to_owned(),
            mark: mark.to_owned(),
            what,
            user: None,
            others: None,
        };
        fresh.add(rule, scope);
        self.filters.push(fresh);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }
}

/// The filters at work on one request.
#[derive(Debug)]
pub struct Screening {
    filters: Rc<Filters>,
    budget: Budget,
    /// What was found, by filter: for the action that was taken, how often.
    found: Vec<(usize, Rule, usize)>,
    is_exhausted: bool,
}

/// What filters found in a request that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Guardrail id, guardrail scope, filter, action and count of each.
    found: Vec<(String, &'static str, String, Action, usize)>,
}

impl Screening {
    /// For one request.
    pub fn new(filters: Rc<Filters>) -> Self {
        Self {
            filters,
            budget: Budget::new(MAX_STEPS),
            found: Vec::new(),
            is_exhausted: false,
        }
    }

    /// Reads a text: what it becomes, where something of it has to go. Whether the request goes on at all says [`Self::finish`].
    pub fn text(&mut self, voice: Voice, text: &str) -> Option<String> {
        if self.is_exhausted || text.is_empty() {
            return None;
        }
        let filters = Rc::clone(&self.filters);
        let mut cuts: Vec<(Range<usize>, &str)> = Vec::new();
        for (at, filter) in filters.filters.iter().enumerate() {
            let Some(rule) = filter.rule(voice) else {
                continue;
            };
            let Ok(ranges) = self.find(&filter.what, text) else {
                self.is_exhausted = true;
                return None;
            };
            if ranges.is_empty() {
                continue;
            }
            self.note(at, rule, ranges.len());
            if rule.action == Action::Redact {
                cuts.extend(
                    ranges
                        .into_iter()
                        .map(|range| (range, filter.mark.as_str())),
                );
            }
        }
        redacted(text, cuts)
    }

    fn find(&mut self, what: &What, text: &str) -> Result<Vec<Range<usize>>, Exhausted> {
        match what {
            What::Builtin(builtin, pattern) => {
                builtin.find(pattern.as_deref(), text, &mut self.budget)
            }
            What::Pattern(regex) => regex.find_all(text, &mut self.budget),
        }
    }

    fn note(&mut self, filter: usize, rule: Rule, count: usize) {
        let known = self
            .found
            .iter_mut()
            .find(|(known, other, _)| *known == filter && other.action == rule.action);
        match known {
            Some((_, _, total)) => *total += count,
            None => self.found.push((filter, rule, count)),
        }
    }

    /// What was found.
    ///
    /// # Errors
    /// 403 where the request may not go on.
    pub fn finish(self) -> Result<Outcome> {
        let filters = &self.filters;
        let guardrail = |rule: &Rule| filters.guardrails.get(rule.guardrail);
        if self.is_exhausted {
            let message = "Request blocked: its text takes the content filters of its guardrails more steps than they may take. Send less text, or simplify their patterns";
            return Err(refused(message));
        }
        let name = |filter: usize| {
            filters
                .filters
                .get(filter)
                .map(|filter| filter.name.clone())
                .unwrap_or_default()
        };
        let blocked = self
            .found
            .iter()
            .filter(|(_, rule, _)| rule.action == Action::Block);
        let mut blocked = blocked.peekable();
        if let Some((_, first, _)) = blocked.peek()
            && let Some((id, title, scope)) = guardrail(first)
        {
            let names: Vec<String> = blocked.map(|(filter, _, _)| name(*filter)).collect();
            let message = format!(
                "Request blocked: {title} does not let {} through",
                names.join(", ")
            );
            let error = refused(&message).with("patterns", names);
            return Err(error
                .with("guardrail_id", id.as_str())
                .with("guardrail_scope", *scope));
        }
        let found = self.found.iter().filter_map(|(filter, rule, count)| {
            let (id, _, scope) = guardrail(rule)?;
            Some((id.clone(), *scope, name(*filter), rule.action, *count))
        });
        Ok(Outcome {
            found: found.collect(),
        })
    }
}

fn refused(message: &str) -> Error {
    Error::new(
        Source::Client,
        Next::Final,
        ErrorType::PermissionDenied,
        message,
    )
}

/// The text with marks in place of ranges; ranges that overlap get one mark, that of the longer first one.
fn redacted(text: &str, mut cuts: Vec<(Range<usize>, &str)>) -> Option<String> {
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_by(|(a, _), (b, _)| {
        (a.start, std::cmp::Reverse(a.end)).cmp(&(b.start, std::cmp::Reverse(b.end)))
    });
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, mark) in cuts {
        if range.start >= at {
            out.push_str(text.get(at..range.start).unwrap_or_default());
            out.push_str(mark);
        }
        at = at.max(range.end);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Some(out)
}

impl Outcome {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// By the id of each guardrail, how often it took each action; null where none acted.
    pub fn acted(&self) -> Value {
        let mut all = Map::new();
        for (id, _, _, action, count) in &self.found {
            let of = all.entry(id.as_str()).or_insert_with(|| json!({}));
            let before = of.get(action.as_str()).and_then(Value::as_u64);
            let sum = before.unwrap_or(0).saturating_add(*count as u64);
            if let Some(of) = of.as_object_mut() {
                of.insert(action.as_str().to_owned(), sum.into());
            }
        }
        if all.is_empty() {
            return Value::Null;
        }
        Value::Object(all)
    }

    /// In a header: `redact email 2, flag phone 1`.
    pub fn header(&self) -> String {
        let told = self.found.iter().map(|(_, _, name, action, count)| {
            let name: String = name.chars().filter(char::is_ascii_graphic).collect();
            format!("{} {name} {count}", action.as_str())
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// In the metadata's pipeline: an entry for each filter that found something.
    pub fn pipeline(&self) -> Vec<Value> {
        let told = self.found.iter().map(|(id, scope, name, action, count)| {
            json!({
                "type": "guardrail",
                "name": name,
                "guardrail_id": id,
                "guardrail_scope": scope,
                "summary": format!("{} {name}", match action {
                    Action::Flag => "Flagged",
                    Action::Redact => "Redacted",
                    Action::Block => "Blocked",
                }),
                "data": {"action": action, "count": count},
            })
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guardrails::{Fields, Policy, Scope, Settings, read};

    fn policy(bodies: &[Value]) -> Policy {
        let applied = bodies.iter().enumerate().map(|(at, body)| {
            let mut settings = Settings::default();
            read(&mut settings, body.as_object().unwrap(), Fields::Guardrail).unwrap();
            Applied {
                id: format!("g{at}"),
                name: format!("Rail {at}"),
                scope: Scope::ApiKey,
                settings,
            }
        });
        Policy::of(applied.collect())
    }

    fn screen(bodies: &[Value], texts: &[(Voice, &str)]) -> (Vec<String>, Result<Outcome>) {
        let filters = policy(bodies).filters(&PatternCache::default()).unwrap();
        let mut screening = Screening::new(filters);
        let read = texts.iter().map(|(voice, text)| {
            screening
                .text(*voice, text)
                .unwrap_or_else(|| (*text).to_owned())
        });
        let read = read.collect();
        (read, screening.finish())
    }

    fn builtin(slug: &str, action: &str, scope: &str) -> Value {
        json!({"content_filter_builtins": [{"slug": slug, "action": action, "scan_scope": scope}]})
    }

    #[test]
    fn what_is_redacted_becomes_its_mark_and_is_told_by_name_and_count() {
        let own = json!({"content_filters": [
            {"pattern": r"ACME-\d+", "action": "redact", "label": "[CODENAME]"},
            {"pattern": "(?i)blue moon", "action": "flag"},
        ]});
        let bodies = [own, builtin("email", "redact", "all_messages")];
        let (texts, outcome) = screen(
            &bodies,
            &[
                (Voice::User, "a@b.de knows ACME-17 and c@d.de"),
                (Voice::Other, "Blue Moon, x@y.zz"),
            ],
        );
        assert_eq!(
            texts,
            ["[EMAIL] knows [CODENAME] and [EMAIL]", "Blue Moon, [EMAIL]"]
        );
        let outcome = outcome.unwrap();
        assert_eq!(
            outcome.header(),
            "redact [CODENAME] 1, redact email 3, flag [REDACTED] 1"
        );
        let acted = json!({"g0": {"redact": 1, "flag": 1}, "g1": {"redact": 3}});
        assert_eq!(outcome.acted(), acted);
        assert_eq!(Outcome::default().acted(), Value::Null);
        let told = Value::from(outcome.pipeline()).to_string();
        for secret in ["a@b.de", "x@y.zz", "ACME-17", "Moon"] {
            assert!(!told.contains(secret), "{told}");
        }
    }

    #[test]
    fn of_several_guardrails_the_strongest_action_counts() {
        for (actions, expected) in [
            (["flag", "redact"], Some("[EMAIL]")),
            (["redact", "flag"], Some("[EMAIL]")),
            (["redact", "block"], None),
            (["block", "flag"], None),
            (["flag", "flag"], Some("a@b.de")),
        ] {
            let bodies = actions.map(|action| builtin("email", action, "all_messages"));
            let (texts, outcome) = screen(&bodies, &[(Voice::User, "a@b.de")]);
            match expected {
                Some(text) => {
                    assert_eq!(texts, [text], "{actions:?}");
                    assert!(outcome.is_ok());
                }
                None => {
                    let error = outcome.unwrap_err();
                    assert_eq!(error.status, 403);
                    assert_eq!(error.metadata["patterns"], json!(["email"]));
                    assert!(!error.message.contains("a@b.de"), "{}", error.message);
                    assert!(error.message.contains("\"Rail"), "{}", error.message);
                }
            }
        }
    }

    #[test]
    fn a_scope_of_users_leaves_others_alone() {
        let bodies = [
            builtin("email", "block", "user_only"),
            builtin("email", "redact", "all_messages"),
        ];
        let (texts, outcome) = screen(&bodies, &[(Voice::Other, "a@b.de")]);
        assert_eq!((texts, outcome.is_ok()), (vec!["[EMAIL]".to_owned()], true));
        let (_, outcome) = screen(&bodies, &[(Voice::User, "a@b.de")]);
        assert_eq!(outcome.unwrap_err().status, 403);
        let (texts, _) = screen(&bodies[..1], &[(Voice::Other, "a@b.de")]);
        assert_eq!(texts, ["a@b.de"]);
    }

    #[test]
    fn overlapping_finds_get_one_mark() {
        let own = json!({"content_filters": [
            {"pattern": "bcd", "action": "redact", "label": "[1]"},
            {"pattern": "abc", "action": "redact", "label": "[2]"},
            {"pattern": "ef?", "action": "redact", "label": "[3]"},
        ]});
        let (texts, _) = screen(&[own], &[(Voice::User, "xabcdefg")]);
        assert_eq!(texts, ["x[2][3]g"]);
    }

    #[test]
    fn a_text_that_would_take_too_long_is_refused_rather_than_let_through() {
        let own = json!({"content_filters": [{"pattern": "a.*b|a", "action": "redact"}]});
        let text = "a".repeat(200_000);
        let (_, outcome) = screen(&[own], &[(Voice::User, &text)]);
        let error = outcome.unwrap_err();
        assert_eq!(error.status, 403);
        assert!(error.message.contains("steps"), "{}", error.message);
    }

    #[test]
    fn the_cache_of_patterns_does_not_grow_without_end() {
        let cache = PatternCache::default();
        for n in 0..=MAX_PATTERNS {
            cache.get(&format!("x{n}"));
        }
        assert!(cache.seen.borrow().len() <= MAX_PATTERNS);
    }
}
