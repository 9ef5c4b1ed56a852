//! Domains that a request admits or refuses: `example.com` means its subdomains too, `example.com/blog` only that part of it.

use super::{address::Address, fields::Fields};
use crate::error::Result;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Domain {
    /// As the client wrote it, for engines that filter themselves.
    host: String,
    /// With a leading slash, where the entry has one.
    path: Option<String>,
}

/// What a request says of domains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Domains {
    allowed: Vec<Domain>,
    blocked: Vec<Domain>,
}

impl Domains {
    /// Reads both lists, whatever they are called by the surface that the declaration came from.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let mut domains = Self::lists(fields)?;
        // Responses APIs keep them one level deeper.
        if let Some(filters) = fields.object("filters")? {
            let path = fields.path("filters");
            let deeper = Self::lists(&Fields::new(filters, &path))?;
            domains.allowed.extend(deeper.allowed);
            domains.blocked.extend(deeper.blocked);
        }
        Ok(domains)
    }

    fn lists(fields: &Fields<'_>) -> Result<Self> {
        let read = |names: &[&'static str]| -> Result<Vec<Domain>> {
            let texts = fields.list(names)?;
            let domains = texts.iter().enumerate().map(|(at, text)| {
                let name = names.first().copied().unwrap_or_default();
                let told = || {
                    fields.wrong(
                        &format!("{name}[{at}]"),
                        "expected a domain such as example.com",
                    )
                };
                domain(text).ok_or_else(told)
            });
            domains.collect()
        };
        Ok(Self {
            allowed: read(&["allowed_domains", "include_domains"])?,
            blocked: read(&["blocked_domains", "excluded_domains", "exclude_domains"])?,
        })
    }

    /// Whether a page may be shown to the model.
    pub fn admit(&self, address: &Address) -> bool {
        let is = |domain: &Domain| domain.means(address);
        (self.allowed.is_empty() || self.allowed.iter().any(is)) && !self.blocked.iter().any(is)
    }

    /// The hosts of the list of admitted domains.
    pub(super) fn allowed(&self) -> Vec<&str> {
        self.allowed.iter().map(|one| one.host.as_str()).collect()
    }

    /// The hosts of which nothing is wanted.
    pub(super) fn blocked(&self) -> Vec<&str> {
        let whole = self.blocked.iter().filter(|one| one.path.is_none());
        whole.map(|one| one.host.as_str()).collect()
    }
}

impl Domain {
    fn means(&self, address: &Address) -> bool {
        let host = address.host();
        let is_host = host.strip_suffix(self.host.as_str());
        let is_host = is_host.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
        is_host
            && self.path.as_deref().is_none_or(|path| {
                let rest = address.path().strip_prefix(path);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            })
    }
}

fn domain(text: &str) -> Option<Domain> {
    let text = text.trim().to_ascii_lowercase();
    let text = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"))
        .unwrap_or(&text);
    let text = text.strip_prefix("*.").unwrap_or(text);
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let path = path.trim_end_matches(['/', '*']);
    is_host.then(|| Domain {
        host: host.to_owned(),
        path: (!path.is_empty()).then(|| format!("/{path}")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_domain_means_its_subdomains_and_a_path_what_is_below_it() {
        let map = json!({
            "include_domains": ["https://Example.com", "*.rust-lang.org", "docs.rs/serde/*"],
            "excluded_domains": ["private.example.com"],
        });
        let domains = Domains::read(&Fields::new(map.as_object().unwrap(), "plugins[0]")).unwrap();
        for (url, admitted) in [
            ("https://example.com/", true),
            ("http://www.example.com:81/a?b", true),
            ("https://notexample.com/", false),
            ("https://example.com.evil.net/", false),
            ("https://private.example.com/", false),
            ("https://a.private.example.com/", false),
            ("https://doc.rust-lang.org/std", true),
            ("https://docs.rs/serde", true),
            ("https://docs.rs/serde/latest?x", true),
            ("https://docs.rs/serde_json", false),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(domains.admit(&address), admitted, "{url}");
        }
        let none = Domains::default();
        assert!(none.admit(&Address::parse("https://a.example/").unwrap()));
    }

    #[test]
    fn a_wrong_domain_is_told_with_its_path() {
        for (map, path) in [
            (
                json!({"blocked_domains": ["a b"]}),
                "tools[0].blocked_domains[0]",
            ),
            (
                json!({"allowed_domains": "a.b"}),
                "tools[0].allowed_domains",
            ),
            (
                json!({"allowed_domains": ["a.b", 7]}),
                "tools[0].allowed_domains[1]",
            ),
        ] {
            let error = Domains::read(&Fields::new(map.as_object().unwrap(), "tools[0]"));
            assert_eq!(error.unwrap_err().param.as_deref(), Some(path));
        }
    }
}
