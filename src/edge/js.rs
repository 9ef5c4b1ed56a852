//! The few lines of JavaScript that the `worker` crate has no wrapper for. One block, so that bundles hold them once.

use wasm_bindgen::{JsValue, prelude::*};

/// A closure that lives only while the function it is passed to runs.
pub type SyncClosure<'a> = ScopedClosure<'a, dyn FnMut() -> Result<JsValue, JsValue>>;

#[wasm_bindgen(inline_js = r#"
export function on_abort(signal, callback) { signal.addEventListener("abort", callback, { once: true }); }
export function off_abort(signal, callback) { signal.removeEventListener("abort", callback); }
export function transaction_sync(storage, body) { return storage.transactionSync(body); }
export function set_alarm(storage, at) { storage.setAlarm(at).catch((error) => console.error("the alarm could not be set", error)); }
export function rpc(namespace, name, op, json) { return namespace.getByName(name).call(op, json); }
"#)]
extern "C" {
    /// Calls back once when the signal fires.
    pub fn on_abort(signal: &web_sys::AbortSignal, callback: &JsValue);
    /// Takes the listener away again.
    pub fn off_abort(signal: &web_sys::AbortSignal, callback: &JsValue);
    /// `storage.transactionSync`: a throw from the body undoes its statements.
    #[wasm_bindgen(catch)]
    pub fn transaction_sync(storage: &JsValue, body: &SyncClosure<'_>) -> Result<JsValue, JsValue>;
    /// `storage.setAlarm`, unix milliseconds. The write belongs to the event that asks for it: its answer waits for it.
    #[wasm_bindgen(catch)]
    pub fn set_alarm(storage: &JsValue, at: f64) -> Result<(), JsValue>;
    /// Calls the RPC door of the object with this name.
    #[wasm_bindgen(catch)]
    pub fn rpc(
        namespace: &JsValue,
        name: &str,
        op: &str,
        json: &str,
    ) -> Result<js_sys::Promise, JsValue>;
}
