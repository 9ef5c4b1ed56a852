//! Random histories under limits of pace, budgets, free models' limits and an allowance, held against a model of lists and sums,
//! with crashes at any statement.

use std::collections::BTreeMap;

use patchbay::credits::ops::{
    Budget, BudgetsPut, Call, Correct, Hold, HoldReply, KeyPut, KeyStateGet, LedgerError, Limits,
    LimitsPut, Refusal, Scope, Settle, SpendGet, Void,
};
use patchbay::credits::periods::Reset;
use patchbay::credits::share::Share;
use patchbay::credits::terms::Terms;
use proptest::prelude::*;

use crate::rules::{budget, open};
use crate::store::{Account, DAY, MINUTE, hold, key, nanos, settle, void};

const KEYS: [&str; 3] = ["k", "other", "third"];
/// Whose each key is.
const MEMBERS: [Option<&str>; 3] = [Some("alice"), Some("alice"), None];
const ALLOWANCE: i64 = 500;

#[derive(Debug, Clone)]
enum Step {
    Hold {
        id: u8,
        key: usize,
        amount: i64,
        tokens: i64,
        byok: i64,
        free: bool,
    },
    Settle {
        id: u8,
        amount: i64,
        tokens: i64,
        byok: i64,
    },
    Void {
        id: u8,
    },
    Correct {
        id: u8,
        cost: i64,
    },
    Clock(i64),
    Budgets {
        origin: u8,
        budgets: Vec<(u8, Option<Reset>, i64, bool)>,
    },
    AccountLimits(Limits),
    KeyLimits {
        key: usize,
        limits: Limits,
        limit: Option<i64>,
        include_byok: bool,
    },
    Restart,
}

fn reset() -> impl Strategy<Value = Option<Reset>> {
    prop_oneof![
        Just(None),
        Just(Some(Reset::Daily)),
        Just(Some(Reset::Weekly)),
        Just(Some(Reset::Monthly))
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let maybe = |range| prop::option::weighted(0.5, range);
    (maybe(0i64..8), maybe(0i64..400), maybe(0i64..5)).prop_map(|(requests, tokens, concurrent)| {
        Limits {
            requests,
            tokens,
            concurrent,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0u8..30;
    prop_oneof![
        14 => (id.clone(), 0usize..3, 0i64..200, 0i64..120, prop_oneof![3 => Just(0i64), 1 => 1i64..300], prop::bool::weighted(0.2))
            .prop_map(|(id, key, amount, tokens, byok, free)| {
                let (amount, byok) = if free { (0, 0) } else { (amount, byok) };
                Step::Hold { id, key, amount, tokens, byok, free }
            }),
        10 => (id.clone(), 0i64..220, 0i64..150, prop_oneof![2 => Just(0i64), 1 => 1i64..350])
            .prop_map(|(id, amount, tokens, byok)| Step::Settle { id, amount, tokens, byok }),
        2 => id.clone().prop_map(|id| Step::Void { id }),
        1 => (id, 0i64..300).prop_map(|(id, cost)| Step::Correct { id, cost }),
        8 => prop_oneof![4 => 0i64..20_000, 2 => Just(MINUTE), 1 => 0i64..3 * DAY, 1 => Just(40 * DAY)].prop_map(Step::Clock),
        2 => (0u8..2, prop::collection::vec((0u8..5, reset(), 0i64..900, any::<bool>()), 0..4))
            .prop_map(|(origin, budgets)| Step::Budgets { origin, budgets }),
        1 => limits().prop_map(Step::AccountLimits),
        2 => (0usize..3, limits(), prop::option::of(0i64..600), any::<bool>())
            .prop_map(|(key, limits, limit, include_byok)| Step::KeyLimits { key, limits, limit, include_byok }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open { release_at: i64 },
    Settled { at: i64, charged: i64, byok: i64 },
    Voided,
    Expired,
}

/// A request that was admitted.
#[derive(Debug, Clone)]
struct Request {
    key: usize,
    began: i64,
    tokens: i64,
    free: bool,
    held: i64,
    held_byok: i64,
    asked: i64,
    state: State,
    corrected: bool,
}

/// Everything that happened, and the rules in force.
struct Model {
    granted: i64,
    requests: BTreeMap<u8, Request>,
    budgets: BTreeMap<u8, Vec<Budget>>,
    account: Limits,
    keys: [KeyPut; 3],
    terms: Terms,
}

fn in_force(limit: Option<i64>) -> Option<i64> {
    limit.filter(|n| *n > 0)
}

fn fee(byok: i64) -> i64 {
    byok / 20
}

impl Model {
    fn open(&self) -> impl Iterator<Item = &Request> {
        self.requests
            .values()
            .filter(|one| matches!(one.state, State::Open { .. }))
    }

    fn balance(&self) -> i64 {
        let charged = self.requests.values().map(|one| match one.state {
            State::Settled { charged, .. } => charged,
            _ => 0,
        });
        self.granted - charged.sum::<i64>()
    }

    /// What the chosen requests were charged, and used of own keys, since the period began.
    fn spent(&self, of: impl Fn(&Request) -> bool, reset: Option<Reset>, now: i64) -> (i64, i64) {
        let since = reset.map_or(i64::MIN, |reset| reset.start(now));
        let chosen = self.requests.values().filter(|one| of(one));
        chosen.fold((0, 0), |sum, one| match one.state {
            State::Settled { at, charged, byok } if at >= since => (sum.0 + charged, sum.1 + byok),
            _ => sum,
        })
    }

    fn held(&self, of: impl Fn(&Request) -> bool) -> (i64, i64) {
        let chosen = self.open().filter(|one| of(one));
        chosen.fold((0, 0), |sum, one| (sum.0 + one.held, sum.1 + one.held_byok))
    }

    /// Requests and tokens of the last minute.
    fn paced(&self, of: impl Fn(&Request) -> bool, now: i64) -> (i64, i64) {
        let chosen = self
            .requests
            .values()
            .filter(|one| of(one) && one.began > now - MINUTE);
        chosen.fold((0, 0), |sum, one| (sum.0 + 1, sum.1 + one.tokens))
    }

    fn allowance_left(&self, now: i64) -> i64 {
        ALLOWANCE - self.spent(|_| true, Some(Reset::Monthly), now).1
    }

    /// What the hold reserves: no fee where the allowance covers it.
    fn amount(&self, amount: i64, byok: i64, now: i64) -> i64 {
        let covered = self.allowance_left(now) - self.held(|_| true).1 >= byok;
        if fee(byok) > 0 && covered {
            amount - fee(byok)
        } else {
            amount
        }
    }

    /// Which rule refuses the request, if one does.
    fn refuses(
        &self,
        (key, asked, tokens, byok, free): (usize, i64, i64, i64, bool),
        now: i64,
    ) -> Option<&'static str> {
        let own = |one: &Request| one.key == key;
        if free {
            let today = Reset::Daily.start(now);
            let used = self
                .requests
                .values()
                .filter(|one| one.free && one.began >= today && one.state != State::Voided);
            if used.count() as i64 >= self.terms.free.per_day {
                return Some("too_soon");
            }
            if self.paced(|one| one.free, now).0 >= self.terms.free.per_minute {
                return Some("too_soon");
            }
        }
        let limits = self.keys[key].limits;
        for (limits, (requests, taken), open) in [
            (
                &limits,
                self.paced(own, now),
                self.open().filter(|one| own(one)).count(),
            ),
            (
                &self.account,
                self.paced(|_| true, now),
                self.open().count(),
            ),
        ] {
            let over = in_force(limits.requests).is_some_and(|limit| requests + 1 > limit)
                || in_force(limits.tokens).is_some_and(|limit| taken + tokens > limit)
                || in_force(limits.concurrent).is_some_and(|limit| open as i64 >= limit);
            if over {
                return Some("too_soon");
            }
        }
        let amount = self.amount(asked, byok, now);
        let counted =
            |(charged, own): (i64, i64), include| if include { charged + own } else { charged };
        for budget in self.budgets.values().flatten() {
            let member = MEMBERS[key];
            let of: Box<dyn Fn(&Request) -> bool> = match &budget.scope {
                Scope::Account => Box::new(|_| true),
                Scope::EachKey => Box::new(own),
                Scope::Key(hash) if *hash == KEYS[key] => Box::new(own),
                Scope::EachMember if member.is_some() => Box::new(|one| MEMBERS[one.key] == member),
                Scope::Member(id) if Some(id.as_str()) == member => {
                    Box::new(|one| MEMBERS[one.key] == member)
                }
                _ => continue,
            };
            let include = budget.include_byok;
            let spent = counted(self.spent(&of, budget.reset, now), include);
            let held = counted(self.held(&of), include);
            if spent + held + counted((amount, byok), include) > budget.amount.get() {
                return Some("budget");
            }
        }
        let available = self.balance() - self.held(|_| true).0;
        let put = &self.keys[key];
        if let Some(limit) = put.limit {
            let include = put.include_byok;
            let remaining = limit.get()
                - counted(self.spent(own, None, now), include)
                - counted(self.held(own), include);
            if counted((amount, byok), include) > remaining
                && (remaining < available || amount <= available)
            {
                return Some("key_limit");
            }
        }
        if amount > available {
            return Some("credits");
        }
        let budget = self.terms.in_flight.budget(nanos(self.balance())).unwrap();
        let over = budget
            .is_some_and(|budget| amount > 0 && self.held(|_| true).0 + amount > budget.get());
        over.then_some("in_flight")
    }

    fn expire(&mut self, now: i64) {
        for one in self.requests.values_mut() {
            if matches!(one.state, State::Open { release_at } if release_at <= now) {
                one.state = State::Expired;
            }
        }
    }
}

fn told(reply: &HoldReply) -> Option<&'static str> {
    match reply {
        HoldReply::Granted { .. } => None,
        HoldReply::Refused(refusal) => Some(match refusal {
            Refusal::TooSoon(_) => "too_soon",
            Refusal::Budget(_) => "budget",
            Refusal::KeyLimit { .. } => "key_limit",
            Refusal::InsufficientCredits { .. } => "credits",
            Refusal::InFlightBudget { .. } => "in_flight",
            _ => "other",
        }),
    }
}

struct World {
    account: Account,
    model: Model,
}

/// Calls, dying at the given statement and then once more.
fn call<C: Call>(
    account: &Account,
    request: &C,
    crash: Option<u32>,
) -> Result<C::Reply, LedgerError> {
    if let Some(nth) = crash {
        account.store.crash_at(nth);
    }
    let answer = account.call(request);
    if !account.store.is_dead() {
        account.store.disarm();
        return answer;
    }
    account.restart();
    account.call(request)
}

impl World {
    fn new() -> Self {
        let mut terms = Terms {
            byok_allowance: nanos(ALLOWANCE),
            ..Terms::default()
        };
        (
            terms.free.per_minute,
            terms.free.per_day,
            terms.free.per_day_paid,
        ) = (3, 5, 5);
        terms.in_flight.share = Share::from_percent("60").unwrap();
        let account = open(terms.clone(), 3_000);
        account.ok(&key("third"));
        Self {
            account,
            model: Model {
                granted: 3_000,
                requests: BTreeMap::new(),
                budgets: BTreeMap::new(),
                account: Limits::default(),
                keys: KEYS.map(key),
                terms,
            },
        }
    }

    fn run(&mut self, step: &Step, crash: Option<u32>) {
        match step.clone() {
            Step::Hold {
                id,
                key,
                amount,
                tokens,
                byok,
                free,
            } => self.hold(id, (key, amount + fee(byok), tokens, byok, free), crash),
            Step::Settle {
                id,
                amount,
                tokens,
                byok,
            } => self.settle(id, amount + fee(byok), tokens, byok, crash),
            Step::Void { id } => self.void(id, crash),
            Step::Correct { id, cost } => self.correct(id, cost, crash),
            Step::Clock(ms) => self.account.later(ms),
            Step::Budgets { origin, budgets } => {
                let scope = |n: u8| match n {
                    0 => Scope::Account,
                    1 => Scope::EachKey,
                    2 => Scope::EachMember,
                    3 => Scope::Key("k".into()),
                    _ => Scope::Member("alice".into()),
                };
                let of = |(n, (kind, reset, amount, include_byok)): (
                    usize,
                    (u8, Option<Reset>, i64, bool),
                )| Budget {
                    include_byok,
                    ..budget(&format!("{origin}-{n}"), scope(kind), reset, amount)
                };
                let budgets: Vec<Budget> = budgets.into_iter().enumerate().map(of).collect();
                let put = BudgetsPut {
                    origin: format!("guard-{origin}"),
                    budgets: budgets.clone(),
                };
                call(&self.account, &put, crash).unwrap();
                self.model.budgets.insert(origin, budgets);
            }
            Step::AccountLimits(limits) => {
                call(&self.account, &LimitsPut { limits }, crash).unwrap();
                self.model.account = limits;
            }
            Step::KeyLimits {
                key: at,
                limits,
                limit,
                include_byok,
            } => {
                let put = KeyPut {
                    limits,
                    limit: limit.map(nanos),
                    include_byok,
                    ..key(KEYS[at])
                };
                call(&self.account, &put, crash).unwrap();
                self.model.keys[at] = put;
            }
            Step::Restart => self.account.restart(),
        }
    }

    fn hold(&mut self, id: u8, asked: (usize, i64, i64, i64, bool), crash: Option<u32>) {
        let now = self.account.now.get();
        let (key, amount, tokens, byok, free) = asked;
        if self.model.requests.contains_key(&id) {
            return;
        }
        let request = Hold {
            member: MEMBERS[key].map(str::to_owned),
            tokens,
            byok: nanos(byok),
            byok_fee: nanos(fee(byok)),
            free,
            ttl_ms: 5 * MINUTE,
            ..hold(&format!("gen-{id}"), KEYS[key], amount)
        };
        let reply = call(&self.account, &request, crash).unwrap();
        let mut expected = self.model.refuses(asked, now);
        if expected.is_some() {
            // Room is made of what is due, but not for limits that only time lifts.
            let before = self
                .account
                .store
                .int("SELECT COUNT(*) FROM entries WHERE kind = 'expire'");
            let known = self
                .model
                .requests
                .values()
                .filter(|one| one.state == State::Expired)
                .count();
            if before > known as i64 {
                self.model.expire(now);
                expected = self.model.refuses(asked, now);
            }
        }
        assert_eq!(told(&reply), expected, "{asked:?} at {now}: {reply:?}");
        if expected.is_none() {
            let held = self.model.amount(amount, byok, now);
            let one = Request {
                key,
                began: now,
                tokens,
                free,
                held,
                held_byok: byok,
                asked: amount,
                state: State::Open {
                    release_at: now + 5 * MINUTE,
                },
                corrected: false,
            };
            self.model.requests.insert(id, one);
        }
    }

    fn settle(&mut self, id: u8, amount: i64, tokens: i64, byok: i64, crash: Option<u32>) {
        let now = self.account.now.get();
        let left = self.model.allowance_left(now).max(0);
        let Some(one) = self.model.requests.get_mut(&id) else {
            return;
        };
        if !matches!(one.state, State::Open { .. } | State::Expired) {
            return;
        }
        let request = Settle {
            tokens,
            byok: nanos(byok),
            byok_fee: nanos(fee(byok)),
            ..settle(&format!("gen-{id}"), amount)
        };
        let waived = if byok == 0 || left >= byok {
            fee(byok)
        } else {
            fee(byok) * left / byok
        };
        let finished = call(&self.account, &request, crash).unwrap();
        assert_eq!(finished.charged.get(), amount - waived);
        if one.state != State::Expired {
            one.tokens = tokens;
        }
        one.state = State::Settled {
            at: now,
            charged: amount - waived,
            byok,
        };
        assert_eq!(
            call(&self.account, &request, None).unwrap(),
            finished,
            "a repetition changes nothing"
        );
    }

    fn void(&mut self, id: u8, crash: Option<u32>) {
        let Some(one) = self.model.requests.get_mut(&id) else {
            return;
        };
        if !matches!(one.state, State::Open { .. }) {
            return;
        }
        let request = Void {
            key_hash: KEYS[one.key].to_owned(),
            ..void(&format!("gen-{id}"))
        };
        call(&self.account, &request, crash).unwrap();
        one.tokens = 0;
        one.state = State::Voided;
    }

    fn correct(&mut self, id: u8, cost: i64, crash: Option<u32>) {
        let Some(one) = self.model.requests.get_mut(&id) else {
            return;
        };
        let State::Settled { at, charged, byok } = one.state else {
            return;
        };
        if charged == cost || one.corrected {
            return;
        }
        let request = Correct {
            id: format!("gen-{id}"),
            cost: nanos(cost),
            reason: "price".into(),
        };
        call(&self.account, &request, crash).unwrap();
        one.corrected = true;
        one.state = State::Settled {
            at,
            charged: cost,
            byok,
        };
    }

    /// Counters are sums of settlements, whoever asks.
    fn check(&self) {
        let now = self.account.now.get();
        let model = &self.model;
        assert_eq!(self.account.snapshot().balance.get(), model.balance());
        let all = |reset| {
            let (charged, byok) = model.spent(|_| true, reset, now);
            [nanos(charged), nanos(byok)]
        };
        let spend = self.account.ok(&SpendGet { member: None });
        assert_eq!(
            [spend.ever, spend.daily, spend.weekly, spend.monthly],
            [
                all(None),
                all(Some(Reset::Daily)),
                all(Some(Reset::Weekly)),
                all(Some(Reset::Monthly))
            ]
        );
        for (at, hash) in KEYS.iter().enumerate() {
            let get = KeyStateGet {
                hash: (*hash).to_owned(),
                member: MEMBERS[at].map(str::to_owned),
            };
            let state = self.account.ok(&get);
            let of = |reset| model.spent(|one| one.key == at, reset, now);
            let view = state.key;
            assert_eq!((view.usage.get(), view.byok_usage.get()), of(None));
            assert_eq!(
                (view.usage_monthly.get(), view.byok_usage_monthly.get()),
                of(Some(Reset::Monthly))
            );
            for told in state.budgets {
                let sum = told.spent.checked_add(told.held).unwrap();
                assert_eq!(told.remaining, told.budget.amount.checked_sub(sum).unwrap());
            }
        }
        for one in model.requests.values() {
            assert!(one.asked >= one.held);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_under_limits_and_budgets_agrees_with_the_model(
        steps in prop::collection::vec((step(), prop::option::weighted(0.25, 0u32..12)), 1..90),
    ) {
        let mut world = World::new();
        for (step, crash) in &steps {
            world.run(step, *crash);
            world.check();
        }
    }
}
