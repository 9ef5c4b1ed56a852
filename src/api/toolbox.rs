//! What a key can do with tools, for the time of one request: what every protocol runs them with.
//!
//! Out of scope: one execution (`tools::execute`), how protocols ask for it.

mod chain;
pub(super) mod guard;
mod policy;
mod port;

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use super::{
    World, beliefs, byok, chat,
    http::Request,
    intents::{self, Resolved},
    sources, word,
};
use crate::{
    error::Result,
    identity::KeyRecord,
    routing::OwnCandidate,
    tools::{
        catalog::{Means, ToolCatalog, ToolPolicy, ToolView},
        envelope::{Envelope, ToolError},
        execute::{self, Call, OwnKey, Payer},
    },
    usage,
};
pub use chain::carry_on;
pub(super) use port::{API_TYPE, Port};

/// The tools of a key.
pub(super) struct Toolbox<W> {
    /// What it sees of the catalog.
    pub view: Rc<ToolView>,
    key: KeyRecord,
    payer: Payer,
    own: Rc<[OwnKey]>,
    port: Port<W>,
}

/// Where a request came from, as its usage rows tell it.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// The request's id.
    pub request_id: String,
    /// The app that sent it.
    pub app: Option<String>,
    /// What it says of itself.
    pub told: usage::Origin,
}

impl<W: World> Toolbox<W> {
    /// Where a request comes from.
    pub(super) fn origin(request: &Request, key: &KeyRecord) -> Origin {
        let request_id = request.header("x-request-id").unwrap_or_default();
        let seen = chat::origin(request, key, &request_id);
        let session_id = request.header("x-session-id");
        Origin {
            app: usage::app::named(seen.referer.as_deref(), seen.title.as_deref()),
            told: usage::Origin {
                http_referer: seen.referer,
                app_title: seen.title,
                user_agent: seen.user_agent,
                session_id,
                external_user: seen.end_user,
                trace: None,
            },
            request_id,
        }
    }

    /// The tools of this key.
    ///
    /// # Errors
    /// 503 where the catalog or the account's own keys cannot be read.
    pub(super) async fn open(world: &W, key: &KeyRecord, origin: Origin) -> Result<Rc<Self>> {
        let own = byok::usable(world, key).await?;
        let catalog = sources::catalog(world, with_own(key)).await?;
        let view = view(world, &catalog, &own, &policy::of(world, Some(key)));
        let own: Vec<OwnKey> = own.iter().map(own_key).collect();
        Ok(Rc::new(Self {
            view: Rc::new(view),
            key: key.clone(),
            payer: Payer {
                account: key.account.clone(),
                key_hash: key.hash.clone(),
                secret: key.secret.clone(),
                member: key.member.clone(),
            },
            own: own.into(),
            port: Port::new(world, origin, key),
        }))
    }

    /// The world around it.
    pub(super) fn world(&self) -> &W {
        self.port.world()
    }

    /// A new id for an execution.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub(super) fn id(&self) -> Result<String> {
        execution_id(self.world())
    }

    /// Whose tools they are.
    pub(super) fn key(&self) -> &KeyRecord {
        &self.key
    }

    /// Runs a call to its end, or what is wanted in words instead.
    pub(super) async fn carry_out(&self, call: Call, intent: Option<&str>) -> Envelope {
        let (world, key) = (self.world(), &self.key);
        let asked = match intents::asked(&call.tool, intent, &call.input) {
            Ok(Some(asked)) => asked,
            Ok(None) => return self.execute(call).await,
            Err(error) => return Envelope::failed(&call.id, &call.tool, error),
        };
        match intents::resolve(world, key, &self.view, &asked, call).await {
            Resolved::Call(call, routing, lesson) => {
                let mut envelope = self.execute(*call).await;
                intents::conclude(world, key, lesson, routing, &mut envelope);
                envelope
            }
            Resolved::Answer(envelope) => *envelope,
        }
    }

    /// Runs a call to its end: one tool, or a chain of them.
    pub(super) async fn execute(&self, call: Call) -> Envelope {
        let named = self.view.get(&call.tool).ok();
        match named.and_then(|(tool, _)| Some((tool, tool.operation.composite.as_ref()?))) {
            Some((tool, chain)) => chain::run(self, tool, chain.value(), call).await,
            None => self.single(call).await,
        }
    }

    /// Runs a call of one tool.
    async fn single(&self, call: Call) -> Envelope {
        // Only a capability leaves a choice, and only a limit asks how long a tool takes.
        let is_open = self.view.catalog().capability(&call.tool).is_some();
        if is_open || call.provider.max_latency_ms.is_some() {
            beliefs::know(self.world(), &self.payer.account).await;
        }
        execute::run(&self.port, &self.view, &self.payer, &self.own, call).await
    }

    /// One execution as it stands; a job is asked about first.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub(super) async fn look(&self, id: &str) -> Result<Envelope, ToolError> {
        let found = execute::look(&self.port, &self.view, &self.payer, &self.own, id).await;
        match found {
            Err(error) if error.code == "execution_not_found" => {
                match chain::look(self, id).await {
                    Ok(Some(envelope)) => Ok(envelope),
                    Ok(None) => Err(error),
                    Err(error) => Err(ToolError::new(
                        "gateway_unavailable",
                        "gateway",
                        error.message,
                    )),
                }
            }
            found => found,
        }
    }

    /// The id under which a call is kept: that of a chain follows from its name.
    pub(super) fn kept_as(&self, call: &Call) -> String {
        let named = self.view.get(&call.tool).ok();
        match named.and_then(|(tool, _)| tool.operation.composite.as_ref()) {
            Some(_) => chain::id(&self.key.hash, call),
            None => call.id.clone(),
        }
    }

    /// Stops a job.
    ///
    /// # Errors
    /// Where there is none of this id, or it cannot be stopped.
    pub(super) async fn cancel(&self, id: &str) -> Result<Envelope, ToolError> {
        execute::cancel(&self.port, &self.view, &self.payer, &self.own, id).await
    }
}

/// `exec-<unix seconds>-<20 letters and digits>`.
pub(super) fn execution_id<W: World>(world: &W) -> Result<String> {
    let seconds = world.now_ms() / 1_000;
    Ok(format!("exec-{seconds}-{}", word(&world.random()?)))
}

/// The catalog of tools, as everybody has it.
///
/// # Errors
/// 503 where it cannot be read.
pub(super) async fn catalog<W: World>(world: &W) -> Result<Rc<ToolCatalog>> {
    sources::catalog(world, None).await
}

/// The account whose own tools a key has beside everybody's.
fn with_own(key: &KeyRecord) -> Option<&str> {
    key.own_tools.then_some(key.account.as_str())
}

/// What a key sees; without one, what every key sees.
///
/// # Errors
/// As [`Toolbox::open`].
pub(super) async fn seen<W: World>(world: &W, key: Option<&KeyRecord>) -> Result<Rc<ToolView>> {
    let catalog = sources::catalog(world, key.and_then(with_own)).await?;
    let own = match key {
        Some(key) => byok::usable(world, key).await?,
        None => Vec::new(),
    };
    let policy = policy::of(world, key);
    Ok(Rc::new(view(world, &catalog, &own, &policy)))
}

fn view<W: World>(
    world: &W,
    catalog: &Rc<ToolCatalog>,
    own: &[OwnCandidate],
    policy: &ToolPolicy,
) -> ToolView {
    // Asked once each: tools of one provider share their secret, and the platform is far.
    let seen = RefCell::new(HashMap::<String, bool>::new());
    let has = |name: &str| {
        let known = seen.borrow().get(name).copied();
        known.unwrap_or_else(|| {
            let is_set = world.var(name).is_some();
            seen.borrow_mut().insert(name.to_owned(), is_set);
            is_set
        })
    };
    let means = Means {
        has: &has,
        owns: &|slug| own.iter().any(|key| key.provider == slug),
        accounts_bring_keys: world.var("BYOK_MASTER_KEY").is_some(),
        single_tenant: world
            .var("TOOLS_SINGLE_TENANT")
            .is_some_and(|it| it == "on"),
    };
    ToolView::of(catalog, &means, policy)
}

fn own_key(candidate: &OwnCandidate) -> OwnKey {
    OwnKey {
        provider: candidate.provider.clone(),
        id: candidate.key.id.clone(),
        label: candidate.key.label.clone(),
        secret: candidate.key.secret.clone(),
        is_fallback: candidate.is_fallback,
        is_required: candidate.is_required,
    }
}
