//! Log destinations: `/observability/destinations`, the test of a connection, what was put aside, and the cron's delivery.
//!
//! Spec: OpenRouter's observability destinations. No answer holds a secret; every change is written to the audit log.

mod desk;
mod fields;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    World,
    admin::{audit, missing, named},
    byok::{forget, keyring, uuid},
    caller::manager,
    http::{Request, Response},
};
use crate::{
    error::{Error, ErrorType, Next, Result, Source},
    identity::{Actor, Role, own_keys::seal::Keyring},
    observability::{
        address::{self, Refusal},
        config::Config,
        deliver::{self, Delivered},
        forms, sample,
        store::{self, Destination, Letter, MAX_DESTINATIONS},
        trace::Switches,
    },
    time::rfc3339,
};
pub(super) use desk::Desk;
use fields::Change;

/// The most that one page lists.
const PAGE: i64 = 100;

/// One run of the cron: what happened goes to the destinations.
///
/// # Errors
/// When no destination could be looked up.
pub async fn deliver<W: World>(world: &W) -> Result<Delivered> {
    deliver::run(&Desk(world.clone())).await
}

/// Answers the family; `path` is what follows `observability/destinations`.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let manager = manager(world, &request, Role::Admin).await?;
    let desk = Desk(world.clone());
    let owner = Owner {
        desk: &desk,
        actor: &manager.actor,
        account: &manager.account,
    };
    match (method, path) {
        ("POST", []) => owner.create(request.json().await?).await,
        (_, []) => owner.list(&request).await,
        ("PATCH", [id]) => owner.change(id, request.json().await?).await,
        ("DELETE", [id]) => owner.delete(id).await,
        (_, [id]) => owner.show(id).await,
        (_, [id, "test"]) => owner.test(id).await,
        ("DELETE", [id, "dead-letters"]) => owner.drop_letters(id, None).await,
        (_, [id, "dead-letters"]) => owner.letters(id, &request).await,
        (_, [id, "dead-letters", "retry"]) => owner.retry(id, request).await,
        (_, [id, "dead-letters", generation, ..]) => {
            let generations = vec![(*generation).to_owned()];
            owner.drop_letters(id, Some(generations)).await
        }
        _ => Err(missing("destination", "")),
    }
}

/// Who administers an account's destinations.
struct Owner<'a, W> {
    desk: &'a Desk<W>,
    actor: &'a Actor,
    account: &'a str,
}

impl<W: World> Owner<'_, W> {
    fn world(&self) -> &W {
        &self.desk.0
    }

    fn now(&self) -> i64 {
        i64::try_from(self.world().now_ms()).unwrap_or(i64::MAX)
    }

    async fn stored(&self, id: &str) -> Result<Destination> {
        let found = store::get(self.desk, self.account, id).await?;
        found.ok_or_else(|| missing("destination", id))
    }

    async fn list(&self, request: &Request) -> Result<Response> {
        let (offset, limit) = page(request)?;
        let all = store::list(self.desk, self.account).await?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let data: Vec<Value> = all.iter().skip(from).take(most).map(rendered).collect();
        let body = json!({"data": data, "total_count": all.len()});
        Ok(Response::json(200, &body))
    }

    async fn show(&self, id: &str) -> Result<Response> {
        let destination = self.stored(id).await?;
        Ok(Response::json(
            200,
            &json!({"data": self.full(&destination).await?}),
        ))
    }

    /// With what only D1 can tell of its deliveries, and the table it needs.
    async fn full(&self, destination: &Destination) -> Result<Value> {
        let mut body = rendered(destination);
        let (pending, oldest) = store::lag(self.desk, destination).await?;
        let (dead, queued) = store::count_letters(self.desk, self.account, &destination.id).await?;
        let lag_ms = oldest.map(|oldest| self.now().saturating_sub(oldest).max(0));
        if let Some(delivery) = body.get_mut("delivery").and_then(Value::as_object_mut) {
            delivery.insert("pending".into(), pending.into());
            delivery.insert(
                "lag_seconds".into(),
                lag_ms.map_or(0, |lag| lag / 1_000).into(),
            );
            delivery.insert("dead_letters".into(), dead.into());
            delivery.insert("dead_letters_queued".into(), queued.into());
        }
        let shown = Config::from_text(&Value::Object(destination.shown.clone()).to_string())?;
        if let (Some(sql), Some(body)) =
            (forms::setup(destination.kind, &shown), body.as_object_mut())
        {
            body.insert("setup_sql".into(), sql.into());
        }
        Ok(body)
    }

    async fn create(&self, body: Map<String, Value>) -> Result<Response> {
        let ring = required_keyring(self.world())?;
        let (kind, mut change) = fields::read_new(body)?;
        let config = Config::read(kind, change.config.take().unwrap_or_default())?;
        let others = store::list(self.desk, self.account).await?;
        if others.len() >= MAX_DESTINATIONS {
            let message = format!("An account keeps at most {MAX_DESTINATIONS} destinations");
            return Err(Error::invalid("type", message));
        }
        let mut new = Destination {
            id: uuid(&self.world().random()?),
            account: self.account.to_owned(),
            kind,
            name: String::new(),
            shown: Map::new(),
            sealed: String::new(),
            enabled: true,
            sampling_rate: sample::ALL,
            privacy_mode: false,
            api_key_hashes: None,
            filter_rules: None,
            switches: Switches::default(),
            created_at: self.now(),
            updated_at: None,
            state: store::State::default(),
        };
        self.check(&change).await?;
        apply(&mut new, change)?;
        self.seal(&ring, &mut new, &config).await?;
        store::insert(self.desk, &new).await?;
        self.forget_if(new.enabled && new.wants_content()).await?;
        self.note("destination.create", &new).await?;
        Ok(Response::json(
            201,
            &json!({"data": self.full(&new).await?}),
        ))
    }

    async fn change(&self, id: &str, body: Map<String, Value>) -> Result<Response> {
        let mut destination = self.stored(id).await?;
        let mut change = fields::read_change(body)?;
        self.check(&change).await?;
        let (was_on, wanted) = (destination.enabled, destination.wants_content());
        if let Some(sent) = change.config.take() {
            let ring = required_keyring(self.world())?;
            let config = store::open(&destination, &ring)?.changed(destination.kind, sent)?;
            self.seal(&ring, &mut destination, &config).await?;
        }
        apply(&mut destination, change)?;
        destination.updated_at = Some(self.now());
        // What its owner switched off missed what happened; what gave up was to get it.
        let from_now = destination.enabled && !was_on && destination.state.notice.is_none();
        store::update(self.desk, &destination, from_now).await?;
        let wants = destination.enabled && destination.wants_content();
        self.forget_if(wants != (was_on && wanted)).await?;
        self.note("destination.change", &destination).await?;
        let destination = self.stored(id).await?;
        Ok(Response::json(
            200,
            &json!({"data": self.full(&destination).await?}),
        ))
    }

    async fn delete(&self, id: &str) -> Result<Response> {
        let destination = self.stored(id).await?;
        store::delete(self.desk, self.account, id).await?;
        self.forget_if(destination.enabled && destination.wants_content())
            .await?;
        self.note("destination.delete", &destination).await?;
        Ok(Response::json(200, &json!({"deleted": true})))
    }

    async fn test(&self, id: &str) -> Result<Response> {
        let destination = self.stored(id).await?;
        let ring = required_keyring(self.world())?;
        let config = store::open(&destination, &ring)?;
        let tested = deliver::test(self.desk, &destination, &config).await?;
        self.note("destination.test", &destination).await?;
        Ok(Response::json(
            200,
            &json!({"data": {
                "ok": tested.ok,
                "status": (tested.status > 0).then_some(tested.status),
                "message": tested.message,
                "latency_ms": tested.took_ms,
            }}),
        ))
    }

    async fn letters(&self, id: &str, request: &Request) -> Result<Response> {
        self.stored(id).await?;
        let (offset, limit) = page(request)?;
        let letters = store::letters(self.desk, self.account, id, limit, offset).await?;
        let (total, _) = store::count_letters(self.desk, self.account, id).await?;
        let data: Vec<Value> = letters.iter().map(rendered_letter).collect();
        Ok(Response::json(
            200,
            &json!({"data": data, "total_count": total}),
        ))
    }

    async fn retry(&self, id: &str, request: Request) -> Result<Response> {
        let destination = self.stored(id).await?;
        let body = request.body.await?;
        let generations = fields::generations(&body)?;
        let queued =
            store::queue_letters(self.desk, self.account, id, generations.as_deref()).await?;
        self.note("destination.retry", &destination).await?;
        Ok(Response::json(200, &json!({"data": {"queued": queued}})))
    }

    async fn drop_letters(&self, id: &str, generations: Option<Vec<String>>) -> Result<Response> {
        let destination = self.stored(id).await?;
        let dropped =
            store::drop_letters(self.desk, self.account, id, generations.as_deref()).await?;
        if let (0, Some(ids)) = (dropped, &generations) {
            return Err(missing(
                "dead letter",
                ids.first().map_or("", String::as_str),
            ));
        }
        self.note("destination.drop", &destination).await?;
        Ok(Response::json(
            200,
            &json!({"deleted": true, "dropped": dropped}),
        ))
    }

    /// Checks what the stores know.
    async fn check(&self, change: &Change) -> Result<()> {
        let Some(Some(hashes)) = &change.api_key_hashes else {
            return Ok(());
        };
        let known = store::key_names(self.desk, self.account, hashes).await?;
        let known: HashMap<String, String> = known.into_iter().collect();
        match hashes.iter().position(|hash| !known.contains_key(hash)) {
            Some(at) => Err(Error::invalid(
                format!("api_key_hashes[{at}]"),
                "The account has no API key with this hash",
            )),
            None => Ok(()),
        }
    }

    /// Puts a configuration into a destination, once its addresses have been found good.
    async fn seal(
        &self,
        ring: &Keyring,
        destination: &mut Destination,
        config: &Config,
    ) -> Result<()> {
        for (name, url) in config.addresses(destination.kind) {
            match address::check(self.desk, &url, address::TRUSTED).await {
                Ok(()) => {}
                Err(Refusal::Forbidden(reason) | Refusal::Unknown(reason)) => {
                    return Err(Error::invalid(format!("config.{name}"), reason));
                }
            }
        }
        let sealed = ring.seal(
            &self.world().random()?,
            &destination.binding(),
            &config.to_text(),
        );
        destination.sealed = sealed.map_err(|error| Error::internal(error.to_string()))?;
        destination.shown = config.shown(destination.kind);
        Ok(())
    }

    /// API keys' records say whether contents are kept.
    async fn forget_if(&self, changed: bool) -> Result<()> {
        if changed {
            forget(self.world(), self.account, true).await?;
        }
        Ok(())
    }

    async fn note(&self, action: &str, destination: &Destination) -> Result<()> {
        let detail = format!("{} {}", destination.kind.name, destination.name);
        let account = Some(self.account);
        audit(
            self.world(),
            self.actor,
            action,
            account,
            &destination.id,
            &detail,
        )
        .await
    }
}

fn required_keyring<W: World>(world: &W) -> Result<Keyring> {
    let refuse = |message: String| {
        let mut error = Error::new(
            Source::Client,
            Next::Final,
            ErrorType::InvalidRequest,
            message,
        );
        error.status = 501;
        error
    };
    keyring(world).map_err(refuse)?.ok_or_else(|| {
        refuse("This deployment keeps no destinations: set the secret BYOK_MASTER_KEY (openssl rand -base64 32)".into())
    })
}

/// `offset` and `limit` of a list.
fn page(request: &Request) -> Result<(i64, i64)> {
    Ok((
        request.whole("offset", 0, 0)?,
        request.whole("limit", 1, 50)?.min(PAGE),
    ))
}

/// Puts a checked change into a destination.
fn apply(destination: &mut Destination, change: Change) -> Result<()> {
    if let Some(name) = change.name {
        destination.name = named(&name)?.to_owned();
    }
    destination.enabled = change.enabled.unwrap_or(destination.enabled);
    destination.privacy_mode = change.privacy_mode.unwrap_or(destination.privacy_mode);
    destination.sampling_rate = change.sampling_rate.unwrap_or(destination.sampling_rate);
    if let Some(hashes) = change.api_key_hashes {
        destination.api_key_hashes = hashes;
    }
    if let Some(rules) = change.filter_rules {
        destination.filter_rules = rules;
    }
    let switches = &mut destination.switches;
    for (switch, sent) in [
        (&mut switches.cost, change.cost),
        (&mut switches.cost_allocation, change.cost_allocation),
        (&mut switches.identity, change.identity),
        (&mut switches.request_context, change.request_context),
    ] {
        *switch = sent.unwrap_or(*switch);
    }
    Ok(())
}

fn rendered(destination: &Destination) -> Value {
    let (state, switches) = (&destination.state, &destination.switches);
    let created = rfc3339(destination.created_at);
    json!({
        "id": destination.id,
        "type": destination.kind.name,
        "name": destination.name,
        "config": destination.shown,
        "enabled": destination.enabled,
        "sampling_rate": fields::rate(destination.sampling_rate),
        "privacy_mode": destination.privacy_mode,
        "api_key_hashes": destination.api_key_hashes,
        "filter_rules": destination.filter_rules,
        "broadcast_generation_cost": switches.cost,
        "broadcast_generation_cost_allocation": switches.cost_allocation,
        "broadcast_generation_identity": switches.identity,
        "broadcast_generation_request_context": switches.request_context,
        "workspace_id": null,
        "created_at": created,
        "updated_at": destination.updated_at.map_or(created, rfc3339),
        "delivery": {
            "delivered": state.delivered,
            "rejected_spans": state.rejected,
            "last_success_at": state.last_success_at.map(rfc3339),
            "last_error_at": state.last_error_at.map(rfc3339),
            "last_error": state.last_error,
            "failing_since": state.failing_since.map(rfc3339),
            "tries": state.tries,
            "next_try_at": (state.tries > 0).then(|| rfc3339(state.next_at)),
            "notice": state.notice,
        },
    })
}

fn rendered_letter(letter: &Letter) -> Value {
    json!({
        "generation_id": letter.generation,
        "status": (letter.status > 0).then_some(letter.status),
        "reason": letter.reason,
        "tries": letter.tries,
        "created_at": rfc3339(letter.created_at),
        "queued": letter.queued,
    })
}
