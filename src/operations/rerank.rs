//! Rerank: documents ordered by how well they answer a query.

use serde_json::Number;

use crate::{
    catalog::Modality,
    chat::{Units, Usage, estimate},
};

/// Documents that one search unit covers, and tokens beyond which a document counts as several: Cohere's rule, which others
/// that sell search units share.
pub const DOCUMENTS_PER_UNIT: u64 = 100;
/// See [`DOCUMENTS_PER_UNIT`].
pub const TOKENS_PER_DOCUMENT: u64 = 500;

/// One document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Its text.
    pub text: Option<String>,
    /// The address of its image, or a `data:` URL.
    pub image: Option<String>,
}

impl Document {
    fn tokens(&self) -> u64 {
        let text = estimate::text_tokens(self.text.as_deref().map_or(0, str::len));
        let image = self.image.as_ref().map_or(0, |_| estimate::IMAGE_TOKENS);
        text.saturating_add(image)
    }
}

/// A request to order documents.
#[derive(Debug, Clone, Default)]
pub struct Rerank {
    /// What is looked for.
    pub query: String,
    /// Where it is looked for.
    pub documents: Vec<Document>,
    /// How many to return; all of them where it is absent.
    pub top_n: Option<u32>,
}

impl Rerank {
    pub(super) fn modalities(&self) -> Vec<Modality> {
        let mut found = vec![Modality::Text];
        if self.documents.iter().any(|one| one.image.is_some()) {
            found.push(Modality::Image);
        }
        found
    }

    /// Every document is read together with the query.
    pub(super) fn expected(&self) -> Usage {
        let query = estimate::text_tokens(self.query.len());
        let mut prompt = 0u64;
        let mut documents = 0u64;
        for one in &self.documents {
            let tokens = one.tokens().saturating_add(query);
            prompt = prompt.saturating_add(tokens);
            documents = documents.saturating_add(tokens.div_ceil(TOKENS_PER_DOCUMENT).max(1));
        }
        Usage {
            prompt: prompt.max(1),
            units: Units {
                searches: documents.div_ceil(DOCUMENTS_PER_UNIT).max(1),
                ..Units::default()
            },
            ..Usage::default()
        }
    }

    pub(super) fn longest(&self) -> u64 {
        let query = estimate::text_tokens(self.query.len());
        let longest = self.documents.iter().map(Document::tokens).max();
        longest.unwrap_or(0).saturating_add(query)
    }
}

/// A document's place.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its index in the request.
    pub index: usize,
    /// How well it answers, in the provider's own measure.
    pub score: Number,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_unit_covers_a_hundred_documents_and_a_long_one_counts_as_several() {
        let document = |bytes: usize| Document {
            text: Some("x".repeat(bytes)),
            image: None,
        };
        for (documents, units) in [
            (vec![document(4)], 1),
            (vec![document(4); 100], 1),
            (vec![document(4); 101], 2),
            (vec![document(4_000); 51], 2),
        ] {
            let ask = Rerank {
                query: "abcd".into(),
                documents,
                top_n: None,
            };
            assert_eq!(ask.expected().units.searches, units);
        }
    }
}
