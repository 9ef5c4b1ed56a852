//! What is told of a key: `/keys` in full, and `/key` with everything that bounds it. Amounts are exact decimal dollars.
//!
//! Out of scope: who may ask ([`super`]), what bounds a key (`credits::ledger`).

use serde::Serialize;

use crate::{
    credits::{
        money::{Nanos, dollars},
        ops::{self, BudgetState, Limits, Scope},
        periods::Reset,
    },
    identity::KeyRecord,
    time::rfc3339,
};

/// The one workspace of an account, as the reference's clients name it.
pub const WORKSPACE: &str = "default";

/// A limit of pace as it is told: a number, `"unlimited"`, or `null` for what the deployment says.
#[derive(Serialize)]
#[serde(untagged)]
pub enum PaceBody {
    Number(i64),
    Word(&'static str),
}

impl PaceBody {
    /// What is set.
    pub fn of(limit: Option<i64>) -> Option<Self> {
        limit.map(|limit| match limit {
            0 => Self::Word("unlimited"),
            limit => Self::Number(limit),
        })
    }
}

/// A key.
#[derive(Serialize)]
pub struct KeyBody {
    hash: String,
    name: String,
    label: String,
    disabled: bool,
    #[serde(with = "dollars::option")]
    limit: Option<Nanos>,
    #[serde(with = "dollars::option")]
    limit_remaining: Option<Nanos>,
    limit_reset: Option<Reset>,
    include_byok_in_limit: bool,
    #[serde(with = "dollars")]
    usage: Nanos,
    #[serde(with = "dollars")]
    usage_daily: Nanos,
    #[serde(with = "dollars")]
    usage_weekly: Nanos,
    #[serde(with = "dollars")]
    usage_monthly: Nanos,
    #[serde(with = "dollars")]
    byok_usage: Nanos,
    #[serde(with = "dollars")]
    byok_usage_daily: Nanos,
    #[serde(with = "dollars")]
    byok_usage_weekly: Nanos,
    #[serde(with = "dollars")]
    byok_usage_monthly: Nanos,
    requests_per_minute: Option<PaceBody>,
    tokens_per_minute: Option<PaceBody>,
    concurrent_requests: Option<PaceBody>,
    is_management_key: bool,
    is_provisioning_key: bool,
    creator_user_id: Option<String>,
    external_user: Option<String>,
    external_api_key: Option<String>,
    workspace_id: &'static str,
    created_at: String,
    updated_at: String,
    last_used_at: Option<String>,
    expires_at: Option<String>,
}

impl KeyBody {
    /// The key as its account's ledger has it, with what D1 alone knows.
    pub fn of(view: ops::KeyView, record: &KeyRecord) -> Self {
        Self {
            hash: view.hash,
            name: view.name,
            label: view.label,
            disabled: view.disabled,
            limit: view.limit,
            limit_remaining: view.limit_remaining,
            limit_reset: view.limit_reset,
            include_byok_in_limit: view.include_byok,
            usage: view.usage,
            usage_daily: view.usage_daily,
            usage_weekly: view.usage_weekly,
            usage_monthly: view.usage_monthly,
            byok_usage: view.byok_usage,
            byok_usage_daily: view.byok_usage_daily,
            byok_usage_weekly: view.byok_usage_weekly,
            byok_usage_monthly: view.byok_usage_monthly,
            requests_per_minute: PaceBody::of(view.limits.requests),
            tokens_per_minute: PaceBody::of(view.limits.tokens),
            concurrent_requests: PaceBody::of(view.limits.concurrent),
            is_management_key: record.management,
            is_provisioning_key: record.management,
            creator_user_id: record.member.clone(),
            external_user: record.external_user.clone(),
            external_api_key: record.external_key.clone(),
            workspace_id: WORKSPACE,
            created_at: rfc3339(view.created_at),
            updated_at: rfc3339(view.updated_at),
            last_used_at: view.last_used_at.map(rfc3339),
            expires_at: view.expires_at.map(rfc3339),
        }
    }

    /// A management key, which spends nothing.
    pub fn of_manager(key: &KeyRecord) -> Self {
        let view = ops::KeyView {
            hash: key.hash.clone(),
            name: key.name.clone(),
            label: key.label.clone(),
            disabled: key.disabled || key.owner_off,
            deleted: false,
            limit: None,
            limit_remaining: None,
            limit_reset: None,
            usage: Nanos::ZERO,
            usage_daily: Nanos::ZERO,
            usage_weekly: Nanos::ZERO,
            usage_monthly: Nanos::ZERO,
            byok_usage: Nanos::ZERO,
            byok_usage_daily: Nanos::ZERO,
            byok_usage_weekly: Nanos::ZERO,
            byok_usage_monthly: Nanos::ZERO,
            include_byok: false,
            limits: Limits::default(),
            created_at: key.created_at,
            updated_at: key.updated_at.unwrap_or(key.created_at),
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
        };
        Self::of(view, key)
    }
}

/// A key with everything that bounds it (`GET /key`).
#[derive(Serialize)]
pub struct StateBody {
    #[serde(flatten)]
    key: KeyBody,
    is_free_tier: bool,
    organization_id: Option<String>,
    allowed_data_regions: Vec<String>,
    free_model_daily_requests: FreeBody,
    rate_limit: RateLimitBody,
    budgets: Vec<BudgetBody>,
    effective_budget: Option<BudgetBody>,
}

#[derive(Serialize)]
struct FreeBody {
    used: i64,
    limit: Option<i64>,
    remaining: Option<i64>,
}

/// As old clients know it; what is in force stands beside it.
#[derive(Serialize)]
struct RateLimitBody {
    requests: i64,
    interval: &'static str,
    note: &'static str,
    tokens_per_minute: Option<i64>,
    concurrent_requests: Option<i64>,
}

/// A budget that a key is under.
#[derive(Clone, Serialize)]
struct BudgetBody {
    budget_id: String,
    guardrail_id: Option<String>,
    scope: &'static str,
    #[serde(with = "dollars")]
    limit_usd: Nanos,
    #[serde(with = "dollars")]
    spend_usd: Nanos,
    #[serde(with = "dollars")]
    remaining_usd: Nanos,
    reset_interval: Option<Reset>,
    resets_at: Option<String>,
    include_byok: bool,
}

impl BudgetBody {
    fn of(state: BudgetState) -> Self {
        let of_account = state.origin.starts_with(ops::ACCOUNT_BUDGETS);
        Self {
            budget_id: state.budget.id,
            guardrail_id: (!of_account).then_some(state.origin),
            scope: scope(&state.budget.scope),
            limit_usd: state.budget.amount,
            spend_usd: state.spent,
            remaining_usd: state.remaining.max(Nanos::ZERO),
            reset_interval: state.budget.reset,
            resets_at: state.resets_at.map(rfc3339),
            include_byok: state.budget.include_byok,
        }
    }

    /// The key's own limit, which is a budget too.
    fn of_limit(key: &ops::KeyView, now_ms: i64) -> Option<Self> {
        let (limit, remaining) = key.limit.zip(key.limit_remaining)?;
        let spend = |charged: Nanos, byok: Nanos| match key.include_byok {
            true => charged.checked_add(byok).ok(),
            false => Some(charged),
        };
        let spent = match key.limit_reset {
            None => spend(key.usage, key.byok_usage),
            Some(Reset::Daily) => spend(key.usage_daily, key.byok_usage_daily),
            Some(Reset::Weekly) => spend(key.usage_weekly, key.byok_usage_weekly),
            Some(Reset::Monthly) => spend(key.usage_monthly, key.byok_usage_monthly),
        };
        Some(Self {
            budget_id: key.hash.clone(),
            guardrail_id: None,
            scope: "key_limit",
            limit_usd: limit,
            spend_usd: spent.unwrap_or_default(),
            remaining_usd: remaining,
            reset_interval: key.limit_reset,
            resets_at: key.limit_reset.map(|reset| rfc3339(reset.next(now_ms))),
            include_byok: key.include_byok,
        })
    }
}

impl StateBody {
    /// What the ledger says of a key.
    pub fn of(state: ops::KeyState, record: &KeyRecord, now_ms: i64) -> Self {
        let own = BudgetBody::of_limit(&state.key, now_ms);
        let mut budgets: Vec<BudgetBody> = state.budgets.into_iter().map(BudgetBody::of).collect();
        budgets.extend(own);
        let effective = budgets.iter().min_by_key(|one| one.remaining_usd).cloned();
        Self {
            key: KeyBody::of(state.key, record),
            is_free_tier: state.granted == Nanos::ZERO,
            organization_id: None,
            allowed_data_regions: Vec::new(),
            free_model_daily_requests: FreeBody {
                used: state.free_used,
                limit: state.free_limit,
                remaining: state
                    .free_limit
                    .map(|limit| (limit - state.free_used).max(0)),
            },
            rate_limit: RateLimitBody {
                requests: state.limits.requests.unwrap_or(-1),
                interval: "60s",
                note: "requests is -1 where this key has no limit of requests per minute.",
                tokens_per_minute: state.limits.tokens,
                concurrent_requests: state.limits.concurrent,
            },
            budgets,
            effective_budget: effective,
        }
    }

    /// A management key, which nothing bounds.
    pub fn of_manager(record: &KeyRecord) -> Self {
        Self {
            key: KeyBody::of_manager(record),
            is_free_tier: false,
            organization_id: None,
            allowed_data_regions: Vec::new(),
            free_model_daily_requests: FreeBody {
                used: 0,
                limit: Some(0),
                remaining: Some(0),
            },
            rate_limit: RateLimitBody {
                requests: -1,
                interval: "60s",
                note: "A management key calls no model.",
                tokens_per_minute: None,
                concurrent_requests: None,
            },
            budgets: Vec::new(),
            effective_budget: None,
        }
    }
}

fn scope(scope: &Scope) -> &'static str {
    match scope {
        Scope::Account => "workspace",
        Scope::EachKey => "workspace_default_key",
        Scope::EachMember => "workspace_default_member",
        Scope::Key(_) => "api_key",
        Scope::Member(_) => "member",
    }
}
