//! Transcription: what is said in a recording.

use serde_json::{Map, Number, Value};

use crate::chat::{Units, Usage, estimate};

/// Bytes of a second of compressed sound, where only the size of a file is known: few, so that a hold is not too small.
const BYTES_PER_SECOND: u64 = 4_000;

/// The sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound {
    /// Bytes of a file.
    Bytes {
        /// The file.
        data: Vec<u8>,
        /// Its name; hosts take its form from the name's ending.
        filename: String,
    },
    /// Where a provider that can fetch it finds it.
    Url(String),
}

/// A request to write down what is said.
#[derive(Debug, Clone)]
pub struct Transcription {
    /// The sound.
    pub sound: Sound,
    /// ISO 639 code of the language, where the client knows it.
    pub language: Option<String>,
    /// Sampling temperature.
    pub temperature: Option<Number>,
    /// The client wants times and segments (`verbose_json`).
    pub verbose: bool,
    /// `word`, `segment`.
    pub granularities: Vec<String>,
    /// Who speaks when.
    pub diarize: bool,
    /// Words that may come up.
    pub keyterms: Vec<String>,
    /// The client wants to read along.
    pub stream: bool,
}

impl Transcription {
    /// How long the sound is: as its head says, else by its size.
    fn duration_ms(&self) -> u64 {
        let Sound::Bytes { data, .. } = &self.sound else {
            return 60_000;
        };
        let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let rate = wav_rate(data).unwrap_or(BYTES_PER_SECOND).max(1);
        (bytes.saturating_mul(1_000) / rate).max(1_000)
    }

    /// What was used where only the beginning of the text has come: the sound was heard, and so much of it was written down.
    pub fn used(&self, written: &str) -> Usage {
        Usage {
            completion: estimate::text_tokens(written.len()),
            estimated: true,
            ..self.expected()
        }
    }

    /// Models that sell tokens count about ten for a second of sound and four for what is said in it.
    pub(super) fn expected(&self) -> Usage {
        let audio_in_ms = self.duration_ms();
        let audio_in = audio_in_ms.div_ceil(100);
        Usage {
            prompt: audio_in,
            audio_in,
            completion: audio_in_ms.div_ceil(250),
            units: Units {
                audio_in_ms,
                ..Units::default()
            },
            ..Usage::default()
        }
    }
}

/// Bytes of a second, out of the head of a WAV file.
fn wav_rate(data: &[u8]) -> Option<u64> {
    let is_wav = data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WAVE");
    let rate = data.get(28..32).filter(|_| is_wav)?;
    let rate = u32::from_le_bytes(rate.try_into().ok()?);
    Some(u64::from(rate)).filter(|rate| *rate >= 1_000)
}

/// What was said, with whatever else the provider tells: `language`, `duration`, `segments`, `words` …
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// The text.
    pub text: String,
    /// The rest, in the client's words.
    pub details: Map<String, Value>,
}

/// Milliseconds out of a number of seconds, rounded up.
pub fn milliseconds(seconds: &Number) -> Option<u64> {
    use crate::credits::decimal::{Excess, parse};
    let ms = parse(&seconds.to_string(), 3, Excess::RoundUp).ok()?;
    u64::try_from(ms).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(data: Vec<u8>) -> Transcription {
        Transcription {
            sound: Sound::Bytes {
                data,
                filename: "a.wav".into(),
            },
            language: None,
            temperature: None,
            verbose: false,
            granularities: Vec::new(),
            diarize: false,
            keyterms: Vec::new(),
            stream: false,
        }
    }

    #[test]
    fn a_wav_file_says_how_long_it_is() {
        let mut wav =
            b"RIFF____WAVEfmt ____\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00".to_vec();
        wav.resize(32_000, 0);
        assert_eq!(ask(wav).expected().units.audio_in_ms, 2_000);
        assert_eq!(ask(vec![1; 40_000]).expected().units.audio_in_ms, 10_000);
        assert_eq!(ask(Vec::new()).expected().units.audio_in_ms, 1_000);
    }

    #[test]
    fn seconds_become_milliseconds_without_a_float() {
        let ms = |json: &str| milliseconds(&serde_json::from_str(json).unwrap());
        assert_eq!(ms("6"), Some(6_000));
        assert_eq!(ms("5.495999813079834"), Some(5_496));
        assert_eq!(ms("-1"), None);
    }
}
