//! Tools of the catalog inside a conversation: what a request declared becomes functions of the model, and calls of them are carried out.
//!
//! The loop itself is the relay's; each execution is charged and recorded by itself.

use std::rc::Rc;

use futures::{FutureExt, future::LocalBoxFuture};
use serde_json::{Value, json};

use super::{
    super::{
        World,
        http::Request,
        toolbox::{Origin, Toolbox},
    },
    answer::{Answered, Asked, Desk},
};
use crate::{
    chat::{ChatRequest, Tool as ModelTool, ToolCall},
    credits::money::Nanos,
    error::{Error, ErrorType, Next, Result, Source},
    identity::KeyRecord,
    server_tools::{Called, Declared, Host, Hosted, HostedFunction, Wanted},
    tools::{
        calls,
        catalog::{Effect, Refused, Tool},
        execute::Confirm,
        export::{Function, MANY, OPENAI_MOST, meta},
        listing::{self, Filter},
        told::Tokens,
    },
};

/// What the labels of calls begin with.
const LABEL: &str = "patchbay:";

/// The catalog's tools of a request; nothing where it wants none.
///
/// # Errors
/// 400 where a tool is not there for this key, or two functions have one name; 403 where it may not call it.
pub(in crate::api) async fn hosted<W: World>(
    world: &W,
    key: &KeyRecord,
    wanted: &Wanted,
    chat: &ChatRequest,
    request: &Request,
    generation: &str,
) -> Result<Option<Hosted>> {
    let declared = &wanted.catalog;
    if declared.is_empty() {
        return Ok(None);
    }
    // Executions name the generation that they are a part of.
    let origin = Origin {
        request_id: generation.to_owned(),
        ..Toolbox::<W>::origin(request, key)
    };
    let toolbox = Toolbox::open(world, key, origin).await?;
    let mut chosen: Vec<Rc<Tool>> = Vec::new();
    let mut capabilities: Vec<String> = Vec::new();
    let mut confirm = Confirm::default();
    for one in declared {
        let wrong = |field: &str, told: &str| Error::invalid(format!("{}.{field}", one.path), told);
        if let Some(word) = &one.confirm {
            let told = "expected never, destructive, writes or always";
            confirm = confirm.max(Confirm::parse(word).ok_or_else(|| wrong("confirm", told))?);
        }
        choose(&toolbox, one, &mut chosen, &mut capabilities)?;
    }
    let many = chosen.len() + capabilities.len();
    let wish = declared.iter().find_map(|one| one.meta);
    let only = chosen.iter().map(|tool| tool.id.clone()).collect();
    let functions: Vec<HostedFunction> = if wish.unwrap_or(many > MANY) {
        meta::functions()
            .iter()
            .map(|one| written(one, &one.name, Nanos::ZERO))
            .collect()
    } else if many > OPENAI_MOST {
        let told = format!(
            "{many} tools fit, and a request takes {OPENAI_MOST}: name fewer, or leave meta out"
        );
        return Err(Error::invalid("tools", told));
    } else {
        let view = &toolbox.view;
        let of_class = capabilities.iter().filter_map(|name| {
            let capability = view.catalog().capability(name)?;
            let effects = view.of_capability(name).map(|tool| tool.operation.effect);
            let function = Function {
                name: name.as_str().into(),
                title: capability.title.as_str().into(),
                description: capability.description.as_str().into(),
                input: std::borrow::Cow::Borrowed(capability.input.value()),
                is_read: effects.max() == Some(Effect::Read),
                is_destructive: false,
                is_idempotent: false,
            };
            let prices = view.of_capability(name).map(|tool| price(tool));
            Some(written(&function, name, prices.max().unwrap_or_default()))
        });
        let single = chosen
            .iter()
            .map(|tool| written(&listing::function(tool), &tool.id, price(tool)));
        single.chain(of_class).collect()
    };
    check_names(&functions, wanted, chat)?;
    let desk = Desk {
        only: Some(with_members(&toolbox, only, &capabilities)),
        toolbox,
        confirm,
        tokens: Tokens::Hidden,
    };
    let host = Runner {
        desk: Rc::new(desk),
    };
    Ok(Some(Hosted::new(functions, Rc::new(host), declared)))
}

/// The tools of one declaration.
fn choose<W: World>(
    toolbox: &Toolbox<W>,
    one: &Declared,
    chosen: &mut Vec<Rc<Tool>>,
    capabilities: &mut Vec<String>,
) -> Result<()> {
    let view = &toolbox.view;
    let mut take = |tool: &Rc<Tool>| {
        if !chosen.iter().any(|known| known.id == tool.id) {
            chosen.push(Rc::clone(tool));
        }
    };
    for name in &one.names {
        match view.get(name) {
            Ok((tool, _)) => take(tool),
            Err(_)
                if view.catalog().capability(name).is_some()
                    && view.of_capability(name).next().is_some() =>
            {
                if !capabilities.contains(name) {
                    capabilities.push(name.clone());
                }
            }
            Err(Refused::Denied(denied)) => {
                let kind = ErrorType::PermissionDenied;
                return Err(Error::new(
                    Source::Client,
                    Next::Final,
                    kind,
                    denied.to_string(),
                ));
            }
            Err(refused) => {
                return Err(Error::invalid(
                    format!("{}.name", one.path),
                    format!("{name:?}: {refused}"),
                ));
            }
        }
    }
    if !one.names.is_empty() {
        return Ok(());
    }
    let effect = one.effect.as_deref().map(|word| {
        let told = "expected read, write, destructive or money";
        listing::effect(word).ok_or_else(|| Error::invalid(format!("{}.effect", one.path), told))
    });
    let filter = Filter {
        category: one.category.clone(),
        provider: one.provider.clone(),
        capability: one.capability.clone(),
        effect: effect.transpose()?,
        ..Filter::default()
    };
    let tools = view.tools();
    let found = filter.select(tools.iter().map(|(tool, _)| tool.as_ref()));
    if found.is_empty() {
        return Err(Error::invalid(
            one.path.clone(),
            "no tool that this key may call fits",
        ));
    }
    found
        .into_iter()
        .filter_map(|at| tools.get(at))
        .for_each(|(tool, _)| take(tool));
    Ok(())
}

/// What may be run: the tools, and those that serve the capabilities.
fn with_members<W: World>(
    toolbox: &Toolbox<W>,
    mut only: Vec<String>,
    capabilities: &[String],
) -> Vec<String> {
    for name in capabilities {
        only.extend(toolbox.view.of_capability(name).map(|tool| tool.id.clone()));
    }
    only
}

fn price(tool: &Tool) -> Nanos {
    let price = &tool.operation.price;
    price.hold.unwrap_or(price.call)
}

fn written(function: &Function<'_>, label: &str, price: Nanos) -> HostedFunction {
    HostedFunction {
        tool: ModelTool {
            name: function.name.clone().into_owned(),
            description: Some(function.description.clone().into_owned()),
            parameters: Some(function.input.clone().into_owned()),
            strict: None,
            cache: None,
        },
        label: format!("{LABEL}{label}"),
        is_read: function.is_read,
        price,
    }
}

/// Models know a function by its name alone.
fn check_names(functions: &[HostedFunction], wanted: &Wanted, chat: &ChatRequest) -> Result<()> {
    for function in functions {
        let name = function.tool.name.as_str();
        let is_clients = chat.tools.iter().any(|tool| tool.name == name);
        let is_servers = wanted.functions().any(|kind| kind.function() == name);
        if is_clients || is_servers {
            let told = format!(
                "two functions have the name {name:?}, one of them is the gateway's {}",
                function.label
            );
            return Err(Error::invalid("tools", told));
        }
    }
    Ok(())
}

/// Carries out the calls of a conversation.
struct Runner<W> {
    desk: Rc<Desk<W>>,
}

impl<W: World> Host for Runner<W> {
    fn run(&self, call: &ToolCall) -> LocalBoxFuture<'static, Called> {
        let (desk, call) = (Rc::clone(&self.desk), call.clone());
        async move {
            let input = match calls::arguments(Some(&Value::String(call.arguments.clone()))) {
                Ok(input) => input,
                Err(told) => return Called::failed(format!("{}: {told}", call.name)),
            };
            let asked = Asked {
                name: call.name.clone(),
                input,
                ..Asked::default()
            };
            called(desk.answer(asked).await)
        }
        .boxed_local()
    }
}

/// What came of a call, as the loop takes it.
fn called(answered: Answered) -> Called {
    let is_pending = answered.is_pending();
    let fee = answered.cost();
    let result = match &answered.envelope {
        Some(envelope) => json!({
            "execution": envelope.id, "tool": envelope.tool, "status": envelope.status.as_str(),
            "cost": envelope.usage.cost.to_json_number(), "confirmation": envelope.confirmation, "error": envelope.error,
            "result": envelope.result.as_ref().and_then(|result| result.get("kind")),
        }),
        None => json!({"status": if answered.is_error { "failed" } else { "succeeded" }}),
    };
    let mut result = result;
    if let Some(object) = result.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    Called {
        told: answered.told,
        is_error: answered.is_error,
        result,
        fee,
        is_pending,
        ..Called::default()
    }
}
