//! What a model's name says: the slug, and the suffixes behind its colons.
//!
//! | suffix | kind | means |
//! |---|---|---|
//! | `:free`, `:batch`, `:extended` | catalog | a model of its own; at most one, and never a fallback to the plain model |
//! | `:thinking` | catalog | as these; where the catalog has no such model, reasoning is asked for |
//! | `:nitro`, `:floor`, `:exacto` | routing | [`Suffix`]; the last one wins |
//! | `:online` | routing | web search |
//!
//! They come in any order. Spec: OpenRouter's variants. Out of scope: presets, finding the model.

use super::situation::Suffix;
use crate::{
    catalog::{Names, model::is_open},
    error::{Error, Result},
};

/// Suffixes that name a model of their own.
const CATALOG: [&str; 4] = ["free", "batch", "extended", "thinking"];

/// A name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The slug of a model in the catalog.
    pub slug: String,
    /// How its endpoints are chosen.
    pub suffix: Option<Suffix>,
    /// The answer is to search the web.
    pub is_online: bool,
    /// Reasoning is asked for, though the model has no name of its own for it.
    pub is_thinking: bool,
    /// How the slug was found.
    pub kind: NameKind,
}

/// How a name led to its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// It is the model's slug.
    Slug,
    /// It is another name of it.
    Alias,
    /// `~author/family-latest`: the newest of a family.
    Latest,
}

/// Reads a name.
///
/// # Errors
/// 400: an unknown suffix, two catalog suffixes, or a name that the catalog does not know, with the nearest ones that it does.
pub fn read(name: &str, names: &Names) -> Result<Name> {
    let mut parts = name.split(':');
    let base = parts.next().unwrap_or_default().trim();
    let mut catalog: Option<String> = None;
    let mut suffix = None;
    let mut is_online = false;
    for part in parts {
        let word = part.trim().to_lowercase();
        if let Some(routing) = Suffix::parse(&word) {
            suffix = Some(routing);
        } else if word == "online" {
            is_online = true;
        } else if !CATALOG.contains(&word.as_str()) {
            return Err(unknown_suffix(name, part, names));
        } else if let Some(other) = catalog.as_ref().filter(|other| **other != word) {
            let message = format!("{name}: a name takes one of :{other} and :{word}, not both");
            return Err(Error::invalid("model", message));
        } else {
            catalog = Some(word);
        }
    }
    let (slug, kind, is_thinking) = find(name, base, catalog.as_deref(), names)?;
    Ok(Name {
        slug,
        suffix,
        is_online,
        is_thinking,
        kind,
    })
}

fn find(
    name: &str,
    base: &str,
    catalog: Option<&str>,
    names: &Names,
) -> Result<(String, NameKind, bool)> {
    let mut kind = None;
    let base = match base.strip_prefix('~') {
        Some(family) => {
            kind = Some(NameKind::Latest);
            let newest = names.newest(family);
            newest.ok_or_else(|| unknown_family(name, family, names))?
        }
        None => base,
    };
    let wanted = match catalog {
        Some(suffix) => format!("{base}:{suffix}"),
        None => base.to_owned(),
    };
    let by_name = |slug: &str, asked: &str| {
        kind.unwrap_or(if slug == asked.to_lowercase() {
            NameKind::Slug
        } else {
            NameKind::Alias
        })
    };
    if let Some(slug) = names.resolve(&wanted) {
        if is_open(slug) {
            return Ok((wanted.to_lowercase(), NameKind::Slug, false));
        }
        return Ok((slug.to_owned(), by_name(slug, &wanted), false));
    }
    let Some(suffix) = catalog else {
        return Err(unlisted(name, base, names));
    };
    // An alias of the plain model is one of its variants too.
    let plain = names
        .resolve(base)
        .ok_or_else(|| unlisted(name, base, names))?;
    if let Some(slug) = names.resolve(&format!("{plain}:{suffix}")) {
        return Ok((slug.to_owned(), by_name(slug, &wanted), false));
    }
    if suffix == "thinking" {
        return Ok((plain.to_owned(), by_name(plain, base), true));
    }
    let message = format!("{name} is not a valid model ID: {plain} has no :{suffix} variant here");
    Err(not_found(message, &[plain.to_owned()]))
}

fn unknown_suffix(name: &str, word: &str, names: &Names) -> Error {
    let known = ":free, :batch, :extended, :thinking, :nitro, :floor, :exacto and :online";
    let message =
        format!("{name} is not a valid model ID: there is no suffix :{word}, only {known}");
    not_found(message, &names.nearest(name))
}

fn unknown_family(name: &str, family: &str, names: &Names) -> Error {
    let near = names.nearest_family(family);
    let hint = match near.is_empty() {
        true => "It has to be ~author/family-latest.".to_owned(),
        false => format!("Did you mean {}?", near.join(", ")),
    };
    not_found(format!("{name} is not a valid model ID. {hint}"), &near)
}

fn unlisted(name: &str, base: &str, names: &Names) -> Error {
    let nearest = names.nearest(base);
    let mut hint = match nearest.is_empty() {
        true => "See GET /api/v1/models.".to_owned(),
        false => format!("Did you mean {}?", nearest.join(", ")),
    };
    if let Some(elsewhere) = names.elsewhere(name).first() {
        hint.push_str(&format!(" Models that are not listed here: {elsewhere}."));
    }
    not_found(format!("{name} is not a valid model ID. {hint}"), &nearest)
}

fn not_found(message: String, nearest: &[String]) -> Error {
    let mut error = Error::invalid("model", message)
        .with("nearest_models", nearest)
        .with("code", "model_not_found");
    error.availability = Some(Box::new(serde_json::json!({
        "code": "model_not_found",
        "retryable": false,
    })));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let slugs = [
            "a/gpt-5",
            "a/gpt-5-mini",
            "a/gpt-5:free",
            "b/opus-4.5",
            "b/opus-4.5:thinking",
        ];
        Names {
            slugs: slugs.map(str::to_owned).into(),
            aliases: [("gpt-5".to_owned(), "a/gpt-5".to_owned())].into(),
            latest: [("b/opus".to_owned(), "b/opus-4.5".to_owned())].into(),
        }
    }

    #[test]
    fn suffixes_come_in_any_order_and_the_last_order_wins() {
        let table = [
            ("a/gpt-5", "a/gpt-5", None),
            ("A/GPT-5:Nitro", "a/gpt-5", Some(Suffix::Nitro)),
            ("a/gpt-5:free:nitro", "a/gpt-5:free", Some(Suffix::Nitro)),
            ("a/gpt-5:nitro:free", "a/gpt-5:free", Some(Suffix::Nitro)),
            ("a/gpt-5:free:free", "a/gpt-5:free", None),
            ("a/gpt-5:nitro:floor", "a/gpt-5", Some(Suffix::Floor)),
            ("a/gpt-5:floor:exacto", "a/gpt-5", Some(Suffix::Exacto)),
            ("gpt-5:floor", "a/gpt-5", Some(Suffix::Floor)),
            ("gpt-5:free", "a/gpt-5:free", None),
            ("b/opus-4.5:thinking", "b/opus-4.5:thinking", None),
            ("~b/opus-latest:nitro", "b/opus-4.5", Some(Suffix::Nitro)),
            ("~b/opus-latest:thinking", "b/opus-4.5:thinking", None),
        ];
        for (name, slug, suffix) in table {
            let read = read(name, &names()).unwrap();
            assert_eq!((read.slug.as_str(), read.suffix), (slug, suffix), "{name}");
            assert!(!read.is_online && !read.is_thinking, "{name}");
        }
        assert!(read("a/gpt-5:online:floor", &names()).unwrap().is_online);
        let thinking = read("a/gpt-5:thinking", &names()).unwrap();
        assert!(thinking.is_thinking && thinking.slug == "a/gpt-5");
    }

    #[test]
    fn a_name_tells_how_it_was_found() {
        for (name, kind) in [
            ("a/gpt-5", NameKind::Slug),
            ("A/gpt-5:free", NameKind::Slug),
            ("gpt-5", NameKind::Alias),
            ("~B/opus-latest", NameKind::Latest),
        ] {
            assert_eq!(read(name, &names()).unwrap().kind, kind, "{name}");
        }
    }

    #[test]
    fn a_provider_of_any_model_is_asked_by_its_own_ids() {
        let mut names = names();
        names.slugs.push("router/*".to_owned());
        for (name, slug) in [
            ("router/new/model-9", "router/new/model-9"),
            ("Router/a/GPT-5:free", "router/a/gpt-5:free"),
            ("router/a/gpt-5:thinking:nitro", "router/a/gpt-5:thinking"),
            ("a/gpt-5", "a/gpt-5"),
        ] {
            let read = read(name, &names).unwrap();
            assert_eq!(
                (read.slug.as_str(), read.is_thinking),
                (slug, false),
                "{name}"
            );
        }
        for name in [
            "router/x",
            "router/",
            "router//x",
            "router/x/",
            "router/a b/c",
            "other/new/model-9",
        ] {
            assert!(read(name, &names).is_err(), "{name}");
        }
        let unlisted = read("a/gpt-9", &names).unwrap_err();
        assert!(
            unlisted
                .message
                .ends_with("Models that are not listed here: router/a/gpt-9.")
        );
    }

    #[test]
    fn what_is_no_name_is_refused_with_help() {
        let table = [
            ("a/gpt-6", "Did you mean a/gpt-5"),
            ("a/gpt-5:nitr", "no suffix :nitr"),
            ("a/gpt-5:", "no suffix :"),
            ("a/gpt-5:free:thinking", "not both"),
            ("a/gpt-5-mini:free", "a/gpt-5-mini has no :free variant"),
            ("a/gpt-5:extended", "no :extended variant"),
            ("~b/opus", "Did you mean ~b/opus-latest"),
            ("~b/zzzz-latest", "~author/family-latest"),
            ("", "not a valid model ID"),
        ];
        for (name, words) in table {
            let error = read(name, &names()).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some("model")));
            assert!(error.message.contains(words), "{name}: {}", error.message);
        }
    }
}
