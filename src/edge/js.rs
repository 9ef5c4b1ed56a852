//! The few lines of JavaScript that the `worker` crate has no wrapper for. One block, so that bundles hold them once.

use wasm_bindgen::{JsValue, prelude::*};

/// A closure that lives only while the function it is passed to runs.
pub type SyncClosure<'a> = ScopedClosure<'a, dyn FnMut() -> Result<JsValue, JsValue>>;

#[wasm_bindgen(inline_js = r#"
// Lists cross the border as one text: a call costs more than what it carries.
const pairs = (text) => {
  const words = text.split("\0");
  const list = [];
  for (let i = 1; i < words.length; i += 2) list.push([words[i - 1], words[i]]);
  return list;
};
export function on_abort(signal, callback) { signal.addEventListener("abort", callback, { once: true }); }
export function off_abort(signal, callback) { signal.removeEventListener("abort", callback); }
export function request_head(request) {
  let text = `${request.method}\0${request.url}`;
  for (const [name, value] of request.headers) text += `\0${name}\0${value}`;
  return text;
}
export function respond(status, head, stream) { return new Response(stream ?? null, { status, headers: pairs(head) }); }
export function respond_with(status, head, bytes) { return new Response(bytes.slice(), { status, headers: pairs(head) }); }
export function send(url, head, body, controller) {
  return fetch(url, { method: "POST", headers: pairs(head), body: body.slice(), redirect: "manual", signal: controller.signal });
}
export function run(binding, text, controller) {
  const { model, ...inputs } = JSON.parse(text);
  return binding.run(model, inputs, { returnRawResponse: true, signal: controller.signal });
}
export async function sign_rs256(pkcs8, message) {
  const [key, text] = [pkcs8.slice(), message.slice()];
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  return crypto.subtle.sign(algorithm.name, await crypto.subtle.importKey("pkcs8", key, algorithm, false, ["sign"]), text);
}
export async function verify(algorithm, jwk, message, signature) {
  const [text, sent] = [message.slice(), signature.slice()];
  const details = algorithm === "RS256" ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } : { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  return crypto.subtle.verify(details, await crypto.subtle.importKey("jwk", JSON.parse(jwk), details, false, ["verify"]), sent, text);
}
export function get(url, head, controller) {
  return fetch(url, { headers: pairs(head), redirect: "manual", signal: controller.signal });
}
export async function put(method, url, head, body, gzip, controller) {
  const headers = new Headers(pairs(head));
  let bytes = method === "GET" ? undefined : body.slice();
  if (gzip && bytes) {
    headers.set("content-encoding", "gzip");
    bytes = await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
  }
  return fetch(url, { method, headers, body: bytes, redirect: "manual", signal: controller.signal });
}
export function exchange(method, url, head, body, controller) {
  // What is malformed is told here, before anything is sent.
  const request = new Request(url, { method, headers: pairs(head), body: body?.slice(), redirect: "manual", signal: controller.signal });
  return fetch(request);
}
export function all_headers(response) { return [...response.headers].flat().join("\0"); }
export function zone_offset(zone) {
  try {
    const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
    return format.formatToParts(Date.now()).find((part) => part.type === "timeZoneName")?.value;
  } catch {
    return undefined;
  }
}
export function answer_head(response, names) {
  return names.split("\0").map((name) => response.headers.get(name) ?? "").join("\0");
}
export function whole(response) { return response.arrayBuffer(); }
export function incoming(response, arrived) {
  const source = response.body?.getReader();
  if (!source) return undefined;
  const it = { source, arrived };
  it.ok = ({ value }) => it.arrived?.(value, undefined);
  it.failed = (error) => it.arrived?.(undefined, error);
  return it;
}
export function read(incoming) { incoming.source.read().then(incoming.ok, incoming.failed); }
export function forget(incoming) { incoming.arrived = undefined; }
export function outgoing(pull, cancel) {
  const it = {};
  it.stream = new ReadableStream({ start(controller) { it.controller = controller; }, pull() { pull(); }, cancel() { cancel(); } }, { highWaterMark: 0 });
  return it;
}
export function readable(outgoing) { return outgoing.stream; }
export function push(outgoing, bytes) { outgoing.controller.enqueue(bytes.slice()); }
export function end(outgoing) { outgoing.controller.close(); }
export function fail(outgoing, message) { outgoing.controller.error(new Error(message)); }
export function rows(sql, statement, params) { return JSON.stringify([...sql.exec(statement, ...JSON.parse(params)).raw()]); }
export function transaction_sync(storage, body) { return storage.transactionSync(body); }
export function set_alarm(storage, at) { storage.setAlarm(at).catch((error) => console.error("the alarm could not be set", error)); }
export function object(namespace, name) { return namespace.getByName(name); }
export function call(object, op, json) { return object.call(op, json); }
"#)]
extern "C" {
    /// Calls back once when the signal fires.
    pub fn on_abort(signal: &web_sys::AbortSignal, callback: &JsValue);
    /// Takes the listener away again.
    pub fn off_abort(signal: &web_sys::AbortSignal, callback: &JsValue);
    /// Method, URL, and each header's name and value, with a zero between any two.
    pub fn request_head(request: &web_sys::Request) -> String;
    /// A response whose headers are names and values with a zero between any two; without a body where there is no stream.
    #[wasm_bindgen(catch)]
    pub fn respond(
        status: u16,
        head: &str,
        stream: Option<web_sys::ReadableStream>,
    ) -> Result<web_sys::Response, JsValue>;
    /// The same with a body in one piece.
    #[wasm_bindgen(catch)]
    pub fn respond_with(status: u16, head: &str, body: &[u8])
    -> Result<web_sys::Response, JsValue>;
    /// Posts a body, following no redirect; the promise of a response.
    #[wasm_bindgen(catch)]
    pub fn send(
        url: &str,
        head: &str,
        body: &[u8],
        controller: &AbortController,
    ) -> Result<js_sys::Promise, JsValue>;
    /// Gets an address, following no redirect; the promise of a response.
    #[wasm_bindgen(catch)]
    pub fn get(
        url: &str,
        head: &str,
        controller: &AbortController,
    ) -> Result<js_sys::Promise, JsValue>;
    /// Sends a request with a method of its own, its body compressed where `gzip` says so; the promise of a response.
    #[wasm_bindgen(catch)]
    pub fn put(
        method: &str,
        url: &str,
        head: &str,
        body: Vec<u8>,
        gzip: bool,
        controller: &AbortController,
    ) -> Result<js_sys::Promise, JsValue>;
    /// Sends a request with a method of its own; the promise of a response. Throws where address or headers are malformed: nothing was sent.
    #[wasm_bindgen(catch)]
    pub fn exchange(
        method: &str,
        url: &str,
        head: &str,
        body: Option<Vec<u8>>,
        controller: &AbortController,
    ) -> Result<js_sys::Promise, JsValue>;
    /// All headers of an answer: names in lower case and values, with a zero between any two.
    pub fn all_headers(response: &Answer) -> String;
    /// How far the time zone of this name is ahead of UTC right now, as `GMT+05:45`.
    pub fn zone_offset(zone: &str) -> Option<String>;
    /// Runs a model at a binding of Workers AI; the promise of a response. The body is JSON with the model's id in `model`.
    #[wasm_bindgen(catch)]
    pub fn run(
        binding: &JsValue,
        text: &str,
        controller: &AbortController,
    ) -> Result<js_sys::Promise, JsValue>;
    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256 under a PKCS#8 key; the promise of a buffer.
    #[wasm_bindgen(catch)]
    pub fn sign_rs256(pkcs8: &[u8], message: &[u8]) -> Result<js_sys::Promise, JsValue>;
    /// Checks a signature (RS256, else ES256) under a JWK; the promise of a boolean.
    #[wasm_bindgen(catch)]
    pub fn verify(
        algorithm: &str,
        jwk: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<js_sys::Promise, JsValue>;
    /// The values of headers, empty where absent; names and values have a zero between any two.
    pub fn answer_head(response: &Answer, names: &str) -> String;
    /// The whole body, as the promise of a buffer.
    #[wasm_bindgen(catch)]
    pub fn whole(response: &Answer) -> Result<js_sys::Promise, JsValue>;
    /// The body's bytes as they come, where there is a body. Each [`read`] is answered once: with bytes, with nothing at the
    /// end, or with nothing and an error.
    #[wasm_bindgen(catch)]
    pub fn incoming(
        response: &Answer,
        arrived: &Closure<dyn FnMut(Option<Vec<u8>>, JsValue)>,
    ) -> Result<Option<Incoming>, JsValue>;
    /// Asks for the next bytes. One read at a time.
    pub fn read(incoming: &Incoming);
    /// A read that is under way will not be answered.
    pub fn forget(incoming: &Incoming);
    /// A stream that calls `pull` when it wants the next bytes, and `cancel` when nobody wants them any more.
    pub fn outgoing(pull: &JsValue, cancel: &JsValue) -> Outgoing;
    /// The stream itself.
    pub fn readable(outgoing: &Outgoing) -> web_sys::ReadableStream;
    /// Hands over bytes. Fails where the stream is over already.
    #[wasm_bindgen(catch)]
    pub fn push(outgoing: &Outgoing, bytes: &[u8]) -> Result<(), JsValue>;
    /// Ends the stream. Fails where it is over already.
    #[wasm_bindgen(catch)]
    pub fn end(outgoing: &Outgoing) -> Result<(), JsValue>;
    /// Breaks the stream off.
    #[wasm_bindgen(catch)]
    pub fn fail(outgoing: &Outgoing, message: &str) -> Result<(), JsValue>;
    /// Runs a statement of an object's SQL and reads its rows to the end. Parameters go in as one list in JSON, and the rows
    /// come back as a list of lists.
    #[wasm_bindgen(catch)]
    pub fn rows(sql: &JsValue, statement: &str, params: &str) -> Result<String, JsValue>;
    /// `storage.transactionSync`: a throw from the body undoes its statements.
    #[wasm_bindgen(catch)]
    pub fn transaction_sync(storage: &JsValue, body: &SyncClosure<'_>) -> Result<JsValue, JsValue>;
    /// `storage.setAlarm`, unix milliseconds. The write belongs to the event that asks for it: its answer waits for it.
    #[wasm_bindgen(catch)]
    pub fn set_alarm(storage: &JsValue, at: f64) -> Result<(), JsValue>;
    /// A stub of the object with this name.
    #[wasm_bindgen(catch)]
    pub fn object(namespace: &JsValue, name: &str) -> Result<JsValue, JsValue>;
    /// Calls an object's RPC door.
    #[wasm_bindgen(catch)]
    pub fn call(object: &JsValue, op: &str, json: &str) -> Result<js_sys::Promise, JsValue>;
}

#[wasm_bindgen]
extern "C" {
    /// Aborts a fetch.
    pub type AbortController;
    /// A controller that has not fired.
    #[wasm_bindgen(constructor)]
    pub fn new() -> AbortController;
    /// Fires its signal.
    #[wasm_bindgen(method)]
    pub fn abort(this: &AbortController);

    /// A response to a fetch.
    pub type Answer;
    /// Its status.
    #[wasm_bindgen(method, getter)]
    pub fn status(this: &Answer) -> u16;

    /// The body of a response as it is read.
    pub type Incoming;

    /// The body of a response as it is written.
    pub type Outgoing;
}

/// Headers in the form in which they go to JavaScript: names and values, all parted by NUL, which neither can contain.
pub fn joined<N: AsRef<str>, V: AsRef<str>>(headers: &[(N, V)]) -> String {
    let mut head = String::new();
    for (name, value) in headers {
        let separator = if head.is_empty() { "" } else { "\0" };
        for part in [separator, name.as_ref(), "\0", value.as_ref()] {
            head.push_str(part);
        }
    }
    head
}

/// A variable or secret of the deployment.
pub fn text(env: &JsValue, name: &str) -> Option<String> {
    let value = js_sys::Reflect::get(env, &name.into()).ok()?;
    value.as_string().filter(|text| !text.is_empty())
}

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds since 1970 are a whole number far below 2^53"
    )]
    let now = js_sys::Date::now() as u64;
    now
}
