//! Token counts: Converse counts the fresh input apart from the cache (P03), and tells lifetimes of cache writes in a list.

use super::wire;
use crate::chat::Usage;

/// The counts in the canonical, inclusive convention; nothing where nothing was counted (P21).
pub(super) fn usage(report: &wire::Usage) -> Option<Usage> {
    if report.input_tokens.is_none() && report.output_tokens.is_none() {
        return None;
    }
    let read = report.cache_read_input_tokens.unwrap_or(0);
    let write = report.cache_write_input_tokens.unwrap_or(0);
    let hours = report
        .cache_details
        .iter()
        .filter(|detail| detail.ttl.as_deref() == Some("1h"));
    let one_hour = hours
        .filter_map(|detail| detail.input_tokens)
        .fold(0, u64::saturating_add)
        .min(write);
    Some(Usage {
        prompt: [read, write]
            .into_iter()
            .fold(report.input_tokens.unwrap_or(0), u64::saturating_add),
        cache_read: read,
        cache_write_5m: write.saturating_sub(one_hour),
        cache_write_1h: one_hour,
        completion: report.output_tokens.unwrap_or(0),
        prompt_unknown: report.input_tokens.is_none() && read == 0 && write == 0,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(report: &str) -> Option<Usage> {
        usage(&serde_json::from_str(report).unwrap())
    }

    #[test]
    fn the_prompt_includes_cache_reads_and_writes_once() {
        // P01, P03, P18
        let counted = of(
            r#"{"inputTokens":10,"outputTokens":4,"totalTokens":7375,"cacheReadInputTokens":10,"cacheReadInputTokenCount":10,
                "cacheWriteInputTokens":7351,"cacheDetails":[{"inputTokens":7000,"ttl":"1h"},{"inputTokens":351,"ttl":"5m"}]}"#,
        )
        .unwrap();
        assert_eq!((counted.prompt, counted.cache_read), (7371, 10));
        assert_eq!(
            (counted.cache_write_5m, counted.cache_write_1h),
            (351, 7000)
        );
        assert_eq!(counted.total(), 7375);
    }

    #[test]
    fn absent_counts_are_not_zero_counts() {
        // P21
        assert_eq!(of("{}"), None);
        assert_eq!(
            of(r#"{"inputTokens":0,"outputTokens":0}"#),
            Some(Usage::default())
        );
        let unknown = |report| of(report).map(|usage| usage.prompt_unknown);
        assert_eq!(unknown(r#"{"outputTokens":5}"#), Some(true));
    }
}
