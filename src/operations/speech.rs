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

    /// How many bytes a second of it has, where that is always the same.
    fn bytes_per_second(self) -> Option<u64> {
        matches!(self, Self::Pcm | Self::Wav).then_some(PCM_BYTES_PER_SECOND)
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
    /// A recording, as base64, of the voice to speak with.
    pub reference: Option<String>,
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
        if let Some(rate) = self.format.bytes_per_second() {
            usage.units.audio_out_ms = bytes.saturating_mul(1_000) / rate;
        }
        Usage {
            estimated: true,
            ..usage
        }
    }

    /// What was delivered of a sound that broke off after so many bytes, of which `head` are the first. How much of the text was spoken is told by
    /// the sound's length: samples have one rate, and the first frame of an MP3 names its own. Opus, AAC and FLAC name none, and as the
    /// provider bills the text, all of it is charged.
    pub fn delivered(&self, head: &[u8], bytes: u64) -> Usage {
        let rate = match self.format {
            Format::Mp3 => mp3_bytes_per_second(head),
            format => format.bytes_per_second(),
        };
        let whole = self.used(bytes);
        let Some(rate) = rate else {
            return whole;
        };
        let spoken_ms = bytes.saturating_mul(1_000) / rate;
        let all = whole.units.characters;
        let characters =
            (spoken_ms.saturating_mul(CHARACTERS_PER_MINUTE) / 60_000).clamp(1, all.max(1));
        let share = |count: u64| count.saturating_mul(characters).div_ceil(all.max(1));
        Usage {
            prompt: share(whole.prompt),
            units: Units {
                characters,
                audio_out_ms: spoken_ms,
                ..whole.units
            },
            ..whole
        }
    }
}

/// Kilobits of a second by the index in a frame's head: layer III of MPEG 1, and of MPEG 2 and 2.5. (ISO 11172-3, 13818-3.)
const MP3_KILOBITS: [[u64; 14]; 2] = [
    [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Bytes of a second of an MP3, as its first frame says. An ID3 head may stand before it.
fn mp3_bytes_per_second(head: &[u8]) -> Option<u64> {
    let frame = head.windows(4).find_map(|bytes| match bytes {
        // Eleven bits of synchronisation, then the version, and layer III.
        [0xff, second, third, _] if *second & 0xe6 == 0xe2 => Some((*second, *third)),
        _ => None,
    });
    let (second, third) = frame?;
    let [one, two] = &MP3_KILOBITS;
    let table = if second & 0x18 == 0x18 { one } else { two };
    let at = usize::from(third >> 4).checked_sub(1)?;
    table.get(at).map(|kilobits| kilobits * 1_000 / 8)
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

    #[test]
    fn of_a_sound_that_broke_off_what_can_be_told_to_be_delivered_is_charged() {
        let ask = |format| Speech {
            text: "x".repeat(900),
            format,
            ..Speech::default()
        };
        // A frame of 128 kbit/s (MPEG 1) behind an ID3 head, and one of 64 (MPEG 2).
        let one = b"ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x64".as_slice();
        let two = b"\xff\xf3\x80\xc4".as_slice();
        for (format, head, bytes, characters) in [
            (Format::Pcm, &b""[..], 48_000 * 30, 450),
            (Format::Wav, b"", 48_000 * 6, 90),
            (Format::Mp3, one, 16_000 * 30, 450),
            (Format::Mp3, two, 8_000 * 30, 450),
            (Format::Mp3, b"no frame", 16_000, 900),
            (Format::Opus, b"OggS", 16_000, 900),
            (Format::Pcm, b"", 48_000 * 600, 900),
            (Format::Pcm, b"", 1, 1),
        ] {
            let usage = ask(format).delivered(head, bytes);
            assert_eq!(usage.units.characters, characters, "{format:?} {bytes}");
            assert!(usage.estimated);
        }
        let half = ask(Format::Pcm).delivered(b"", 48_000 * 30);
        assert_eq!((half.prompt, half.units.audio_out_ms), (113, 30_000));
    }
}
