//! Chance with a seed, and what it does to bytes.

/// splitmix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`; 0 where there is nothing.
    pub fn below(&mut self, end: usize) -> usize {
        let next = usize::try_from(self.next() >> 1).unwrap();
        next.checked_rem(end).unwrap_or(0)
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A range of at most `most` bytes.
    fn range(&mut self, length: usize, most: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let end = (start + self.below(most)).min(length);
        start..end
    }
}

/// Values in the place of others, and marks of framings.
const WORDS: [&str; 34] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "1e999",
    "-0.0",
    "0.5",
    "18446744073709551616",
    "4294967295",
    "9007199254740993",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{202e}é😀\"",
    "[null]",
    "[[]]",
    "[{}]",
    "{\"type\":null}",
    "{\"\":{}}",
    "\"type\"",
    "data: ",
    "\n\n",
    "\r",
    "\r\n\r\n",
    ": \n",
    "event: error\n",
    "data: [DONE]\n\n",
    "data:\n\n",
    "\u{feff}",
    "<think>",
    "</think>",
    "}}}",
];

/// The same bytes with one to four things wrong. `other` lends a piece.
pub fn mutated(dice: &mut Dice, base: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for _ in 0..=dice.below(4) {
        let length = bytes.len();
        match dice.below(9) {
            0 if length > 0 => {
                let at = dice.below(length);
                bytes[at] ^= 1 << dice.below(8);
            }
            1 => drop(bytes.drain(dice.range(length, 64))),
            2 => {
                let piece = bytes[dice.range(length, 512)].to_vec();
                let at = dice.below(length + 1);
                bytes.splice(at..at, piece);
            }
            3 => bytes.truncate(dice.below(length + 1)),
            4 => {
                let piece = other[dice.range(other.len(), 512)].to_vec();
                let at = dice.below(length + 1);
                bytes.splice(at..at, piece);
            }
            5 => {
                let depth = 1 + dice.below(300);
                let at = dice.below(length + 1);
                bytes.splice(at..at, std::iter::repeat_n(b'[', depth));
            }
            6 => {
                let word = dice.pick(&WORDS).as_bytes().to_vec();
                let at = dice.below(length + 1);
                bytes.splice(at..at, word);
            }
            _ => replace_value(dice, &mut bytes),
        }
    }
    bytes
}

/// Another value after a colon or comma, so that the rest stays JSON.
fn replace_value(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let from = dice.below(bytes.len() + 1);
    let Some(colon) = bytes[from..].iter().position(|byte| *byte == b':') else {
        return;
    };
    let start = from + colon + 1;
    let rest = &bytes[start..];
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut end = rest.len();
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'"' if at == 0 || rest[at - 1] != b'\\' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' | b',' if !in_string && depth == 0 => {
                end = at;
                break;
            }
            b'}' | b']' if !in_string => depth -= 1,
            b'\n' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let word = dice.pick(&WORDS[..22]).as_bytes().to_vec();
    bytes.splice(start..start + end, word);
}
