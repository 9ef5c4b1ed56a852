//! Guardrails of an account and whom they hold for: `/guardrails…` and `/account/privacy`.
//!
//! Spec: OpenRouter's guardrails. An account's default guardrail is `/guardrails/default`, and comes into being when it is first
//! changed. What a guardrail says is part of the records of the keys it holds for: a change deletes their copies, and reaches every
//! request within a minute. Budgets are kept by the account's object and hold at once.

use std::rc::Rc;

use futures::FutureExt;
use serde_json::{Map, Value, json};

use super::{
    World,
    admin::{audit, missing, named},
    byok::uuid,
    caller::manager,
    http::{Request, Response},
    sources,
};
use crate::{
    credits::{
        ledger::MAX_BUDGETS,
        ops::{Budget, BudgetsPut, Scope},
    },
    database::Row,
    error::{Error, Result},
    guardrails::{
        Fields, Settings,
        d1::{self, Assignment, Kind, Record, Whom},
        read, told,
    },
    identity::{Manager, Role, keys::kv_key},
    time::rfc3339,
    tools::catalog::{Tool, policy},
};

/// The most guardrails of one account.
const MAX_GUARDRAILS: i64 = 1_000;
/// The most entries of a page.
const MAX_PAGE: i64 = 100;
/// The most keys or members that one call assigns.
const MAX_ASSIGNED: usize = 100;
/// The longest description, in bytes.
const MAX_DESCRIPTION: usize = 1_024;
/// Copies are deleted once more after so long: a reader that had read the old rows may have written its copy in between.
const SECOND_DELETE_MS: u64 = 3_000;

/// Answers `/guardrails…`; `path` is what follows.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    let office = Office { world, manager };
    match (method, path) {
        ("POST", []) => office.create(request.json().await?).await,
        (_, []) => office.list(&request).await,
        (_, ["assignments", whom]) => office.assignments(&request, None, self::whom(whom)).await,
        ("PATCH", [id]) => office.change(id, request.json().await?).await,
        ("DELETE", [id]) => office.delete(id).await,
        (_, [id]) => {
            let record = office.stored(id).await?;
            Ok(data(200, rendered(&record)))
        }
        ("POST", [id, _, whom, rest @ ..]) => {
            let whom = self::whom(whom);
            let ids = assigned(request.json().await?, whom)?;
            match rest {
                [] => office.assign(id, whom, &ids).await,
                _ => office.unassign(id, whom, &ids).await,
            }
        }
        (_, [id, _, whom, ..]) => {
            let record = office.stored(id).await?;
            let whom = self::whom(whom);
            office.assignments(&request, Some(&record.id), whom).await
        }
        _ => Err(missing("guardrail", &path.join("/"))),
    }
}

/// Answers `/account/privacy`.
pub(super) async fn privacy<W: World>(
    world: &W,
    request: Request,
    method: &str,
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    let office = Office { world, manager };
    let mut record = office.of_account(Kind::Privacy).await?;
    if method == "PATCH" {
        let body: Map<String, Value> = request.json().await?;
        read(&mut record.settings, &body, Fields::Privacy)?;
        office.check(&mut record.settings, &body).await?;
        office.keep(&mut record, "privacy.change").await?;
    }
    Ok(data(200, told(&record.settings, Fields::Privacy)))
}

/// Somebody who administers an account.
struct Office<'w, W> {
    world: &'w W,
    manager: Manager,
}

impl<W: World> Office<'_, W> {
    fn account(&self) -> &str {
        &self.manager.account
    }

    fn now(&self) -> i64 {
        i64::try_from(self.world.now_ms()).unwrap_or(i64::MAX)
    }

    async fn list(&self, request: &Request) -> Result<Response> {
        let (records, total) = d1::list(self.world, self.account(), page(request)?).await?;
        let data: Vec<Value> = records
            .iter()
            .map(|record| rendered(record).into())
            .collect();
        let body = json!({"data": data, "total_count": total});
        Ok(Response::json(200, &body))
    }

    async fn create(&self, mut body: Map<String, Value>) -> Result<Response> {
        let (_, total) = d1::list(self.world, self.account(), (0, 1)).await?;
        if total >= MAX_GUARDRAILS {
            let message = format!("An account keeps at most {MAX_GUARDRAILS} guardrails");
            return Err(Error::invalid("name", message));
        }
        if !body.contains_key("name") {
            return Err(Error::invalid("name", "name is missing"));
        }
        let mut record = self.fresh(Kind::Plain, "")?;
        names(&mut record, &mut body)?;
        read(&mut record.settings, &body, Fields::Guardrail)?;
        self.check(&mut record.settings, &body).await?;
        self.keep(&mut record, "guardrail.create").await?;
        Ok(data(201, rendered(&record)))
    }

    async fn change(&self, id: &str, mut body: Map<String, Value>) -> Result<Response> {
        let mut record = match id {
            "default" => self.of_account(Kind::Default).await?,
            id => self.stored(id).await?,
        };
        names(&mut record, &mut body)?;
        read(&mut record.settings, &body, Fields::Guardrail)?;
        self.check(&mut record.settings, &body).await?;
        self.keep(&mut record, "guardrail.change").await?;
        Ok(data(200, rendered(&record)))
    }

    async fn delete(&self, id: &str) -> Result<Response> {
        let record = self.stored(id).await?;
        let keys = d1::keys_under(self.world, self.account(), &record).await?;
        d1::delete(self.world, self.account(), &record.id).await?;
        self.put_budgets(&record.id, Vec::new()).await?;
        self.note("guardrail.delete", &record.id, &record.name)
            .await?;
        self.forget(keys).await?;
        Ok(Response::json(200, &json!({"deleted": true})))
    }

    /// Keeps a guardrail and makes every isolate look again at the keys it holds for.
    async fn keep(&self, record: &mut Record, action: &str) -> Result<()> {
        let now = self.now();
        record.updated_at = (record.created_at < now).then_some(now);
        d1::put(self.world, self.account(), record).await?;
        self.budget(record).await?;
        self.note(action, &record.id, &record.name).await?;
        let keys = d1::keys_under(self.world, self.account(), record).await?;
        self.forget(keys).await
    }

    async fn assign(&self, id: &str, whom: Whom, ids: &[String]) -> Result<Response> {
        let record = self.stored(id).await?;
        if record.kind != Kind::Plain {
            let message = "The account's default guardrail holds for everybody: it is not assigned";
            return Err(Error::invalid("id", message));
        }
        let strangers = d1::strangers(self.world, self.account(), whom, ids).await?;
        if let Some(stranger) = strangers.first() {
            return Err(missing(word(whom), stranger));
        }
        let actor = self.manager.actor.name();
        let assignment = Assignment {
            account: self.account(),
            guardrail: &record.id,
            ids,
            id: &uuid(&self.world.random()?),
            by: &actor,
            at: self.now(),
        };
        let former = d1::held_by(self.world, self.account(), whom, ids).await?;
        d1::assign(self.world, whom, &assignment).await?;
        for other in former.iter().filter(|other| other.id != record.id) {
            self.budget(other).await?;
        }
        self.budget(&record).await?;
        self.after(&record, "guardrail.assign", whom, ids).await?;
        Ok(Response::json(200, &json!({"assigned_count": ids.len()})))
    }

    async fn unassign(&self, id: &str, whom: Whom, ids: &[String]) -> Result<Response> {
        let record = self.stored(id).await?;
        let of = (whom, ids);
        let count = d1::unassign(self.world, self.account(), &record.id, of).await?;
        self.budget(&record).await?;
        self.after(&record, "guardrail.unassign", whom, ids).await?;
        Ok(Response::json(200, &json!({"unassigned_count": count})))
    }

    /// Tells the account's object what those whom a guardrail holds for may spend: each key and each member by itself.
    async fn budget(&self, record: &Record) -> Result<()> {
        let Settings {
            limit,
            reset_interval: reset,
            include_byok_in_budgets: include_byok,
            ..
        } = record.settings;
        let Some(amount) = limit else {
            return self.put_budgets(&record.id, Vec::new()).await;
        };
        let scopes: Vec<Scope> = match record.kind {
            Kind::Plain => {
                let id = &record.id;
                let (keys, members) =
                    d1::holders(self.world, self.account(), id, MAX_BUDGETS + 1).await?;
                let keys = keys.into_iter().map(Scope::Key);
                keys.chain(members.into_iter().map(Scope::Member)).collect()
            }
            Kind::Default | Kind::Privacy => vec![Scope::EachKey, Scope::EachMember],
        };
        if scopes.len() > MAX_BUDGETS {
            let message = format!(
                "A guardrail with a budget is assigned to at most {MAX_BUDGETS} keys and members: give the others a guardrail of their own"
            );
            return Err(Error::invalid("limit_usd", message));
        }
        let budget = |scope: Scope| {
            let (kind, target) = scope.words();
            Budget {
                id: format!("{}.{kind}.{target}", record.id),
                scope,
                reset,
                amount,
                include_byok,
            }
        };
        let budgets = scopes.into_iter().map(budget).collect();
        self.put_budgets(&record.id, budgets).await
    }

    async fn put_budgets(&self, guardrail: &str, budgets: Vec<Budget>) -> Result<()> {
        let origin = guardrail.to_owned();
        let put = BudgetsPut { origin, budgets };
        self.world.call(self.account(), &put).await.map(drop)
    }

    async fn after(&self, record: &Record, action: &str, whom: Whom, ids: &[String]) -> Result<()> {
        let detail = format!("{} {}", word(whom), ids.join(" "));
        self.note(action, &record.id, &detail).await?;
        let keys = d1::keys_of(self.world, self.account(), whom, ids).await?;
        self.forget(keys).await
    }

    async fn assignments(
        &self,
        request: &Request,
        guardrail: Option<&str>,
        whom: Whom,
    ) -> Result<Response> {
        let page = page(request)?;
        let (rows, total) =
            d1::assignments(self.world, self.account(), guardrail, whom, page).await?;
        let data: Vec<Value> = rows.iter().map(|row| assignment(row, whom)).collect();
        let body = json!({"data": data, "total_count": total});
        Ok(Response::json(200, &body))
    }

    /// A guardrail by its id, or the default one.
    async fn stored(&self, id: &str) -> Result<Record> {
        let found = match id {
            "default" => d1::of_account(self.world, self.account(), Kind::Default).await?,
            id => d1::get(self.world, self.account(), id).await?,
        };
        found.ok_or_else(|| missing("guardrail", id))
    }

    /// What holds for all of the account, as it is stored or as it would begin.
    async fn of_account(&self, kind: Kind) -> Result<Record> {
        let found = d1::of_account(self.world, self.account(), kind).await?;
        let name = match kind {
            Kind::Privacy => "Privacy",
            Kind::Plain | Kind::Default => "Default",
        };
        found.map_or_else(|| self.fresh(kind, name), Ok)
    }

    fn fresh(&self, kind: Kind, name: &str) -> Result<Record> {
        Ok(Record {
            id: uuid(&self.world.random()?),
            kind,
            name: name.to_owned(),
            description: None,
            settings: Settings::default(),
            created_at: self.now(),
            updated_at: None,
        })
    }

    /// Checks names that the body brings against the catalog, and writes models as the catalog does.
    async fn check(&self, settings: &mut Settings, body: &Map<String, Value>) -> Result<()> {
        let memory = self.world.memory();
        let now_ms = self.world.now_ms();
        for (field, list) in [
            ("allowed_models", &mut settings.allowed_models),
            ("ignored_models", &mut settings.ignored_models),
        ] {
            if !body.contains_key(field) || list.is_none() {
                continue;
            }
            let names = memory.catalog.names(self.world, now_ms).await?;
            for (at, model) in list.iter_mut().flatten().enumerate() {
                if model.contains('*') {
                    *model = model.to_lowercase();
                    continue;
                }
                let slug = names.resolve(model).map(str::to_owned);
                *model = slug.ok_or_else(|| {
                    let message = format!("{model} is not a valid model ID");
                    Error::invalid(format!("{field}[{at}]"), message)
                })?;
            }
        }
        for (field, list) in [
            ("allowed_providers", &settings.allowed_providers),
            ("ignored_providers", &settings.ignored_providers),
        ] {
            if !body.contains_key(field) || list.is_none() {
                continue;
            }
            let providers = memory.catalog.providers(self.world, now_ms).await?;
            for (at, name) in list.iter().flatten().enumerate() {
                let base = name.split('/').next().unwrap_or_default();
                let is_known = |name: &str| providers.iter().any(|one| one.answers_to(name));
                if !is_known(name) && !is_known(base) {
                    let message = format!(
                        "This deployment's catalog has no provider {name}: see GET /api/v1/providers"
                    );
                    return Err(Error::invalid(format!("{field}[{at}]"), message));
                }
            }
        }
        for (field, list) in [
            ("allowed_tools", &mut settings.allowed_tools),
            ("ignored_tools", &mut settings.ignored_tools),
        ] {
            if !body.contains_key(field) || list.is_none() {
                continue;
            }
            let catalog = sources::catalog(self.world, Some(self.account())).await?;
            for (at, name) in list.iter_mut().flatten().enumerate() {
                *name = name.to_lowercase();
                let is_meant = |tool: &Rc<Tool>| policy::means(name, tool);
                if !name.contains('*') && !catalog.tools().iter().any(is_meant) {
                    let message = format!(
                        "This deployment has no tool, provider, category or capability {name}: see GET /api/v1/tools"
                    );
                    return Err(Error::invalid(format!("{field}[{at}]"), message));
                }
            }
        }
        Ok(())
    }

    async fn note(&self, action: &str, id: &str, detail: &str) -> Result<()> {
        let (actor, account) = (&self.manager.actor, Some(self.account()));
        audit(self.world, actor, action, account, id, detail).await
    }

    async fn forget(&self, keys: Vec<String>) -> Result<()> {
        let memory = self.world.memory();
        keys.iter().for_each(|hash| memory.keys.forget(hash));
        let copies: Vec<String> = keys.iter().map(|hash| kv_key(hash)).collect();
        if copies.is_empty() {
            return Ok(());
        }
        self.world.delete_kv(&copies).await?;
        let later = self.world.clone();
        let again = async move {
            later.sleep(SECOND_DELETE_MS).await;
            if let Err(error) = later.delete_kv(&copies).await {
                later.report(&format!("copies of keys could not be deleted: {error}"));
            }
        };
        self.world.spawn(again.boxed_local());
        Ok(())
    }
}

/// The fields of a body that are no settings.
fn names(record: &mut Record, body: &mut Map<String, Value>) -> Result<()> {
    match body.shift_remove("name") {
        None => {}
        Some(Value::String(name)) => record.name = named(&name)?.to_owned(),
        Some(_) => return Err(Error::invalid("name", "name is a string")),
    }
    match body.shift_remove("description") {
        None => {}
        Some(Value::Null) => record.description = None,
        Some(Value::String(text)) if text.len() <= MAX_DESCRIPTION => {
            record.description = Some(text);
        }
        Some(_) => {
            let message =
                format!("description is a string of at most {MAX_DESCRIPTION} bytes, or null");
            return Err(Error::invalid("description", message));
        }
    }
    match body.shift_remove("workspace_id") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => {
            let message = "An account has no workspaces here: send null";
            Err(Error::invalid("workspace_id", message))
        }
    }
}

/// The keys or members that a body names.
fn assigned(mut body: Map<String, Value>, whom: Whom) -> Result<Vec<String>> {
    let field = match whom {
        Whom::Keys => "key_hashes",
        Whom::Members => "member_user_ids",
    };
    let list = body.shift_remove(field);
    if let Some(other) = body.keys().next() {
        return Err(Error::invalid(
            other.as_str(),
            format!("There is no field {other}"),
        ));
    }
    let items = match list {
        Some(Value::Array(items)) if (1..=MAX_ASSIGNED).contains(&items.len()) => items,
        _ => {
            let message = format!("{field} is a list of 1 to {MAX_ASSIGNED} strings");
            return Err(Error::invalid(field, message));
        }
    };
    let mut ids: Vec<String> = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        match item {
            Value::String(id) if ids.contains(&id) => {}
            Value::String(id) => ids.push(id),
            _ => {
                return Err(Error::invalid(
                    format!("{field}[{at}]"),
                    "Each entry is a string",
                ));
            }
        }
    }
    Ok(ids)
}

fn whom(segment: &str) -> Whom {
    match segment {
        "members" => Whom::Members,
        _ => Whom::Keys,
    }
}

fn word(whom: Whom) -> &'static str {
    match whom {
        Whom::Keys => "key",
        Whom::Members => "member",
    }
}

fn page(request: &Request) -> Result<(i64, i64)> {
    Ok((
        request.whole("offset", 0, 0)?,
        request.whole("limit", 1, MAX_PAGE)?.min(MAX_PAGE),
    ))
}

fn data(status: u16, data: Map<String, Value>) -> Response {
    Response::json(status, &json!({ "data": data }))
}

fn rendered(record: &Record) -> Map<String, Value> {
    let mut told = told(&record.settings, Fields::Guardrail);
    for (name, value) in [
        ("id", Value::from(record.id.as_str())),
        ("name", record.name.as_str().into()),
        ("description", record.description.as_deref().into()),
        ("workspace_id", Value::Null),
        ("is_default", (record.kind == Kind::Default).into()),
        ("created_at", rfc3339(record.created_at).into()),
        ("updated_at", record.updated_at.map(rfc3339).into()),
    ] {
        told.insert(name.to_owned(), value);
    }
    told
}

fn assignment(row: &Row, whom: Whom) -> Value {
    let value = |name: &str| row.get(name).cloned().unwrap_or_default();
    let at = value("created_at").as_i64().map(rfc3339);
    match whom {
        Whom::Keys => json!({
            "id": value("id"),
            "key_hash": value("key_hash"),
            "guardrail_id": value("guardrail"),
            "key_name": value("key_name"),
            "key_label": value("key_label"),
            "assigned_by": value("assigned_by"),
            "created_at": at,
        }),
        Whom::Members => json!({
            "id": value("id"),
            "user_id": value("user"),
            "organization_id": null,
            "guardrail_id": value("guardrail"),
            "assigned_by": value("assigned_by"),
            "created_at": at,
        }),
    }
}
