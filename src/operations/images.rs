//! Images out of a prompt, alone or with images to start from.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    catalog::Modality,
    chat::{Quality, Units, Usage, estimate},
};

/// The most images of one request.
pub const MAX_IMAGES: u32 = 10;
/// The side of a square image where nobody says otherwise.
pub const USUAL_SIDE: u32 = 1_024;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Size {
    /// `1024x768`.
    pub fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once(['x', 'X'])?;
        let side = |text: &str| {
            let side = text.parse().ok();
            side.filter(|side| (16..=8_192).contains(side))
        };
        Some(Self {
            width: side(width)?,
            height: side(height)?,
        })
    }

    /// An image of this shape with about as many pixels as a square of this side; sides are multiples of 16.
    pub fn of_shape(side: u32, across: u32, down: u32) -> Self {
        let (across, down) = (u64::from(across.max(1)), u64::from(down.max(1)));
        let area = u64::from(side) * u64::from(side);
        let round = |side: u64| u32::try_from(((side + 8) / 16 * 16).max(16)).unwrap_or(u32::MAX);
        Self {
            width: round((area * across / down).isqrt()),
            height: round((area * down / across).isqrt()),
        }
    }

    /// The shape in lowest terms: `16:9`.
    pub fn shape(self) -> String {
        let (mut a, mut b) = (self.width, self.height);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let common = a.max(1);
        format!("{}:{}", self.width / common, self.height / common)
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Reads `16:9`.
pub fn shape(text: &str) -> Option<(u32, u32)> {
    let (across, down) = text.split_once(':')?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=64).contains(side));
    Some((side(across)?, side(down)?))
}

/// A request for images.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// What to show.
    pub prompt: String,
    /// How many.
    pub n: u32,
    /// Their size, where the client says one.
    pub size: Option<Size>,
    /// Their shape, where the client says only that.
    pub aspect_ratio: Option<String>,
    /// The client's own word for the care they get.
    pub quality: Option<String>,
    /// `transparent`, `opaque`, `auto`.
    pub background: Option<String>,
    /// `png`, `jpeg`, `webp`, `svg`.
    pub output_format: Option<String>,
    /// 0 to 100.
    pub output_compression: Option<u32>,
    /// Seed.
    pub seed: Option<i64>,
    /// Addresses or `data:` URLs of images to start from.
    pub references: Vec<String>,
    /// The client wants addresses (`response_format: "url"`): the provider's, or `data:` URLs.
    pub as_url: bool,
    /// The client wants to see them grow.
    pub stream: bool,
    /// How many unfinished images the client wants to see of each, where it says.
    pub partial_images: Option<u32>,
}

impl Images {
    /// Their size, or what is usual.
    pub fn pixels(&self) -> Size {
        self.size.unwrap_or_else(|| {
            let shape = self.aspect_ratio.as_deref().and_then(shape);
            let (across, down) = shape.unwrap_or((1, 1));
            Size::of_shape(USUAL_SIDE, across, down)
        })
    }

    /// The care they get, as prices know it.
    pub fn care(&self) -> Quality {
        match self.quality.as_deref() {
            Some("low") => Quality::Low,
            Some("high" | "hd" | "xhigh" | "max") => Quality::High,
            _ => Quality::Medium,
        }
    }

    /// What `images` of them are to a price table.
    pub fn units(&self, images: u64) -> Units {
        let Size { width, height } = self.pixels();
        Units {
            images,
            width,
            height,
            quality: self.care(),
            ..Units::default()
        }
    }

    pub(super) fn modalities(&self) -> Vec<Modality> {
        let mut found = vec![Modality::Text];
        if !self.references.is_empty() {
            found.push(Modality::Image);
        }
        found
    }

    /// Models that sell image tokens make about a token of 256, 1,024 or 4,096 pixels, by their quality.
    pub(super) fn expected(&self) -> Usage {
        let units = self.units(u64::from(self.n.max(1)));
        let pixels_per_token = match units.quality {
            Quality::Low => 4_096,
            Quality::Medium => 1_024,
            Quality::High => 256,
        };
        let references = u64::try_from(self.references.len()).unwrap_or(u64::MAX);
        let tokens = units.pixels().div_ceil(pixels_per_token);
        Usage {
            prompt: estimate::text_tokens(self.prompt.len())
                .saturating_add(references.saturating_mul(estimate::IMAGE_TOKENS))
                .max(1),
            completion: tokens,
            image_out: tokens,
            units,
            ..Usage::default()
        }
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// The image itself.
    Inline {
        /// Its bytes as base64.
        base64: String,
        /// Its MIME type, as its first bytes tell it.
        mime: &'static str,
    },
    /// Where the provider keeps it, for a while.
    Address(String),
}

impl Image {
    /// An image out of base64 text; `None` where it is none.
    pub fn decode(base64: &str) -> Option<Self> {
        let base64 = base64
            .split_once("base64,")
            .map_or(base64, |(_, data)| data);
        let bytes = STANDARD.decode(base64.trim()).ok()?;
        Some(Self::Inline {
            mime: mime(&bytes)?,
            base64: base64.trim().to_owned(),
        })
    }

    /// An image out of its bytes; `None` where it is none.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::Inline {
            mime: mime(bytes)?,
            base64: STANDARD.encode(bytes),
        })
    }

    /// A web address of an image; `None` where it is none.
    pub fn at(url: &str) -> Option<Self> {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        is_web.then(|| Self::Address(url.to_owned()))
    }

    /// Its MIME type, where that is known.
    pub fn mime(&self) -> Option<&'static str> {
        match self {
            Self::Inline { mime, .. } => Some(mime),
            Self::Address(_) => None,
        }
    }

    /// Its bytes as base64, where they are here.
    pub fn base64(&self) -> Option<&str> {
        match self {
            Self::Inline { base64, .. } => Some(base64),
            Self::Address(_) => None,
        }
    }
}

/// The type of an image by its first bytes.
fn mime(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.get(..512).unwrap_or(bytes);
    Some(match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        _ if start.windows(4).any(|four| four == b"<svg") => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_two_sides_or_a_shape() {
        assert_eq!(Size::parse("1536x1024").unwrap().shape(), "3:2");
        for wrong in ["1024", "x", "0x5", "1024x99999", "axb", "1024x1024x1"] {
            assert_eq!(Size::parse(wrong), None, "{wrong}");
        }
        let wide = Size::of_shape(1_024, 16, 9);
        assert_eq!((wide.width, wide.height), (1_360, 768));
        assert_eq!(Size::of_shape(1_024, 1, 1).to_string(), "1024x1024");
        assert_eq!((shape("21:9"), shape("auto")), (Some((21, 9)), None));
    }

    #[test]
    fn only_what_begins_like_an_image_is_one() {
        let png = STANDARD.encode([0x89, b'P', b'N', b'G', 13, 10, 26, 10]);
        assert_eq!(Image::decode(&png).unwrap().mime(), Some("image/png"));
        let url = format!("data:image/png;base64,{png}");
        assert_eq!(Image::decode(&url).unwrap().base64(), Some(png.as_str()));
        let svg = STANDARD.encode("<?xml version=\"1.0\"?><svg/>");
        assert_eq!(Image::decode(&svg).unwrap().mime(), Some("image/svg+xml"));
        assert_eq!(Image::of_bytes(b"<html>"), None);
        assert_eq!((Image::at("data:x"), Image::at("file:///x")), (None, None));
        for broken in ["", "%%%", &STANDARD.encode("hello")] {
            assert_eq!(Image::decode(broken), None, "{broken}");
        }
    }
}
