//! Speech: sound out of a text, handed on as it comes.

use serde_json::Number;

use crate::chat::{Units, Usage, estimate};

/// Bytes of a second of PCM as speech models make it: 24,000 samples of 16 bits.
const PCM_BYTES_PER_SECOND: u64 = 48_000;
/// Characters that are spoken in a minute.
const CHARACTERS_PER_MINUTE: u64 = 900;

/// The form of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// 16-bit samples, 24 kHz, one channel, no head.
    #[default]
    Pcm,
    /// MP3.
    Mp3,
    /// WAV.
    Wav,
    /// Opus.
    Opus,
    /// AAC.
    Aac,
    /// FLAC.
    Flac,
}

impl Format {
    /// Every form.
    pub const ALL: [Self; 6] = [
        Self::Pcm,
        Self::Mp3,
        Self::Wav,
        Self::Opus,
        Self::Aac,
        Self::Flac,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcm => "pcm",
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
            Self::Opus => "opus",
            Self::Aac => "aac",
            Self::Flac => "flac",
        }
    }

    /// The form of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// The `content-type`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Pcm => "audio/pcm;rate=24000;channels=1",
            Self::Mp3 => "audio/mpeg",
            Self::Wav => "audio/wav",
            Self::Opus => "audio/ogg",
            Self::Aac => "audio/aac",
            Self::Flac => "audio/flac",
        }
    }
}

/// A request to speak a text.
#[derive(Debug, Clone, Default)]
pub struct Speech {
    /// What to say.
    pub text: String,
    /// Who says it.
    pub voice: Option<String>,
    /// The form of the sound.
    pub format: Format,
    /// How fast.
    pub speed: Option<Number>,
    /// How.
    pub instructions: Option<String>,
}

impl Speech {
    pub(super) fn expected(&self) -> Usage {
        let characters = u64::try_from(self.text.chars().count()).unwrap_or(u64::MAX);
        let instructions = self.instructions.as_deref().map_or(0, str::len);
        Usage {
            prompt: estimate::text_tokens(self.text.len() + instructions).max(1),
            units: Units {
                characters,
                audio_out_ms: characters.saturating_mul(60_000) / CHARACTERS_PER_MINUTE,
                ..Units::default()
            },
            ..Usage::default()
        }
    }

    /// What was used once so many bytes have come. Providers count nothing beside the sound: its length is known where
    /// samples are not compressed, otherwise it is that of the text.
    pub fn used(&self, bytes: u64) -> Usage {
        let mut usage = self.expected();
        if matches!(self.format, Format::Pcm | Format::Wav) {
            usage.units.audio_out_ms = bytes.saturating_mul(1_000) / PCM_BYTES_PER_SECOND;
        }
        Usage {
            estimated: true,
            ..usage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_tell_their_length_and_compressed_sound_is_as_long_as_its_text() {
        let mut ask = Speech {
            text: "x".repeat(900),
            ..Speech::default()
        };
        assert_eq!(ask.used(96_000).units.audio_out_ms, 2_000);
        ask.format = Format::Mp3;
        assert_eq!(ask.used(96_000).units.audio_out_ms, 60_000);
        assert_eq!(ask.used(1).units.characters, 900);
    }
}
