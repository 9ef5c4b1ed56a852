//! Embeddings: a vector for each input, as numbers or as base64 of 32-bit little-endian floats.
//!
//! Providers know one form or both; the gateway turns either into the other. A number read from JSON becomes the nearest
//! 32-bit float and is written with as many digits as tell it apart, so base64 → numbers → base64 is the same text.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    catalog::Modality,
    chat::{Part, Usage, estimate},
};

/// One thing to embed.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A text.
    Text(String),
    /// A text in the tokens of its model.
    Tokens(Vec<u32>),
    /// Texts and media that make one vector.
    Parts(Vec<Part>),
}

impl Input {
    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) => estimate::text_tokens(text.len()),
            Self::Tokens(tokens) => u64::try_from(tokens.len()).unwrap_or(u64::MAX),
            Self::Parts(parts) => parts
                .iter()
                .map(estimate::part_tokens)
                .fold(0, u64::saturating_add),
        }
    }
}

/// How the client wants vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Lists of numbers.
    #[default]
    Numbers,
    /// Base64.
    Base64,
}

/// A request for embeddings.
#[derive(Debug, Clone, Default)]
pub struct Embeddings {
    /// What to embed, in order.
    pub inputs: Vec<Input>,
    /// Length of the vectors, where the client says it.
    pub dimensions: Option<u32>,
    /// The form of the vectors.
    pub encoding: Encoding,
    /// What the vectors are for: `search_query`, `search_document`, `classification` …
    pub input_type: Option<String>,
}

impl Embeddings {
    pub(super) fn modalities(&self) -> Vec<Modality> {
        let mut found = vec![];
        for input in &self.inputs {
            let parts = match input {
                Input::Text(_) | Input::Tokens(_) => &[][..],
                Input::Parts(parts) => parts,
            };
            if parts.is_empty() {
                found.push(Modality::Text);
            }
            found.extend(parts.iter().map(|part| match part {
                Part::Image { .. } => Modality::Image,
                Part::Audio { .. } => Modality::Audio,
                Part::Video { .. } => Modality::Video,
                Part::File { .. } => Modality::File,
                _ => Modality::Text,
            }));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(super) fn expected(&self) -> Usage {
        Usage {
            prompt: self
                .inputs
                .iter()
                .map(Input::tokens)
                .fold(0, u64::saturating_add)
                .max(1),
            ..Usage::default()
        }
    }

    pub(super) fn longest(&self) -> u64 {
        self.inputs.iter().map(Input::tokens).max().unwrap_or(0)
    }
}

/// One vector, in the form in which the provider sent it.
#[derive(Debug, Clone)]
pub enum Vector {
    /// The JSON text of a list of numbers.
    Numbers(Box<RawValue>),
    /// Base64 of 32-bit floats.
    Base64(String),
    /// Base64 of signed bytes.
    Bytes(String),
}

impl Vector {
    /// The vector in the form asked for; `None` where the provider's form cannot be read.
    pub fn encoded(self, encoding: Encoding) -> Option<Self> {
        match (self, encoding) {
            (same @ Self::Numbers(_), Encoding::Numbers) => Some(same),
            (same @ Self::Base64(_), Encoding::Base64) => Some(same),
            (other, Encoding::Numbers) => {
                let numbers = to_raw_value(&other.floats()?).ok()?;
                Some(Self::Numbers(numbers))
            }
            (other, Encoding::Base64) => {
                let floats = other.floats()?;
                let bytes: Vec<u8> = floats.iter().flat_map(|one| one.to_le_bytes()).collect();
                Some(Self::Base64(STANDARD.encode(bytes)))
            }
        }
    }

    /// Its text: a JSON list of numbers, or base64.
    pub fn text(&self) -> &str {
        match self {
            Self::Numbers(numbers) => numbers.get(),
            Self::Base64(text) | Self::Bytes(text) => text,
        }
    }

    /// Its numbers.
    pub fn floats(&self) -> Option<Vec<f32>> {
        match self {
            Self::Numbers(numbers) => crate::json::from_str(numbers.get()).ok(),
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text).ok()?;
                let (chunks, rest) = bytes.as_chunks::<4>();
                let floats = chunks.iter().map(|one| f32::from_le_bytes(*one)).collect();
                rest.is_empty().then_some(floats)
            }
            Self::Bytes(text) => {
                let bytes = STANDARD.decode(text).ok()?;
                Some(
                    bytes
                        .iter()
                        .map(|one| f32::from(one.cast_signed()))
                        .collect(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(json: &str) -> Vector {
        Vector::Numbers(RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn either_form_becomes_the_other_and_base64_comes_back_as_it_was() {
        let base64 = STANDARD.encode([0.1f32, -2.5, 3.0e-8].map(f32::to_le_bytes).concat());
        let vector = Vector::Base64(base64.clone());
        let json = vector.clone().encoded(Encoding::Numbers).unwrap();
        assert_eq!(json.text(), "[0.1,-2.5,3e-8]");
        assert_eq!(json.encoded(Encoding::Base64).unwrap().text(), base64);
        assert_eq!(vector.encoded(Encoding::Base64).unwrap().text(), base64);
    }

    #[test]
    fn numbers_that_nobody_has_to_change_keep_their_digits() {
        let sent = "[0.123456789012345678, 1e-9]";
        let json = numbers(sent).encoded(Encoding::Numbers).unwrap();
        assert_eq!(json.text(), sent);
    }

    #[test]
    fn what_is_no_vector_is_noticed() {
        for broken in ["AAA", "AAAAAAA=", "%%%%"] {
            let vector = Vector::Base64(broken.to_owned());
            assert!(vector.encoded(Encoding::Numbers).is_none(), "{broken}");
        }
        assert!(numbers("[\"a\"]").encoded(Encoding::Base64).is_none());
        let signed = Vector::Bytes(STANDARD.encode([0xffu8, 0x01]));
        assert_eq!(signed.floats().unwrap(), [-1.0, 1.0]);
    }

    #[test]
    fn a_request_is_as_long_as_all_inputs_and_its_longest_must_fit() {
        let ask = Embeddings {
            inputs: vec![Input::Text("12345678".into()), Input::Tokens(vec![1, 2, 3])],
            ..Embeddings::default()
        };
        assert_eq!((ask.expected().prompt, ask.longest()), (5, 3));
        assert_eq!(ask.modalities(), [Modality::Text]);
    }
}
