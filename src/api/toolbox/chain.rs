//! Chains of tools for a key: each step an execution of its own, the chain's state in the account's object.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    super::{World, inner},
    Origin, Toolbox,
};
use crate::{
    credits::{
        accounts::Accounts,
        money::Nanos,
        ops::{Lease, TaskGet, TaskLeft, TaskPut},
    },
    error::{Error, Result},
    json::set,
    tools::{
        catalog::{Effect, Tool},
        composites::{self, Composite, Deed, Holding, Kept, PROVIDER, Runner},
        envelope::{Envelope, Status, ToolError},
        execute::{Call, Step},
        schema,
    },
};

/// The variable with the model that chains ask where they name none.
const MODEL: &str = "TOOLS_MODEL";
/// The model where the deployment names none.
const USUAL_MODEL: &str = "openrouter/auto";
/// What chains are among the tasks of an account.
const CONTEXT: &str = "composite";
/// What stands between the token of a step and the id of its chain.
const OF: char = '.';

/// Carries a chain out.
pub(super) async fn run<W: World>(
    toolbox: &Toolbox<W>,
    tool: &Tool,
    row: &Value,
    call: Call,
) -> Envelope {
    let failed = |error: ToolError| Envelope::failed(&call.id, &tool.id, error);
    let chain = match Composite::read(row) {
        Ok(chain) => chain,
        Err(why) => return failed(ToolError::new("internal_error", "gateway", why)),
    };
    if let Err(wrong) = schema::validate(tool.operation.input.value(), &call.input) {
        return failed(ToolError::input(wrong.param, wrong.message));
    }
    let began_ms = toolbox.world().now_ms();
    let mut wanted = call.input.clone();
    wanted.sort_all_objects();
    let digest = hex(&format!("{}\0{wanted}\0{}", tool.id, call.dry_run));
    let id = id(&toolbox.key.hash, &call);
    let token = call.confirmation.as_deref().map(|token| parts(token).0);
    let call = Call {
        confirmation: token.map(str::to_owned),
        id: id.clone(),
        tool: tool.id.clone(),
        idempotency_key: None,
        ..call
    };
    let mut envelope = composites::run(toolbox, &chain, call, &digest).await;
    if let Some(wanted) = &mut envelope.confirmation {
        // The chain that waits: who confirms without having named it goes on with it, and begins no other.
        wanted.token = format!("{}{OF}{id}", wanted.token);
    }
    envelope.usage.latency_ms = toolbox.world().now_ms().saturating_sub(began_ms);
    envelope
}

/// The id of the chain that a call begins, or goes on with. The same name is the same chain; whoever of the account's keys begins it again
/// finds only its own.
pub(super) fn id(key_hash: &str, call: &Call) -> String {
    if let Some(name) = call.idempotency_key.as_deref() {
        let digest = hex(&format!("chain\0{key_hash}\0{name}"));
        return format!("exec-{}", digest.split_at(32).0);
    }
    let of_token = call.confirmation.as_deref().and_then(|it| parts(it).1);
    of_token.unwrap_or(&call.id).to_owned()
}

/// What confirms a step, and the chain that it belongs to.
fn parts(token: &str) -> (&str, Option<&str>) {
    token
        .split_once(OF)
        .map_or((token, None), |(token, id)| (token, Some(id)))
}

/// A chain as it stands, where there is one of this id.
///
/// # Errors
/// Where there is none, or the account cannot be asked.
pub(super) async fn look<W: World>(toolbox: &Toolbox<W>, id: &str) -> Result<Option<Envelope>> {
    let get = TaskGet {
        id: id.to_owned(),
        key_hash: holder(&toolbox.key.hash),
    };
    let found = Accounts::call(toolbox.world(), &toolbox.key.account, &get).await?;
    let kept = found.map(|text| crate::json::from_str(&text)).transpose();
    let kept = kept.map_err(|error| Error::internal(error.to_string()))?;
    Ok(kept.map(|kept| match kept {
        Kept::Over { envelope, .. } => *envelope,
        Kept::Running { .. } | Kept::Undoing { .. } => Envelope {
            id: id.to_owned(),
            provider: PROVIDER.to_owned(),
            status: Status::Running,
            ..Envelope::default()
        },
    }))
}

/// Whose the states of a key's chains are: not the key's, whose tasks are what agents asked for.
fn holder(key_hash: &str) -> String {
    format!("{CONTEXT}:{key_hash}")
}

/// Carries on a chain whose caller or isolate is gone, as its key would; the alarm of the account's object asks for it.
///
/// # Errors
/// Where its key is gone, or it cannot be read.
pub async fn carry_on<W: World>(world: &W, account: &str, left: &TaskLeft) -> Result<()> {
    let wrong = |why: &str| Error::internal(format!("{}: {why}", left.id));
    let kept: Kept =
        crate::json::from_str(&left.text).map_err(|error| wrong(&error.to_string()))?;
    let Some((asked, digest)) = kept.left() else {
        return Ok(());
    };
    let hash = left.key_hash.strip_prefix(&holder("")).unwrap_or_default();
    let key = world.key_in_d1(hash).await?;
    let key = key.filter(|key| key.account == account);
    let key = key.ok_or_else(|| wrong("its key is gone"))?;
    key.check(world.now_ms())?;
    let toolbox = Toolbox::open(world, &key, Origin::default()).await?;
    let tool = toolbox.view.catalog().get(&asked.tool);
    let row = tool.and_then(|tool| tool.operation.composite.as_ref());
    let row = row.ok_or_else(|| wrong("there is no such chain any more"))?;
    let chain = Composite::read(row.value()).map_err(|why| wrong(&why))?;
    let call = Call {
        id: left.id.clone(),
        tool: asked.tool,
        input: asked.input,
        confirm: asked.confirm,
        surface: "composite",
        step: Some(Step {
            parent: left.id.clone(),
            index: String::new(),
            holder: Some(left.holder.clone()),
        }),
        ..Call::default()
    };
    composites::run(&*toolbox, &chain, call, &digest).await;
    Ok(())
}

fn hex(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl<W: World> Runner for Toolbox<W> {
    async fn tool(&self, call: Call) -> Envelope {
        self.single(call).await
    }

    async fn chat(&self, mut body: Value) -> Result<(String, Nanos), ToolError> {
        if body.get("model").is_none() {
            let model = self.world().var(MODEL);
            set(&mut body, "model", model.as_deref().unwrap_or(USUAL_MODEL));
        }
        let said = inner::ask(self.world(), &self.key, &body).await;
        let said = said.map_err(|error| {
            let code = match error.status {
                402 => "insufficient_balance",
                429 => "rate_limit_exceeded",
                400 | 404 => "invalid_request",
                403 => "permission_denied",
                _ => "provider_error",
            };
            ToolError::new(code, "model", error.message)
        })?;
        let cost = said
            .cost
            .and_then(|cost| Nanos::from_dollars(&cost.to_string()).ok());
        Ok((said.text, cost.unwrap_or_default()))
    }

    fn deed(&self, name: &str) -> Option<Deed> {
        let of = |tool: &Tool| Deed {
            effect: tool.operation.effect,
            has_undo: tool.operation.undo.is_some(),
        };
        if let Some(tool) = self.view.catalog().get(name) {
            return Some(of(tool));
        }
        // Whichever of them serves: the worst that it may be.
        let all: Vec<Deed> = self
            .view
            .catalog()
            .of_capability(name)
            .map(|tool| of(tool))
            .collect();
        let effect = all
            .iter()
            .map(|deed| deed.effect)
            .max_by_key(|effect| *effect != Effect::Read)?;
        Some(Deed {
            effect,
            has_undo: all.iter().all(|deed| deed.has_undo),
        })
    }

    fn id(&self) -> Result<String> {
        Self::id(self)
    }

    async fn wait(&self, ms: u64) {
        self.world().sleep(ms).await;
    }

    async fn keep(&self, id: &str, kept: &Kept, is_new: bool, lease: Lease) -> Result<Holding> {
        let wrong = |error: serde_json::Error| Error::internal(error.to_string());
        let put = TaskPut {
            id: id.to_owned(),
            key_hash: holder(&self.key.hash),
            context: CONTEXT.to_owned(),
            state: PROVIDER.to_owned(),
            is_over: kept.is_over(),
            at: i64::try_from(self.world().now_ms()).unwrap_or(i64::MAX),
            is_new,
            lease: Some(lease),
            text: serde_json::to_string(&kept.bounded()).map_err(wrong)?,
        };
        let found = Accounts::call(self.world(), &self.key.account, &put).await?;
        Ok(Holding {
            kept: crate::json::from_str(&found.text).map_err(wrong)?,
            busy_ms: found.busy_ms,
        })
    }

    fn report(&self, message: &str) {
        self.world().report(message);
    }
}
