// The client of a Patchbay gateway: fetch, errors, retries with idempotency keys, streams, and the few calls that have names of
// their own. What the API is stands in operations.js, which is generated from the gateway's OpenAPI document (`npm run clients`).
import { OPERATIONS } from "./operations.js";

/** Statuses after which a request is worth another try. */
const PASSING = new Set([408, 429, 500, 502, 503, 504, 529]);
/** The longest wait that a server may ask for, in milliseconds. */
const MAX_WAIT_MS = 60_000;

/** What the gateway answered instead of what was asked for. */
export class PatchbayError extends Error {
  constructor(message, { status, body, headers } = {}) {
    super(message);
    this.name = new.target.name;
    this.status = status;
    this.body = body;
    const error = body?.error ?? {};
    this.code = error.code ?? error.type;
    this.type = body?.error_type ?? error.type;
    this.param = error.param ?? undefined;
    this.metadata = error.metadata;
    this.requestId = headers?.get("x-request-id") ?? undefined;
    this.generationId = headers?.get("x-generation-id") ?? undefined;
    const seconds = Number(headers?.get("retry-after"));
    this.retryAfter = headers?.has("retry-after") && Number.isFinite(seconds) ? seconds : undefined;
  }
}
/** 400, 413, 422. */
export class InvalidRequestError extends PatchbayError {}
/** 401. */
export class AuthenticationError extends PatchbayError {}
/** 402: the credits, or a limit of the key, do not suffice; or an own provider key is needed. */
export class PaymentRequiredError extends PatchbayError {}
/** 403. */
export class PermissionError extends PatchbayError {}
/** 404. */
export class NotFoundError extends PatchbayError {}
/** 409. */
export class ConflictError extends PatchbayError {}
/** 424: it was sent, and nobody knows whether it was done. Never sent again by itself. */
export class OutcomeUnknownError extends PatchbayError {}
/** 429. */
export class RateLimitError extends PatchbayError {}
/** 5xx. */
export class ServerError extends PatchbayError {}
/** No answer came. */
export class ConnectionError extends PatchbayError {}

const KINDS = new Map([
  [401, AuthenticationError],
  [402, PaymentRequiredError],
  [403, PermissionError],
  [404, NotFoundError],
  [409, ConflictError],
  [424, OutcomeUnknownError],
  [429, RateLimitError],
]);
const kindOf = (status) => KINDS.get(status) ?? (status >= 500 ? ServerError : InvalidRequestError);

const sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** Puts the parts of a path into its places, each as one segment. */
function filled(path, params = {}) {
  return path.replace(/\{(\w+)\}/g, (_, name) => {
    if (params[name] === undefined) throw new TypeError(`the path ${path} needs ${name}`);
    return encodeURIComponent(params[name]);
  });
}

function searched(query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    search.append(name, Array.isArray(value) ? value.join(",") : String(value));
  }
  const text = search.toString();
  return text && `?${text}`;
}

/** The events of a body: the JSON of each, until `[DONE]` or the end. */
async function* events(body, headers) {
  const decoder = new TextDecoder();
  let rest = "";
  let data = [];
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest += done ? decoder.decode() + "\n\n" : decoder.decode(value, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
        if (line !== "" || data.length === 0) continue;
        const text = data.join("\n");
        data = [];
        if (text === "[DONE]") return;
        const event = JSON.parse(text);
        if (event.error && event.type !== "response.failed") {
          const status = Number(event.error.code) || 500;
          throw new (kindOf(status))(event.error.message ?? "the stream failed", { status, body: event, headers });
        }
        yield event;
      }
      if (done) return;
    }
  } finally {
    // Whoever stops listening ends the request.
    await reader.cancel().catch(() => {});
  }
}

const newKey = () => crypto.randomUUID();

/** A gateway and a key. */
export class Patchbay {
  #key;
  #fetch;

  constructor({ apiKey, baseURL, maxRetries = 2, timeoutMs = 600_000, headers = {}, fetch: own } = {}) {
    const env = globalThis.process?.env ?? {};
    this.#key = apiKey ?? env.PATCHBAY_API_KEY;
    const base = baseURL ?? env.PATCHBAY_BASE_URL;
    if (!base) throw new TypeError("baseURL is missing: the address of the gateway, or PATCHBAY_BASE_URL");
    this.baseURL = base.replace(/\/+$/, "").replace(/\/(?:api\/)?v1$/, "");
    this.maxRetries = maxRetries;
    this.timeoutMs = timeoutMs;
    this.headers = headers;
    this.#fetch = own ?? globalThis.fetch;
    this.chat = { completions: { create: (body, options) => this.#create("postChatCompletions", body, options) } };
    this.responses = { create: (body, options) => this.#create("postResponses", body, options) };
    this.messages = { create: (body, options) => this.#create("postMessages", body, options) };
    this.embeddings = { create: (body, options) => this.call("postEmbeddings", { ...options, body }) };
    this.models = {
      list: (query, options) => this.call("getModels", { ...options, query }),
      get: (id, options) => {
        const [author, ...slug] = id.split("/");
        return this.call("getModelByAuthorBySlug", { ...options, path: { author, slug: slug.join("/") } });
      },
    };
    this.tools = new Tools(this);
  }

  #create(operation, body, options) {
    return body.stream ? this.stream(operation, { ...options, body }) : this.call(operation, { ...options, body });
  }

  /** Calls an operation of the API by its name in the OpenAPI document. Answers its JSON; other bodies as a `Response`. */
  async call(operation, { path, query, body, headers, ...options } = {}) {
    const known = OPERATIONS[operation];
    if (!known) throw new TypeError(`there is no operation ${operation}`);
    const [method, template] = known;
    const response = await this.request(method, filled(template, path) + searched(query), { body, headers, ...options });
    const type = response.headers.get("content-type") ?? "";
    if (response.status === 204) return undefined;
    return type.includes("json") ? response.json() : response;
  }

  /** The same for an operation that streams: the JSON of its events. */
  async *stream(operation, { path, query, body, headers, ...options } = {}) {
    const [method, template] = OPERATIONS[operation];
    const response = await this.request(method, filled(template, path) + searched(query), { body: { ...body, stream: true }, headers, ...options });
    yield* events(response.body, response.headers);
  }

  /** One request, tried again where that is safe and of use. Errors are thrown. */
  async request(method, path, { body, headers = {}, idempotencyKey, signal, maxRetries = this.maxRetries, timeoutMs = this.timeoutMs } = {}) {
    const sent = { accept: "application/json, text/event-stream", ...this.headers, ...headers };
    if (this.#key) sent.authorization = `Bearer ${this.#key}`;
    if (body !== undefined) sent["content-type"] = "application/json";
    if (idempotencyKey) sent["idempotency-key"] = idempotencyKey;
    const text = body === undefined ? undefined : JSON.stringify(body);
    for (let tried = 0; ; tried += 1) {
      const limit = AbortSignal.timeout(timeoutMs);
      const ends = signal ? AbortSignal.any([signal, limit]) : limit;
      let failure;
      try {
        const response = await this.#fetch(this.baseURL + path, { method, headers: sent, body: text, signal: ends });
        if (response.ok) return response;
        failure = await refusal(response);
      } catch (error) {
        if (signal?.aborted) throw error;
        failure = new ConnectionError(`no answer from ${this.baseURL}: ${error.message}`);
        failure.cause = error;
      }
      if (tried >= maxRetries || !isWorthAnother(failure, method, idempotencyKey)) throw failure;
      const own = Math.min(8_000, 500 * 2 ** tried) * (0.75 + Math.random() / 4);
      await sleep(Math.min(MAX_WAIT_MS, failure.retryAfter === undefined ? own : failure.retryAfter * 1_000), signal);
    }
  }
}

async function refusal(response) {
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const message = body?.error?.message ?? body?.message ?? (text.slice(0, 500) || response.statusText);
  return new (kindOf(response.status))(message, { status: response.status, body, headers: response.headers });
}

/** A conflict passes only where it is the same request that is still under way. */
function isWorthAnother(failure, method, idempotencyKey) {
  if (failure.status === 409) return failure.code === "idempotency_in_progress" || failure.retryAfter !== undefined;
  if (failure.status !== undefined) return PASSING.has(failure.status);
  // Where no answer came it may have been done.
  return method === "GET" || idempotencyKey !== undefined;
}

/** Tools of the gateway's catalog. */
class Tools {
  #client;

  constructor(client) {
    this.#client = client;
  }

  /** What the key may call. With `format` they are functions for a model's API. */
  list(query, options) {
    return this.#client.call("getTools", { ...options, query });
  }

  /** The categories. */
  categories(options) {
    return this.#client.call("getToolsCategories", options);
  }

  /** One tool, with the schema of its input. */
  get(id, options) {
    const [provider, operation] = id.split("/");
    return this.#client.call("getToolsByProviderByOperation", { ...options, path: { provider, operation } });
  }

  /**
   * Runs a tool. The same `idempotencyKey` never runs it twice; where none is given each call gets one, so that its retries are
   * safe. `onConfirm` is asked about what has to be confirmed first: where it answers true, the call is confirmed.
   */
  async execute(body, { onConfirm, idempotencyKey = newKey(), ...options } = {}) {
    const call = (body) => this.#client.call("postToolsExecute", { ...options, body, idempotencyKey });
    const envelope = await call(body);
    if (envelope.status !== "confirmation_required" || !onConfirm) return envelope;
    return (await onConfirm(envelope.confirmation, envelope)) ? call({ ...body, confirmation: envelope.confirmation.token }) : envelope;
  }

  /** Runs a tool that asked for a confirmation: the same body, and the envelope that asked. */
  confirm(body, envelope, options) {
    return this.execute({ ...body, confirmation: envelope.confirmation.token }, options);
  }

  /** Runs the calls of a model's answer: an assistant's message, or a whole answer of any of the APIs. Answers the messages to go on with. */
  run(answer, { confirmations, confirm, skip_unknown, idempotencyKey, ...options } = {}) {
    const isMessage = answer.role === "assistant";
    const body = { ...(isMessage ? { message: answer } : { choices: answer.choices, output: answer.output, content: answer.content }), confirmations, confirm, skip_unknown };
    return this.#client.call("postToolsRun", { ...options, body, idempotencyKey });
  }

  /** An execution by its id. */
  execution(id, options) {
    return this.#client.call("getToolsExecutionsById", { ...options, path: { id } });
  }
}

export default Patchbay;
