//! Which app sends a request? Its own `HTTP-Referer` says so: the host, in one spelling.
//!
//! A host that many apps share (`localhost` and addresses) names an app only together with a title. Spec: OpenRouter's app
//! attribution. Out of scope: who may be ranked ([`super::rankings`]).

/// The longest name.
const MAX_NAME: usize = 100;

/// The app that these headers name, if they name one.
pub fn named(referer: Option<&str>, title: Option<&str>) -> Option<String> {
    let host = host(referer?)?;
    if !is_shared(&host) {
        return Some(host);
    }
    let title = title?.trim().to_lowercase();
    let title: String = title.chars().filter(|c| !c.is_control()).collect();
    if title.is_empty() {
        return None;
    }
    let name = format!("{host} {title}");
    let end = name.floor_char_boundary(MAX_NAME);
    name.get(..end).map(str::to_owned)
}

/// Whether an app of this name is one that anybody can reach: only such are ranked.
pub fn is_public(app: &str) -> bool {
    app.contains('.') && !app.contains(' ') && !is_shared(app)
}

/// The host of an address: lower case, without `www.`, with its port where that is not the usual one.
fn host(referer: &str) -> Option<String> {
    let text = referer.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let authority = authority.rsplit('@').next()?.to_ascii_lowercase();
    let authority = authority.strip_prefix("www.").unwrap_or(&authority);
    let usual = if scheme == "http" { ":80" } else { ":443" };
    let authority = authority.strip_suffix(usual).unwrap_or(authority);
    let authority = authority.trim_end_matches('.');
    let is_clean =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']' | '_');
    let is_host =
        !authority.is_empty() && authority.len() <= MAX_NAME && authority.chars().all(is_clean);
    is_host.then(|| authority.to_owned())
}

/// Whether a host is everybody's own machine, or a bare address.
fn is_shared(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host
    } else {
        host.split(':').next().unwrap_or_default()
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.ends_with(".local")
        || name.starts_with('[')
        || name.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_its_host_in_one_spelling() {
        for (referer, title, app) in [
            (
                "https://www.App.example/chat?user=1#x",
                None,
                Some("app.example"),
            ),
            ("http://app.example:80", None, Some("app.example")),
            ("https://app.example:8443/", None, Some("app.example:8443")),
            ("app.example", None, Some("app.example")),
            (
                "https://user:secret@app.example/",
                None,
                Some("app.example"),
            ),
            ("http://localhost:3000", None, None),
            (
                "http://localhost:3000",
                Some("My App"),
                Some("localhost:3000 my app"),
            ),
            ("http://127.0.0.1", Some(" "), None),
            ("http://[::1]:8080/", Some("A"), Some("[::1]:8080 a")),
            ("ftp://app.example", None, None),
            ("https://", None, None),
            ("https://a b", None, None),
            ("javascript:alert(1)", None, None),
        ] {
            assert_eq!(named(Some(referer), title).as_deref(), app, "{referer}");
        }
        assert_eq!(named(None, Some("Title")), None);
    }

    #[test]
    fn what_nobody_else_can_reach_is_not_public() {
        for (app, public) in [
            ("app.example", true),
            ("app.example:8443", true),
            ("localhost:3000 my app", false),
            ("10.0.0.7", false),
            ("printer.local", false),
            ("intranet", false),
        ] {
            assert_eq!(is_public(app), public, "{app}");
        }
    }
}
