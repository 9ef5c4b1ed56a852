//! What can be asked beside conversation? Canonical requests and answers of embeddings, rerank, images, speech, transcription.
//!
//! Each operation has a file with what is asked and what is answered, in one form for every provider, and what the request is
//! expected to use: that sizes the hold, orders endpoints by price, and is charged where a provider counts nothing. Wire
//! formats, the clients' own included, are `dialects::operations`. The relay runs an operation as it runs a conversation in
//! one piece (`relay::operation`).
//!
//! Out of scope: video and batches, which are jobs rather than answers.

pub mod embeddings;
pub mod images;
pub mod rerank;
pub mod speech;
pub mod transcription;

use crate::{
    catalog::{Modality, Operation},
    chat::Usage,
};

/// What a client asks for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Vectors.
    Embeddings(embeddings::Embeddings),
    /// An order of documents.
    Rerank(rerank::Rerank),
    /// Images.
    Images(images::Images),
    /// A text spoken.
    Speech(speech::Speech),
    /// What is said.
    Transcription(transcription::Transcription),
}

/// What a provider answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Vectors, one for each input in its order.
    Embeddings(Vec<embeddings::Vector>),
    /// Documents, best first.
    Rerank(Vec<rerank::Ranked>),
    /// Images.
    Images(Vec<images::Image>),
    /// A text with what is known of it.
    Transcription(transcription::Transcript),
    /// Sound that came in one piece.
    Sound(Vec<u8>),
}

/// An answer with what it used.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The answer.
    pub answer: Answer,
    /// What it used.
    pub usage: Usage,
    /// The provider's id of it.
    pub upstream_id: Option<String>,
}

impl Ask {
    /// The operation.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Embeddings(_) => Operation::Embeddings,
            Self::Rerank(_) => Operation::Rerank,
            Self::Images(_) => Operation::Images,
            Self::Speech(_) => Operation::Speech,
            Self::Transcription(_) => Operation::Transcription,
        }
    }

    /// Whether the client reads the answer as events while it is made.
    pub fn streams(&self) -> bool {
        match self {
            Self::Images(ask) => ask.stream,
            Self::Transcription(ask) => ask.stream,
            Self::Embeddings(_) | Self::Rerank(_) | Self::Speech(_) => false,
        }
    }

    /// The kinds of content that a model must read.
    pub fn inputs(&self) -> Vec<Modality> {
        match self {
            Self::Embeddings(ask) => ask.modalities(),
            Self::Rerank(ask) => ask.modalities(),
            Self::Images(ask) => ask.modalities(),
            Self::Speech(_) => vec![Modality::Text],
            Self::Transcription(_) => vec![Modality::Audio],
        }
    }

    /// What it will probably use: prompt tokens and units.
    pub fn expected(&self) -> Usage {
        let usage = match self {
            Self::Embeddings(ask) => ask.expected(),
            Self::Rerank(ask) => ask.expected(),
            Self::Images(ask) => ask.expected(),
            Self::Speech(ask) => ask.expected(),
            Self::Transcription(ask) => ask.expected(),
        };
        Usage {
            estimated: true,
            ..usage
        }
    }

    /// Tokens that have to fit into a model's context: those of the longest input, where inputs are read one by one.
    pub fn longest_input(&self) -> u64 {
        match self {
            Self::Embeddings(ask) => ask.longest(),
            Self::Rerank(ask) => ask.longest(),
            Self::Images(_) | Self::Speech(_) => self.expected().prompt,
            Self::Transcription(_) => 0,
        }
    }
}
