//! Addresses of pages that a model asks for: read strictly, and public ones only.
//!
//! The model, or a page that it read, chooses the address, so it must not lead to what only this machine or its network can
//! reach: loopback, private and link-local ranges, the metadata hosts of clouds; by name or by number, in every way of writing
//! one. What is sent is written anew from what was read here, so that the platform cannot read something else. Spec: the URL
//! Standard (hosts that end in a number are IPv4 addresses), the IANA registries of special addresses.
//!
//! Out of scope: names that resolve to private addresses. The platform resolves them, and reaches public ones only.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Names below these are no public hosts, or lead to addresses of one's own.
const PRIVATE_NAMES: [&str; 18] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "test",
    "invalid",
    "onion",
    "nip.io",
    "sslip.io",
    "xip.io",
    "localtest.me",
    "lvh.me",
];
/// The longest address.
const MAX_BYTES: usize = 4_096;

/// Why an address is not fetched; a sentence for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no address.
    Malformed,
    /// It is neither `http` nor `https`.
    Scheme,
    /// It holds a name or password.
    Credentials,
    /// It is not on the public web.
    NotPublic,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is not a valid URL",
            Self::Scheme => "only http and https can be fetched",
            Self::Credentials => "a URL with a user name or password cannot be fetched",
            Self::NotPublic => "only public hosts can be fetched",
        })
    }
}

/// The address of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    is_https: bool,
    /// Lower case; IPv6 in brackets.
    host: String,
    /// Unless it is the scheme's own.
    port: Option<u16>,
    /// Path and query; begins with a slash.
    rest: String,
}

impl Address {
    /// Reads an absolute address; whatever follows `#` is left out.
    ///
    /// # Errors
    /// With what is wrong. That it is public is not checked here.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.len() > MAX_BYTES || text.contains(is_odd) {
            return Err(Refused::Malformed);
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| match has_scheme(text) {
                true => Refused::Scheme,
                false => Refused::Malformed,
            })?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(Refused::Scheme),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Refused::Credentials);
        }
        let (host, port) = host_and_port(authority)?;
        let own_port = if is_https { 443 } else { 80 };
        let slash = if rest.starts_with('/') { "" } else { "/" };
        Ok(Self {
            is_https,
            host,
            port: port.filter(|port| *port != own_port),
            rest: format!("{slash}{}", encoded(rest)),
        })
    }

    /// Reads where a redirect from here leads.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn join(&self, location: &str) -> Result<Self, Refused> {
        let location = location.trim_matches(|c: char| c.is_ascii_whitespace());
        if has_scheme(location) {
            return Self::parse(location);
        }
        let scheme = if self.is_https { "https" } else { "http" };
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let path = self.path();
        let directory = path
            .rfind('/')
            .and_then(|at| path.get(..=at))
            .unwrap_or("/");
        let before = match location.chars().next() {
            Some('/') => "",
            Some('?') => path,
            Some('#') | None => self.rest.as_str(),
            Some(_) => directory,
        };
        Self::parse(&format!(
            "{scheme}://{}{before}{location}",
            self.authority()
        ))
    }

    /// The host, lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.rest
            .split_once('?')
            .map_or(&self.rest, |(path, _)| path)
    }

    /// The host, with the port where it is not the scheme's own.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The port, where it is not the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether the host is a number: an IPv4 or IPv6 address.
    pub fn is_number(&self) -> bool {
        self.host.starts_with('[') || ipv4(&self.host).is_some()
    }

    /// Whether the host is on the public web, as far as its name tells.
    pub fn is_public(&self) -> bool {
        if let Some(inner) = self.host.strip_prefix('[') {
            let inner = inner.trim_end_matches(']').parse::<Ipv6Addr>();
            return inner.is_ok_and(is_public_v6);
        }
        if let Some(number) = ipv4(&self.host) {
            return number.is_some_and(is_public_v4);
        }
        let is_below = |name: &&str| {
            let sub = self.host.strip_suffix(*name);
            sub.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        };
        self.host.contains('.') && !PRIVATE_NAMES.iter().any(is_below)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.rest)
    }
}

/// Whether the text begins with a scheme (RFC 3986 §3.1) that is followed by a colon.
fn has_scheme(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), Refused> {
    let (host, port) = match authority.rfind(']') {
        Some(at) => {
            let (host, rest) = authority.split_at(at + 1);
            match rest.strip_prefix(':') {
                Some(port) => (host, port),
                None if rest.is_empty() => (host, ""),
                None => return Err(Refused::Malformed),
            }
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let host = host.to_ascii_lowercase();
    let host = match host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
    {
        Some(inner) => {
            let number: Ipv6Addr = inner.parse().map_err(|_| Refused::Malformed)?;
            format!("[{number}]")
        }
        None => {
            let name = host.strip_suffix('.').unwrap_or(&host);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let has_labels = name.split('.').all(|label| !label.is_empty());
            if !has_labels || !name.bytes().all(is_name) {
                return Err(Refused::Malformed);
            }
            name.to_owned()
        }
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
    let number = port
        .parse::<u16>()
        .ok()
        .filter(|port| is_number && *port > 0);
    number
        .map(|port| (host, Some(port)))
        .ok_or(Refused::Malformed)
}

/// What a URL may not hold as it is.
fn encoded(rest: &str) -> String {
    let mut written = String::with_capacity(rest.len());
    for byte in rest.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>^`{|}".contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
    written
}

/// The address that a host ending in a number stands for: decimal, octal or hexadecimal, in one to four parts. `None`: the host
/// is a name. `Some(None)`: it is neither.
fn ipv4(host: &str) -> Option<Option<Ipv4Addr>> {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if !is_decimal && number(last).is_none() {
        return None;
    }
    let parts: Option<Vec<u64>> = host.split('.').map(number).collect();
    let Some(parts) = parts.filter(|parts| parts.len() <= 4) else {
        return Some(None);
    };
    let (last, before) = parts.split_last()?;
    let room = 8 * u32::try_from(4 - before.len()).ok()?;
    if before.iter().any(|part| *part > 255) || *last >= 1_u64 << room {
        return Some(None);
    }
    let high = before
        .iter()
        .enumerate()
        .map(|(at, part)| part << (24 - 8 * at));
    let value = high.sum::<u64>() + last;
    Some(u32::try_from(value).ok().map(Ipv4Addr::from))
}

/// A part of an IPv4 address: `10`, `012`, `0xa`.
fn number(part: &str) -> Option<u64> {
    let (digits, radix) = match part.as_bytes() {
        [] => return None,
        [b'0', b'x' | b'X'] => return Some(0),
        [b'0', b'x' | b'X', ..] => (part.get(2..)?, 16),
        [b'0', _, ..] => (part.get(1..)?, 8),
        _ => (part, 10),
    };
    let is_number = digits
        .bytes()
        .all(|digit| char::from(digit).is_digit(radix));
    is_number.then(|| u64::from_str_radix(digits, radix).unwrap_or(u64::MAX))
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        [0 | 10 | 127, ..] => true,
        [100, second, ..] => (64..128).contains(&second),
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..32).contains(&second),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [first, ..] => first >= 224,
    };
    !is_special
}

/// Only what is handed out to networks, without the ranges that carry an IPv4 address inside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, second, ..] => second >= 0x0200 && second != 0x0db8,
        [0x2002, ..] | [0x3fff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_a_private_host_is_refused() {
        for url in [
            "http://localhost/",
            "http://LOCALHOST:8080/",
            "http://localhost./",
            "http://a.localhost/",
            "http://printer/",
            "http://db.internal/",
            "http://metadata.google.internal/computeMetadata/v1/",
            "http://router.lan/",
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://127.1/",
            "http://127.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://017700000001/",
            "http://0177.0.0.01/",
            "http://0/",
            "http://0x/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://100.64.0.1/",
            "http://100.100.100.200/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://999.1.1.1/",
            "http://1.2.3.4.5/",
            "http://a.b.09/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:8.8.8.8]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:0:7f00:1::]/",
            "http://[2001:db8::1]/",
            "http://[fc00::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://[ff02::1]/",
            "http://127.0.0.1.nip.io/",
            "http://localtest.me/",
        ] {
            let address = Address::parse(url).unwrap();
            assert!(!address.is_public(), "{url} became {address}");
        }
    }

    #[test]
    fn public_hosts_are_admitted_and_written_in_one_form() {
        for (url, written) in [
            ("https://Example.COM", "https://example.com/"),
            (
                " https://example.com:443/a?b=c#d ",
                "https://example.com/a?b=c",
            ),
            ("http://example.com.:81?q", "http://example.com:81/?q"),
            (
                "https://xn--bcher-kva.example.org/ü?\"x",
                "https://xn--bcher-kva.example.org/%C3%BC?%22x",
            ),
            ("http://8.8.8.8/", "http://8.8.8.8/"),
            ("http://172.32.0.1/", "http://172.32.0.1/"),
            (
                "http://[2606:4700:4700:0::1111]/",
                "http://[2606:4700:4700::1111]/",
            ),
            ("https://mylocalhost.com/", "https://mylocalhost.com/"),
            ("https://0xabc.example.org/", "https://0xabc.example.org/"),
        ] {
            let address = Address::parse(url).unwrap();
            assert!(address.is_public(), "{url}");
            assert_eq!(address.to_string(), written);
        }
    }

    #[test]
    fn what_another_reader_might_read_differently_is_no_address() {
        for (url, refused) in [
            ("http://example.com\\@127.0.0.1/", Refused::Malformed),
            ("http://exa mple.com/", Refused::Malformed),
            ("http://example.com\t/", Refused::Malformed),
            ("http://example.com%2f@127.0.0.1/", Refused::Credentials),
            ("http://user:pass@example.com/", Refused::Credentials),
            ("http://%6c%6f%63%61lhost/", Refused::Malformed),
            ("http://①②⑦.0.0.1/", Refused::Malformed),
            ("http://bücher.example/", Refused::Malformed),
            ("http://example..com/", Refused::Malformed),
            ("http:///path", Refused::Malformed),
            ("http://example.com:0/", Refused::Malformed),
            ("http://example.com:99999/", Refused::Malformed),
            ("http://example.com:+80/", Refused::Malformed),
            ("http://[::1%25eth0]/", Refused::Malformed),
            ("http://[::1]x/", Refused::Malformed),
            ("http:example.com", Refused::Scheme),
            ("file:///etc/passwd", Refused::Scheme),
            ("ftp://example.com/", Refused::Scheme),
            ("javascript:alert(1)", Refused::Scheme),
            ("example.com", Refused::Malformed),
            ("", Refused::Malformed),
        ] {
            assert_eq!(Address::parse(url), Err(refused), "{url}");
        }
    }

    #[test]
    fn redirects_are_read_against_the_page_they_come_from() {
        let page = Address::parse("https://example.com:8443/a/b?c=d").unwrap();
        for (location, to) in [
            ("https://other.org/x", "https://other.org/x"),
            ("//other.org/x", "https://other.org/x"),
            ("/x?y", "https://example.com:8443/x?y"),
            ("x", "https://example.com:8443/a/x"),
            ("?x", "https://example.com:8443/a/b?x"),
            ("#top", "https://example.com:8443/a/b?c=d"),
            ("a:b", ""),
            ("gopher://x.org/", ""),
        ] {
            let joined = page.join(location).map(|to| to.to_string());
            assert_eq!(joined.unwrap_or_default(), to, "{location}");
        }
        let inner = page.join("http://169.254.169.254/").unwrap();
        assert!(!inner.is_public());
    }
}
