//! Sets of characters as sorted ranges of code points, and the partition of all characters into classes that a pattern cannot
//! tell apart.

/// A set: ranges without overlap, in order, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set(Vec<(u32, u32)>);

/// The last code point.
const LAST: u32 = 0x10_FFFF;

/// `\w`.
pub const WORD: [(u32, u32); 4] = [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];
/// `\d`.
pub const DIGIT: [(u32, u32); 1] = [(0x30, 0x39)];
/// `\s`, as JavaScript has it.
pub const SPACE: [(u32, u32); 10] = [
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
];
/// What ends a line.
pub const NEWLINE: [(u32, u32); 3] = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)];

impl Set {
    /// The set of these ranges, in any order.
    pub fn of(ranges: &[(u32, u32)]) -> Self {
        let mut ranges = ranges.to_vec();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some((_, end)) if from <= end.saturating_add(1) => *end = (*end).max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// One character.
    pub fn one(c: char) -> Self {
        Self(vec![(u32::from(c), u32::from(c))])
    }

    /// Its ranges.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Everything else.
    pub fn negated(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut from = 0;
        for (start, end) in &self.0 {
            if *start > from {
                gaps.push((from, start - 1));
            }
            from = end + 1;
        }
        if from <= LAST {
            gaps.push((from, LAST));
        }
        Self(gaps)
    }

    /// Whether it has this character.
    #[cfg(test)]
    pub fn contains(&self, c: u32) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < c);
        self.0.get(at).is_some_and(|(start, _)| *start <= c)
    }

    /// With the other case of each letter. Ranges beyond ASCII that are longer than an alphabet stay as they are: they have both.
    pub fn folded(&self) -> Self {
        /// Longer than any range of letters of one case.
        const ALPHABET: u32 = 512;
        let mut ranges = self.0.clone();
        for (from, to) in &self.0 {
            let ascii = (*from).max(0x41)..=(*to).min(0x7A);
            let other = (*from).max(0x80)..=*to;
            let other = if to - from < ALPHABET {
                other
            } else {
                // Nothing.
                #[expect(
                    clippy::reversed_empty_ranges,
                    reason = "an empty range of the same type"
                )]
                {
                    1..=0
                }
            };
            for c in ascii.chain(other).filter_map(char::from_u32) {
                let mut lower = c.to_lowercase();
                let mut upper = c.to_uppercase();
                for case in [(lower.next(), lower.next()), (upper.next(), upper.next())] {
                    if let (Some(case), None) = case {
                        ranges.push((u32::from(case), u32::from(case)));
                    }
                }
            }
        }
        Self::of(&ranges)
    }
}

/// Classes of characters: two of one class are the same to a pattern.
#[derive(Debug, Clone)]
pub struct Classes {
    /// Where classes begin; the first begins at 0.
    starts: Vec<u32>,
    ascii: [u16; 128],
}

impl Classes {
    /// The coarsest partition in which each of these sets is a union of classes; `None` where there are too many.
    pub fn of<'a>(sets: impl IntoIterator<Item = &'a Set>) -> Option<Self> {
        let mut starts = vec![0];
        for (from, to) in sets.into_iter().flat_map(|set| &set.0) {
            starts.push(*from);
            if *to < LAST {
                starts.push(to + 1);
            }
        }
        starts.sort_unstable();
        starts.dedup();
        u16::try_from(starts.len()).ok()?;
        let mut classes = Self {
            starts,
            ascii: [0; 128],
        };
        for c in 0..128u32 {
            let class = classes.look_up(c);
            if let Some(place) = usize::try_from(c)
                .ok()
                .and_then(|c| classes.ascii.get_mut(c))
            {
                *place = class;
            }
        }
        Some(classes)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The class of a character.
    pub fn get(&self, c: char) -> u16 {
        match self.ascii.get(c as usize) {
            Some(class) => *class,
            None => self.look_up(u32::from(c)),
        }
    }

    /// The classes of a set, as ranges of classes.
    pub fn ranges(&self, set: &Set) -> Vec<(u16, u16)> {
        let ranges = set.ranges().iter();
        ranges
            .map(|(from, to)| (self.look_up(*from), self.look_up(*to)))
            .collect()
    }

    fn look_up(&self, c: u32) -> u16 {
        let at = self.starts.partition_point(|start| *start <= c);
        u16::try_from(at.saturating_sub(1)).unwrap_or(u16::MAX)
    }
}
