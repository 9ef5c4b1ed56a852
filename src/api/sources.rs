//! Imported tools: `/tools/sources` of an account and `/admin/tools/sources` of the operator, and their part in the catalog.
//!
//! No answer holds a secret; every change is written to the audit log. Out of scope: what becomes of a document (`tools::imports`), and how
//! its operations are carried out (`tools::execute`).

mod fields;
mod read;
mod told;

use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::{
    World,
    admin::{audit, missing},
    byok,
    caller::manager,
    http::{Request, Response},
};
use crate::{
    error::{Error, ErrorType, Next, Result, Source as Blame},
    identity::{Actor, Role},
    tools::{
        catalog::{AuthKind, Source as Kind, ToolCatalog},
        imports::{
            MAX_SOURCES, name, openapi, review,
            store::{self, Source},
        },
    },
};
use fields::{Accept, Change, New, Reread};
use read::{Reading, Way};
use told::{listed, rendered};

/// Slugs that are words of routes.
const RESERVED: [&str; 9] = [
    "sources",
    "categories",
    "run",
    "execute",
    "executions",
    "guards",
    "route",
    "composite",
    "admin",
];

/// The catalog with the operator's imported tools, and the account's own where one is named.
///
/// # Errors
/// 503 where the catalog cannot be read, or the account's own tools.
pub(super) async fn catalog<W: World>(world: &W, account: Option<&str>) -> Result<Rc<ToolCatalog>> {
    let (memory, now_ms) = (world.memory(), world.now_ms());
    let shipped = memory.tools.catalog(world, now_ms).await?;
    let operators = memory.sources.owned(world, None, now_ms).await;
    // Without them the shipped ones still serve.
    let operators = operators.unwrap_or_else(|error| {
        world.report(&format!("the imported tools could not be read: {error}"));
        Default::default()
    });
    let catalog = memory.sources.with(&shipped, &operators);
    let Some(account) = account else {
        return Ok(catalog);
    };
    let own = memory.sources.owned(world, Some(account), now_ms).await;
    let own = own.map_err(|error| {
        world.report(&format!(
            "the tools of {account} could not be read: {error}"
        ));
        Error::new(
            Blame::Gateway,
            Next::SameAgain,
            ErrorType::ProviderOverloaded,
            "Your own tools cannot be looked up right now: try again",
        )
    })?;
    Ok(memory.sources.with(&catalog, &own))
}

/// Answers `/tools/sources…` for who administers the account; `path` is what follows `sources`.
pub(super) async fn managed<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    let owner = Owner {
        world,
        actor: &manager.actor,
        account: Some(&manager.account),
    };
    owner.answer(request, method, path).await
}

/// Answers the operator's.
pub(super) async fn administer<W: World>(
    world: &W,
    actor: &Actor,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let owner = Owner {
        world,
        actor,
        account: None,
    };
    owner.answer(request, method, path).await
}

/// Who imports.
struct Owner<'a, W> {
    world: &'a W,
    actor: &'a Actor,
    /// The operator where absent.
    account: Option<&'a str>,
}

impl<W: World> Owner<'_, W> {
    async fn answer(&self, request: Request, method: &str, path: &[&str]) -> Result<Response> {
        match (method, path) {
            ("POST", []) => self.create(request.json().await?).await,
            (_, []) => self.list().await,
            ("PATCH", [id]) => self.change(id, request.json().await?).await,
            ("DELETE", [id]) => self.delete(id).await,
            (_, [id]) => Ok(shown(200, &self.stored(id).await?)),
            (_, [id, "refresh"]) => self.refresh(id, request.json_or_default().await?).await,
            _ => Err(missing("source", "")),
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.world.now_ms()).unwrap_or(i64::MAX)
    }

    fn is_operators(&self) -> bool {
        self.account.is_none()
    }

    async fn stored(&self, id: &str) -> Result<Source> {
        let found = store::get(self.world, self.account, id).await?;
        found.ok_or_else(|| missing("source", id))
    }

    async fn list(&self) -> Result<Response> {
        let all = store::list(self.world, self.account).await?;
        let data: Vec<Value> = all.iter().map(listed).collect();
        let body = json!({"data": data, "total_count": all.len()});
        Ok(Response::json(200, &body))
    }

    async fn create(&self, body: Map<String, Value>) -> Result<Response> {
        let new = New::read(body)?;
        let mut settings = new.settings;
        if new.key.is_some() && new.kind == Kind::Mcp && settings.auth.is_none() {
            settings.auth = Some(fields::bearer());
        }
        if new.key.is_some() && self.is_operators() {
            let message = "The operator's keys are secrets of the deployment: name one with secret";
            return Err(Error::invalid("key", message));
        }
        review::check_settings(&settings, self.is_operators()).map_err(invalid)?;
        let others = store::list(self.world, self.account).await?;
        if others.len() >= MAX_SOURCES {
            let message = format!("At most {MAX_SOURCES} sources are kept");
            return Err(Error::invalid("url", message));
        }
        let reading = Reading {
            world: self.world,
            kind: new.kind,
            settings: &settings,
            headers: &new.headers,
            key: new.key.as_deref(),
            is_operators: self.is_operators(),
        };
        let way = Way::of(new.document, new.url.as_deref())?;
        let (imported, digest) = reading.read(way, new.slug.as_deref()).await?;
        let slug = imported.provider.slug.clone();
        self.check_slug(&slug, &others).await?;
        review::check(&imported.provider, &settings).map_err(invalid)?;
        if new.key.is_some() && imported.provider.auth.kind == AuthKind::None {
            let message = "Nothing says where the key goes: say so with auth";
            return Err(Error::invalid("key", message));
        }
        let mut source = Source {
            id: byok::uuid(&self.world.random()?),
            account: self.account.map(str::to_owned),
            kind: new.kind,
            url: new.url,
            settings,
            sealed: None,
            digest,
            accepted: imported.provider,
            pending: None,
            report: [imported.left_out, imported.weakened],
            enabled: true,
            created_at: self.now(),
            updated_at: None,
            refreshed_at: self.now(),
            error: None,
        };
        if new.dry_run {
            return Ok(shown(200, &source));
        }
        self.seal(&mut source, &new.headers)?;
        if !store::insert(self.world, &source).await? {
            return Err(taken(&slug));
        }
        self.forget(others.iter().all(|other| !other.enabled))
            .await?;
        self.note("tool_source.create", &source).await?;
        if let (Some(key), Some(account)) = (new.key, self.account) {
            byok::add_tool_key(self.world, self.actor, account, &slug, &key).await?;
        }
        Ok(shown(201, &source))
    }

    async fn change(&self, id: &str, body: Map<String, Value>) -> Result<Response> {
        let mut source = self.stored(id).await?;
        let change = Change::read(body, &source.settings)?;
        let was_enabled = source.enabled;
        if let Some(settings) = change.settings {
            review::check_settings(&settings, self.is_operators()).map_err(invalid)?;
            source.settings = settings;
        }
        if let Some(url) = &change.url {
            source.url = Some(url.clone());
        }
        if let Some(headers) = &change.headers {
            self.seal(&mut source, headers)?;
        }
        if change.rereads || change.document.is_some() || change.url.is_some() {
            let way = Way::again(change.document, &source)?;
            self.reread(&mut source, way).await?;
        }
        source.enabled = change.enabled.unwrap_or(source.enabled);
        accept(&mut source, change.accept.as_ref())?;
        let newest = source.pending.as_ref().unwrap_or(&source.accepted);
        review::check(newest, &source.settings).map_err(invalid)?;
        let is_other = was_enabled != source.enabled;
        self.keep(&mut source, is_other).await?;
        let action = match change.accept {
            Some(_) => "tool_source.accept",
            None => "tool_source.change",
        };
        self.note(action, &source).await?;
        Ok(shown(200, &source))
    }

    /// Reads it once more. What changed stays off until it is accepted.
    async fn refresh(&self, id: &str, body: Reread) -> Result<Response> {
        let mut source = self.stored(id).await?;
        let way = Way::again(body.document, &source)?;
        let read = self.reread(&mut source, way).await;
        if let Err(error) = &read
            && error.source == Blame::Client
        {
            source.error = Some(error.message.clone());
            self.keep(&mut source, false).await?;
        }
        read?;
        accept(&mut source, body.accept.as_ref())?;
        self.keep(&mut source, false).await?;
        self.note("tool_source.refresh", &source).await?;
        Ok(shown(200, &source))
    }

    async fn reread(&self, source: &mut Source, way: Way) -> Result<()> {
        let headers = self.headers(source)?;
        let key = self.own_key(source.slug()).await?;
        let reading = Reading {
            world: self.world,
            kind: source.kind,
            settings: &source.settings,
            headers: &headers,
            key: key.as_deref(),
            is_operators: self.is_operators(),
        };
        let (imported, digest) = reading.read(way, Some(source.slug())).await?;
        source.report = [imported.left_out, imported.weakened];
        source.digest = digest;
        source.refreshed_at = self.now();
        source.error = None;
        // What its owner does not want any more is no change of the document's.
        let settings = source.settings.clone();
        source
            .accepted
            .operation
            .retain(|one| settings.admits(&one.name));
        let changes = review::changes(&source.accepted, &imported.provider);
        let is_less = |change: &Value| change.get("change") == Some(&"removed".into());
        if changes.iter().all(is_less) {
            source.accepted = imported.provider;
            source.pending = None;
        } else {
            source.pending = Some(imported.provider);
        }
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<Response> {
        let source = self.stored(id).await?;
        store::delete(self.world, self.account, id).await?;
        self.forget(true).await?;
        self.note("tool_source.delete", &source).await?;
        Ok(Response::json(200, &json!({"deleted": true})))
    }

    async fn keep(&self, source: &mut Source, with_keys: bool) -> Result<()> {
        // What names its state must change with it.
        let before = source.updated_at.unwrap_or(source.created_at);
        source.updated_at = Some(self.now().max(before + 1));
        store::update(self.world, source).await?;
        self.forget(with_keys).await
    }

    /// Makes this isolate look again, and where API keys' records say whether there is anything, all of them.
    async fn forget(&self, with_keys: bool) -> Result<()> {
        self.world.memory().sources.forget(self.account);
        match self.account {
            Some(account) if with_keys => byok::forget(self.world, account, true).await,
            _ => Ok(()),
        }
    }

    async fn note(&self, action: &str, source: &Source) -> Result<()> {
        let detail = format!(
            "{} {}, {} operations{}",
            source.kind.as_str(),
            source.slug(),
            source.live().operation.len(),
            if source.pending.is_some() {
                ", changes held back"
            } else {
                ""
            },
        );
        audit(
            self.world,
            self.actor,
            action,
            self.account,
            &source.id,
            &detail,
        )
        .await
    }

    fn seal(&self, source: &mut Source, headers: &[(String, String)]) -> Result<()> {
        source.sealed = None;
        if headers.is_empty() {
            return Ok(());
        }
        let ring = byok::required_keyring(self.world)?;
        let text = json!(headers).to_string();
        let sealed = ring.seal(&self.world.random()?, &source.binding(), &text);
        source.sealed = Some(sealed.map_err(|error| Error::internal(error.to_string()))?);
        Ok(())
    }

    fn headers(&self, source: &Source) -> Result<Vec<(String, String)>> {
        let Some(sealed) = &source.sealed else {
            return Ok(Vec::new());
        };
        let ring = byok::required_keyring(self.world)?;
        let opened = ring.open(&source.binding(), sealed);
        let opened = opened.map_err(|error| Error::internal(error.to_string()))?;
        crate::json::from_str(&opened).map_err(|error| Error::internal(error.to_string()))
    }

    /// The key that an MCP server is asked with.
    async fn own_key(&self, slug: &str) -> Result<Option<String>> {
        match self.account {
            Some(account) => byok::tool_key(self.world, account, slug).await,
            None => Ok(None),
        }
    }

    /// Whether a slug is free: of the catalog, of models' providers, of the operator, of the account.
    async fn check_slug(&self, slug: &str, others: &[Source]) -> Result<()> {
        if !name::is_slug(slug) || RESERVED.contains(&slug) {
            let message =
                "A slug is 2 to 24 of a-z, 0-9 and _, a letter first, and no word of the API's own";
            return Err(Error::invalid("slug", message));
        }
        let (memory, now_ms) = (self.world.memory(), self.world.now_ms());
        let of_models = memory.catalog.providers(self.world, now_ms).await?;
        let everybodys = catalog(self.world, None).await?;
        let is_taken = everybodys.provider(slug).is_some()
            || of_models.iter().any(|one| one.answers_to(slug))
            || others.iter().any(|other| other.slug() == slug)
            // Whose keys would go elsewhere then.
            || (self.is_operators() && store::is_taken(self.world, slug).await?);
        if is_taken { Err(taken(slug)) } else { Ok(()) }
    }
}

/// Takes what was read last for good, if that is what is meant.
fn accept(source: &mut Source, accept: Option<&Accept>) -> Result<()> {
    let Some(accept) = accept.filter(|accept| accept.is_meant()) else {
        return Ok(());
    };
    if let Some(digest) = accept.digest()
        && *digest != source.digest
    {
        return Err(Error::new(
            Blame::Client,
            Next::Final,
            ErrorType::Conflict,
            "It was read again since: look at its changes once more",
        ));
    }
    if let Some(pending) = source.pending.take() {
        source.accepted = pending;
    }
    Ok(())
}

fn invalid((field, why): (String, String)) -> Error {
    Error::invalid(field, why)
}

fn taken(slug: &str) -> Error {
    let mut error = Error::new(
        Blame::Client,
        Next::Final,
        ErrorType::Conflict,
        format!("There is a provider {slug} already: choose another slug"),
    );
    error.param = Some("slug".to_owned());
    error
}

fn shown(status: u16, source: &Source) -> Response {
    Response::json(status, &json!({"data": rendered(source)}))
}

/// A name for a document that was given none.
fn slug_of(document: &Value) -> Result<String> {
    openapi::slug(document).ok_or_else(|| Error::invalid("slug", "Choose a slug for its tools"))
}
