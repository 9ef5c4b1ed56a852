//! A model's row: what is said of it, and what its endpoints have in common.

use std::collections::BTreeSet;

use patchbay::catalog::{Endpoint, Modality, Model};

use crate::facts::Date;
use crate::naming::Naming;
use crate::source::Facts;

/// The model of these endpoints.
pub fn model(slug: &str, facts: &Facts, endpoints: &[Endpoint], naming: &Naming) -> Model {
    let base = slug.strip_suffix(":free").unwrap_or(slug);
    let (author, name) = base.split_once('/').unwrap_or(("", base));
    let modalities = |of: fn(&Endpoint) -> &[Modality]| -> Vec<Modality> {
        endpoints
            .iter()
            .flat_map(|e| of(e).iter().copied())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    let input_modalities = modalities(|e| &e.input_modalities);
    let output_modalities = modalities(|e| &e.output_modalities);
    let context_length = endpoints
        .iter()
        .map(|e| e.context_length)
        .max()
        .unwrap_or_default();
    let title = facts
        .name
        .as_deref()
        .unwrap_or(name)
        .trim_end_matches(" (latest)");
    let author_name = naming.author_name(author);
    let free = if slug == base { "" } else { " (free)" };
    let released = facts.release_date.as_deref().and_then(Date::parse);
    let hugging_face = facts
        .weights
        .iter()
        .find_map(|w| w.url.strip_prefix("https://huggingface.co/"));
    Model {
        slug: slug.to_owned(),
        canonical_slug: base.to_owned(),
        name: format!("{author_name}: {title}{free}"),
        description: describe(
            title,
            author_name,
            facts,
            &input_modalities,
            &output_modalities,
            endpoints,
        ),
        created: released.map_or(0, Date::start),
        family: facts.family.clone(),
        context_length,
        input_modalities,
        output_modalities,
        open_weights: facts.open_weights == Some(true),
        hugging_face_id: hugging_face.map(|id| id.trim_end_matches('/').to_owned()),
        knowledge_cutoff: facts
            .knowledge
            .as_deref()
            .and_then(Date::parse)
            .map(Date::last_day),
        tokenizer: naming.tokenizer(name),
        distillable: false,
    }
}

fn describe(
    title: &str,
    author: &str,
    facts: &Facts,
    input: &[Modality],
    output: &[Modality],
    endpoints: &[Endpoint],
) -> String {
    let mut text = format!(
        "{title} by {author} reads {} and writes {}.",
        listed(input),
        listed(output)
    );
    if endpoints.iter().any(|e| e.reasoning.is_some()) {
        text.push_str(" It reasons before it answers.");
    }
    if facts.tool_call == Some(true) {
        text.push_str(" It calls tools.");
    }
    if facts.open_weights == Some(true) {
        text.push_str(" Its weights are open.");
    }
    text
}

/// `text, images and PDF`.
fn listed(modalities: &[Modality]) -> String {
    let names: Vec<_> = modalities
        .iter()
        .map(|modality| match modality {
            Modality::Text => "text",
            Modality::Image => "images",
            Modality::File => "PDF",
            Modality::Audio => "sound",
            Modality::Video => "video",
            Modality::Embeddings => "vectors",
            Modality::Rerank => "an order of documents",
            Modality::Speech => "speech",
            Modality::Transcription => "transcripts",
        })
        .collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
