//! One reasoning item, as it grows: summaries and thoughts part by part, and what has to come back unread.

use serde_json::{Value, json};

use super::{
    output::{Field, Sink},
    sealed,
};
use crate::chat::{ReasoningDetail, ReasoningFormat, ReasoningKind};

#[derive(Debug, Clone)]
pub(super) struct Thinking {
    /// The provider's id of the item.
    pub(super) own_id: Option<String>,
    pub(super) format: ReasoningFormat,
    pub(super) last_index: Option<u32>,
    summaries: Vec<String>,
    thoughts: Vec<String>,
    /// Which of the two is being told: the block's index, and whether it is a summary.
    telling: Option<(Option<u32>, bool)>,
    /// What a host of Responses encrypted.
    data: String,
    /// Blocks of other providers that want to come back as they are.
    foreign: Vec<ReasoningDetail>,
}

impl Thinking {
    /// An item that begins with this block.
    pub(super) fn new(detail: &ReasoningDetail) -> Self {
        Self {
            own_id: detail.id.clone(),
            format: detail.format.clone(),
            last_index: detail.index,
            summaries: Vec::new(),
            thoughts: Vec::new(),
            telling: None,
            data: String::new(),
            foreign: Vec::new(),
        }
    }

    /// Adds a block, or a piece of one.
    pub(super) fn add(
        &mut self,
        id: &str,
        at: usize,
        detail: &ReasoningDetail,
        sink: &mut impl Sink,
    ) {
        self.last_index = detail.index.or(self.last_index);
        if !sealed::is_native(&detail.format) && needs_seal(detail) {
            fold(&mut self.foreign, detail);
        }
        match &detail.kind {
            ReasoningKind::Summary { summary } => {
                self.tell(id, at, detail.index, true, summary, sink);
            }
            ReasoningKind::Text {
                text: Some(text), ..
            } if !text.is_empty() => {
                self.tell(id, at, detail.index, false, text, sink);
            }
            ReasoningKind::Encrypted { data } if sealed::is_native(&detail.format) => {
                self.data.push_str(data);
            }
            _ => {}
        }
    }

    /// Adds words to a summary or a thought; another block is another part.
    fn tell(
        &mut self,
        id: &str,
        at: usize,
        block: Option<u32>,
        is_summary: bool,
        words: &str,
        sink: &mut impl Sink,
    ) {
        if self.telling != Some((block, is_summary)) {
            self.close_part(id, at, sink);
            self.telling = Some((block, is_summary));
            let list = if is_summary {
                &mut self.summaries
            } else {
                &mut self.thoughts
            };
            list.push(String::new());
            let (added, kind, index) = names(is_summary, "added");
            let part = json!({"type": kind, "text": ""});
            let number = list.len() - 1;
            let fields = [
                ("item_id", Field::Text(id)),
                ("output_index", Field::Number(at)),
                (index, Field::Number(number)),
                ("part", Field::Json(&part)),
            ];
            sink.event(added, &fields);
        }
        let list = if is_summary {
            &mut self.summaries
        } else {
            &mut self.thoughts
        };
        let number = list.len().saturating_sub(1);
        if let Some(last) = list.last_mut() {
            last.push_str(words);
        }
        let (_, _, index) = names(is_summary, "added");
        let kind = if is_summary {
            "response.reasoning_summary_text.delta"
        } else {
            "response.reasoning_text.delta"
        };
        let fields = [
            ("item_id", Field::Text(id)),
            ("output_index", Field::Number(at)),
            (index, Field::Number(number)),
            ("delta", Field::Text(words)),
        ];
        sink.event(kind, &fields);
    }

    pub(super) fn close_part(&mut self, id: &str, at: usize, sink: &mut impl Sink) {
        let Some((_, is_summary)) = self.telling.take() else {
            return;
        };
        let list = if is_summary {
            &self.summaries
        } else {
            &self.thoughts
        };
        let (Some(text), number) = (list.last(), list.len().saturating_sub(1)) else {
            return;
        };
        let (done, kind, index) = names(is_summary, "done");
        let part = json!({"type": kind, "text": text});
        let place = [
            ("item_id", Field::Text(id)),
            ("output_index", Field::Number(at)),
            (index, Field::Number(number)),
        ];
        let [item, output, place] = place;
        let told = if is_summary {
            "response.reasoning_summary_text.done"
        } else {
            "response.reasoning_text.done"
        };
        sink.event(told, &[item, output, place, ("text", Field::Text(text))]);
        sink.event(done, &[item, output, place, ("part", Field::Json(&part))]);
    }

    pub(super) fn value(&self) -> Value {
        let typed = |kind: &str, list: &[String]| -> Value {
            list.iter()
                .map(|text| json!({"type": kind, "text": text}))
                .collect()
        };
        let mut value =
            json!({"type": "reasoning", "summary": typed("summary_text", &self.summaries)});
        let Some(fields) = value.as_object_mut() else {
            return value;
        };
        if !self.thoughts.is_empty() {
            fields.insert(
                "content".to_owned(),
                typed("reasoning_text", &self.thoughts),
            );
        }
        if !self.data.is_empty() {
            fields.insert("encrypted_content".to_owned(), self.data.as_str().into());
        } else if !self.foreign.is_empty() {
            fields.insert(
                "encrypted_content".to_owned(),
                sealed::seal(&self.foreign).into(),
            );
        }
        if self.format != ReasoningFormat::OpenaiResponses {
            fields.insert(
                "format".to_owned(),
                serde_json::to_value(&self.format).unwrap_or_default(),
            );
        }
        value
    }
}

/// The event at one end of a part of reasoning, the part's type, and what counts it.
fn names(is_summary: bool, end: &str) -> (&'static str, &'static str, &'static str) {
    match (is_summary, end) {
        (true, "added") => (
            "response.reasoning_summary_part.added",
            "summary_text",
            "summary_index",
        ),
        (true, _) => (
            "response.reasoning_summary_part.done",
            "summary_text",
            "summary_index",
        ),
        (false, "added") => (
            "response.content_part.added",
            "reasoning_text",
            "content_index",
        ),
        (false, _) => (
            "response.content_part.done",
            "reasoning_text",
            "content_index",
        ),
    }
}

/// Blocks that a provider wants back as it gave them.
fn needs_seal(detail: &ReasoningDetail) -> bool {
    match &detail.kind {
        ReasoningKind::Text {
            signature: None, ..
        }
        | ReasoningKind::Summary { .. } => detail.format != ReasoningFormat::Unknown,
        _ => true,
    }
}

fn fold(blocks: &mut Vec<ReasoningDetail>, detail: &ReasoningDetail) {
    let rest = match blocks.last_mut() {
        Some(last) => last.absorb(detail.clone()),
        None => Some(detail.clone()),
    };
    blocks.extend(rest);
}
