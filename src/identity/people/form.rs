//! `application/x-www-form-urlencoded`: forms and queries (URL Standard §5).

/// Pairs in order, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form or a query.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        Self(pairs.collect())
    }

    /// The first value of this name that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// A component of a URL, as [`encoded`] writes it.
pub fn decoded_component(text: &str) -> String {
    decoded(&text.replace('+', "%2B"))
}

fn decoded(text: &str) -> String {
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        bytes.push(match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                rest = ahead;
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            (b'+', ..) => b' ',
            _ => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value as a component of a URL (RFC 3986 §2.3 says what stays).
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Pairs as a query or form.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// An address with more in its query.
pub fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let joint = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{url}{joint}{}", query(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "a b", "ä&=?+%", "100%", "%2", "\u{1F600}", "a\"<>'"] {
            let form = Form::parse(&query(&[("first", text), ("second", "x")]));
            assert_eq!(form.get("first").unwrap_or_default(), text);
            assert_eq!(form.get("second"), Some("x"));
        }
    }

    #[test]
    fn what_is_not_encoded_well_is_read_as_it_stands() {
        let form = Form::parse("a=%zz&b=%&c=+%2B&d&&=e&f=1&f=2&g=%C3");
        let get = |name| form.get(name);
        assert_eq!(
            [get("a"), get("b"), get("c"), get("d"), get(""), get("f")],
            [
                Some("%zz"),
                Some("%"),
                Some(" +"),
                None,
                Some("e"),
                Some("1")
            ]
        );
        assert_eq!(form.get("g"), Some("\u{fffd}"));
    }

    #[test]
    fn a_query_is_added_behind_what_is_there() {
        for (url, expected) in [
            ("https://a.example/cb", "https://a.example/cb?code=1%262"),
            ("https://a.example/cb?", "https://a.example/cb?code=1%262"),
            (
                "https://a.example/cb?x=1",
                "https://a.example/cb?x=1&code=1%262",
            ),
        ] {
            assert_eq!(with_query(url, &[("code", "1&2")]), expected);
        }
    }
}
