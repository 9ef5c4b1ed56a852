//! Which generations of a destination are sampled: whole sessions in or out, the same way each time.
//!
//! The draw is a digest of the destination's id and the session's (the generation's where there is none), so that each destination
//! sees whole sessions, and not necessarily the same ones as another.

use super::ids::digest;

/// A rate of 1, in millionths.
pub const ALL: i64 = 1_000_000;

/// Whether a generation is in the sample of `rate` millionths.
pub fn is_in(rate: i64, destination: &str, session: Option<&str>, generation: &str) -> bool {
    let drawn = match session.filter(|session| !session.is_empty()) {
        Some(session) => digest::<8>(&["sample", destination, "session", session]),
        None => digest::<8>(&["sample", destination, "generation", generation]),
    };
    let place = u64::from_be_bytes(drawn) % ALL.unsigned_abs();
    place < rate.clamp(0, ALL).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_whole_in_or_out_and_destinations_draw_apart() {
        let sessions: Vec<String> = (0..2_000).map(|n| format!("s{n}")).collect();
        let mut same = 0;
        let mut kept = 0;
        for session in &sessions {
            let first = is_in(250_000, "d1", Some(session), "g1");
            for generation in ["g2", "g3", "g4"] {
                assert_eq!(is_in(250_000, "d1", Some(session), generation), first);
            }
            kept += usize::from(first);
            same += usize::from(first == is_in(250_000, "d2", Some(session), "g1"));
        }
        assert!((400..600).contains(&kept), "{kept} of 2000 at a quarter");
        assert!(
            (1_100..1_400).contains(&same),
            "{same}: independent draws agree in 62.5 %"
        );
    }

    #[test]
    fn without_a_session_each_generation_is_drawn_alone() {
        let draws = (0..2_000).filter(|n| is_in(500_000, "d", None, &format!("g{n}")));
        assert!((900..1_100).contains(&draws.count()));
        for n in 0..100 {
            let id = format!("g{n}");
            assert!(is_in(ALL, "d", None, &id) && !is_in(0, "d", Some(""), &id));
        }
    }

    #[test]
    fn a_higher_rate_keeps_what_a_lower_one_kept() {
        for n in 0..500 {
            let session = format!("s{n}");
            let at = |rate| is_in(rate, "d", Some(&session), "g");
            assert!(!at(100_000) || at(300_000));
        }
    }
}
