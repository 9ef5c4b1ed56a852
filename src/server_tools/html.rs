//! HTML → text that a model can read: one pass, no tree. Headings and lists keep their marks, tables their cells.
//!
//! Left out: scripts, styles, forms, and what stands around an article (navigation, footers, asides). Broken markup costs words,
//! never more than one pass over the page.

/// A page as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// What stands in `title`.
    pub title: String,
    /// The text.
    pub text: String,
    /// The text was cut at the limit.
    pub is_cut: bool,
}

/// Elements whose content is not read.
const SKIPPED: [&str; 15] = [
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas",
    "select", "button", "nav", "footer", "aside", "textarea",
];
/// Elements that stand on lines of their own, with an empty line around them.
const BLOCKS: [&str; 20] = [
    "p",
    "div",
    "section",
    "article",
    "main",
    "header",
    "ul",
    "ol",
    "dl",
    "table",
    "blockquote",
    "pre",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
];
/// Elements that begin a line.
const LINES: [&str; 7] = ["br", "li", "tr", "dt", "dd", "option", "figcaption"];
/// The longest name of a character reference.
const MAX_REFERENCE: usize = 10;

/// Reads a page; at most `limit` bytes of text.
pub fn read(html: &str, limit: usize) -> Page {
    let mut reader = Reader {
        rest: html,
        page: Page::default(),
        limit,
        breaks: 0,
        space: false,
        verbatim: 0,
    };
    reader.run();
    reader.page
}

struct Reader<'a> {
    rest: &'a str,
    page: Page,
    limit: usize,
    /// Line ends that are due before the next word.
    breaks: usize,
    /// A space is due before the next word.
    space: bool,
    /// How many `pre` are open.
    verbatim: usize,
}

impl<'a> Reader<'a> {
    fn run(&mut self) {
        while !self.rest.is_empty() && !self.page.is_cut {
            match self.rest.find('<') {
                Some(0) => self.markup(),
                Some(at) => {
                    let (text, rest) = self.rest.split_at(at);
                    self.rest = rest;
                    self.text(text);
                }
                None => {
                    let text = std::mem::take(&mut self.rest);
                    self.text(text);
                }
            }
        }
    }

    /// What begins with `<`.
    fn markup(&mut self) {
        if let Some(rest) = self.rest.strip_prefix("<!--") {
            self.rest = after(rest, "-->");
            return;
        }
        let inner = self.rest.get(1..).unwrap_or_default();
        if inner.starts_with(['!', '?']) {
            self.rest = after(inner, ">");
            return;
        }
        let (is_end, inner) = match inner.strip_prefix('/') {
            Some(inner) => (true, inner),
            None => (false, inner),
        };
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.text("<");
            self.rest = self.rest.get(1..).unwrap_or_default();
            return;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ':';
        let name_end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_end);
        let name = name.to_ascii_lowercase();
        let end = tag_end(attributes);
        let is_empty = attributes
            .get(..end)
            .is_some_and(|text| text.ends_with('/'));
        self.rest = attributes.get(end + 1..).unwrap_or_default();
        if is_end {
            self.close(&name);
        } else {
            self.open(&name, is_empty);
        }
    }

    fn open(&mut self, name: &str, is_empty: bool) {
        if name == "title" && self.page.title.is_empty() {
            let (title, rest) = until_close(self.rest, name);
            self.rest = rest;
            let title = words(&decoded(title));
            self.page.title = title;
            return;
        }
        if SKIPPED.contains(&name) && !is_empty {
            self.rest = until_close(self.rest, name).1;
            self.space = true;
            return;
        }
        self.separate(name);
        match name.as_bytes() {
            b"li" => self.mark("- "),
            [b'h', level @ b'1'..=b'6'] => {
                let level = usize::from(level - b'0');
                self.mark(&format!("{} ", "#".repeat(level)));
            }
            b"pre" => self.verbatim += 1,
            b"td" | b"th" => self.mark("| "),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        if name == "pre" {
            self.verbatim = self.verbatim.saturating_sub(1);
        }
        self.separate(name);
        self.space |= matches!(name, "td" | "th");
    }

    fn separate(&mut self, name: &str) {
        if BLOCKS.contains(&name) {
            self.breaks = 2;
        } else if LINES.contains(&name) {
            self.breaks = self.breaks.max(1);
        }
    }

    /// A mark of the reader's own before the words that follow.
    fn mark(&mut self, mark: &str) {
        self.put_breaks();
        self.put_space();
        self.put(mark);
        self.space = false;
    }

    fn text(&mut self, raw: &str) {
        let text = decoded(raw);
        if self.verbatim > 0 {
            self.put_breaks();
            self.put(&text);
            return;
        }
        self.space |= text.starts_with(char::is_whitespace);
        for word in text.split_whitespace() {
            self.put_breaks();
            self.put_space();
            self.put(word);
            self.space = true;
            if self.page.is_cut {
                return;
            }
        }
        self.space = text.ends_with(char::is_whitespace);
    }

    fn put_space(&mut self) {
        if self.space && !self.page.text.is_empty() && !self.page.text.ends_with(['\n', ' ']) {
            self.put(" ");
        }
    }

    fn put_breaks(&mut self) {
        let breaks = std::mem::take(&mut self.breaks);
        if breaks == 0 || self.page.text.is_empty() {
            return;
        }
        let text = &mut self.page.text;
        text.truncate(text.trim_end_matches([' ', '\n']).len());
        for _ in 0..breaks {
            self.put("\n");
        }
        self.space = false;
    }

    fn put(&mut self, text: &str) {
        let room = self.limit.saturating_sub(self.page.text.len());
        if text.len() > room {
            self.page.is_cut = true;
        }
        let end = text.floor_char_boundary(room);
        self.page.text.push_str(text.get(..end).unwrap_or_default());
    }
}

/// The text behind `end`; nothing where it does not come.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Where the tag whose attributes these are ends; quotes hide a `>`.
fn tag_end(attributes: &str) -> usize {
    let mut quote = None;
    for (at, byte) in attributes.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    attributes.len()
}

/// What stands before the end tag of an element, and what follows that tag.
fn until_close<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("</")) {
        let at = from + found;
        let inner = text.get(at + 2..).unwrap_or_default();
        let is_it = inner
            .get(..name.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(name));
        let is_whole = !inner
            .get(name.len()..)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
        if is_it && is_whole {
            return (text.get(..at).unwrap_or_default(), after(inner, ">"));
        }
        from = at + 2;
    }
    (text, "")
}

/// The text with its character references replaced.
pub(super) fn decoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, from) = rest.split_at(at);
        written.push_str(before);
        let end = from
            .bytes()
            .take(MAX_REFERENCE + 2)
            .position(|byte| byte == b';');
        let found = end.and_then(|end| Some((from.get(1..end)?, end)));
        match found.and_then(|(name, end)| Some((character(name)?, end))) {
            Some((character, end)) => {
                written.push(character);
                rest = from.get(end + 1..).unwrap_or_default();
            }
            None => {
                written.push('&');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    written.push_str(rest);
    written
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = match hex {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?).filter(|c| !c.is_control() || c.is_whitespace());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "middot" => '·',
        "bull" => '•',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "deg" => '°',
        "times" => '×',
        "euro" => '€',
        "pound" => '£',
        "sect" => '§',
        "rarr" => '→',
        "larr" => '←',
        _ => return None,
    })
}

/// Words with one space between them.
pub(super) fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_text_with_its_structure() {
        let html = "<!DOCTYPE html><html><head><title> A &amp; B\n page</title><style>p{color:red}</style>
            <script>if (a < b) { document.write('</p>') }</script></head>
            <body><nav><a href=/>Home</a></nav><!-- <p>hidden</p> -->
            <h1 class='x > y'>Head<em>line</em></h1><p>One&nbsp;two\n   <b>three</b>, four &lt;five&gt; &#x2014; &unknown; A&B</p>
            <ul><li>first</li><li>second <a href=\"u\">link</a></li></ul>
            <table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>
            <pre>a\n  b</pre>1 < 2<br>next<footer>(c)</footer></body></html>";
        let page = read(html, 10_000);
        assert_eq!(page.title, "A & B page");
        let expected = "# Headline\n\nOne two three, four <five> — &unknown; A&B\n\n- first\n- second link\n\n| k | v\n| 1 | 2\n\na\n  b\n\n1 < 2\nnext";
        assert_eq!(page.text, expected);
        assert!(!page.is_cut);
    }

    #[test]
    fn the_limit_cuts_between_characters() {
        let page = read("<p>äöü</p>", 5);
        assert_eq!((page.text.as_str(), page.is_cut), ("äö", true));
        assert!(!read("<p>äöü</p>", 6).is_cut);
    }

    #[test]
    fn broken_markup_costs_words_and_nothing_else() {
        for (html, text) in [
            ("", ""),
            ("<", "<"),
            ("a <b", "a"),
            ("a <!-- b", "a"),
            ("a <script> b </scriptx> c", "a"),
            ("a <p title=\"> b", "a"),
            ("a </ b", "a </ b"),
            ("&#xD800; &#0; &;", "&#xD800; &#0; &;"),
            ("a<svg/>b", "ab"),
        ] {
            assert_eq!(read(html, 100).text, text, "{html}");
        }
        let deep = "<div".repeat(100_000)
            + &"<a \"".repeat(100_000)
            + &"</".repeat(100_000)
            + "&".repeat(100_000).as_str();
        read(&deep, 1_000);
    }
}
