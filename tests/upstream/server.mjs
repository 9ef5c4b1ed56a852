// The way of a request through the local upstream: route, read, record, check, decide, deliver. And the control routes beside it.

import { createHash } from 'node:crypto';
import { answer } from './brain.mjs';
import { benchModel, serveBench } from './bench.mjs';
import { Delivery } from './deliver.mjs';
import { GARBAGE, HTML, ScriptError, arrange, encode, mergePlans, planOf, planOfScript, rechunk } from './faults.mjs';
import { Rejection } from './formats/common.mjs';
import * as anthropic from './formats/anthropic.mjs';
import * as bedrock from './formats/bedrock.mjs';
import * as cohere from './formats/cohere.mjs';
import * as counting from './formats/counting.mjs';
import * as gemini from './formats/gemini.mjs';
import * as openai from './formats/openai.mjs';
import * as operations from './formats/operations.mjs';
import * as responses from './formats/responses.mjs';
import { Recorder } from './record.mjs';
import { replay } from './replay.mjs';
import { PromptCache } from './tokens.mjs';
import * as web from './web.mjs';

const FORMATS = [openai, anthropic, gemini, bedrock, cohere, responses, operations, counting];
const LARGEST_REQUEST = 64 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;
const SSE = 'text/event-stream; charset=utf-8';
const JSON_TYPE = { 'content-type': 'application/json' };

export class Upstream {
  recorder = new Recorder();
  benchServed = 0;
  #caches = new Map();
  #scripts = [];
  #gate = openGate();

  constructor({ fixturesDir, eventDelayMs }) {
    this.fixturesDir = fixturesDir;
    this.eventDelayMs = eventDelayMs;
  }

  /** Queues a behaviour for requests whose path starts with `prefix` and, where given, whose model is `model`; `times` null: for ever. */
  script({ prefix = '/', model, times = 1, behaviour }) {
    this.#scripts.push({ prefix, model, left: times ?? Infinity, plan: planOfScript(behaviour) });
  }

  /** Lets everything that waits at a gate go on. */
  release() {
    this.#gate.open();
    this.#gate = openGate();
  }

  reset() {
    this.release();
    this.recorder.clear();
    this.#caches.clear();
    this.#scripts = [];
    this.benchServed = 0;
  }

  handle = async (req, res) => {
    const url = new URL(req.url, 'http://upstream');
    try {
      if (url.pathname.startsWith('/__control/')) return await this.#control(req, res, url);
      for (const format of FORMATS) {
        const found = format.route(url.pathname, url.searchParams);
        if (found) return await this.#serve(format, found, url, req, res);
      }
      const site = web.route(url.pathname);
      if (site) return await this.#serveWeb(site, url, req, res);
      sendJson(res, 404, { error: { message: `no route ${req.method} ${url.pathname}` } });
    } catch (error) {
      const status = error instanceof ScriptError ? 418 : 500;
      if (!res.headersSent) sendJson(res, status, { error: { message: `local upstream: ${error.message}` } });
      else res.destroy();
      if (status === 500) process.stderr.write(`${error.stack}\n`);
    }
  };

  async #serve(format, found, url, req, res) {
    const segment = /\/p\/([^/]+)\//.exec(found.prefix + '/')?.[1] ?? '';
    const fromPath = planOf(decodeURIComponent(segment));
    const benchFromPath = fromPath.bench ?? planOf(found.model ?? '').bench;
    if (benchFromPath) return this.#bench(format, benchFromPath, req, res);
    const entry = this.recorder.open({ method: req.method, path: url.pathname, query: url.search, prefix: found.prefix, format: format.name, headers: req.headers });
    const delivery = new Delivery(res, this.recorder, entry);
    const bytes = await readBody(req);
    if (bytes === null) return;
    const bench = benchModel(bytes);
    if (bench) {
      this.recorder.discard(entry);
      return this.#bench(format, bench, req, res);
    }
    const parsed = format.parse?.(bytes, req.headers) ?? parse(bytes);
    this.recorder.body(entry, bytes, parsed);
    const meta = { tag: createHash('sha256').update(`${entry.seq}`).update(bytes).digest('hex').slice(0, 20), created: Math.floor(Date.now() / 1000) };
    try {
      if (req.method !== 'POST') throw new Rejection(405, `Not allowed to ${req.method} on this path.`);
      format.authenticate(req.headers, { method: req.method, path: url.pathname, query: url.search.slice(1), bytes });
      if (bytes.length > LARGEST_REQUEST) throw new Rejection(413, 'Request exceeds the maximum size');
      if (parsed === undefined) throw new Rejection(400, 'We could not parse the JSON body of your request.');
      await this.#respond(format, found, { ...meta, segment }, parsed, fromPath, delivery);
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      this.recorder.update(entry, { rejected: error.message });
      delivery.send(error.status, { ...JSON_TYPE, ...errorHeaders(format, error.status, meta) }, format.errorBody(error.status, error.message, error.details, meta));
    }
  }

  /** A search engine or a web site; of the directives it knows those about status and time. */
  async #serveWeb(found, url, req, res) {
    const entry = this.recorder.open({ method: req.method, path: url.pathname, query: url.search, format: found.format, headers: req.headers });
    const delivery = new Delivery(res, this.recorder, entry);
    const bytes = await readBody(req);
    if (bytes === null) return;
    const body = parse(bytes);
    this.recorder.body(entry, bytes, body);
    const plan = this.#take(url.pathname, undefined);
    if (plan.reset) return delivery.reset();
    if (plan.gateHeaders && !(await delivery.until(this.#gate.opened))) return;
    if (plan.delayHeaders && !(await delivery.sleep(plan.delayHeaders))) return;
    if (plan.raw) return this.#sendRaw(plan, delivery);
    const answer = web.respond(found, { headers: req.headers, query: url.searchParams, body, port: req.socket.localPort });
    delivery.send(plan.status ?? answer.status, answer.headers, plan.garbage ? GARBAGE : answer.body);
  }

  async #bench(format, directive, req, res) {
    req.resume();
    this.benchServed += 1;
    await serveBench(format, directive, res);
  }

  async #respond(format, found, base, parsed, fromPath, delivery) {
    const body = format.normalise ? format.normalise(parsed) : parsed;
    const { model, stream } = format.requested(body ?? {}, found);
    this.recorder.update(delivery.entry, { model, stream });
    const scripted = this.#take(delivery.entry.path, model);
    const plan = [fromPath, planOf(String(model ?? '')), scripted].reduce(mergePlans);
    if (plan.fixture) return this.#replay(plan, delivery);
    format.check(body, { model: String(model), lax: base.segment.includes('lax'), found });
    if (/missing-model/.test(model)) throw new Rejection(404, `The model \`${model}\` does not exist or you do not have access to it.`);
    const meta = { ...base, model, body, stream, asArray: found.asArray };
    if (plan.reset) return delivery.reset();
    if (plan.gateHeaders && !(await delivery.until(this.#gate.opened))) return;
    if (plan.delayHeaders && !(await delivery.sleep(plan.delayHeaders))) return;
    if (plan.raw) return this.#sendRaw(plan, delivery);
    if (plan.status || plan.html) return sendFault(format, plan, meta, delivery);
    if (format.operate) return this.#operate(format, plan, { ...meta, found }, delivery);
    await this.#answer(format, plan, meta, delivery);
  }

  /** An operation beside conversation: one piece, or sound piece by piece. */
  async #operate(format, plan, meta, delivery) {
    const { usage, type, body, pieces } = format.operate(meta.body, { ...meta, wish: plan.wish });
    this.recorder.update(delivery.entry, { usage });
    const headers = { 'content-type': type };
    if (!pieces && !plan.garbage) return delivery.send(200, headers, body);
    if (plan.garbage) return delivery.send(200, headers, GARBAGE);
    delivery.head(200, headers);
    const kept = pieces.slice(0, plan.keepEvents);
    await delivery.stream(kept.map((piece) => frame(piece, 0)), { after: plan.after });
  }

  async #answer(format, plan, meta, delivery) {
    const question = { format: format.name, model: meta.model, toolResults: [], choices: 1, ...format.question(meta.body) };
    const oversized = plan.oversized && { text: 'x'.repeat(plan.oversized * MEGABYTE) };
    const answered = answer({ ...question, ...(oversized && { maxTokens: undefined }) }, this.#cacheOf(delivery.entry.prefix), { ...plan.wish, ...oversized });
    this.recorder.update(delivery.entry, { usage: answered.usage, finish: answered.choices[0].finish });
    const how = { usage: plan.usage ?? 'normal', tier: plan.tier ?? meta.body.service_tier ?? 'default', whole: Boolean(plan.oversized) };
    const headers = { ...(!plan.noType && { 'content-type': meta.stream && !meta.asArray ? (format.streamType ?? SSE) : 'application/json' }), ...format.responseHeaders(meta) };
    const body = meta.stream ? this.#streamBody(format, plan, meta, answered, how) : jsonBody(format, plan, meta, answered, how);
    const isBent = ['cutBytes', 'endBytes', 'delayFirst', 'chunks', 'keepEvents', 'endless', 'gateAfter'].some((field) => plan[field] !== undefined);
    if (!meta.stream && !isBent) return delivery.send(200, headers, body.chunks[0].bytes);
    const length = body.length !== undefined && plan.endBytes === undefined ? { 'content-length': body.length } : {};
    delivery.head(200, { ...headers, ...length });
    if (plan.delayFirst && !(await delivery.sleep(plan.delayFirst))) return;
    const gate = plan.gateAfter === undefined ? undefined : { after: plan.gateAfter, released: this.#gate.opened };
    await delivery.stream(body.chunks, { ...body, cutBytes: plan.cutBytes, endBytes: plan.endBytes, gate });
  }

  #streamBody(format, plan, meta, answered, how) {
    if (plan.blank) return { chunks: [] };
    if (plan.garbage) return { chunks: [frame(Buffer.from(GARBAGE), 0)] };
    const arranged = arrange(format.renderStream(answered, meta, how), plan, format, meta);
    const { repeat, after } = arranged;
    const events = meta.asArray ? arranged.events.filter((event) => event.data) : arranged.events;
    const between = plan.delayBetween ?? this.eventDelayMs;
    const wire = { newline: plan.newline ?? format.newline, noSpace: plan.noSpace };
    const toFrame = (event, index) => frame(meta.asArray ? arrayItem(event, index) : (format.encode ?? encode)(event, wire), event.pause ?? (index === 0 ? 0 : between), event.comment ? 0 : 1);
    const frames = events.map(toFrame);
    if (meta.asArray && !repeat && after === 'end') frames.push(frame(Buffer.from('\n]'), 0, 0));
    return { chunks: rechunk(frames, plan.chunks), repeat: repeat && { ...toFrame(repeat, 1), pause: repeat.pause ?? Math.max(1, between) }, after };
  }

  async #replay(plan, delivery) {
    const recorded = await replay(this.fixturesDir, plan.fixture);
    const between = plan.delayBetween ?? 0;
    delivery.head(recorded.status, recorded.headers);
    await delivery.stream(rechunk(recorded.pieces.map((piece, index) => frame(piece, index === 0 ? 0 : between)), plan.chunks), { cutBytes: plan.cutBytes, endBytes: plan.endBytes });
  }

  async #sendRaw(plan, delivery) {
    const { status = 200, headers = { 'content-type': SSE }, chunks = [], gapMs = 0 } = plan.raw;
    delivery.head(status, headers);
    const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.base64, 'base64')));
    await delivery.stream(bytes.map((piece, index) => frame(piece, index === 0 ? 0 : gapMs)), { after: plan.after, cutBytes: plan.cutBytes, endBytes: plan.endBytes });
  }

  /** Each provider has a cache of its own. */
  #cacheOf(prefix) {
    if (!this.#caches.has(prefix)) this.#caches.set(prefix, new PromptCache());
    return this.#caches.get(prefix);
  }

  #take(path, model) {
    const found = this.#scripts.find((each) => each.left > 0 && path.startsWith(each.prefix) && (each.model === undefined || each.model === model));
    if (!found) return {};
    found.left -= 1;
    if (found.left === 0) this.#scripts.splice(this.#scripts.indexOf(found), 1);
    return found.plan;
  }

  async #control(req, res, url) {
    const action = `${req.method} ${url.pathname.slice('/__control/'.length)}`;
    if (action === 'GET health') return sendJson(res, 200, { ok: true, benchServed: this.benchServed });
    if (action === 'GET requests') return sendJson(res, 200, { requests: this.recorder.list(Object.fromEntries(url.searchParams)) });
    if (action === 'POST reset') return sendJson(res, 200, { ok: true }, this.reset());
    if (action === 'POST release') return sendJson(res, 200, { ok: true }, this.release());
    if (action === 'POST script') {
      const body = parse(await readBody(req));
      if (body === undefined) throw new ScriptError('a script is JSON: {prefix?, model?, times?, behaviour}');
      for (const each of [body].flat()) this.script(each);
      return sendJson(res, 200, { ok: true });
    }
    sendJson(res, 404, { error: { message: `no control route ${action}` } });
  }
}

const errorHeaders = (format, status, meta, kind) => ({ ...format.responseHeaders(meta), ...format.errorHeaders?.(status, kind) });

const frame = (bytes, pause, counts = 1) => ({ bytes, pause, counts });

/** An item of the JSON array that Gemini streams without `alt=sse`. */
const arrayItem = (event, index) => Buffer.from(`${index === 0 ? '[' : ',\n'}${event.data}`);

/** The body of an answer that is not streamed, under a plan. */
function jsonBody(format, plan, meta, answered, how) {
  const text = plan.blank ? '' : plan.garbage || plan.garbageAfter !== undefined ? GARBAGE
    : plan.errorAfter !== undefined || plan.roleError ? format.errorBody(503, 'The server had an error while processing your request.', {}, meta)
      : format.renderJson(answered, meta, how);
  const bytes = Buffer.from(text);
  if (plan.endless) return { chunks: [frame(Buffer.from(' '), 0)], repeat: frame(Buffer.from('\n'), 5) };
  if (plan.keepEvents !== undefined && plan.after !== 'end') {
    return { chunks: [frame(bytes.subarray(0, bytes.length >> 1), 0)], after: plan.after, length: bytes.length };
  }
  return { chunks: rechunk([frame(bytes, 0)], plan.chunks), length: bytes.length };
}

function sendFault(format, plan, meta, delivery) {
  const status = plan.status ?? 200;
  const retry = plan.retryAfter === undefined ? {} : { 'retry-after': plan.retryAfter() };
  if (plan.html) return delivery.send(status, { 'content-type': 'text/html; charset=utf-8', ...retry }, HTML);
  const body = format.errorBody(status, `Injected fault with status ${status}.`, {}, meta);
  delivery.send(status, { ...JSON_TYPE, ...errorHeaders(format, status, meta, plan.errorKind), ...retry }, body);
}

function openGate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { opened, open };
}

function parse(bytes) {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The whole body, at most one byte over the limit's last chunk; null when the client left before its end. */
async function readBody(req) {
  const chunks = [];
  let size = 0;
  try {
    for await (const chunk of req) {
      size += chunk.length;
      if (size - chunk.length <= LARGEST_REQUEST) chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}

function sendJson(res, status, value) {
  const body = JSON.stringify(value);
  res.writeHead(status, { ...JSON_TYPE, 'content-length': Buffer.byteLength(body) });
  res.end(body);
}
