//! Many clients, workers that die, an object that crashes at any statement, a provider that acts: never a second deed under one name, never a
//! charge that is lost or invented.
//!
//! The object runs one call at a time, so every interleaving of concurrent requests is an order of calls: random orders are all there is.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::credits::ops::{
    Call, Effect, ExecutionState, Expire, Hold, LedgerError, ToolBegin, ToolBegun, ToolEnd,
};
use proptest::prelude::*;

use crate::executions::{begin, end};
use crate::store::{Account, MINUTE, hold, nanos};

const GRANT: i64 = 1_000_000;
const PRICE: i64 = 100;
const NAMES: u8 = 6;

/// What a provider knows of keys: reads change nothing, some writes are carried out once per key, others each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Keyed,
    Plain,
}

fn kind(name: u8) -> Kind {
    match name % 3 {
        0 => Kind::Read,
        1 => Kind::Keyed,
        _ => Kind::Plain,
    }
}

/// What becomes of a request at the provider, as its worker sees it.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Done,
    Refused,
    NotSent,
    LostAfter,
    LostBefore,
}

#[derive(Debug, Clone)]
enum Step {
    /// A client asks under a name; `other` sends another payload.
    Begin {
        name: u8,
        other: bool,
    },
    /// A worker asks the provider.
    Send {
        worker: u8,
        fate: Fate,
    },
    /// A worker tells the end.
    End {
        worker: u8,
    },
    /// A worker dies.
    Die {
        worker: u8,
    },
    Clock(i64),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        4 => Just(Fate::Done),
        2 => Just(Fate::Refused),
        2 => Just(Fate::NotSent),
        2 => Just(Fate::LostAfter),
        2 => Just(Fate::LostBefore),
    ];
    prop_oneof![
        6 => (0..NAMES, prop::bool::weighted(0.1)).prop_map(|(name, other)| Step::Begin { name, other }),
        6 => (any::<u8>(), fate).prop_map(|(worker, fate)| Step::Send { worker, fate }),
        6 => any::<u8>().prop_map(|worker| Step::End { worker }),
        1 => any::<u8>().prop_map(|worker| Step::Die { worker }),
        2 => (0..2 * MINUTE).prop_map(Step::Clock),
        1 => Just(Step::Expire),
    ]
}

/// A request that was let through.
struct Worker {
    id: String,
    name: u8,
    deadline: i64,
    fate: Option<Fate>,
}

#[derive(Default)]
struct Told {
    /// A success whose end was recorded.
    succeeded: bool,
    /// Deeds in the world.
    deeds: u32,
    /// Somebody was let through and told no end, or that nobody knows.
    doubt: bool,
}

struct World {
    account: Account,
    workers: Vec<Worker>,
    told: BTreeMap<u8, Told>,
    ids: BTreeMap<String, u8>,
    /// Names whose key the provider has carried out.
    keys: BTreeSet<u8>,
}

fn request(id: &str, name: u8, other: bool) -> ToolBegin {
    let effect = if kind(name) == Kind::Read {
        Effect::Read
    } else {
        Effect::Write
    };
    ToolBegin {
        hold: Hold {
            ttl_ms: MINUTE,
            ..hold(id, "k", PRICE)
        },
        effect,
        resend: kind(name) != Kind::Plain,
        fingerprint: if other {
            "other".to_owned()
        } else {
            format!("f{name}")
        },
        ..begin(id, Some(&format!("n{name}")))
    }
}

impl World {
    fn new() -> Self {
        let account = Account::with(GRANT);
        // The default guards are not what is looked at here.
        account.ok(&patchbay::credits::ops::ToolGuardsPut {
            key_hash: None,
            guards: patchbay::credits::ops::GuardSet {
                confirm: None,
                rules: vec![patchbay::credits::ops::GuardRule {
                    tool: "*".to_owned(),
                    calls_per_minute: Some(100_000),
                    ..Default::default()
                }],
            },
        });
        Self {
            account,
            workers: Vec::new(),
            told: BTreeMap::new(),
            ids: BTreeMap::new(),
            keys: BTreeSet::new(),
        }
    }

    /// Calls; where the object dies on the way, it wakes up and is called again, as a worker does.
    fn call<C: Call>(&self, call: &C, crash: Option<u32>) -> C::Reply {
        if let Some(nth) = crash {
            self.account.store.crash_at(nth);
        }
        let answer = self.account.call(call);
        if self.account.store.is_dead() {
            assert!(matches!(answer, Err(LedgerError::Store(_))));
            self.account.restart();
            return self.account.ok(call);
        }
        self.account.store.disarm();
        match answer {
            Ok(reply) => reply,
            Err(error) => panic!("{}: {error}", C::OP),
        }
    }

    fn begins(&mut self, name: u8, other: bool, crash: Option<u32>) {
        let id = format!("e{}", self.ids.len());
        self.ids.insert(id.clone(), name);
        let now = self.account.now.get();
        let reply = self.call(&request(&id, name, other), crash);
        let under_way = self
            .workers
            .iter()
            .any(|worker| worker.name == name && worker.deadline > now);
        let told = self.told.entry(name).or_default();
        match reply {
            ToolBegun::Granted { .. } => {
                assert!(!under_way, "two under way under one name");
                assert!(!told.succeeded, "what was done is done again");
                assert!(
                    !(told.doubt && kind(name) == Kind::Plain),
                    "what was perhaps done is done again"
                );
                told.doubt = true;
                self.workers.push(Worker {
                    id,
                    name,
                    deadline: now + MINUTE,
                    fate: None,
                });
            }
            ToolBegun::Replay(view) => {
                assert_eq!(self.ids[&view.id], name);
                let succeeded = view.state == ExecutionState::Succeeded;
                assert_eq!(succeeded, view.answer.is_some() && succeeded);
            }
            ToolBegun::InProgress { id, .. } => assert_eq!(self.ids[&id], name),
            ToolBegun::Mismatch { id } => assert_eq!(self.ids[&id], name),
            other => panic!("{other:?}"),
        }
    }

    fn sends(&mut self, worker: u8, fate: Fate) {
        let count = self.workers.len();
        if count == 0 {
            return;
        }
        let worker = &mut self.workers[usize::from(worker) % count];
        if worker.fate.is_some() {
            return;
        }
        worker.fate = Some(fate);
        if !matches!(fate, Fate::Done | Fate::LostAfter) {
            return;
        }
        let told = self.told.entry(worker.name).or_default();
        match kind(worker.name) {
            Kind::Read => {}
            Kind::Plain => told.deeds += 1,
            Kind::Keyed => {
                if self.keys.insert(worker.name) {
                    told.deeds += 1;
                }
            }
        }
    }

    fn ends(&mut self, worker: u8, crash: Option<u32>) {
        let count = self.workers.len();
        if count == 0 {
            return;
        }
        let at = usize::from(worker) % count;
        let Some(fate) = self.workers[at].fate else {
            return;
        };
        let worker = self.workers.remove(at);
        let state = match fate {
            Fate::Done => ExecutionState::Succeeded,
            Fate::Refused => ExecutionState::Failed,
            Fate::NotSent => ExecutionState::FailedClean,
            Fate::LostAfter | Fate::LostBefore => ExecutionState::Unknown,
        };
        let call = ToolEnd {
            charge: nanos(PRICE),
            ..end(&worker.id, state)
        };
        let ended = self.call(&call, crash);
        assert_eq!(ended.state, state);
        let told = self.told.entry(worker.name).or_default();
        match state {
            ExecutionState::Succeeded => told.succeeded = true,
            // It certainly did nothing, and for what is sent once nobody else was let through.
            ExecutionState::FailedClean => told.doubt = false,
            _ => {}
        }
    }

    fn check(&self) {
        let mut charged = 0;
        for (name, told) in &self.told {
            if kind(*name) != Kind::Read {
                assert!(
                    told.deeds <= 1,
                    "name {name} was carried out {} times",
                    told.deeds
                );
            }
            let sum: i64 = self
                .ids
                .iter()
                .filter(|(_, of)| *of == name)
                .map(|(id, _)| self.charged(id))
                .sum();
            let due = if told.succeeded { PRICE } else { 0 };
            assert_eq!(sum, due, "name {name}");
            charged += sum;
        }
        assert_eq!(self.account.snapshot().balance, nanos(GRANT - charged));
    }

    fn charged(&self, id: &str) -> i64 {
        self.account.store.int(&format!(
            "SELECT COALESCE(-SUM(amount), 0) FROM entries WHERE id = '{id}'"
        ))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn one_name_is_one_deed_and_one_charge(
        history in prop::collection::vec((step(), prop::option::weighted(0.3, 0u32..14)), 1..80)
    ) {
        let mut world = World::new();
        for (step, crash) in history {
            match step {
                Step::Begin { name, other } => world.begins(name, other, crash),
                Step::Send { worker, fate } => world.sends(worker, fate),
                Step::End { worker } => world.ends(worker, crash),
                Step::Die { worker } => {
                    let count = world.workers.len();
                    if count > 0 {
                        world.workers.remove(usize::from(worker) % count);
                    }
                }
                Step::Clock(ms) => world.account.later(ms),
                Step::Expire => { world.call(&Expire {}, crash); }
            }
            world.check();
        }
    }
}
