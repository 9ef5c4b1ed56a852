//! Pages: plain HTML, one style, no script, nothing from elsewhere, never in a frame.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

use crate::{
    api::http::{Body, Response},
    error::{Error, Source},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#16181d;--soft:#5d6472;--line:#dfe2e8;--edge:#858d9c;--paper:#fff;--back:#f4f5f7;--deed:#2456d6;--on:#fff;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#eceef2;--soft:#a3abba;--line:#333843;--edge:#6f778a;--paper:#1b1e25;--back:#111318;--deed:#6d93ff;--on:#0b1020;--bad:#ff8a80}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--back);color:var(--ink);\
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{width:100%;max-width:440px;background:var(--paper);border:1px solid var(--line);border-radius:14px;padding:32px}\
.brand{margin:0 0 20px;font-size:.9rem;font-weight:700;letter-spacing:.02em}.brand::before{content:'';display:inline-block;width:.7em;height:.7em;\
margin-right:.5em;border:.2em solid var(--deed);border-radius:50%;vertical-align:-.05em}\
h1{font-size:1.4rem;line-height:1.3;margin:0 0 12px;overflow-wrap:anywhere}p{margin:8px 0;overflow-wrap:anywhere}.soft,dt,label{color:var(--soft);font-size:.9rem}\
.bad{color:var(--bad)}a{color:var(--deed)}dl{display:grid;grid-template-columns:auto 1fr;align-items:baseline;gap:8px 16px;margin:20px 0;padding:16px 0;\
border:solid var(--line);border-width:1px 0}dd{margin:0;overflow-wrap:anywhere}\
form{margin:20px 0 0}label{display:block;margin:14px 0 4px}input,select{width:100%;min-height:46px;font:inherit;color:inherit;background:var(--paper);\
border:1px solid var(--edge);border-radius:8px;padding:9px 12px}.row{display:flex;gap:12px;margin:24px 0}\
a.way,button{display:block;width:100%;min-height:46px;text-align:center;font:inherit;font-weight:600;border-radius:8px;padding:10px 14px;cursor:pointer;\
border:1px solid var(--edge);background:transparent;color:inherit;text-decoration:none;margin-top:12px;overflow-wrap:anywhere}\
a.way:hover,button:hover{border-color:var(--deed)}.row button{margin:0}button.deed{background:var(--deed);border-color:var(--deed);color:var(--on)}\
:focus-visible{outline:3px solid var(--deed);outline-offset:2px}code.code{display:block;margin-top:16px;padding:14px;border:1px dashed var(--edge);border-radius:8px;\
overflow-wrap:anywhere;user-select:all}\
@media(max-width:480px){body{display:block;padding:0;background:var(--paper)}main{max-width:none;border:0;border-radius:0;padding:24px 20px}}";

/// A page. `body` is HTML; its forms go to this site. `leads_to` is the scheme of the app to which the answer of its form leads on:
/// browsers hold redirects to the form's rule too, also those that the app makes to other addresses of its own, which nobody here knows.
pub(super) fn page(status: u16, title: &str, body: &str, leads_to: Option<&str>) -> Response {
    let title = escaped(title);
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><p class=\"brand\">Patchbay</p><h1>{title}</h1>{body}</main></body></html>"
    );
    let mut response = Response {
        status,
        headers: vec![("content-type".into(), "text/html; charset=utf-8".into())],
        body: Body::Bytes(text.into_bytes()),
    };
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let target = leads_to
        .map(|scheme| format!(" {scheme}:"))
        .unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'"
    );
    response.header("content-security-policy", policy);
    response.header("x-frame-options", "DENY");
    response.header("x-content-type-options", "nosniff");
    // Forms say where they come from; other sites are told nothing.
    response.header("referrer-policy", "same-origin");
    response.header("cache-control", "no-store");
    response
}

/// Sends the browser on, with a GET.
pub(super) fn redirect(location: &str) -> Response {
    let mut response = Response {
        status: 303,
        headers: vec![("location".into(), location.to_owned())],
        body: Body::Empty,
    };
    response.header("cache-control", "no-store");
    response.header("referrer-policy", "no-referrer");
    response
}

/// An error as a page.
pub(super) fn refusal(error: &Error) -> Response {
    let message = match error.source {
        // The details are in the operator's log.
        Source::Gateway if error.status >= 500 => {
            "Something went wrong here. Try again in a moment."
        }
        _ => error.message.as_str(),
    };
    let title = match error.status {
        404 => "There is nothing here",
        400..=499 => "That did not work",
        _ => "Something went wrong",
    };
    let body = format!(
        "<p class=\"bad\" role=\"alert\">{}</p><a class=\"way\" href=\"/login\">Back to sign-in</a>",
        escaped(message)
    );
    page(error.status, title, &body, None)
}

/// A text as HTML, in elements and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Could turn the words around it about.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Hidden fields of a form.
pub(super) fn hidden(fields: &[(&str, Option<&str>)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if let Some(value) = value {
            // Writing into a string does not fail.
            let _ = write!(
                out,
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escaped(value)
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_becomes_markup() {
        assert_eq!(
            escaped("<a href=\"x\" o='y'>&"),
            "&lt;a href=&quot;x&quot; o=&#39;y&#39;&gt;&amp;"
        );
        assert_eq!(escaped("a\u{202e}b\nc"), "ab c");
        let field = hidden(&[("x", Some("\"><script>")), ("y", None)]);
        assert_eq!(
            field,
            "<input type=\"hidden\" name=\"x\" value=\"&quot;&gt;&lt;script&gt;\">"
        );
    }

    #[test]
    fn a_page_runs_no_script_and_stands_in_no_frame() {
        let response = page(200, "<T>", "<p>x</p>", Some("https"));
        let header = |name: &str| {
            let found = response.headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self' https:;",
        ] {
            assert!(policy.contains(part), "{part}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(
            (header("x-frame-options"), header("cache-control")),
            ("DENY", "no-store")
        );
    }

    #[test]
    fn what_broke_inside_is_not_told() {
        let response = refusal(&Error::internal("D1 has a secret"));
        let Body::Bytes(bytes) = response.body else {
            panic!("a page has a body")
        };
        assert!(!String::from_utf8(bytes).unwrap().contains("secret"));
        assert_eq!(response.status, 500);
    }
}
