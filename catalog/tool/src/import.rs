//! `import`: models.dev and the hand-kept overlay become the rows of `models.jsonl`, `endpoints.jsonl` and `aliases.jsonl`.
//!
//! The same input gives the same bytes. Nothing is left out silently: each row that is dropped is counted under its reason.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::catalog::{
    Dialect, Endpoint, Modality, Model, Operation, Quantization, pattern::matches,
};
use patchbay::credits::pricing::Price;

use crate::describe;
use crate::facts;
use crate::identity::{Candidate, Canonical, candidate, settle_names};
use crate::naming::{self, Naming};
use crate::overlay::{Import, Overlay, ProviderRow};
use crate::source::{Document, Facts};

/// A host whose context is this many times the author's own serves something else under the same name.
const CONTEXT_CONTRADICTS: u64 = 2;

/// What an import gives.
#[derive(Debug, Default)]
pub struct Imported {
    /// Models, by slug.
    pub models: Vec<Model>,
    /// Endpoints, by model and tag.
    pub endpoints: Vec<Endpoint>,
    /// Alias → slug.
    pub aliases: BTreeMap<String, String>,
    /// Upstream's spelling → the models that it was seen for.
    spellings: BTreeMap<String, BTreeSet<String>>,
    /// What was left out: reason → `provider: upstream id`.
    pub dropped: BTreeMap<String, Vec<String>>,
}

/// Makes the rows.
pub fn import(document: &Document, overlay: &Overlay, naming: &Naming) -> Imported {
    let mut imported = Imported::default();
    let canonical = Canonical::of(document, naming);
    let mut candidates = Vec::new();
    for provider in &overlay.providers {
        let row = &provider.value;
        let Some(import) = &row.import else { continue };
        let Some(source) = document.providers.get(&import.source) else {
            imported.drop("provider is not in the data", &row.provider.slug, "*");
            continue;
        };
        for (id, own) in &source.models {
            if !is_due(overlay, row, import, id, own) {
                continue;
            }
            match candidate(row, import, id, own, &canonical, document, naming) {
                Ok(candidate) => candidates.push(candidate),
                Err(reason) => imported.drop(&reason, &row.provider.slug, id),
            }
        }
    }
    for excluded in &overlay.excluded {
        for id in document
            .providers
            .get(&excluded.source)
            .iter()
            .flat_map(|p| p.models.keys())
        {
            imported.drop(
                &format!("provider left out: {}", excluded.reason),
                &excluded.source,
                id,
            );
        }
    }
    settle_names(&mut candidates, &canonical, naming);
    let mut groups: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        groups
            .entry(candidate.slug(naming))
            .or_default()
            .push(candidate);
    }
    for (slug, group) in groups {
        imported.group(&slug, group, &canonical, naming);
    }
    imported.finish(naming, &canonical);
    imported
}

/// Whether a model is this provider's, or nobody's and this is the first provider of its source, which says why it is left out.
fn is_due(overlay: &Overlay, row: &ProviderRow, import: &Import, id: &str, own: &Facts) -> bool {
    let api = own.provider.as_ref().and_then(|other| other.api.as_deref());
    let sharing = overlay.providers.iter().filter_map(|other| {
        let shared = other.value.import.as_ref()?;
        (shared.source == import.source).then_some((&other.value, shared))
    });
    let taker = sharing
        .clone()
        .find(|(other, shared)| other.takes(shared, id, api));
    let due = taker.or_else(|| sharing.clone().next());
    due.is_some_and(|(other, _)| other.provider.slug == row.provider.slug)
}

impl Imported {
    fn drop(&mut self, reason: &str, provider: &str, id: &str) {
        self.dropped
            .entry(reason.to_owned())
            .or_default()
            .push(format!("{provider}: {id}"));
    }

    /// The endpoints of one name, paid and free apart, and their models.
    fn group(
        &mut self,
        slug: &str,
        group: Vec<Candidate<'_>>,
        canonical: &Canonical<'_>,
        naming: &Naming,
    ) {
        let own_facts = group
            .iter()
            .find(|c| slug.starts_with(&format!("{}/", c.row.provider.slug)))
            .map(|c| c.facts.clone());
        let facts = group
            .first()
            .and_then(|c| canonical.facts(c.name()))
            .cloned()
            .or_else(|| own_facts.clone());
        let reference = facts
            .as_ref()
            .and_then(|f| f.limit.context)
            .max(own_facts.and_then(|f| f.limit.context));
        let mut endpoints = Vec::new();
        let mut described = facts;
        for candidate in &group {
            match endpoint(candidate, slug, reference) {
                Ok(endpoint) => {
                    described.get_or_insert_with(|| candidate.facts.clone());
                    self.alias(candidate, &endpoint.model);
                    endpoints.push(endpoint);
                }
                Err(reason) => self.drop(&reason, &candidate.row.provider.slug, candidate.id),
            }
        }
        let (free, paid): (Vec<_>, Vec<_>) =
            endpoints.into_iter().partition(|e| e.prices.is_free());
        for mut endpoints in [paid, free] {
            settle_tags(&mut endpoints);
            if let (Some(facts), Some(first)) = (&described, endpoints.first()) {
                self.models.push(describe::model(
                    &first.model.clone(),
                    facts,
                    &endpoints,
                    naming,
                ));
                self.endpoints.extend(endpoints);
            }
        }
    }

    /// The upstream's own spelling means the model too: behind the author, and as hosts write it, `organisation/name`.
    fn alias(&mut self, candidate: &Candidate<'_>, slug: &str) {
        let id = candidate.id.to_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if !id.chars().all(plain)
            || candidate.import.p_for_dot
            || !candidate.import.strip_prefixes.is_empty()
        {
            return;
        }
        let (author, _) = slug.split_once('/').unwrap_or_default();
        let last = id.rsplit('/').next().unwrap_or_default();
        let mut names = vec![format!("{author}/{last}")];
        if id.matches('/').count() == 1 {
            names.push(id);
        }
        for name in names {
            self.spellings
                .entry(name)
                .or_default()
                .insert(slug.to_owned());
        }
    }

    /// Dated models, aliases and the order of everything.
    fn finish(&mut self, naming: &Naming, canonical: &Canonical<'_>) {
        self.models.sort_by(|a, b| a.slug.cmp(&b.slug));
        self.endpoints
            .sort_by(|a, b| (&a.model, &a.tag).cmp(&(&b.model, &b.tag)));
        let created: BTreeMap<String, i64> = self
            .models
            .iter()
            .map(|m| (m.slug.clone(), m.created))
            .collect();
        for (dated, at) in &created {
            let Some(undated) = naming::undated(dated) else {
                continue;
            };
            match created.get(undated) {
                Some(same) if same == at => {
                    for model in self.models.iter_mut().filter(|m| m.slug == undated) {
                        model.canonical_slug.clone_from(dated);
                    }
                }
                Some(_) => {}
                // The newest of several dates: slugs come in order, the last one stays.
                None => drop(self.aliases.insert(undated.to_owned(), dated.clone())),
            }
        }
        for (spelling, slugs) in std::mem::take(&mut self.spellings) {
            // The free twin is asked for by its suffix; a spelling that means two models means none.
            let plain = |slug: &String| {
                slug.strip_suffix(":free")
                    .filter(|base| created.contains_key(*base))
                    .map(str::to_owned)
            };
            let meant: BTreeSet<String> = slugs
                .iter()
                .map(|slug| plain(slug).unwrap_or_else(|| slug.clone()))
                .collect();
            if let (1, Some(slug)) = (meant.len(), meant.first()) {
                self.aliases.insert(spelling, slug.clone());
            }
        }
        // models.dev's own ids: `xai/grok-4.3`.
        let named: BTreeMap<&str, &String> = created
            .keys()
            .filter_map(|slug| Some((slug.split_once('/')?.1, slug)))
            .collect();
        for (id, name) in &canonical.names {
            if let Some(slug) = named.get(name.as_str()) {
                self.aliases.insert(id.to_lowercase(), (*slug).clone());
            }
        }
        for model in &mut self.models {
            let name = model.slug.strip_suffix(":free").unwrap_or(&model.slug);
            let mut patterns = naming.distillable.iter();
            model.distillable =
                model.open_weights && patterns.any(|pattern| matches(pattern, name));
        }
        for (alias, slug) in &naming.aliases {
            self.aliases.insert(alias.clone(), slug.clone());
        }
        self.aliases
            .retain(|alias, slug| !created.contains_key(alias) && created.contains_key(slug));
    }
}

fn endpoint(
    candidate: &Candidate<'_>,
    slug: &str,
    reference: Option<u64>,
) -> Result<Endpoint, String> {
    let (facts, provider) = (&candidate.facts, &candidate.row.provider);
    let context_length = facts
        .limit
        .context
        .filter(|n| *n > 0)
        .ok_or("no context length in the data")?;
    if reference
        .is_some_and(|reference| context_length > reference.saturating_mul(CONTEXT_CONTRADICTS))
    {
        return Err("context contradicts that of the model of this name".to_owned());
    }
    let prices = facts::prices(facts.cost.as_ref(), candidate.import)?;
    let own_dialect = candidate.import.dialect(candidate.id);
    let dialect = own_dialect.unwrap_or(provider.dialect);
    let mut reasoning = facts::reasoning(facts, dialect)?;
    if let Some(reasoning) = &mut reasoning {
        reasoning.fields = candidate.import.reasoning_fields(candidate.id);
    }
    let variant = candidate
        .variant
        .as_deref()
        .or(candidate.spelled.quantization.map(Quantization::as_str));
    let implicit_caching = dialect != Dialect::AnthropicMessages
        && prices.cache_read.is_some_and(|read| read < prices.prompt)
        && prices
            .cache_write_5m
            .is_none_or(|write| write == Price::FREE);
    let plain = &candidate.import.text_and_images;
    let is_plain = plain.iter().any(|pattern| matches(pattern, candidate.id));
    let mut input_modalities = facts::modalities(facts.modalities.input.as_deref())?;
    let mut output_modalities = facts::modalities(facts.modalities.output.as_deref())?;
    input_modalities
        .retain(|m| !is_plain || matches!(m, Modality::Text | Modality::Image | Modality::File));
    output_modalities.retain(|m| !is_plain || *m == Modality::Text);
    Ok(Endpoint {
        model: if prices.is_free() {
            format!("{slug}:free")
        } else {
            slug.to_owned()
        },
        provider: provider.slug.clone(),
        tag: variant.map_or_else(
            || provider.slug.clone(),
            |variant| format!("{}/{variant}", provider.slug),
        ),
        upstream_model_id: candidate
            .import
            .called
            .get(candidate.id)
            .map_or(candidate.id, String::as_str)
            .to_owned(),
        operation: Operation::Chat,
        source: None,
        dialect: own_dialect,
        context_length,
        max_prompt_tokens: facts.limit.input.filter(|n| *n > 0 && *n < context_length),
        max_completion_tokens: facts
            .limit
            .output
            .filter(|n| *n > 0)
            .map(|n| n.min(context_length)),
        supported_parameters: facts::parameters(
            facts,
            reasoning.as_ref(),
            provider,
            candidate.import,
            candidate.id,
        ),
        tier_prices: BTreeMap::new(),
        quantization: candidate.spelled.quantization,
        reasoning,
        input_modalities,
        output_modalities,
        supports_implicit_caching: implicit_caching,
        refuses_prefill: candidate
            .import
            .refuses_prefill
            .iter()
            .any(|pattern| matches(pattern, candidate.id)),
        answers_whole: candidate
            .import
            .answers_whole
            .iter()
            .any(|pattern| matches(pattern, candidate.id)),
        web_search: candidate.import.search(candidate.id).cloned(),
        status: facts::status(facts.status.as_deref())?,
        prices,
    })
}

/// Where one provider serves a model more than once under one tag, the upstream id tells them apart.
fn settle_tags(endpoints: &mut [Endpoint]) {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for endpoint in endpoints.iter() {
        *count.entry(endpoint.tag.clone()).or_default() += 1;
    }
    for endpoint in endpoints
        .iter_mut()
        .filter(|e| count.get(&e.tag).is_some_and(|n| *n > 1))
    {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || ".-_".contains(c) {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        };
        let id: String = endpoint.upstream_model_id.chars().map(plain).collect();
        endpoint.tag = format!("{}/{id}", endpoint.provider);
    }
}
