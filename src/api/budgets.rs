//! The budgets that an account gives itself: `/budgets/{daily|weekly|monthly|lifetime}`, and the reference's
//! `/workspaces/{ref}/budgets`.
//!
//! They are kept by the account's ledger alone, which holds every request against them. Out of scope: budgets of guardrails
//! (`guardrails`), what happens to a request beyond one (`credits::ledger`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    World,
    account::json_data,
    admin::{audit, missing},
    caller::manager,
    http::{Request, Response},
    keys::{body::WORKSPACE, dollars_from},
};
use crate::{
    credits::{
        money::{Nanos, dollars},
        ops::{self, ACCOUNT_BUDGETS, Budget, BudgetsGet, BudgetsPut, SetBudget, SpendView},
        periods::Reset,
    },
    error::{Error, Result},
    identity::{Manager, Role},
    time::rfc3339,
};

/// The periods, the narrowest first.
const PERIODS: [(&str, Option<Reset>); 4] = [
    ("daily", Some(Reset::Daily)),
    ("weekly", Some(Reset::Weekly)),
    ("monthly", Some(Reset::Monthly)),
    ("lifetime", None),
];

/// Answers `/budgets…`; `path` is what follows.
pub(super) async fn handle<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
) -> Result<Response> {
    let least = if method == "GET" {
        Role::Member
    } else {
        Role::Admin
    };
    let manager = manager(world, &request, least).await?;
    answer(world, request, method, path, &manager).await
}

/// Answers `/workspaces/{workspace}/budgets…`: an account has one workspace.
pub(super) async fn of_workspace<W: World>(
    world: &W,
    request: Request,
    method: &str,
    workspace: &str,
    path: &[&str],
) -> Result<Response> {
    let least = if method == "GET" {
        Role::Member
    } else {
        Role::Admin
    };
    let manager = manager(world, &request, least).await?;
    if workspace != WORKSPACE && workspace != manager.account {
        return Err(missing("workspace", workspace));
    }
    answer(world, request, method, path, &manager).await
}

async fn answer<W: World>(
    world: &W,
    request: Request,
    method: &str,
    path: &[&str],
    manager: &Manager,
) -> Result<Response> {
    let Some(word) = path.first() else {
        return list(world, &manager.account).await;
    };
    let period = PERIODS.iter().position(|(name, _)| name == word);
    let period = period.ok_or_else(|| {
        let message = "A budget's period is daily, weekly, monthly or lifetime";
        Error::invalid("period", message)
    })?;
    match method {
        "PUT" => put(world, manager, period, request.json().await?).await,
        "DELETE" => delete(world, manager, period).await,
        _ => show(world, &manager.account, period).await,
    }
}

/// A budget as it is told.
#[derive(Serialize)]
struct Body {
    id: String,
    workspace_id: &'static str,
    reset_interval: Option<Reset>,
    #[serde(with = "dollars")]
    limit_usd: Nanos,
    #[serde(with = "dollars")]
    spend_usd: Nanos,
    #[serde(with = "dollars")]
    remaining_usd: Nanos,
    resets_at: Option<String>,
    include_byok_in_budgets: bool,
}

impl Body {
    fn of(budget: Budget, spend: &SpendView, now_ms: i64) -> Result<Self> {
        let spent = spend.of(budget.reset, budget.include_byok);
        let spent = spent.map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self {
            id: budget.id,
            workspace_id: WORKSPACE,
            reset_interval: budget.reset,
            limit_usd: budget.amount,
            spend_usd: spent,
            remaining_usd: budget
                .amount
                .checked_sub(spent)
                .unwrap_or_default()
                .max(Nanos::ZERO),
            resets_at: budget.reset.map(|reset| rfc3339(reset.next(now_ms))),
            include_byok_in_budgets: budget.include_byok,
        })
    }
}

/// The account's own budgets, by the place of their period.
async fn own<W: World>(world: &W, account: &str) -> Result<[Option<Budget>; 4]> {
    let all = world.call(account, &BudgetsGet { origin: None }).await?;
    let of = |(name, _): (&str, Option<Reset>)| {
        let origin = origin(name);
        let found = all.iter().find(|set| set.origin == origin);
        found.map(|SetBudget { budget, .. }| budget.clone())
    };
    Ok(PERIODS.map(of))
}

fn origin(period: &str) -> String {
    format!("{ACCOUNT_BUDGETS}{period}")
}

async fn spend<W: World>(world: &W, account: &str) -> Result<SpendView> {
    world.call(account, &ops::SpendGet { member: None }).await
}

fn now<W: World>(world: &W) -> i64 {
    i64::try_from(world.now_ms()).unwrap_or(i64::MAX)
}

async fn list<W: World>(world: &W, account: &str) -> Result<Response> {
    let budgets = own(world, account).await?;
    let spend = spend(world, account).await?;
    let bodies: Vec<Body> = budgets
        .into_iter()
        .flatten()
        .map(|budget| Body::of(budget, &spend, now(world)))
        .collect::<Result<_>>()?;
    #[derive(Serialize)]
    struct List {
        total_count: usize,
        data: Vec<Body>,
    }
    let list = List {
        total_count: bodies.len(),
        data: bodies,
    };
    Ok(Response::json(200, &list))
}

async fn show<W: World>(world: &W, account: &str, period: usize) -> Result<Response> {
    let budgets = own(world, account).await?;
    let budget = budgets.into_iter().nth(period).flatten();
    let name = PERIODS.get(period).map_or("", |(name, _)| name);
    let budget = budget.ok_or_else(|| missing("budget", name))?;
    let body = Body::of(budget, &spend(world, account).await?, now(world))?;
    Ok(Response::json(200, &json_data(&body)))
}

/// A budget as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBudget {
    limit_usd: Value,
    #[serde(default)]
    include_byok_in_budgets: Option<bool>,
}

async fn put<W: World>(
    world: &W,
    manager: &Manager,
    period: usize,
    new: NewBudget,
) -> Result<Response> {
    let amount = dollars_from("limit_usd", &new.limit_usd)?;
    let known = own(world, &manager.account).await?;
    for (at, (other, (name, _))) in known.iter().zip(PERIODS).enumerate() {
        let Some(other) = other else { continue };
        let fits = match at.cmp(&period) {
            std::cmp::Ordering::Less => other.amount < amount,
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => other.amount > amount,
        };
        if !fits {
            let message = format!(
                "Budgets get strictly smaller as their period gets shorter: the {name} budget is ${}",
                other.amount
            );
            return Err(Error::invalid("limit_usd", message));
        }
    }
    let Some((name, reset)) = PERIODS.get(period).copied() else {
        return Err(Error::internal("a budget's period without a place"));
    };
    let before = known.into_iter().nth(period).flatten();
    let kept = before.as_ref().is_some_and(|budget| budget.include_byok);
    let budget = Budget {
        id: format!("budget_{name}"),
        scope: ops::Scope::Account,
        reset,
        amount,
        include_byok: new.include_byok_in_budgets.unwrap_or(kept),
    };
    let call = BudgetsPut {
        origin: origin(name),
        budgets: vec![budget.clone()],
    };
    world.call(&manager.account, &call).await?;
    let account = Some(manager.account.as_str());
    let detail = format!("${amount}");
    audit(world, &manager.actor, "budget.put", account, name, &detail).await?;
    let body = Body::of(budget, &spend(world, &manager.account).await?, now(world))?;
    Ok(Response::json(200, &json_data(&body)))
}

async fn delete<W: World>(world: &W, manager: &Manager, period: usize) -> Result<Response> {
    let name = PERIODS.get(period).map_or("", |(name, _)| name);
    let known = own(world, &manager.account).await?;
    if known.into_iter().nth(period).flatten().is_none() {
        return Err(missing("budget", name));
    }
    let call = BudgetsPut {
        origin: origin(name),
        budgets: Vec::new(),
    };
    world.call(&manager.account, &call).await?;
    let account = Some(manager.account.as_str());
    audit(world, &manager.actor, "budget.delete", account, name, "").await?;
    Ok(Response::json(200, &json!({"deleted": true})))
}
