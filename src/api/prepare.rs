//! From a request to what can be planned: its body, models, preferences and the conversation's past.
//!
//! Out of scope: running the plan (`chat`), telling it (`route`).

use std::rc::Rc;

use futures::{
    FutureExt,
    future::{join3, ready},
};

use super::{
    World, asked, byok, conversation,
    http::{Request, check_depth},
    know_statistics, presets, tools,
};
use crate::{
    catalog::{Dialect, Endpoint},
    chat::{ChatRequest, ServerTool, ServerToolKind, estimate::PromptSize},
    dialects::Surface,
    error::Result,
    guardrails::{Outcome, Policy, Screening},
    identity::KeyRecord,
    relay::{self, Wishes},
    routing::{
        self, Asked, OwnCandidate, Plan, ProviderPreferences, Situation, SortBy, Step,
        auto::Choice,
        explain::{self, Strategy, Told},
        sticky::Affinity,
    },
    server_tools::{self, Deployment, Hosted, Kit, Wanted},
    transforms::Plugins,
    usage::statistics,
};

/// The variable that names the order of those who ask for none: a word of `provider.sort`.
const DEFAULT_SORT: &str = "DEFAULT_PROVIDER_SORT";

/// A request that can be planned.
pub struct Prepared {
    /// When it arrived, unix milliseconds.
    pub started_ms: u64,
    /// What decides where chance decides.
    pub seed: u64,
    /// The canonical request.
    pub chat: ChatRequest,
    /// The client's own bytes.
    pub raw: Vec<u8>,
    /// The preset that it names.
    pub preset: Option<presets::Applied>,
    /// The models that it names.
    pub models: Vec<Asked>,
    /// Who chose them, where the request names a router.
    pub choice: Option<Choice>,
    /// How they were found.
    pub strategy: Strategy,
    /// What it wants of endpoints.
    pub preferences: ProviderPreferences,
    /// What the client asks of the gateway itself.
    pub plugins: Plugins,
    /// Estimated prompt tokens.
    pub prompt_tokens: u64,
    /// The tools that the gateway is to run for it.
    pub tools: Wanted,
    /// The tools of the catalog among them.
    pub hosted: Option<Hosted>,
    /// Those of them that nobody here runs, and that it does without.
    pub left_out: Vec<&'static str>,
    /// What the conversation's past speaks for.
    pub affinity: Rc<Affinity>,
    /// The provider keys that its account brought for it.
    pub own: Vec<OwnCandidate>,
    /// The guardrails that hold for its key.
    pub policy: Option<Rc<Policy>>,
    /// What their content filters found in it.
    pub screened: Outcome,
    /// Where the gateway runs, for a client that wants to be told how its request was routed.
    pub metadata: Option<Region>,
    /// What is asked for, where it is no conversation.
    pub wanted: Option<routing::Wanted>,
}

/// The place where the gateway runs, if the platform says.
pub type Region = Option<String>;

/// Reads a request of a key's.
///
/// # Errors
/// 400 with the path of what is wrong; 503 where the stores are out.
pub async fn prepare<W: World>(
    world: &W,
    mut request: Request,
    surface: Surface,
    key: &KeyRecord,
    generation: &str,
) -> Result<Prepared> {
    let started_ms = world.now_ms();
    let session = request.header("x-session-id");
    let header = request.header("x-provider");
    let metadata = metadata(&request);
    let betas = request
        .header("anthropic-beta")
        .or_else(|| request.header("x-anthropic-beta"));
    let known = know_statistics(world, statistics::MAX_AGE_MS);
    let body = std::mem::replace(&mut request.body, ready(Ok(Vec::new())).boxed_local());
    let (raw, (), own) = join3(body, known, byok::usable(world, key)).await;
    let (raw, own) = (raw?, own?);
    check_depth(&raw)?;
    let mut screening = screening(world, key);
    let filters = screening.as_mut();
    let read = presets::read(world, surface, &key.account, raw, filters).await?;
    let screened = screening.map(Screening::finish).transpose()?;
    let presets::Read {
        mut chat,
        raw,
        applied,
    } = read;
    if let Some(betas) = betas {
        // As hosts that take no such header have it in their bodies.
        let betas: Vec<&str> = betas.split(',').map(str::trim).collect();
        chat.extra.insert("anthropic_beta".to_owned(), betas.into());
    }
    conversation::session_id(session, &mut chat)?;
    let plugins = Plugins::parse(&chat.extra)?;
    let mut wanted = Wanted::of(&chat)?;
    // The tools that the gateway runs are functions like the client's own for everybody who looks at the request from here on.
    chat.tools
        .extend(wanted.functions().map(server_tools::function));
    let hosted = tools::hosted(world, key, &wanted, &chat, &request, generation).await?;
    let functions = hosted.iter().flat_map(|hosted| hosted.functions.iter());
    chat.tools.extend(functions.map(|one| one.tool.clone()));
    let size = PromptSize::of(&chat);
    let seed = routing::seed(generation);
    let account = &key.account;
    let usual = size.tokens("");
    let policy = key.policy.clone();
    let seeker = asked::Seeker {
        account,
        own: &own,
        policy: policy.as_deref(),
        seed,
        now_ms: started_ms,
    };
    let choice = asked::choice(world, &chat, usual, &seeker).await?;
    let (models, strategy, online) =
        asked::models(world, &mut chat, choice.as_ref(), started_ms).await?;
    if let Some(path) = online {
        wanted.search_first(path);
    }
    let tokenizer = models
        .first()
        .map(|asked| asked.model.model.tokenizer.as_str());
    let mut prompt_tokens = size.tokens(tokenizer.unwrap_or_default());
    prompt_tokens += wanted.added_prompt();
    let preferences = ProviderPreferences::parse(chat.provider.as_deref())?
        .with_header(header.as_deref())?
        .with_route(chat.extra.get("route"))?;
    let affinity = conversation::recall(
        world,
        &key.account,
        &chat,
        prompt_tokens,
        &preferences,
        &models,
    );
    let affinity = affinity.await;
    Ok(Prepared {
        started_ms,
        seed,
        affinity: Rc::new(affinity),
        own,
        choice,
        chat,
        raw,
        preset: applied,
        models,
        strategy,
        preferences,
        plugins,
        prompt_tokens,
        tools: wanted,
        hosted,
        left_out: Vec::new(),
        policy,
        screened: screened.unwrap_or_default(),
        metadata,
        wanted: None,
    })
}

/// The content filters that hold for a key, ready for one request.
pub(super) fn screening<W: World>(world: &W, key: &KeyRecord) -> Option<Screening> {
    let memory = world.memory();
    let filters = key.policy.as_ref()?.filters(&memory.patterns);
    filters.map(Screening::new)
}

/// The endpoint is asked in the wire format in which its provider searches.
fn ask_to_search(step: &mut Step) {
    let endpoint = &step.route.endpoint;
    let native = endpoint.web_search.as_ref();
    if let Some(dialect) = native.and_then(|search| search.dialect) {
        step.route.endpoint = Rc::new(Endpoint {
            dialect: Some(dialect),
            ..Endpoint::clone(endpoint)
        });
    }
}

/// Where the gateway runs, where the client wants to be told how its request was routed.
pub(super) fn metadata(request: &Request) -> Option<Region> {
    let wants = request
        .header("x-openrouter-metadata")
        .is_some_and(|word| word.eq_ignore_ascii_case("enabled"));
    wants.then(|| request.header("cf-ray").as_deref().and_then(region))
}

/// The airport code at the end of the platform's ray id.
fn region(ray: &str) -> Option<String> {
    let (_, code) = ray.rsplit_once('-')?;
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then(|| code.to_owned())
}

impl Prepared {
    /// Does something with the world as this request finds it.
    fn within<W: World, T>(&self, world: &W, act: impl FnOnce(&Situation<'_>) -> T) -> T {
        let memory = world.memory();
        let measured = memory.statistics.current();
        act(&Situation {
            now_ms: self.started_ms,
            seed: self.seed,
            prompt_tokens: self.prompt_tokens,
            preferences: &self.preferences,
            default_sort: world
                .var(DEFAULT_SORT)
                .and_then(|word| SortBy::parse(&word)),
            statistics: &measured,
            health: &memory.health,
            affinity: &self.affinity,
            own: &self.own,
            policy: self.policy.as_deref(),
            has_credentials: &|provider| world.can_call(provider),
            wanted: self.wanted.clone(),
        })
    }

    /// The plan.
    ///
    /// # Errors
    /// 404 where nothing can serve.
    pub fn plan<W: World>(&self, world: &W) -> Result<Plan> {
        let planned = self.within(world, |situation| {
            routing::plan(&self.chat, &self.models, situation)
        });
        let Some(region) = &self.metadata else {
            return planned;
        };
        let told = |plan: &Plan| {
            let told = Told::of(&self.chat, plan, self.strategy, region.clone(), self.seed);
            told.with(self.screened.pipeline())
        };
        match planned {
            Ok(mut plan) => {
                plan.told = Some(Rc::new(told(&plan)));
                Ok(plan)
            }
            Err(mut error) => {
                let left_out = self.within(world, |situation| {
                    routing::attempts(&self.chat, &self.models, situation)
                });
                error.routing = Some(Box::new(told(&left_out).metadata(&[], None)));
                Err(error)
            }
        }
    }

    /// The tools that the gateway runs for the request; or the providers of the model search themselves where the first endpoint of
    /// the plan can, and then only those that can are asked.
    ///
    /// # Errors
    /// 400 where the request wants what neither they nor this deployment can do.
    pub fn equip<W: World>(&mut self, world: &W, plan: &mut Plan) -> Result<Option<Rc<Kit>>> {
        let mut wanted = std::mem::take(&mut self.tools);
        if wanted.is_empty() {
            if self.chat.web_search_options.is_some() {
                plan.attempts.iter_mut().for_each(ask_to_search);
            }
            return Ok(None);
        }
        let others = self.chat.tools.iter();
        let search = ServerToolKind::WebSearch.function();
        let has_others = others.filter(|tool| tool.name != search).count() > 0;
        let can = |Step { route, .. }: &Step| {
            // Gemini takes either a search or functions.
            let excludes = route.dialect() == Dialect::Gemini;
            let native = route.endpoint.web_search.as_ref();
            native.is_some_and(|native| wanted.suits(native)) && !(excludes && has_others)
        };
        let report = |problem: &str| world.report(problem);
        let deployment = Deployment::of(&|name| world.var(name), &report);
        let prefers = wanted.needs_native()
            || !deployment.has_engines()
            || plan.attempts.first().is_some_and(can);
        let is_native = wanted.admits_native() && prefers;
        if is_native && plan.attempts.iter().any(can) {
            plan.attempts.retain(can);
            plan.attempts.iter_mut().for_each(ask_to_search);
            self.chat.tools.retain(|tool| tool.name != search);
            let of_gateway = |tool: &ServerTool| tool.kind != ServerToolKind::WebSearch;
            self.chat.server_tools.retain(of_gateway);
            self.chat.native_search = Some(wanted.take_native());
        } else if !deployment.has_engines() && wanted.give_up_search(&self.chat) {
            self.leave_out(ServerToolKind::WebSearch);
        }
        Ok(Kit::of(wanted, &deployment, self.hosted.take())?.map(Rc::new))
    }

    /// The model is not offered a tool of the gateway's.
    fn leave_out(&mut self, kind: ServerToolKind) {
        let chat = &mut self.chat;
        chat.tools.retain(|tool| tool.name != kind.function());
        chat.server_tools.retain(|tool| tool.kind != kind);
        if chat.tools.is_empty() {
            // Hosts refuse a choice among no tools.
            chat.tool_choice = None;
            chat.parallel_tool_calls = None;
        }
        self.left_out.push(kind.function());
    }

    /// What the client asks of the way this plan is run.
    ///
    /// # Errors
    /// 400 where `max_cost` is no amount.
    pub fn wishes<W: World>(&self, world: &W, plan: &Plan) -> Result<Wishes> {
        let preferences = &self.preferences;
        let first = plan.attempts.first().map(|step| &step.route.endpoint);
        let hedge_after_ms = preferences.hedge.map(|hedge| {
            self.within(world, |situation| {
                let known = first.and_then(|first| situation.statistics.of(first));
                routing::hedging::after_ms(hedge, self.chat.stream, known)
            })
        });
        Ok(Wishes {
            max_cost: relay::max_cost::parse(self.chat.max_cost.as_deref())?,
            hedge_after_ms,
            plugins: self.plugins,
            resume: preferences.resume && self.chat.stream,
        })
    }

    /// The plan in words, also where it is empty.
    ///
    /// # Errors
    /// 400 where `max_cost` is no amount.
    pub fn explain<W: World>(&self, world: &W) -> Result<serde_json::Value> {
        let cap = relay::max_cost::parse(self.chat.max_cost.as_deref())?;
        let told = self.within(world, |situation| {
            let (chat, models) = (&self.chat, &self.models);
            let plan = routing::attempts(chat, models, situation);
            let within = cap.map(|cap| {
                move |endpoint: &Endpoint| {
                    relay::max_cost::told(chat, endpoint, cap, situation.prompt_tokens)
                }
            });
            let within = within.as_ref().map(|within| within as &explain::Within<'_>);
            let mut told = explain::route(chat, models, situation, &plan, self.strategy, within);
            if let (Some(choice), Some(data)) = (&self.choice, told.get_mut("data"))
                && let Some(data) = data.as_object_mut()
            {
                data.insert("router".to_owned(), choice.explain());
            }
            told
        });
        Ok(told)
    }
}
