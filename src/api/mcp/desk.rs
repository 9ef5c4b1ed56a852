//! What a key can do with tools, for the time of one request and of the streams that it opens.

use std::rc::Rc;

use futures::{FutureExt, future::LocalBoxFuture};

use super::{
    super::{
        World,
        http::Request,
        toolbox::{Origin, Toolbox},
    },
    stream::Owner,
};
use crate::{
    error::Result as Answered,
    identity::KeyRecord,
    tools::{
        catalog::ToolView,
        envelope::Envelope,
        execute::Call,
        mcp::message::{Fault, INTERNAL_ERROR},
    },
};

/// The tools of a key.
pub(super) struct Desk<W> {
    pub world: W,
    pub view: Rc<ToolView>,
    key: KeyRecord,
    toolbox: Rc<Toolbox<W>>,
}

impl<W: World> Desk<W> {
    /// The tools of this key, which sends this request.
    ///
    /// # Errors
    /// Where the catalog or the account's own keys cannot be read.
    pub(super) async fn open(world: &W, request: &Request, key: KeyRecord) -> Answered<Self> {
        let origin = Toolbox::<W>::origin(request, &key);
        let toolbox = Toolbox::open(world, &key, origin).await?;
        Ok(Self {
            world: world.clone(),
            view: Rc::clone(&toolbox.view),
            key,
            toolbox,
        })
    }

    /// Whose streams it has.
    pub(super) fn owner(&self) -> Owner {
        Owner {
            account: self.key.account.clone(),
            key: self.key.hash.clone(),
        }
    }

    /// What is another when the list of tools is another; none where it cannot be read now.
    pub(super) async fn fingerprint(&self) -> Option<String> {
        let opened = Toolbox::open(&self.world, &self.key, Origin::default()).await;
        let view = Rc::clone(&opened.ok()?.view);
        let names = view.tools().iter().map(|(tool, _)| tool.wire_name.as_str());
        let names: Vec<&str> = names.collect();
        Some(format!("{} {}", view.catalog().version(), names.join(" ")))
    }

    /// A new id for an execution.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub(super) fn id(&self) -> Answered<String> {
        self.toolbox.id()
    }

    /// Runs a call to its end; the tool that chooses another too.
    pub(super) fn execute(&self, call: Call) -> LocalBoxFuture<'static, Envelope> {
        let toolbox = Rc::clone(&self.toolbox);
        async move { toolbox.carry_out(call, None).await }.boxed_local()
    }

    /// Unix time in milliseconds.
    pub(super) fn now(&self) -> i64 {
        i64::try_from(self.world.now_ms()).unwrap_or(i64::MAX)
    }

    /// Whether a tool is a chain of others.
    pub(super) fn is_chain(&self, tool: &str) -> bool {
        let found = self.view.get(tool).ok();
        found.is_some_and(|(tool, _)| tool.operation.composite.is_some())
    }

    /// An execution as it stands.
    ///
    /// # Errors
    /// Where there is none of this id, or the account cannot be asked.
    pub(super) async fn look(&self, id: &str) -> Result<Envelope, Fault> {
        let found = self.toolbox.look(id).await;
        found.map_err(|error| match error.code.as_str() {
            "execution_not_found" => Fault::params(error.message),
            _ => Fault::new(INTERNAL_ERROR, error.message),
        })
    }

    /// Stops a job that nobody waits for.
    pub(super) async fn stop(&self, id: &str) {
        let stopped = self.toolbox.cancel(id).await;
        if let Err(error) = stopped
            && error.code != "not_cancellable"
        {
            self.world
                .report(&format!("{id} could not be stopped: {}", error.message));
        }
    }
}
