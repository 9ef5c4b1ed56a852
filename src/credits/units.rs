//! Prices of what is not counted in tokens: images by piece or by pixel, sound by the hour, characters, search units.
//!
//! Integers like all prices. Providers publish sound by the minute or the hour; an hour keeps both exact, and a millisecond is
//! what is counted. Out of scope: charges and their rounding ([`super::pricing`]).

use serde::{Deserialize, Serialize};

use super::{
    money::Nanos,
    pricing::{Line, Part, Price, UNITS_PER_PRICE},
};
use crate::chat::{Quality, Units};

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// The price of one image of a size and quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePrice {
    /// Most pixels of an image at this price; absent for any size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// The quality it is for; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// For one image.
    pub price: Nanos,
}

impl ImagePrice {
    fn is_for(&self, units: &Units) -> bool {
        let one = u64::from(units.width) * u64::from(units.height);
        self.max_pixels.is_none_or(|most| one <= most)
            && self.quality.is_none_or(|quality| quality == units.quality)
    }
}

/// What one endpoint charges besides tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitPrices {
    /// Images made: the first that fits counts; where none does, the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImagePrice>,
    /// A million pixels made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megapixel: Option<Price>,
    /// An hour of sound listened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_in_hour: Option<Nanos>,
    /// An hour of sound made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_out_hour: Option<Nanos>,
    /// A million characters spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<Price>,
    /// A search unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_unit: Option<Nanos>,
}

impl UnitPrices {
    /// Whether nothing is ever charged.
    pub fn is_free(&self) -> bool {
        let amounts = [self.audio_in_hour, self.audio_out_hour, self.search_unit];
        let images = self.images.iter().map(|one| one.price);
        let prices = [self.megapixel, self.characters];
        amounts
            .into_iter()
            .flatten()
            .chain(images)
            .all(|one| one == Nanos::ZERO)
            && prices.into_iter().flatten().all(|one| one == Price::FREE)
    }

    /// The price of an image as it is counted here.
    fn image(&self, units: &Units) -> Option<Nanos> {
        let fits = self.images.iter().find(|one| one.is_for(units));
        fits.or(self.images.last()).map(|one| one.price)
    }

    /// Appends the lines of a charge.
    pub(super) fn lines(&self, units: &Units, lines: &mut Vec<Line>) {
        let image = self.image(units);
        let rows = [
            (Part::Images, units.images, image, 1),
            (
                Part::AudioInMs,
                units.audio_in_ms,
                self.audio_in_hour,
                HOUR_MS,
            ),
            (
                Part::AudioOutMs,
                units.audio_out_ms,
                self.audio_out_hour,
                HOUR_MS,
            ),
            (Part::SearchUnits, units.searches, self.search_unit, 1),
        ];
        let by_million = [
            (Part::Pixels, units.pixels(), self.megapixel),
            (Part::Characters, units.characters, self.characters),
        ];
        let rows = rows
            .into_iter()
            .map(|(what, quantity, price, per)| (what, quantity, price.map(Nanos::get), per));
        let by_million = by_million.into_iter().map(|(what, quantity, price)| {
            (what, quantity, price.map(Price::get), UNITS_PER_PRICE)
        });
        for (what, quantity, price, per) in rows.chain(by_million) {
            if let Some(price) = price.filter(|_| quantity > 0) {
                lines.push(Line {
                    per,
                    ..Line::each(what, quantity, price)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Usage, credits::pricing::PriceTable};

    fn table(units: UnitPrices) -> PriceTable {
        PriceTable {
            units: Some(Box::new(units)),
            ..PriceTable::default()
        }
    }

    fn total(prices: &PriceTable, units: Units) -> i64 {
        let usage = Usage {
            units,
            ..Usage::default()
        };
        let charge = prices.cost(&usage).unwrap();
        assert!(charge.explains_itself());
        charge.total.get()
    }

    #[test]
    fn sound_by_the_hour_is_exact_to_the_millisecond_and_rounded_up_once() {
        // Four cents an hour are no whole number of nano-dollars for a millisecond.
        let prices = table(UnitPrices {
            audio_in_hour: Some(Nanos::new(40_000_000).unwrap()),
            ..UnitPrices::default()
        });
        for (audio_in_ms, nanos) in [
            (3_600_000, 40_000_000),
            (1, 12),
            (9, 100),
            (7_200_000, 80_000_000),
        ] {
            let units = Units {
                audio_in_ms,
                ..Units::default()
            };
            assert_eq!(total(&prices, units), nanos, "{audio_in_ms} ms");
        }
        // $0.006 a minute.
        let prices = table(UnitPrices {
            audio_in_hour: Some(Nanos::new(360_000_000).unwrap()),
            ..UnitPrices::default()
        });
        let six = Units {
            audio_in_ms: 6_000,
            ..Units::default()
        };
        assert_eq!(total(&prices, six), 600_000);
    }

    #[test]
    fn images_are_sold_by_size_and_quality_or_by_the_pixel() {
        let nanos = |n| Nanos::new(n).unwrap();
        let prices = table(UnitPrices {
            images: vec![
                ImagePrice {
                    max_pixels: Some(1_048_576),
                    quality: Some(Quality::High),
                    price: nanos(80),
                },
                ImagePrice {
                    max_pixels: Some(1_048_576),
                    quality: None,
                    price: nanos(40),
                },
                ImagePrice {
                    max_pixels: None,
                    quality: None,
                    price: nanos(120),
                },
            ],
            ..UnitPrices::default()
        });
        let image = |side, quality| Units {
            images: 2,
            width: side,
            height: side,
            quality,
            ..Units::default()
        };
        assert_eq!(total(&prices, image(1_024, Quality::High)), 160);
        assert_eq!(total(&prices, image(1_024, Quality::Low)), 80);
        assert_eq!(total(&prices, image(2_048, Quality::Medium)), 240);
        // $0.0027 for a million pixels.
        let prices = table(UnitPrices {
            megapixel: Some(Price::new(2_700_000).unwrap()),
            ..UnitPrices::default()
        });
        assert_eq!(total(&prices, image(1_000, Quality::Medium)), 5_400_000);
    }

    #[test]
    fn characters_and_searches_are_lines_of_their_own_beside_tokens() {
        let prices = PriceTable {
            prompt: Price::new(1_000_000).unwrap(),
            ..table(UnitPrices {
                characters: Some(Price::new(15_000_000_000).unwrap()),
                search_unit: Some(Nanos::new(2_000_000).unwrap()),
                ..UnitPrices::default()
            })
        };
        let usage = Usage {
            prompt: 3,
            units: Units {
                characters: 7,
                searches: 2,
                ..Units::default()
            },
            ..Usage::default()
        };
        let charge = prices.cost(&usage).unwrap();
        assert_eq!(charge.total.get(), 3 + 7 * 15_000 + 2 * 2_000_000);
        assert_eq!(charge.lines.len(), 3);
        assert!(charge.explains_itself() && !prices.is_free());
        assert!(table(UnitPrices::default()).is_free());
    }
}
