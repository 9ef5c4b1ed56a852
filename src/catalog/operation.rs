//! What an endpoint does: conversation, or one of the operations beside it, and how its provider wants to be asked for that.
//!
//! Out of scope: what the operations take and give (`operations`), how they are spelt (`dialects::operations`).

use serde::{Deserialize, Serialize};

use super::{model::Modality, provider::Dialect};

/// What an endpoint does. A model that does two things has an endpoint for each.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Answers conversations.
    #[default]
    Chat,
    /// Makes vectors of texts and other content.
    Embeddings,
    /// Orders documents by how well they answer a query.
    Rerank,
    /// Makes images of a prompt.
    Images,
    /// Speaks a text.
    Speech,
    /// Writes down what is said.
    Transcription,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 6] = [
        Self::Chat,
        Self::Embeddings,
        Self::Rerank,
        Self::Images,
        Self::Speech,
        Self::Transcription,
    ];

    /// Whether it is conversation.
    pub fn is_chat(&self) -> bool {
        *self == Self::Chat
    }

    /// The word of usage rows (`api_type`).
    pub fn api_type(self) -> &'static str {
        match self {
            Self::Chat => "completions",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcription => "transcriptions",
        }
    }

    /// Where clients ask for it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Embeddings => "/embeddings",
            Self::Rerank => "/rerank",
            Self::Images => "/images",
            Self::Speech => "/audio/speech",
            Self::Transcription => "/audio/transcriptions",
        }
    }

    /// What its models write, as lists of models say it.
    pub fn output(self) -> Modality {
        match self {
            Self::Chat => Modality::Text,
            Self::Embeddings => Modality::Embeddings,
            Self::Rerank => Modality::Rerank,
            Self::Images => Modality::Image,
            Self::Speech => Modality::Speech,
            Self::Transcription => Modality::Transcription,
        }
    }
}

/// The wire format of an operation beside conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationDialect {
    /// OpenAI's: `/embeddings`, `/images/generations`, `/audio/speech`, `/audio/transcriptions`, and the `/rerank` that compatible
    /// hosts share.
    Openai,
    /// Cohere: `/v2/embed`, `/v2/rerank`, `/v2/audio/transcriptions`.
    Cohere,
    /// Google: `/models/{model}:batchEmbedContents`, `:generateContent` for images, `:predict`.
    Google,
    /// Voyage: `/embeddings`, `/multimodalembeddings`, `/rerank`.
    Voyage,
}

impl OperationDialect {
    /// The chat dialect whose errors look the same.
    pub fn of_errors(self) -> Dialect {
        match self {
            Self::Google => Dialect::Gemini,
            Self::Openai | Self::Cohere | Self::Voyage => Dialect::OpenaiChat,
        }
    }
}

/// What a provider does differently from the plainest host of an operation's dialect. A closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationQuirk {
    /// Embeddings come as lists of numbers only; `encoding_format` is not known.
    NumbersOnly,
    /// Embeddings in base64 are signed bytes, not 32-bit floats.
    SignedBytes,
    /// The number of dimensions is spelt `output_dimension`.
    OutputDimension,
    /// Images always come as base64; `response_format` is refused.
    AlwaysBase64,
    /// Base64 images are asked for by the word `base64`.
    Base64Word,
    /// The size of an image is spelt `width` and `height`.
    WidthAndHeight,
    /// The shape of an image is told by `aspect_ratio`, never by a size.
    AspectRatio,
    /// `quality`, `background`, `output_format` and `output_compression` of images are known.
    ImageFinish,
    /// Images to start from go to `/images/edits` as `images`.
    ImageEdits,
    /// Unfinished images come as events (`stream`, `partial_images`).
    StreamedImages,
    /// Transcripts come as events (`stream`) from the models that tell no times.
    StreamedTranscripts,
    /// The voice of speech is `voice_id` or a recording (`ref_audio`), and the sound comes as base64 in JSON (`audio_data`).
    VoiceId,
    /// Sound may be named by its address, in this field.
    UrlField,
    /// The same, where the field is `file_url`.
    FileUrlField,
    /// Asked by Vertex' `:predict`.
    Predict,
}

/// How a provider wants to be asked for one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationWire {
    /// Wire format.
    pub dialect: OperationDialect,
    /// Everything before the operation's path, where it is not the provider's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The most inputs of one call; more are sent in several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_inputs: Option<usize>,
    /// Deviations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quirks: Vec<OperationQuirk>,
}

impl OperationWire {
    /// The plain wire of a dialect.
    pub fn plain(dialect: OperationDialect) -> Self {
        Self {
            dialect,
            base_url: None,
            max_inputs: None,
            quirks: Vec::new(),
        }
    }

    /// Whether the provider has this quirk here.
    pub fn has(&self, quirk: OperationQuirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_path_and_writes_something_of_its_own() {
        let mut paths: Vec<_> = Operation::ALL.iter().map(|one| one.path()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), Operation::ALL.len());
        for one in Operation::ALL {
            let word = one.output().as_str();
            assert_eq!(Modality::parse(word), Some(one.output()));
        }
    }

    #[test]
    fn the_quirks_are_a_closed_list() {
        let wire = r#"{"dialect":"openai","quirks":["numbers_only"],"max_inputs":64}"#;
        let wire: OperationWire = serde_json::from_str(wire).unwrap();
        assert!(wire.has(OperationQuirk::NumbersOnly) && !wire.has(OperationQuirk::Predict));
        assert!(
            serde_json::from_str::<OperationWire>(r#"{"dialect":"openai","quirks":["x"]}"#)
                .is_err()
        );
    }
}
