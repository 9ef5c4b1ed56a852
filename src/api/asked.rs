//! The models that a request names: from names with their suffixes to catalog entries.

use std::collections::BTreeMap;

use super::{World, conversation};
use crate::{
    catalog::{CatalogCache, Names, Provider, Reasoning, Route, ServedModel},
    chat::{ChatRequest, Effort, ReasoningRequest, ReasoningWish},
    error::{Error, Result},
    guardrails::{Candidate, Policy},
    routing::{
        Asked, OwnCandidate,
        auto::{self, Choice, Router, Scene, Wishes},
        explain::Strategy,
        naming::{self, Name},
    },
};

/// The most models that one request may name.
pub const MAX_MODELS: usize = 16;

/// For whom a router chooses, and when.
pub struct Seeker<'a> {
    /// Whose request it is.
    pub account: &'a str,
    /// The provider keys that it may use.
    pub own: &'a [OwnCandidate],
    /// The guardrails that hold for it.
    pub policy: Option<&'a Policy>,
    /// Decides where chance decides.
    pub seed: u64,
    /// The time, unix milliseconds.
    pub now_ms: u64,
}

/// The router's choice, where the request names one instead of a model.
///
/// # Errors
/// 404 where no model matches; 400 with the path of a wrong wish.
pub async fn choice<W: World>(
    world: &W,
    chat: &ChatRequest,
    prompt_tokens: u64,
    seeker: &Seeker<'_>,
) -> Result<Option<Choice>> {
    let Seeker {
        account,
        own,
        seed,
        now_ms,
        ..
    } = *seeker;
    let Some((router, suffix)) = Router::parse(&chat.model) else {
        return Ok(None);
    };
    let wishes = Wishes::parse(chat.extra.get("plugins"))?;
    let memory = world.memory();
    let pool = memory.catalog.pool(world, now_ms).await?;
    let providers = memory.catalog.providers(world, now_ms).await?;
    // Asked once each: a variable is a call of the platform.
    let reached = |provider: &'_ Provider| (world.can_call(provider), world.can_reach(provider));
    let providers: BTreeMap<&str, _> = providers
        .iter()
        .map(|provider| (provider.slug.as_str(), (provider, reached(provider))))
        .collect();
    let is_callable = |slug: &str, model: &str, is_free: bool| {
        let Some((provider, (can_call, can_reach))) = providers.get(slug) else {
            return false;
        };
        let candidate = Candidate {
            model,
            is_free,
            provider,
            endpoint: None,
        };
        let denies = |policy: &Policy| policy.denial(&candidate).is_some();
        if seeker.policy.is_some_and(denies) {
            return false;
        }
        let serves = |own: &OwnCandidate| own.provider == slug && own.serves(model, provider);
        *can_call || (*can_reach && own.iter().any(serves))
    };
    let remembered = conversation::remembered(world, account, chat).await;
    let measured = memory.statistics.current();
    let scene = Scene {
        pool: &pool,
        is_callable: &is_callable,
        statistics: &measured,
        seed,
        remembered: remembered.as_deref(),
    };
    let mut choice = auto::choose(router, chat, prompt_tokens, &wishes, &scene)?;
    for model in &mut choice.models {
        model.push_str(suffix);
    }
    Ok(Some(choice))
}

/// Finds the models that a request names, and does to the request what their names ask for.
///
/// # Errors
/// 400 with the path of a name that means nothing here.
///
/// The last of the three says where a name asks for a search of the web.
pub async fn models<W: World>(
    world: &W,
    chat: &mut ChatRequest,
    choice: Option<&Choice>,
    now_ms: u64,
) -> Result<(Vec<Asked>, Strategy, Option<&'static str>)> {
    if chat.models.len() >= MAX_MODELS {
        let message = format!("At most {MAX_MODELS} models may be named");
        return Err(Error::invalid("models", message));
    }
    let memory = world.memory();
    let names = memory.catalog.names(world, now_ms).await?;
    let mut found = Vec::with_capacity(1 + chat.models.len());
    let mut strategy = Strategy::default();
    let (mut thinks, mut online) = (false, None);
    let chosen = choice.map_or(std::slice::from_ref(&chat.model), |choice| &choice.models);
    for (index, name) in chosen.iter().chain(&chat.models).enumerate() {
        let index = (index + 1).saturating_sub(chosen.len());
        let read = one(world, &memory.catalog, name, &names, now_ms).await;
        let (read, asked) = read.map_err(|error| at(error, index))?;
        if index == 0 {
            strategy = Strategy::of(read.kind, 1 + chat.models.len());
        }
        thinks |= read.is_thinking;
        if read.is_online {
            online.get_or_insert(if index == 0 { "model" } else { "models" });
        }
        found.push(asked);
    }
    if let Some(choice) = choice {
        strategy = Strategy::from(choice.router);
    }
    if thinks && chat.reasoning.is_none() {
        chat.reasoning = Some(ReasoningRequest {
            enabled: Some(true),
            ..ReasoningRequest::default()
        });
    }
    if strategy == Strategy::Latest {
        found.iter().for_each(|asked| bump(chat, &asked.model));
    }
    Ok((found, strategy, online))
}

/// Who asks for the newest of a family cannot know whether it can do without reasoning: the least that it can do is meant.
fn bump(chat: &mut ChatRequest, model: &ServedModel) {
    let Some(wanted) = &mut chat.reasoning else {
        return;
    };
    let reasoning = |route: &Route| route.endpoint.reasoning.clone();
    let able: Vec<Reasoning> = model.routes.iter().filter_map(reasoning).collect();
    let must = able.len() == model.routes.len() && able.iter().all(|able| able.mandatory);
    if must && wanted.wish() == ReasoningWish::Off {
        let efforts = able.iter().flat_map(|able| &able.efforts).copied();
        *wanted = ReasoningRequest {
            effort: efforts.filter(|effort| *effort != Effort::None).min(),
            exclude: wanted.exclude,
            ..ReasoningRequest::default()
        };
    }
}

async fn one<W: World>(
    world: &W,
    catalog: &CatalogCache,
    name: &str,
    names: &Names,
    now_ms: u64,
) -> Result<(Name, Asked)> {
    let read = naming::read(name, names)?;
    let model = catalog.model(world, &read.slug, now_ms).await?;
    if read.is_thinking && !reasons(&model) {
        let slug = &read.slug;
        let message = format!("{name} is not a valid model ID: {slug} does not reason");
        return Err(Error::invalid("model", message));
    }
    let asked = Asked {
        name: name.to_owned(),
        model,
        suffix: read.suffix,
    };
    Ok((read, asked))
}

fn reasons(model: &ServedModel) -> bool {
    model
        .routes
        .iter()
        .any(|route| route.endpoint.reasoning.is_some())
}

/// Says which of the names is wrong.
fn at(mut error: Error, index: usize) -> Error {
    if index > 0 && error.param.is_some() {
        error.param = Some(format!("models[{}]", index - 1));
    }
    error
}
