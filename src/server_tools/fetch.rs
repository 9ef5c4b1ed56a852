//! Web fetch: one page, over its redirects, as text. Every address on the way is checked before it is asked.

use serde_json::{Map, Value, json};

use super::{
    address::Address,
    call::{Called, Spent},
    citation::Source,
    domain::Domains,
    fields::Fields,
    html,
    web::{WebAnswer, WebRequest},
};
use crate::{chat::estimate::BYTES_PER_TOKEN, error::Result};

/// The most pages of one request.
pub const MAX_FETCHES: u32 = 50;
/// Tokens of a page where the request does not say.
pub const DEFAULT_TOKENS: u32 = 10_000;
/// The most tokens of a page.
pub const MAX_TOKENS: u32 = 100_000;
/// The most redirects.
const MAX_REDIRECTS: u32 = 5;
/// How much of a page is read, in bytes.
const MAX_PAGE: usize = 4 * 1024 * 1024;
/// What the model was shown of a page, in its annotation.
const EXCERPT: usize = 600;

/// The declared tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTool {
    /// Pages of one request.
    pub max_uses: u32,
    /// Tokens of each page.
    pub max_content_tokens: u32,
    /// Which pages may be read.
    pub domains: Domains,
    /// Hosts (with their port) that the operator lets be read although they are not public.
    pub trusted: Vec<String>,
}

impl FetchTool {
    /// Reads the parameters of the tool or of the plugin.
    pub(super) fn read(map: &Map<String, Value>, path: &str) -> Result<Self> {
        let fields = Fields::new(map, path);
        if let Some(engine) = fields.text("engine")?
            && !matches!(engine, "auto" | "openrouter")
        {
            return Err(fields.wrong(
                "engine",
                "pages are read by the gateway itself: expected auto or openrouter",
            ));
        }
        Ok(Self {
            max_uses: fields
                .number("max_uses", 1..=u32::MAX)?
                .unwrap_or(MAX_FETCHES)
                .min(MAX_FETCHES),
            max_content_tokens: fields
                .number("max_content_tokens", 1..=u32::MAX)?
                .unwrap_or(DEFAULT_TOKENS)
                .min(MAX_TOKENS),
            domains: Domains::read(&fields)?,
            trusted: Vec::new(),
        })
    }

    fn check(&self, address: &Address) -> Result<(), String> {
        if !address.is_public() && !self.trusted.contains(&address.authority()) {
            return Err(super::address::Refused::NotPublic.to_string());
        }
        if !self.domains.admit(address) {
            return Err("its domain is not admitted in this conversation".to_owned());
        }
        Ok(())
    }
}

/// The function that models call.
pub(super) fn function() -> (&'static str, Value) {
    (
        "Reads one page of the web and returns its text.",
        json!({
            "type": "object",
            "properties": {"url": {"type": "string", "description": "The address of the page, with http:// or https://."}},
            "required": ["url"],
            "additionalProperties": false,
        }),
    )
}

/// A page on its way.
#[derive(Debug, Clone)]
pub struct Fetch {
    tool: FetchTool,
    address: Address,
    redirects: u32,
}

/// What follows an answer.
#[derive(Debug)]
pub enum Next {
    /// Another request.
    Send(WebRequest),
    /// The end.
    Done(Called),
}

impl Fetch {
    /// Begins with the address that the model names.
    pub(super) fn start(tool: &FetchTool, arguments: &Value) -> Result<(Self, WebRequest), Called> {
        let url = arguments
            .get("url")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let address = Address::parse(url).map_err(|refused| refusal(url, &refused.to_string()))?;
        tool.check(&address).map_err(|told| refusal(url, &told))?;
        let fetch = Self {
            tool: tool.clone(),
            address,
            redirects: 0,
        };
        let request = fetch.request();
        Ok((fetch, request))
    }

    fn request(&self) -> WebRequest {
        WebRequest {
            url: self.address.to_string(),
            headers: vec![
                (
                    "accept",
                    "text/html,text/plain,application/json,application/xml;q=0.9,*/*;q=0.1"
                        .to_owned(),
                ),
                (
                    "user-agent",
                    concat!(
                        "Mozilla/5.0 (compatible; patchbay/",
                        env!("CARGO_PKG_VERSION"),
                        ")"
                    )
                    .to_owned(),
                ),
            ],
            body: None,
            max_bytes: MAX_PAGE,
        }
    }

    /// Reads an answer: a redirect is followed, a page is read.
    pub(super) fn answered(&mut self, answer: Result<WebAnswer, String>) -> Next {
        let url = self.address.to_string();
        let answer = match answer {
            Ok(answer) => answer,
            Err(told) => return Next::Done(refusal(&url, &told)),
        };
        if matches!(answer.status, 301 | 302 | 303 | 307 | 308) && !answer.location.is_empty() {
            return match self.redirect(&answer.location) {
                Ok(()) => Next::Send(self.request()),
                Err(told) => Next::Done(refusal(&url, &told)),
            };
        }
        if !(200..300).contains(&answer.status) {
            let told = format!("the server answered with status {}", answer.status);
            return Next::Done(refusal(&url, &told));
        }
        Next::Done(match self.page(&answer) {
            Ok(page) => self.read(url, page),
            Err(told) => refusal(&url, &told),
        })
    }

    fn redirect(&mut self, location: &str) -> Result<(), String> {
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            return Err("it redirects too often".to_owned());
        }
        let told =
            |why: String| format!("it redirects to an address that cannot be fetched: {why}");
        let address = self
            .address
            .join(location)
            .map_err(|refused| told(refused.to_string()))?;
        self.tool.check(&address).map_err(told)?;
        self.address = address;
        Ok(())
    }

    fn page(&self, answer: &WebAnswer) -> Result<html::Page, String> {
        let kind = answer.content_type.to_ascii_lowercase();
        let (mime, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
        let mime = mime.trim();
        let is_html = matches!(mime, "text/html" | "application/xhtml+xml");
        let is_text = mime.starts_with("text/")
            || mime.ends_with("json")
            || mime.ends_with("xml")
            || mime.ends_with("javascript")
            || mime.ends_with("yaml");
        let is_unnamed_text = mime.is_empty() && !answer.body.contains(&0);
        if !is_html && !is_text && !is_unnamed_text {
            return Err(format!("it is no text but {mime:?}"));
        }
        let is_latin = ["iso-8859-1", "windows-1252", "latin1"]
            .iter()
            .any(|name| parameters.contains(name));
        let text = if is_latin {
            answer.body.iter().map(|byte| char::from(*byte)).collect()
        } else {
            String::from_utf8_lossy(&answer.body).into_owned()
        };
        let tokens = usize::try_from(self.tool.max_content_tokens).unwrap_or(usize::MAX);
        let limit = tokens.saturating_mul(BYTES_PER_TOKEN);
        let looks_like_html = mime.is_empty() && text.trim_start().starts_with('<');
        if is_html || looks_like_html {
            return Ok(html::read(&text, limit));
        }
        let end = text.floor_char_boundary(limit);
        Ok(html::Page {
            title: String::new(),
            is_cut: end < text.len(),
            text: text.get(..end).unwrap_or_default().to_owned(),
        })
    }

    fn read(&self, url: String, page: html::Page) -> Called {
        let title = if page.title.is_empty() {
            url.clone()
        } else {
            page.title
        };
        let cut = if page.is_cut {
            "\n\n[The page goes on.]"
        } else {
            ""
        };
        let characters = page.text.chars().count();
        let end = page.text.floor_char_boundary(EXCERPT);
        Called {
            told: format!("{title}\n{url}\n\n{}{cut}", page.text),
            is_error: false,
            result: json!({"url": url, "title": title, "characters": characters, "is_cut": page.is_cut}),
            sources: vec![Source {
                excerpt: page.text.get(..end).unwrap_or_default().to_owned(),
                title,
                url,
            }],
            spent: Some(Spent::Fetch),
            ..Called::default()
        }
    }
}

fn refusal(url: &str, why: &str) -> Called {
    let url: String = url.chars().take(200).collect();
    Called::failed(format!("{url:?} could not be fetched: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(params: Value) -> FetchTool {
        FetchTool::read(params.as_object().unwrap(), "tools[0].parameters").unwrap()
    }

    fn start(params: Value, url: &str) -> Result<(Fetch, WebRequest), Called> {
        Fetch::start(&tool(params), &json!({"url": url}))
    }

    fn answer(status: u16, content_type: &str, body: &str) -> WebAnswer {
        WebAnswer {
            status,
            content_type: content_type.into(),
            body: body.as_bytes().to_vec(),
            ..WebAnswer::default()
        }
    }

    fn done(next: Next) -> Called {
        match next {
            Next::Done(called) => called,
            Next::Send(request) => panic!("asks {}", request.url),
        }
    }

    fn redirect(location: &str) -> WebAnswer {
        WebAnswer {
            location: location.into(),
            ..answer(302, "", "")
        }
    }

    #[test]
    fn a_page_is_read_over_its_redirects() {
        let (mut fetch, request) = start(json!({}), "http://a.example/x").unwrap();
        assert_eq!(request.url, "http://a.example/x");
        let Next::Send(request) = fetch.answered(Ok(redirect("https://b.example/y"))) else {
            panic!("a redirect is followed")
        };
        assert_eq!(request.url, "https://b.example/y");
        let called = done(fetch.answered(Ok(answer(
            200,
            "text/html; charset=utf-8",
            "<title>T</title><p>Words",
        ))));
        assert_eq!(called.told, "T\nhttps://b.example/y\n\nWords");
        assert_eq!(called.sources[0].url, "https://b.example/y");
        assert_eq!(called.spent, Some(Spent::Fetch));
    }

    #[test]
    fn no_way_leads_to_what_is_not_public() {
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "file:///etc/passwd",
            "http://[::ffff:10.0.0.1]/",
            "http://metadata.google.internal/",
            "",
        ] {
            let called = start(json!({}), url).unwrap_err();
            assert!(
                called.is_error && called.told.contains("could not be fetched"),
                "{url}"
            );
        }
        for location in [
            "http://169.254.169.254/latest",
            "//localhost/",
            "http://2130706433/",
            "file:///etc/passwd",
            "http://a@b.example/",
        ] {
            let (mut fetch, _) = start(json!({}), "https://a.example/").unwrap();
            let called = done(fetch.answered(Ok(redirect(location))));
            assert!(
                called.is_error && called.told.contains("redirects to an address that cannot"),
                "{location}"
            );
        }
        let (mut fetch, _) = start(json!({}), "https://a.example/").unwrap();
        let mut last = fetch.answered(Ok(redirect("/1")));
        for step in 2..=6 {
            assert!(matches!(last, Next::Send(_)));
            last = fetch.answered(Ok(redirect(&format!("/{step}"))));
        }
        assert!(done(last).told.contains("redirects too often"));
    }

    #[test]
    fn domains_hold_for_redirects_too_and_the_operator_may_trust_a_host() {
        let params = json!({"allowed_domains": ["a.example", "127.0.0.1"]});
        assert!(start(params.clone(), "https://b.example/").is_err());
        let (mut fetch, _) = start(params.clone(), "https://www.a.example/").unwrap();
        assert!(done(fetch.answered(Ok(redirect("https://b.example/")))).is_error);
        let trusting = FetchTool {
            trusted: vec!["127.0.0.1:9100".into()],
            ..tool(params)
        };
        for (url, admitted) in [
            ("http://127.0.0.1:9100/x", true),
            ("http://127.0.0.1:9101/", false),
            ("http://127.0.0.1/", false),
        ] {
            assert_eq!(
                Fetch::start(&trusting, &json!({"url": url})).is_ok(),
                admitted,
                "{url}"
            );
        }
    }

    #[test]
    fn only_text_is_shown_and_only_so_much() {
        let read = |params: Value, kind: &str, body: &[u8]| {
            let (mut fetch, _) = start(params, "https://a.example/").unwrap();
            done(fetch.answered(Ok(WebAnswer {
                body: body.to_vec(),
                ..answer(200, kind, "")
            })))
        };
        let cut = read(
            json!({"max_content_tokens": 1}),
            "text/plain",
            "äöüß".as_bytes(),
        );
        assert_eq!(
            cut.told,
            "https://a.example/\nhttps://a.example/\n\näö\n\n[The page goes on.]"
        );
        assert!(read(json!({}), "application/pdf", b"%PDF").is_error);
        assert!(read(json!({}), "", b"\0\x01").is_error);
        assert!(read(json!({}), "image/png", b"x").is_error);
        assert!(
            read(json!({}), "text/html; charset=ISO-8859-1", b"<p>\xe4</p>")
                .told
                .ends_with('ä')
        );
        assert!(
            read(json!({}), "application/ld+json", b"{\"a\":1}")
                .told
                .ends_with("{\"a\":1}")
        );
        assert!(read(json!({}), "", b"<p>x</p>").told.ends_with("\n\nx"));
        let (mut fetch, _) = start(json!({}), "https://a.example/").unwrap();
        assert!(
            done(fetch.answered(Ok(answer(404, "text/html", "gone"))))
                .told
                .contains("status 404")
        );
        let (mut fetch, _) = start(json!({}), "https://a.example/").unwrap();
        assert!(done(fetch.answered(Err("it took too long".into()))).is_error);
    }

    #[test]
    fn parameters_are_checked_and_bounded() {
        assert_eq!(
            tool(json!({"max_uses": 999, "max_content_tokens": 9_999_999})).max_uses,
            MAX_FETCHES
        );
        let error =
            FetchTool::read(json!({"engine": "exa"}).as_object().unwrap(), "p").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("p.engine"));
    }
}
