//! Which tool, with which input and whose key: what an execution may try, in order.
//!
//! A capability's tools come in the order that the port chooses. Of a tool, the account's own key comes first, then the operator's or none,
//! then own keys that are kept for when nothing else serves. Only a read goes past the first: for anything else another provider is another
//! deed.

use std::rc::Rc;

use serde_json::Value;

use super::{
    Call, MARGIN, Margin, OwnKey, ProviderWish, ToolPort, digest,
    port::{Choosing, Chosen},
    refusal,
};
use crate::{
    credits::money::Nanos,
    tools::{
        catalog::{Effect, Tool, ToolView},
        connector::{self, Credentials},
        envelope::ToolError,
        price, schema,
    },
};

/// The most requests of providers in one execution, without those about a job.
pub(super) const MAX_ATTEMPTS: usize = 4;

/// One way to do it.
#[derive(Clone)]
pub(super) struct Candidate {
    pub tool: Rc<Tool>,
    pub input: Value,
    pub credentials: Credentials,
    pub own: Option<OwnKey>,
    /// The most that the account is charged.
    pub ceiling: Nanos,
    /// The most that it costs by the rows and the margin, whoever pays.
    pub list: Nanos,
}

/// All ways to do it.
pub(super) struct Plan {
    /// Those that are tried.
    pub candidates: Vec<Candidate>,
    /// Those that would have been, had they been chosen.
    pub others: Vec<Candidate>,
    pub routing: Option<Value>,
}

impl Plan {
    /// Only this tool: it was begun, or confirmed, with it.
    pub fn pin(&mut self, tool: &str) {
        self.candidates.append(&mut self.others);
        self.candidates.retain(|one| one.tool.id == tool);
        let is_read = |one: &Candidate| one.tool.operation.effect == Effect::Read;
        if !self.candidates.first().is_some_and(is_read) {
            self.candidates.truncate(1);
        }
    }
}

/// Why there is no way, and for which tool.
pub(super) type Unplanned = (String, ToolError);

/// What may be tried for a call.
pub(super) fn plan<P: ToolPort>(
    port: &P,
    view: &ToolView,
    own: &[OwnKey],
    call: &Call,
) -> Result<Plan, Unplanned> {
    let asked = |error| (call.tool.clone(), error);
    if call.tool.is_empty() {
        let message = "Say which tool: \"tool\": \"provider/operation\"";
        return Err(asked(ToolError::new("missing_tool", "client", message)));
    }
    if !call.input.is_object() {
        let message = "The input is an object with the tool's arguments";
        return Err(asked(ToolError::new("missing_input", "client", message)));
    }
    let found = match view.get(&call.tool) {
        Ok((tool, _)) => Found::one(port, tool, call).map_err(asked)?,
        Err(refused) => match of_capability(port, view, call) {
            Some(found) => found.map_err(asked)?,
            None => return Err(asked(refusal::of_catalog(&refused))),
        },
    };
    let mut candidates = Vec::new();
    let mut problem = None;
    for (tool, input) in found.tools {
        match ways(port, own, call, &tool, input) {
            Ok(ways) => candidates.extend(ways),
            Err(error) => problem = problem.or(Some((tool.id.clone(), error))),
        }
    }
    let first = candidates.first();
    let effect = first.map(|first: &Candidate| first.tool.operation.effect);
    let most = match effect {
        Some(Effect::Read) => MAX_ATTEMPTS,
        _ => 1,
    };
    let others = candidates.split_off(most.min(candidates.len()));
    match (candidates.is_empty(), problem) {
        (true, Some(problem)) => Err(problem),
        (true, None) => {
            let message = "This deployment has no key for this tool";
            Err(asked(ToolError::new("tool_not_found", "gateway", message)))
        }
        (false, _) => Ok(Plan {
            candidates,
            others,
            routing: found.routing,
        }),
    }
}

/// The tools that were found, each with its input.
struct Found {
    tools: Vec<(Rc<Tool>, Value)>,
    routing: Option<Value>,
}

impl Found {
    /// A tool that was asked for by its name: it serves unless it is known to be slower than the caller wants.
    fn one<P: ToolPort>(port: &P, tool: &Rc<Tool>, call: &Call) -> Result<Self, ToolError> {
        let tools = vec![(Rc::clone(tool), call.input.clone())];
        let wish = ProviderWish {
            max_latency_ms: call.provider.max_latency_ms,
            ..ProviderWish::default()
        };
        if wish.max_latency_ms.is_some() {
            let chosen = port.choose(&Choosing {
                capability: &tool.id,
                tools: std::slice::from_ref(tool),
                effect: tool.operation.effect,
                seed: &call.id,
                wish: &wish,
            });
            if chosen.order.is_empty() {
                return Err(too_slow(&tool.id, chosen.routing));
            }
        }
        Ok(Self {
            tools,
            routing: None,
        })
    }
}

fn too_slow(name: &str, routing: Option<Value>) -> ToolError {
    let message =
        format!("{name} takes longer than max_latency_ms in more than one of twenty answers");
    ToolError {
        details: routing,
        ..ToolError::new("latency_exceeded", "client", message)
    }
}

/// The tools of a capability in the order to be tried; nothing where this key can call none.
fn of_capability<P: ToolPort>(
    port: &P,
    view: &ToolView,
    call: &Call,
) -> Option<Result<Found, ToolError>> {
    let capability = view.catalog().capability(&call.tool)?;
    view.of_capability(&call.tool).next()?;
    if let Err(wrong) = schema::validate(capability.input.value(), &call.input) {
        return Some(Err(ToolError::input(wrong.param, wrong.message)));
    }
    let tools: Vec<Rc<Tool>> = view.of_capability(&call.tool).cloned().collect();
    let effect = tools.first().map(|tool| tool.operation.effect);
    let Chosen { order, routing } = port.choose(&Choosing {
        capability: &call.tool,
        tools: &tools,
        effect: effect.unwrap_or_default(),
        seed: &call.id,
        wish: &call.provider,
    });
    let mut chosen: Vec<Rc<Tool>> = order
        .iter()
        .filter_map(|at| tools.get(*at))
        .map(Rc::clone)
        .collect();
    let wish = &call.provider;
    let place = |tool: &Rc<Tool>| {
        let names = wish.prefer.iter();
        let mut names = names.map(|name| *name == tool.provider.slug || *name == tool.id);
        names.position(|is| is).unwrap_or(usize::MAX)
    };
    if !wish.prefer.is_empty() {
        chosen.sort_by_key(place);
        if !wish.allow_fallbacks {
            chosen.retain(|tool| place(tool) != usize::MAX);
        }
    } else if !wish.allow_fallbacks {
        chosen.truncate(1);
    }
    if order.is_empty() && wish.max_latency_ms.is_some() {
        return Some(Err(too_slow(&call.tool, routing)));
    }
    if chosen.is_empty() {
        let message = format!("No provider that this key may use can do {}", call.tool);
        return Some(Err(ToolError::new("tool_not_found", "client", message)));
    }
    let normal = |tool: Rc<Tool>| {
        let made = connector::normal(&tool, &call.input);
        let input = made.unwrap_or_else(|| call.input.clone());
        (tool, input)
    };
    Some(Ok(Found {
        tools: chosen.into_iter().map(normal).collect(),
        routing,
    }))
}

/// With whose keys a tool can do it.
fn ways<P: ToolPort>(
    port: &P,
    own: &[OwnKey],
    call: &Call,
    tool: &Rc<Tool>,
    input: Value,
) -> Result<Vec<Candidate>, ToolError> {
    let operation = &tool.operation;
    if let Err(wrong) = schema::validate(operation.input.value(), &input) {
        return Err(ToolError::input(wrong.param, wrong.message));
    }
    let margin = Margin::parse(port.var(MARGIN).as_deref()).unwrap_or_else(|problem| {
        port.report(&problem);
        Margin::default()
    });
    let list = margin.on(price::ceiling(operation, &input));
    let var = |name: &str| port.var(name);
    let of_provider = |key: &&OwnKey| key.provider == tool.provider.slug;
    let mut keys: Vec<Option<&OwnKey>> = Vec::new();
    let (later, first): (Vec<&OwnKey>, Vec<&OwnKey>) = own
        .iter()
        .filter(of_provider)
        .partition(|key| key.is_fallback);
    keys.extend(first.iter().copied().map(Some));
    if !own.iter().filter(of_provider).any(|key| key.is_required) {
        keys.push(None);
    }
    keys.extend(later.iter().copied().map(Some));
    let mut ways = Vec::new();
    let mut problem = None;
    for key in keys {
        match Credentials::of(tool, key.map(|key| key.secret.as_str()), &var) {
            Ok(credentials) => {
                let is_free = credentials.is_keyless(&tool.provider);
                let list = if is_free { Nanos::ZERO } else { list };
                ways.push(Candidate {
                    tool: Rc::clone(tool),
                    input: input.clone(),
                    credentials,
                    own: key.cloned(),
                    ceiling: if key.is_some() { Nanos::ZERO } else { list },
                    list,
                });
            }
            Err(error) => problem = Some(error.to_string()),
        }
    }
    if let Some(most) = call.provider.max_price {
        ways.retain(|way| way.ceiling <= most);
        if ways.is_empty() {
            let message = format!("It may cost ${list}, more than max_price");
            return Err(ToolError::new("price_exceeded", "client", message));
        }
    }
    match (ways.is_empty(), problem) {
        (true, problem) => Err(ToolError::new(
            "byok_required",
            "client",
            problem.unwrap_or_else(|| format!("{} needs your own key", tool.provider.name)),
        )),
        (false, _) => Ok(ways),
    }
}

/// Refuses a key that is no idempotency key.
pub(super) fn check_key(key: Option<&str>) -> Result<(), ToolError> {
    match key {
        Some(key)
            if !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Err(ToolError::new(
                "invalid_idempotency_key",
                "client",
                "An idempotency key has 1 to 255 visible ASCII characters",
            ))
        }
        _ => Ok(()),
    }
}

/// The name under which the account's object knows the execution: the client's key, or the place in a composite.
pub(super) fn name(call: &Call) -> Option<String> {
    match (&call.idempotency_key, &call.step) {
        (Some(key), None) => Some(format!("key:{key}")),
        (_, Some(step)) => Some(format!("step:{}:{}", step.parent, step.index)),
        (None, None) => None,
    }
}

/// The digest that keys for providers are derived from.
pub(super) fn upstream_key(account: &str, call: &Call) -> [u8; 32] {
    digest::derived(account, name(call).as_deref().unwrap_or(&call.id))
}
