//! Faults on demand, for the tests of what must survive them. They exist only where the deployment's variable
//! `FAULT_INJECTION` is `on`; then a request names them in the header `x-patchbay-fault`, and an object by the operation.

use worker::{Env, console_warn};

/// The header that names faults, separated by commas.
pub const HEADER: &str = "x-patchbay-fault";

/// The variable that names faults of every event.
const ALWAYS: &str = "FAULTS";

/// The faults of one request.
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<String>);

impl Faults {
    /// The faults that a request asks for; none unless the deployment allows them.
    pub fn of(env: &Env, header: Option<&str>) -> Self {
        if !enabled(env) {
            return Self::default();
        }
        let always = env.var(ALWAYS).map(|value| value.to_string());
        let named = [header, always.as_deref().ok()].into_iter().flatten();
        let names = named.flat_map(|names| names.split(','));
        Self(names.map(|name| name.trim().to_owned()).collect())
    }

    /// Whether this fault was asked for.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

/// Panics in an object that is asked for the operation `panic`.
pub fn in_object(env: &Env, op: &str) {
    if op == "panic" && enabled(env) {
        panic_now("in an object");
    }
}

/// Panics.
#[expect(clippy::panic, reason = "this is what the fault is")]
pub fn panic_now(place: &str) {
    console_warn!("a panic was asked for {place}");
    panic!("injected panic {place}");
}

fn enabled(env: &Env) -> bool {
    env.var("FAULT_INJECTION")
        .is_ok_and(|value| value.to_string() == "on")
}
