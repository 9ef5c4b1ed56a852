//! Which requests are the same: the API key, the surface, streamed or not, and what the body says.
//!
//! The body is digested as a tree. So neither white space nor the order of properties, neither escapes in strings nor the
//! spelling of a number (`1`, `1.0`, `1e0`) make a difference; everything else does, a default that is written out too.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use sha2::{Digest, Sha256};

use crate::{dialects::splice::Fields, identity::keys::hex};

/// Fields of a body that no model reads, so that they do not make two requests different: what they name goes into the
/// usage row of a hit as into any other. `stream` is in the key by itself. `user` is none of them: an app keeps its users
/// apart by it.
pub const LABELS: [&str; 6] = [
    "metadata",
    "session_id",
    "stream",
    "stream_options",
    "trace",
    "usage",
];

/// The key of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// What a key says beside the body.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// Whose answers these are: the hash of an API key.
    pub key_hash: &'a str,
    /// What the client speaks.
    pub form: &'a str,
    /// Whether it wants a stream.
    pub stream: bool,
    /// What headers and a preset make of the body.
    pub variant: &'a str,
}

impl Key {
    /// The key of a request; nothing where the body has numbers that cannot be compared.
    pub fn of(whose: &Whose<'_>, body: &[u8]) -> Option<Self> {
        let mut fields = Fields::parse(body).ok()?.0;
        fields.retain(|(name, _)| !LABELS.contains(&name.as_ref()));
        // Stable: a property that is sent twice keeps its order.
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut digest = Sha256::new();
        digest.update(b"patchbay response cache 2\0");
        digest.update([u8::from(whose.stream)]);
        for text in [whose.form, whose.key_hash, whose.variant] {
            put(&mut digest, text.as_bytes());
        }
        for (name, value) in fields {
            put(&mut digest, name.as_bytes());
            let Node(value) = crate::json::from_str(value.get()).ok()?;
            digest.update(value);
        }
        Some(Self(digest.finalize().into()))
    }

    /// The key in the store.
    pub fn text(&self) -> String {
        format!("answer:{}", hex(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Bytes with their length, so that no two lists of them look alike.
fn put(digest: &mut Sha256, bytes: &[u8]) {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    digest.update(length.to_le_bytes());
    digest.update(bytes);
}

/// The digest of a JSON value.
struct Node([u8; 32]);

impl Node {
    fn leaf(kind: u8, bytes: &[u8]) -> Self {
        let mut digest = Sha256::new();
        digest.update([kind]);
        digest.update(bytes);
        Self(digest.finalize().into())
    }
}

/// Beyond this a number of another spelling may be another number.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::leaf(b'0', b""))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::leaf(b'b', &[u8::from(value)]))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::leaf(b'n', value.to_string().as_bytes()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::leaf(b'n', value.to_string().as_bytes()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        if value.abs() >= EXACT {
            return Err(E::custom("a number beyond comparison"));
        }
        // Shortest digits: whole numbers come out as integers do. Minus zero is zero.
        let value = if value == 0.0 { 0.0 } else { value };
        Ok(Node::leaf(b'n', value.to_string().as_bytes()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::leaf(b's', value.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut digest = Sha256::new();
        digest.update(b"a");
        while let Some(Node(item)) = items.next_element()? {
            digest.update(item);
        }
        Ok(Node(digest.finalize().into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, [u8; 32])> = Vec::new();
        while let Some((name, Node(value))) = map.next_entry()? {
            fields.push((name, value));
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut digest = Sha256::new();
        digest.update(b"o");
        for (name, value) in fields {
            put(&mut digest, name.as_bytes());
            digest.update(value);
        }
        Ok(Node(digest.finalize().into()))
    }
}
