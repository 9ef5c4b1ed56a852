//! Outages in the order of attempts: faults with no good answer between them, and what was answered after the last of them.
//!
//! In scope: telling the faults of an outage from stray ones, in one pass and in parts that are joined later. Out of scope: what an outage
//! that is over weighs (`routing::order`), who is asked during one (`routing::breaker`).
//!
//! Attempts count in the order of their ends. A good answer that began before the last fault says nothing of what came after it, so it neither
//! parts an outage nor proves its end. Where attempts are told in another order an outage falls into parts, and some of its faults count as
//! stray ones, which is the careful side.

use crate::routing::breaker::FAULTS_IN_A_ROW;

/// A run of attempts, which other runs may precede and follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outages {
    /// Faults before the first good answer: part of a run that may have begun earlier.
    lead: u64,
    /// Faults of the outages between the first good answer and the last.
    inner: u64,
    /// Faults after the last good answer: part of a run that may go on. None without a good answer.
    trail: u64,
    /// Good answers.
    good: u64,
    /// Of these, those after the last of the outages between; all where there is none.
    good_since: u64,
    /// When the last fault ended, unix milliseconds.
    last_fault: u64,
}

/// The faults, where so many in a row are an outage.
fn outage(faults: u64) -> u64 {
    if faults >= u64::from(FAULTS_IN_A_ROW) {
        faults
    } else {
        0
    }
}

impl Outages {
    /// A fault follows, which ended at this time.
    pub(super) fn fault(&mut self, ended: u64) {
        *self = self.followed_by(&Self {
            lead: 1,
            last_fault: ended,
            ..Self::default()
        });
    }

    /// A good answer follows, which began at this time.
    pub(super) fn answer(&mut self, began: u64) {
        if began < self.last_fault {
            return;
        }
        *self = self.followed_by(&Self {
            good: 1,
            good_since: 1,
            ..Self::default()
        });
    }

    /// This run and then another.
    pub(super) fn followed_by(&self, next: &Self) -> Self {
        let last_fault = self.last_fault.max(next.last_fault);
        let joined = match (self.good, next.good) {
            (0, 0) => Self {
                lead: self.lead.saturating_add(next.lead),
                ..Self::default()
            },
            (0, _) => Self {
                lead: self.lead.saturating_add(next.lead),
                ..*next
            },
            (_, 0) => Self {
                trail: self.trail.saturating_add(next.lead),
                ..*self
            },
            _ => {
                let between = outage(self.trail.saturating_add(next.lead));
                Self {
                    lead: self.lead,
                    inner: self
                        .inner
                        .saturating_add(between)
                        .saturating_add(next.inner),
                    trail: next.trail,
                    good: self.good.saturating_add(next.good),
                    good_since: if next.inner > 0 || between > 0 {
                        next.good_since
                    } else {
                        self.good_since.saturating_add(next.good)
                    },
                    last_fault,
                }
            }
        };
        Self {
            last_fault,
            ..joined
        }
    }

    /// The faults that belong to outages and the good answers after the last of them, where an outage went on as this run began.
    pub(super) fn told_in_an_outage(&self) -> (u64, u64) {
        let before = Self {
            good: 1,
            trail: u64::from(FAULTS_IN_A_ROW),
            ..Self::default()
        };
        let whole = before.followed_by(self);
        (whole.faults() - before.faults(), whole.good_since())
    }

    /// Faults that belong to outages.
    pub(super) fn faults(&self) -> u64 {
        outage(self.lead)
            .saturating_add(self.inner)
            .saturating_add(outage(self.trail))
    }

    /// Good answers after the last of them; all where there is none.
    pub(super) fn good_since(&self) -> u64 {
        if outage(self.trail) > 0 {
            0
        } else {
            self.good_since
        }
    }

    /// As it is kept.
    pub(super) fn packed(&self) -> [u64; 6] {
        [
            self.lead,
            self.inner,
            self.trail,
            self.good,
            self.good_since,
            self.last_fault,
        ]
    }

    /// As it was kept.
    pub(super) fn unpacked([lead, inner, trail, good, good_since, last_fault]: [u64; 6]) -> Self {
        Self {
            lead,
            inner,
            trail,
            good,
            good_since,
            last_fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Good answers are `true`.
    fn of(attempts: &[bool]) -> Outages {
        let mut run = Outages::default();
        for good in attempts {
            if *good { run.answer(1) } else { run.fault(1) }
        }
        run
    }

    #[test]
    fn three_faults_in_a_row_are_an_outage_and_stray_ones_are_not() {
        for (attempts, faults, good_since) in [
            ("", 0, 0),
            ("....", 0, 4),
            ("x.x.xx.x", 0, 3),
            ("xxx", 3, 0),
            ("..xxxx", 4, 0),
            ("xxx..", 3, 2),
            ("..xxx.x.", 3, 2),
            (".xxx.xx.xxxxx...", 8, 3),
            (".xxx.xxx", 6, 0),
        ] {
            let told: Vec<bool> = attempts.chars().map(|it| it == '.').collect();
            let run = of(&told);
            assert_eq!(
                (run.faults(), run.good_since()),
                (faults, good_since),
                "{attempts}"
            );
        }
    }

    #[test]
    fn answers_that_began_before_a_fault_neither_part_an_outage_nor_prove_its_end() {
        let mut run = of(&[true, true]);
        for at in 10..14 {
            run.fault(at);
            run.answer(at - 5);
        }
        assert_eq!((run.faults(), run.good_since()), (4, 0));
        run.answer(13);
        assert_eq!((run.faults(), run.good_since()), (4, 1));
    }

    #[test]
    fn the_first_faults_after_an_outage_belong_to_it_however_few() {
        for (attempts, faults, good_since) in [
            ("", 0, 0),
            ("x", 1, 0),
            ("..", 0, 2),
            ("xx...", 2, 3),
            ("x..x.", 1, 3),
            (".xxx..", 3, 2),
        ] {
            let told: Vec<bool> = attempts.chars().map(|it| it == '.').collect();
            assert_eq!(
                of(&told).told_in_an_outage(),
                (faults, good_since),
                "{attempts}"
            );
        }
    }

    proptest! {
        #[test]
        fn parts_that_are_joined_tell_what_the_whole_tells(parts in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..9), 0..9)) {
            let joined = parts.iter().fold(Outages::default(), |run, part| run.followed_by(&of(part)));
            prop_assert_eq!(joined, of(&parts.concat()));
            prop_assert_eq!(Outages::unpacked(joined.packed()), joined);
        }
    }
}
