//! Cookies, and the site that they are for (RFC 6265bis).
//!
//! Over https their names begin with `__Host-`: a browser takes such a cookie only from this host, over https, for all paths, so
//! that neither a subdomain nor the network can plant one. Without TLS people sign in at loopback addresses alone.

use crate::error::{ErrorType, Result};

use super::refused;

/// Where people reach the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Scheme, host and port, as a browser writes an origin.
    pub origin: String,
    is_https: bool,
}

impl Site {
    /// The deployment's `PUBLIC_URL`, else where the request went.
    ///
    /// # Errors
    /// 403 where there is neither TLS nor a loopback address.
    pub fn of(public: Option<&str>, request: &str) -> Result<Self> {
        let origin = public.unwrap_or(request).trim().trim_end_matches('/');
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        let is_https = scheme.eq_ignore_ascii_case("https");
        if is_https || (scheme.eq_ignore_ascii_case("http") && is_loopback(host)) {
            return Ok(Self {
                origin: origin.to_ascii_lowercase(),
                is_https,
            });
        }
        let message = "People sign in over https only: use the gateway's https address";
        Err(refused(ErrorType::PermissionDenied, message))
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn named(&self, name: &str) -> String {
        let prefix = if self.is_https { "__Host-" } else { "" };
        format!("{prefix}patchbay-{name}")
    }

    /// A cookie's value in the `Cookie` header.
    pub fn cookie<'a>(&self, header: &'a str, name: &str) -> Option<&'a str> {
        let wanted = self.named(name);
        let pairs = header
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| value);
        // Two of one name: somebody planted one.
        found.next().filter(|_| found.next().is_none())
    }

    /// The header that sets a cookie for so many seconds; 0 takes it away. No script sees it.
    pub fn set_cookie(&self, name: &str, value: &str, seconds: i64) -> String {
        let secure = if self.is_https { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
            self.named(name)
        )
    }
}

/// Whether a host, with or without a port, is this machine by its name.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Where to go after a sign-in: a path of this site, whatever was asked for. Browsers read `\` as `/`, and leave out tabs and
/// line ends.
pub fn local_path(asked: Option<&str>) -> &str {
    const HOME: &str = "/login";
    let is_local = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= 2_048
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    asked.filter(is_local).unwrap_or(HOME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_https_or_this_machine() {
        for (public, request, expected) in [
            (None, "https://gw.example", Some("__Host-patchbay-s")),
            (None, "http://127.0.0.1:8787", Some("patchbay-s")),
            (None, "http://localhost", Some("patchbay-s")),
            (None, "http://[::1]:1", Some("patchbay-s")),
            (
                Some("https://GW.example/"),
                "http://10.0.0.1",
                Some("__Host-patchbay-s"),
            ),
            (None, "http://gw.example", None),
            (None, "http://127.0.0.1.gw.example", None),
            (None, "http://localhost.gw.example", None),
            (Some("ftp://gw.example"), "https://gw.example", None),
            (None, "", None),
        ] {
            let site = Site::of(public, request).ok();
            let cookie = site.as_ref().map(|site| site.set_cookie("s", "v", 5));
            let name = cookie.as_deref().and_then(|it| it.split('=').next());
            assert_eq!(name, expected, "{public:?} {request}");
            if let Some(cookie) = &cookie {
                assert_eq!(
                    cookie.ends_with("; Secure"),
                    name == Some("__Host-patchbay-s")
                );
                assert!(cookie.contains("; HttpOnly; SameSite=Lax"));
            }
        }
        let site = Site::of(Some("https://GW.example/"), "").unwrap();
        assert_eq!(site.url("/auth"), "https://gw.example/auth");
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name_and_not_where_there_are_two() {
        let site = Site::of(None, "https://gw.example").unwrap();
        let read = |header| site.cookie(header, "session");
        assert_eq!(read("a=b; __Host-patchbay-session=v.w=; c"), Some("v.w="));
        assert_eq!(read("patchbay-session=planted"), None);
        assert_eq!(
            read("__Host-patchbay-session=1; __Host-patchbay-session=2"),
            None
        );
        assert_eq!(read(""), None);
    }

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in [
            "/",
            "/auth?callback_url=https%3A%2F%2Fa.example",
            "/invite?token=x",
        ] {
            assert_eq!(local_path(Some(path)), path);
        }
        let long = format!("/{}", "x".repeat(2_048));
        for path in [
            "",
            "auth",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            " /x",
            "/a b",
            "/x\\y",
            "/é",
            &long,
        ] {
            assert_eq!(local_path(Some(path)), "/login", "{path:?}");
        }
        assert_eq!(local_path(None), "/login");
    }
}
