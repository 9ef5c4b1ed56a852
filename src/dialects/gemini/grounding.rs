//! Citations: grounding and recitation metadata as `url_citation` annotations of chat completions.
//!
//! Gemini measures in bytes of UTF-8, chat completions in characters; only the widths of the characters written so far are
//! kept for the conversion, never the text.

use serde_json::{Value, json};

use super::wire::{CitationMetadata, GroundingMetadata, WebSource};

/// The widths of the characters of a text, as runs of characters of one width.
#[derive(Debug, Default)]
pub(super) struct Widths {
    runs: Vec<(u64, u64)>,
    bytes: u64,
}

impl Widths {
    /// Adds text.
    pub(super) fn push(&mut self, text: &str) {
        if text.is_ascii() {
            self.run(1, text.len());
        } else {
            text.chars().for_each(|c| self.run(c.len_utf8(), 1));
        }
    }

    fn run(&mut self, width: usize, count: usize) {
        let (width, count) = (width as u64, count as u64);
        self.bytes = self.bytes.saturating_add(width.saturating_mul(count));
        match self.runs.last_mut() {
            Some((last, n)) if *last == width => *n = n.saturating_add(count),
            _ => self.runs.push((width, count)),
        }
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many characters begin before this byte.
    fn chars_before(&self, byte: u64) -> u64 {
        let mut left = byte;
        let mut chars: u64 = 0;
        for (width, count) in &self.runs {
            let fit = left.div_ceil(*width).min(*count);
            chars = chars.saturating_add(fit);
            left = left.saturating_sub(count.saturating_mul(*width));
            if left == 0 {
                break;
            }
        }
        chars
    }
}

/// Where the text of each part of a one-piece answer begins, in bytes of the whole text; empty for a stream, whose offsets
/// count from the start of the answer.
pub(super) type PartStarts = Vec<u64>;

/// The annotations of grounding metadata: one for each source of each supported stretch, or each source alone where the
/// provider did not say what it supports.
pub(super) fn from_grounding(
    metadata: &GroundingMetadata,
    widths: &Widths,
    starts: &PartStarts,
) -> Vec<Value> {
    let source = |index: usize| {
        let chunk = metadata.grounding_chunks.get(index)?;
        chunk.web.as_ref().or(chunk.retrieved_context.as_ref())
    };
    let mut annotations = Vec::new();
    for support in &metadata.grounding_supports {
        let segment = &support.segment;
        let base = starts.get(segment.part_index).copied().unwrap_or(0);
        let from = widths.chars_before(base.saturating_add(segment.start_index));
        let to = widths.chars_before(base.saturating_add(segment.end_index));
        for index in &support.grounding_chunk_indices {
            let annotation =
                source(*index).and_then(|web| citation(web, from, to, segment.text.as_deref()));
            annotations.extend(annotation);
        }
    }
    if metadata.grounding_supports.is_empty() {
        let all = 0..metadata.grounding_chunks.len();
        annotations.extend(
            all.filter_map(source)
                .filter_map(|web| citation(web, 0, 0, None)),
        );
    }
    annotations
}

/// The annotations of recitation metadata. A source without an address cannot be cited.
pub(super) fn from_citations(metadata: &CitationMetadata, widths: &Widths) -> Vec<Value> {
    let annotate = |source: &super::wire::CitationSource| {
        let web = WebSource {
            uri: source.uri.clone(),
            title: source.title.clone(),
        };
        let from = widths.chars_before(source.start_index);
        citation(&web, from, widths.chars_before(source.end_index), None)
    };
    metadata
        .citation_sources
        .iter()
        .filter_map(annotate)
        .collect()
}

fn citation(web: &WebSource, from: u64, to: u64, content: Option<&str>) -> Option<Value> {
    let mut citation = json!({
        "url": web.uri.as_deref()?,
        "title": web.title.as_deref().unwrap_or_default(),
        "start_index": from,
        "end_index": to,
    });
    if let (Some(content), Some(citation)) = (content, citation.as_object_mut()) {
        citation.insert("content".to_owned(), content.into());
    }
    Some(json!({"type": "url_citation", "url_citation": citation}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_in_bytes_become_offsets_in_characters() {
        let text = "añb€😀cd";
        let mut widths = Widths::default();
        for c in text.chars() {
            widths.push(&c.to_string());
        }
        for (chars, (byte, _)) in text.char_indices().enumerate() {
            assert_eq!(widths.chars_before(byte as u64), chars as u64, "at {byte}");
        }
        assert_eq!(widths.chars_before(u64::MAX), 7);
        assert_eq!(widths.bytes(), text.len() as u64);
    }

    #[test]
    fn each_source_of_a_stretch_is_cited_where_it_stands() {
        let mut widths = Widths::default();
        widths.push("Año nuevo. Más.");
        let metadata: GroundingMetadata = serde_json::from_value(json!({
            "groundingChunks": [{"web": {"uri": "https://a.example", "title": "a"}}, {"web": {"uri": "https://b.example"}}, {}],
            "groundingSupports": [{"segment": {"startIndex": 12, "endIndex": 17, "text": "Más."}, "groundingChunkIndices": [0, 1, 2, 9]}]
        }))
        .unwrap();
        let found = from_grounding(&metadata, &widths, &Vec::new());
        assert_eq!(found.len(), 2, "sources without an address are left out");
        assert_eq!(
            found[0],
            json!({"type": "url_citation", "url_citation":
                {"url": "https://a.example", "title": "a", "start_index": 11, "end_index": 15, "content": "Más."}})
        );
    }
}
