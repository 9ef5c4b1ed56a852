// A client of the gateway for tests: one call, the answer taken apart, streams read event by event.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

export const user = (content) => ({ role: "user", content });

/** A request to a path under `/api/v1` (or a path of its own, starting with a slash). */
export function call(gateway, path, { key, method, headers = {}, body, signal } = {}) {
  const url = path.startsWith("/") ? `${gateway.base}${path}` : `${gateway.base}/api/v1/${path}`;
  const plain = body === undefined || typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;
  return fetch(url, {
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: { ...(key && { authorization: `Bearer ${key}` }), ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    body: plain ? body : JSON.stringify(body),
    ...(body instanceof ReadableStream && { duplex: "half" }),
    signal,
  });
}

/** A JSON answer: `{status, headers, body}`. */
export async function callJson(gateway, path, options) {
  const response = await call(gateway, path, options);
  const body = response.status === 204 ? null : await response.json();
  return { status: response.status, headers: response.headers, body };
}

/**
 * A chat completion, streamed or not, as one shape: `{status, headers, id, error, message, finish, native, usage, provider,
 * model, chunks, comments, done}`. A stream is folded as a client folds it; everything that is said of a stream is asserted
 * here: one finish, the usage once and in the last chunk, `[DONE]` as the last event.
 */
export async function chat(gateway, key, body, options = {}) {
  const request = { messages: [user("Hello!")], ...body };
  const response = await call(gateway, "chat/completions", { key, body: request, ...options });
  const common = { status: response.status, headers: response.headers };
  const type = response.headers.get("content-type");
  if (type !== "text/event-stream") {
    assert.equal(type, "application/json");
    return { ...common, ...whole(await response.json()) };
  }
  assert.equal(response.status, 200);
  return { ...common, ...folded(await response.text()) };
}

function whole(body) {
  if (body.error) return { error: body.error, body };
  assert.equal(body.object, "chat.completion");
  assert.equal(body.choices.length, 1);
  const [{ message, finish_reason: finish, native_finish_reason: native }] = body.choices;
  assert.equal(message.role, "assistant");
  return { body, id: body.id, message, finish, native, usage: body.usage, provider: body.provider, model: body.model };
}

/** The events of a stream's text: `{comments, data}`; every line has to belong to one. */
export function events(text) {
  assert.ok(text.endsWith("\n\n"), `a stream ends with a whole event: ${JSON.stringify(text.slice(-200))}`);
  const comments = [];
  const data = [];
  for (const event of text.slice(0, -2).split("\n\n")) {
    if (event.startsWith(":")) comments.push(event);
    else {
      assert.match(event, /^data: .*$/);
      data.push(event.slice("data: ".length));
    }
  }
  return { comments, data };
}

/** A stream's text as the message that a client makes of it. */
export function folded(text) {
  const { comments, data } = events(text);
  assert.equal(data.at(-1), "[DONE]");
  const chunks = data.slice(0, -1).map((each) => JSON.parse(each));
  const message = { role: "assistant", content: null };
  const result = { comments, chunks, message, text };
  for (const chunk of chunks) {
    assert.equal(chunk.object, "chat.completion.chunk");
    assert.equal(chunk.id, chunks[0].id);
    if (chunk.usage) {
      assert.equal(result.usage, undefined, "usage comes once");
      result.usage = chunk.usage;
    }
    if (chunk.error) result.error = chunk.error;
    for (const { delta, finish_reason: finish, native_finish_reason: native } of chunk.choices) {
      fold(message, delta);
      if (finish) {
        // The chunk with the usage says it again.
        assert.ok(result.finish === undefined || (chunk.usage && result.finish === finish), "a stream finishes once");
        Object.assign(result, { finish, native });
      }
    }
  }
  assert.ok(result.usage === undefined || chunks.at(-1).usage, "the usage is in the last chunk");
  return { ...result, id: chunks[0].id, provider: chunks.at(-1).provider, model: chunks.at(-1).model };
}

function fold(message, delta) {
  if (typeof delta.content === "string") message.content = (message.content ?? "") + delta.content;
  if (delta.reasoning) message.reasoning = (message.reasoning ?? "") + delta.reasoning;
  for (const detail of delta.reasoning_details ?? []) foldDetail((message.reasoning_details ??= []), detail);
  for (const call of delta.tool_calls ?? []) {
    const calls = (message.tool_calls ??= []);
    const own = (calls[call.index] ??= { id: call.id, type: "function", function: { name: "", arguments: "" } });
    own.function.name += call.function.name ?? "";
    own.function.arguments += call.function.arguments ?? "";
  }
  if (delta.annotations) (message.annotations ??= []).push(...delta.annotations);
  if (delta.refusal) message.refusal = (message.refusal ?? "") + delta.refusal;
}

/** Text of one index grows; a signature or data is set. */
function foldDetail(details, detail) {
  const own = details.find((each) => each.index === detail.index && each.type === detail.type);
  if (!own) return void details.push({ ...detail });
  for (const [name, value] of Object.entries(detail)) {
    if (["text", "summary", "data"].includes(name) && typeof own[name] === "string") own[name] += value;
    else if (value !== null && value !== undefined) own[name] = value;
  }
}

/** Asks until the answer satisfies `enough`, which returns what is waited for. */
export async function eventually(ask, enough = (value) => value, { within = 10_000, what = "what is waited for" } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await ask();
    const found = enough(value);
    if (found) return found === true ? value : found;
    if (Date.now() > deadline) assert.fail(`${what} did not come; last: ${JSON.stringify(value)}`);
    await sleep(50);
  }
}

/** The record of a generation, once its row has arrived. */
export async function generation(gateway, key, id) {
  return eventually(
    () => callJson(gateway, `generation?id=${id}`, { key }),
    ({ status, body }) => status === 200 && body.data,
    { what: `the row of ${id}` },
  );
}

/** An account at rest: nothing held, every row sent. */
export async function settled(gateway, account) {
  return eventually(
    () => gateway.account(account),
    (state) => state.open_holds === 0 && state.unsent_usage_rows === 0,
    { what: `the account ${account} at rest` },
  );
}

/** Dollars as JSON has them, in nano-dollars: exact for amounts below a few million. */
export const nanos = (dollars) => BigInt(Math.round(dollars * 1e9));

/** Which provider a request at the local upstream was meant for. */
export const providerOf = (entry) => /^\/p\/([^/]+)\//.exec(entry.path)[1];
