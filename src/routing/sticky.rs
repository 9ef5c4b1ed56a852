//! Keeping a conversation at the endpoint that holds its prompt cache, or that signed its reasoning.
//!
//! In scope: when a request may stick, which endpoints it prefers, what an answer leaves behind, the stores' port.
//! Out of scope: ordering the endpoints (`plan`), reading and writing at the right moment (`api`).
//! Spec: OpenRouter's sticky routing. Two rules are ours: an endpoint that caches without being asked counts as having
//! cached a long prompt although providers do not report such writes, and signed reasoning pins whoever signed it.
//!
//! A hint is only ever a preference among endpoints that may serve anyway. So a hint that is lost, late or of another
//! time costs a cold cache and nothing else: KV may lag, and its writes may vanish or race.

mod conversation;
mod hints;

use crate::{
    catalog::{
        Dialect, Endpoint, Provider, Quirk, ReasoningFields, ReasoningHistory, Route, ServedModel,
    },
    chat::{ChatRequest, Part, ReasoningDetail, ReasoningFormat, ReasoningKind, Role, Usage},
    error::Result,
};

use super::preferences::ProviderPreferences;

pub use conversation::Key;
pub use hints::{Hint, Hints};

/// How long a hint lives after the last success, in milliseconds.
pub const LIFETIME_MS: u64 = 600_000;
/// The least prompt that providers cache, in tokens.
pub const LEAST_CACHED_TOKENS: u64 = 1_024;
/// The longest wait for a hint out of KV, in milliseconds: dearer than a cold cache it must not be.
pub const READ_LIMIT_MS: u64 = 250;

/// Where all isolates keep hints.
pub trait HintStore {
    /// The text under a key.
    fn hint(&self, key: &str) -> impl Future<Output = Result<Option<String>>>;

    /// Writes a text that vanishes after so many seconds.
    fn put_hint(&self, key: &str, text: &str, lifetime_s: u64) -> impl Future<Output = Result<()>>;
}

/// What a request finds of its conversation's past.
#[derive(Debug, Clone, Default)]
pub struct Affinity {
    /// The conversation; absent where nothing may stick.
    key: Option<Key>,
    /// The client named the session.
    by_session: bool,
    /// Staying where it is makes this request cheaper, or keeps its reasoning.
    pays: bool,
    /// Earlier requests may have left a hint.
    goes_on: bool,
    /// The form of the last signed reasoning in the history.
    signed: Option<ReasoningFormat>,
    /// One per model at most.
    hints: Vec<Hint>,
}

/// How near an endpoint is to the conversation; nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It served last.
    Home,
    /// It takes back what the history holds.
    Fits,
    /// Signed reasoning would be left out on the way to it.
    Foreign,
}

/// An answer that came to its end in order.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// Who served.
    pub route: &'a Route,
    /// What was used.
    pub usage: &'a Usage,
    /// The answer holds reasoning that its provider signed.
    pub signed: bool,
}

impl Affinity {
    /// What may stick of a request, before any hint is known. `can_call` tells whether the operator can call a provider.
    pub fn of(
        account: &str,
        request: &ChatRequest,
        prompt_tokens: u64,
        preferences: &ProviderPreferences,
        models: &[&ServedModel],
        can_call: impl Fn(&Provider) -> bool,
    ) -> Self {
        let ordered = preferences.order.as_ref();
        if ordered.is_some_and(|order| !order.is_empty()) {
            return Self::default();
        }
        let has_choice = |model: &&&ServedModel| {
            // A provider's tiers are no choice of their own.
            let callable = model.routes.iter().filter(|route| {
                route.endpoint.service_tier().is_none() && can_call(&route.provider)
            });
            callable.take(2).count() > 1
        };
        let open: Vec<&&ServedModel> = models.iter().filter(has_choice).collect();
        let Some(key) = Key::of(account, request).filter(|_| !open.is_empty()) else {
            return Self::default();
        };
        let by_session = request.session_id.is_some();
        let signed = signed_format(request);
        let turns = request
            .messages
            .iter()
            .filter(|message| !matches!(message.role, Role::System | Role::Developer));
        let goes_on = prompt_tokens >= LEAST_CACHED_TOKENS && turns.take(2).count() > 1;
        let mut routes = open.iter().flat_map(|model| &model.routes);
        let pays = signed.is_some() || routes.any(|route| cache_pays(&route.endpoint));
        Self {
            key: Some(key),
            by_session,
            pays,
            goes_on: by_session || signed.is_some() || goes_on,
            signed,
            hints: Vec::new(),
        }
    }

    /// The conversation, where anything may stick.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Whether a hint that this isolate does not know is worth a look into KV.
    pub fn is_worth_reading(&self) -> bool {
        self.pays && self.goes_on
    }

    /// Takes over the hints that mean an endpoint of these models and that still pay.
    pub fn adopt(&mut self, hints: Vec<Hint>, models: &[&ServedModel]) {
        let pays = |hint: &Hint| {
            let mut routes = models.iter().flat_map(|model| &model.routes);
            let meant = routes.find(|route| hint.means(&route.endpoint));
            meant.is_some_and(|route| self.signed.is_some() || cache_pays(&route.endpoint))
        };
        self.hints = hints.into_iter().filter(pays).collect();
    }

    /// The endpoint of a model that the conversation was served by last.
    pub fn home(&self, model: &str) -> Option<&str> {
        let hint = self.hints.iter().find(|hint| hint.model == model)?;
        Some(&hint.tag)
    }

    /// How near an endpoint is. Among endpoints that may serve, and are not resting, nearer ones go first.
    pub fn place(&self, endpoint: &Endpoint, provider: &Provider) -> Place {
        if self.hints.iter().any(|hint| hint.means(endpoint)) {
            return Place::Home;
        }
        match &self.signed {
            Some(format) if !takes_back(endpoint, provider, format) => Place::Foreign,
            _ => Place::Fits,
        }
    }

    /// Whether the request stuck, now that an endpoint serves: `hit`, `miss`, `new` or `off`.
    pub fn verdict(&self, served: &Endpoint) -> &'static str {
        match self.home(&served.model) {
            None if self.pays => "new",
            None => "off",
            Some(tag) if tag == served.tag => "hit",
            Some(_) => "miss",
        }
    }

    /// What a success leaves for the requests that follow, if anything. A session sticks to whoever served; a prompt only
    /// once a cache was at work.
    pub fn hint(&self, served: &Served<'_>, now_ms: u64) -> Option<Hint> {
        self.key.as_ref()?;
        let endpoint = &served.route.endpoint;
        let usage = served.usage;
        let silently = endpoint.supports_implicit_caching && usage.prompt >= LEAST_CACHED_TOKENS;
        let cached = usage.cache_read > 0 || usage.cache_write() > 0 || silently;
        let sticks = served.signed || (cache_pays(endpoint) && (self.by_session || cached));
        sticks.then(|| Hint {
            model: endpoint.model.clone(),
            tag: endpoint.tag.clone(),
            at_ms: now_ms,
        })
    }
}

/// Whether reading the prompt from the endpoint's cache is cheaper than sending it fresh.
fn cache_pays(endpoint: &Endpoint) -> bool {
    let prices = &endpoint.prices;
    prices.cache_read.is_some_and(|read| read < prices.prompt)
}

/// Whether a block may be verified by the provider that made it.
pub fn is_signed(detail: &ReasoningDetail) -> bool {
    match &detail.kind {
        ReasoningKind::Text { signature, .. } => {
            signature.as_ref().is_some_and(|text| !text.is_empty())
        }
        ReasoningKind::Encrypted { data } => !data.is_empty(),
        ReasoningKind::Summary { .. } | ReasoningKind::ServerToolCall { .. } => false,
    }
}

/// The form of the last signed reasoning in the history: the turn that is going on.
fn signed_format(request: &ChatRequest) -> Option<ReasoningFormat> {
    let mut parts = request
        .messages
        .iter()
        .rev()
        .flat_map(|message| message.parts.iter().rev());
    parts.find_map(|part| match part {
        Part::Reasoning(detail) if is_signed(detail) => Some(detail.format.clone()),
        _ => None,
    })
}

/// Whether signed reasoning of this form goes back to the endpoint; elsewhere the dialect leaves it out (P87).
fn takes_back(endpoint: &Endpoint, provider: &Provider, format: &ReasoningFormat) -> bool {
    match endpoint.dialect(provider) {
        Dialect::AnthropicMessages => *format == ReasoningFormat::AnthropicClaude,
        Dialect::BedrockConverse => {
            let fields = endpoint.reasoning.as_ref().and_then(|can| can.fields);
            fields == Some(ReasoningFields::Thinking) && *format == ReasoningFormat::AnthropicClaude
        }
        Dialect::Gemini => *format == ReasoningFormat::GoogleGemini,
        Dialect::OpenaiResponses => *format == Quirk::reasoning_items(&provider.quirks),
        // It signs nothing.
        Dialect::CohereV2 => false,
        Dialect::OpenaiChat => endpoint
            .reasoning
            .as_ref()
            .is_some_and(|reasoning| reasoning.history == Some(ReasoningHistory::ReasoningDetails)),
    }
}

#[cfg(test)]
mod tests;
