//! Which model an upstream id stands for: candidates, the canonical models, and one spelling for each name.
//!
//! In scope: applying `naming` to the whole document. Out of scope: the spelling rules themselves, limits and prices.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::catalog::{Dialect, Modality, pattern::matches};

use crate::facts;
use crate::naming::{self, Naming, Spelled};
use crate::overlay::{Import, ProviderRow};
use crate::source::{Document, Facts};

/// An upstream id on its way to becoming an endpoint.
pub struct Candidate<'a> {
    /// The provider.
    pub row: &'a ProviderRow,
    /// How its rows are imported.
    pub import: &'a Import,
    /// The upstream id.
    pub id: &'a str,
    /// What is known of it, with what it inherits.
    pub facts: Facts,
    /// The id taken apart.
    pub spelled: Spelled,
    /// The word for its speed.
    pub variant: Option<String>,
    /// The model's name, without `:free`.
    name: String,
    /// Its author, where the data or the tables name one.
    author: Option<String>,
}

impl Candidate<'_> {
    /// The name of its model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The slug of its model, without `:free`.
    pub fn slug(&self, naming: &Naming) -> String {
        let spelled = Spelled {
            name: self.name.clone(),
            ..self.spelled.clone()
        };
        let author = self
            .author
            .clone()
            .unwrap_or_else(|| naming.author(&spelled, &self.row.provider.slug));
        format!("{author}/{}", self.name)
    }
}

/// A canonical model: what it is called here, and its facts.
struct Known<'a> {
    author: String,
    name: String,
    facts: &'a Facts,
}

/// The canonical models of the document, by what identifies them.
pub struct Canonical<'a> {
    by_key: BTreeMap<String, Known<'a>>,
    /// `author/name` there → name here.
    pub names: BTreeMap<&'a str, String>,
}

impl<'a> Canonical<'a> {
    /// The canonical models of a document.
    pub fn of(document: &'a Document, naming: &Naming) -> Self {
        let mut canonical = Self {
            by_key: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for (id, facts) in &document.models {
            let spelled = naming.spell(id, None);
            let (theirs, _) = id.split_once('/').unwrap_or_default();
            canonical.names.insert(id, spelled.name.clone());
            canonical
                .by_key
                .entry(naming::key(&spelled.name))
                .or_insert(Known {
                    author: naming
                        .authors
                        .get(theirs)
                        .map_or(theirs, String::as_str)
                        .to_owned(),
                    name: spelled.name,
                    facts,
                });
        }
        canonical
    }

    fn get(&self, name: &str) -> Option<&Known<'a>> {
        self.by_key.get(&naming::key(name))
    }

    /// The facts of the model of this name.
    pub fn facts(&self, name: &str) -> Option<&'a Facts> {
        self.get(name).map(|known| known.facts)
    }
}

/// Takes an upstream id apart.
///
/// # Errors
/// Why the row is left out.
pub fn candidate<'a>(
    row: &'a ProviderRow,
    import: &'a Import,
    id: &'a str,
    own: &Facts,
    canonical: &Canonical<'_>,
    document: &Document,
    naming: &Naming,
) -> Result<Candidate<'a>, String> {
    if let Some(rule) = import
        .exclude
        .iter()
        .find(|rule| rule.models.iter().any(|pattern| matches(pattern, id)))
    {
        return Err(rule.reason.clone());
    }
    let base = own.base_model.as_deref();
    let facts = match base.and_then(|base| document.models.get(base)) {
        Some(base) => own.inherit(base),
        None => own.clone(),
    };
    let spelled = naming.spell(id, Some(import));
    wanted(&facts, &spelled, row, import, naming, id)?;
    let source = import.source.as_str();
    let exact = canonical.get(&spelled.name).map(|known| known.name.clone());
    let base_name = base.and_then(|base| canonical.names.get(base)).cloned();
    let name = naming
        .identity(source, id)
        .map(str::to_owned)
        .or(exact)
        .or(base_name)
        .unwrap_or_else(|| spelled.name.clone());
    let variant = naming
        .without_variant(&spelled.name)
        .filter(|_| naming::key(&name) != naming::key(&spelled.name));
    let variant = variant.map(|(_, variant)| variant.to_owned());
    let (author, name) = match name.split_once('/') {
        Some((author, name)) => (Some(author.to_owned()), name.to_owned()),
        None => (None, name),
    };
    Ok(Candidate {
        row,
        import,
        id,
        facts,
        spelled,
        variant,
        name,
        author,
    })
}

/// Refuses what is no chat model over this wire.
fn wanted(
    facts: &Facts,
    spelled: &Spelled,
    row: &ProviderRow,
    import: &Import,
    naming: &Naming,
    id: &str,
) -> Result<(), String> {
    if let Some(reason) = naming.not_chat(&spelled.name) {
        return Err(format!("no chat model: {reason}"));
    }
    if let Some(other) = &facts.provider {
        let dialect = import.dialect(id).unwrap_or(row.provider.dialect);
        if other.shape.as_deref() == Some("responses") && dialect != Dialect::OpenaiResponses {
            return Err("served by the Responses API only".to_owned());
        }
        if other
            .api
            .as_ref()
            .is_some_and(|api| !row.is_at(import, api))
        {
            return Err("served under another base URL than its provider".to_owned());
        }
    }
    let input = facts::modalities(facts.modalities.input.as_deref())?;
    let output = facts::modalities(facts.modalities.output.as_deref())?;
    if !output.contains(&Modality::Text) {
        return Err("no chat model: writes no text".to_owned());
    }
    if !input.contains(&Modality::Text) {
        return Err("no chat model: reads no text".to_owned());
    }
    Ok(())
}

/// Gives every candidate the name of its model: speed words go where the rest is a known name, and of several spellings of
/// one name the canonical one wins, else one with a dot in its version, else the first.
pub fn settle_names(candidates: &mut [Candidate<'_>], canonical: &Canonical<'_>, naming: &Naming) {
    let known: BTreeSet<String> = candidates.iter().map(|c| naming::key(&c.name)).collect();
    for candidate in candidates
        .iter_mut()
        .filter(|c| canonical.facts(&c.name).is_none())
    {
        let without = naming
            .without_variant(&candidate.name)
            .map(|(rest, variant)| (rest.to_owned(), variant.to_owned()));
        if let Some((rest, variant)) =
            without.filter(|(rest, _)| known.contains(&naming::key(rest)))
        {
            candidate.name = rest;
            candidate.variant = Some(variant);
        }
    }
    let mut spellings: BTreeMap<String, String> = BTreeMap::new();
    for candidate in candidates.iter() {
        let spelling = spellings
            .entry(naming::key(&candidate.name))
            .or_insert_with(|| candidate.name.clone());
        let better = |name: &String| (!name.contains('.'), name.clone());
        if better(&candidate.name) < better(spelling) {
            spelling.clone_from(&candidate.name);
        }
    }
    for candidate in candidates.iter_mut() {
        let key = naming::key(&candidate.name);
        if let Some(known) = canonical.get(&candidate.name) {
            candidate.name.clone_from(&known.name);
            candidate.author.get_or_insert_with(|| known.author.clone());
        } else if let Some(name) = spellings.get(&key) {
            candidate.name.clone_from(name);
        }
    }
}
