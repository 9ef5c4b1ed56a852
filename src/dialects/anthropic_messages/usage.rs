//! Token counts, merged over an answer: one accumulator for streams and for answers in one piece (P09).
//!
//! Anthropic's counts are cumulative, so a later value replaces an earlier one and nothing is added up (P06, P07). They are
//! exclusive (`input_tokens` leaves the cache out), and are turned into the canonical, inclusive convention here (P03).

use super::wire;
use crate::chat::Usage;

/// The counts seen so far; `None` where nothing was said (P21).
#[derive(Debug, Default)]
pub(super) struct Meter {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    reasoning: Option<u64>,
    searches: Option<u64>,
    /// Input and output of compaction passes, which the top-level counts leave out.
    compaction: (u64, u64),
    last: Option<Usage>,
}

impl Meter {
    /// Takes in what an event reports; returns the counts when they changed.
    pub fn update(&mut self, report: &wire::Usage) -> Option<Usage> {
        let split = report.cache_creation.as_ref();
        let one_hour = split.and_then(|split| split.ephemeral_1h_input_tokens);
        let five_minutes = split.and_then(|split| split.ephemeral_5m_input_tokens);
        let split_total = match (five_minutes, one_hour) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        set_input(&mut self.input, report.input_tokens);
        set_input(&mut self.cache_read, report.cache_read_input_tokens);
        set_input(
            &mut self.cache_write,
            report.cache_creation_input_tokens.or(split_total),
        );
        set_input(&mut self.cache_write_1h, one_hour);
        self.output = report.output_tokens.or(self.output);
        let details = report.output_tokens_details.as_ref();
        self.reasoning = details
            .and_then(|details| details.thinking_tokens)
            .or(self.reasoning);
        let tools = report.server_tool_use.as_ref();
        self.searches = tools
            .and_then(|tools| tools.web_search_requests)
            .or(self.searches);
        if let Some(iterations) = &report.iterations {
            self.compaction = compaction(iterations);
        }
        let now = self.total()?;
        (self.last.replace(now) != Some(now)).then_some(now)
    }

    fn total(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() && self.cache_read.is_none() {
            return None;
        }
        let read = self.cache_read.unwrap_or(0);
        let write = self.cache_write.unwrap_or(0);
        let one_hour = self.cache_write_1h.unwrap_or(0).min(write);
        let (more_input, more_output) = self.compaction;
        Some(Usage {
            prompt: [read, write, more_input]
                .into_iter()
                .fold(self.input.unwrap_or(0), u64::saturating_add),
            cache_read: read,
            cache_write_5m: write.saturating_sub(one_hour),
            cache_write_1h: one_hour,
            completion: self.output.unwrap_or(0).saturating_add(more_output),
            reasoning: self.reasoning.unwrap_or(0),
            searches: self.searches,
            prompt_unknown: self.input.is_none() && read == 0 && write == 0,
            ..Usage::default()
        })
    }
}

/// Counts of input never fall within an answer: some hosts repeat them as 0 at the end (P08).
fn set_input(count: &mut Option<u64>, report: Option<u64>) {
    match report {
        Some(0) => *count = count.or(Some(0)),
        Some(report) => *count = Some(report),
        None => {}
    }
}

fn compaction(iterations: &[wire::Iteration]) -> (u64, u64) {
    iterations
        .iter()
        .filter(|pass| pass.kind == "compaction")
        .fold((0, 0), |(input, output): (u64, u64), pass| {
            (
                input.saturating_add(pass.input_tokens.unwrap_or(0)),
                output.saturating_add(pass.output_tokens.unwrap_or(0)),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: &[&str]) -> Option<Usage> {
        let mut meter = Meter::default();
        for report in reports {
            meter.update(&serde_json::from_str(report).unwrap());
        }
        meter.last
    }

    #[test]
    fn the_last_count_wins_and_nothing_is_added_up() {
        // P06, P07
        let usage = after(&[
            r#"{"input_tokens":25,"cache_read_input_tokens":7,"output_tokens":1}"#,
            r#"{"input_tokens":25,"cache_read_input_tokens":7,"output_tokens":15}"#,
        ])
        .unwrap();
        assert_eq!(
            (usage.prompt, usage.cache_read, usage.completion),
            (32, 7, 15)
        );
    }

    #[test]
    fn input_told_only_at_the_end_counts_and_a_zero_there_does_not() {
        // P08
        let late = after(&[
            r#"{"input_tokens":0,"output_tokens":0}"#,
            r#"{"input_tokens":33,"cache_read_input_tokens":9000,"output_tokens":5}"#,
        ])
        .unwrap();
        assert_eq!(late.total(), 9038);
        let early = after(&[
            r#"{"input_tokens":40,"cache_creation_input_tokens":8,"output_tokens":0}"#,
            r#"{"input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":5}"#,
        ])
        .unwrap();
        assert_eq!((early.prompt, early.completion), (48, 5));
    }

    #[test]
    fn the_prompt_includes_cache_reads_and_writes_once() {
        // P01, P03, P18: creation tokens are in the prompt once, and split by lifetime. P09: streams and answers in one
        // piece are counted by this one meter.
        let usage = after(&[
            r#"{"input_tokens":3,"cache_creation_input_tokens":12304,"cache_read_input_tokens":10,
                "cache_creation":{"ephemeral_5m_input_tokens":304,"ephemeral_1h_input_tokens":12000},"output_tokens":550}"#,
        ])
        .unwrap();
        assert_eq!(usage.prompt, 12317);
        assert_eq!((usage.cache_write_5m, usage.cache_write_1h), (304, 12000));
        assert_eq!(usage.total(), 12867);
    }

    #[test]
    fn cache_writes_without_a_lifetime_are_five_minute_writes() {
        // P18: the remainder goes to the default lifetime; a split alone is its own total.
        let plain = after(&[r#"{"input_tokens":1,"cache_creation_input_tokens":50}"#]).unwrap();
        assert_eq!((plain.cache_write_5m, plain.cache_write_1h), (50, 0));
        let split =
            after(&[r#"{"input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":6}}"#])
                .unwrap();
        assert_eq!((split.prompt, split.cache_write_1h), (7, 6));
    }

    #[test]
    fn absent_counts_are_not_zero_counts() {
        // P21
        assert_eq!(after(&[r"{}", r#"{"service_tier":"standard"}"#]), None);
        assert_eq!(
            after(&[r#"{"input_tokens":0,"output_tokens":0}"#]),
            Some(Usage::default())
        );
        let unknown = |report: &str| after(&[report]).map(|usage| usage.prompt_unknown);
        assert_eq!(unknown(r#"{"output_tokens":5}"#), Some(true));
        assert_eq!(
            unknown(r#"{"cache_read_input_tokens":9,"output_tokens":5}"#),
            Some(false)
        );
    }

    #[test]
    fn compaction_passes_are_counted_on_top() {
        let usage = after(&[
            r#"{"input_tokens":10,"output_tokens":2,"iterations":[
                {"type":"compaction","input_tokens":100,"output_tokens":30},{"type":"message","input_tokens":10,"output_tokens":2}]}"#,
        ])
        .unwrap();
        assert_eq!((usage.prompt, usage.completion), (110, 32));
    }
}
