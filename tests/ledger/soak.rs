//! Random histories by the million, with crashes, held against the model: `npm run soak:ledger`. In a usual run some thousand.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::properties::{World, step};

/// What one thread of the soak did.
#[derive(Default)]
struct Soaked {
    operations: AtomicU64,
    crashes: AtomicU64,
    worlds: AtomicU64,
}

/// One world after the other, each with a history of its own, until so many operations are done.
fn soak(thread: u64, seed: u64, wanted: u64, soaked: &Soaked) {
    let bytes: Vec<u8> = [seed, thread, 0, 0]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let steps = prop::collection::vec((step(), prop::option::weighted(0.2, 0u32..12)), 150..250);
    while soaked.operations.load(Relaxed) < wanted {
        let history = steps.new_tree(&mut runner).unwrap().current();
        let mut world = World::with_keys();
        for (n, (step, crash)) in history.iter().enumerate() {
            world.run(step, *crash);
            if n % 20 == 19 {
                world.check();
            }
        }
        world.drain();
        let operations = u64::try_from(history.len()).unwrap();
        soaked.operations.fetch_add(operations, Relaxed);
        soaked
            .crashes
            .fetch_add(u64::from(world.account.store.crashes()), Relaxed);
        soaked.worlds.fetch_add(1, Relaxed);
    }
}

/// `npm run soak:ledger` does ten million (`LEDGER_OPS`); `LEDGER_SEED` repeats one that failed.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a figure for whoever watches, and a seed"
)]
fn random_operations_by_the_thousand_with_crashes_agree_with_the_model() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let wanted = number("LEDGER_OPS").unwrap_or(10_000);
    let time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let seed = number("LEDGER_SEED").unwrap_or(time.as_secs());
    eprintln!("LEDGER_SEED={seed}");
    let soaked = Soaked::default();
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let all: Vec<_> = (0u64..)
            .take(threads)
            .map(|thread| {
                scope.spawn({
                    let soaked = &soaked;
                    move || soak(thread, seed, wanted, soaked)
                })
            })
            .collect();
        let mut told = 0;
        while all.iter().any(|thread| !thread.is_finished()) {
            std::thread::sleep(std::time::Duration::from_millis(200));
            // One ends early only by failing: then the others need not go on.
            if all.iter().any(|thread| thread.is_finished()) {
                soaked.operations.fetch_max(wanted, Relaxed);
            }
            let seconds = began.elapsed().as_secs();
            if seconds >= told + 30 {
                told = seconds;
                let operations = soaked.operations.load(Relaxed);
                eprintln!(
                    "{operations} of {wanted} operations, {} a second",
                    operations / seconds
                );
            }
        }
    });
    eprintln!(
        "{} operations, {} crashes, {} worlds in {:?}",
        soaked.operations.load(Relaxed),
        soaked.crashes.load(Relaxed),
        soaked.worlds.load(Relaxed),
        began.elapsed()
    );
    assert!(soaked.operations.load(Relaxed) >= wanted && soaked.crashes.load(Relaxed) > 0);
}
