// The response cache: who gets an answer again, how it looks, what it costs, and who never does.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { startUpstream } from "../upstream/upstream.mjs";
import { catalogWithEmbeddings } from "./catalog.mjs";
import { call, callJson, chat, eventually, generation, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let upstream, folder, gateway, key, account, hash;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  folder = mkdtempSync(join(tmpdir(), "patchbay-cache-"));
  gateway = await startGateway({ persist: folder, upstream, catalog: catalogWithEmbeddings() });
  ({ key, account, hash } = await gateway.createAccount({ usd: "50" }));
});
after(async () => {
  await gateway?.stop();
  await upstream?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => upstream.reset());

const on = (more = {}) => ({ headers: { "x-openrouter-cache": "true", ...more } });
let questions = 0;
/** A question of its own. */
const question = (more = {}) => ({ model: "test/anthropic", messages: [user(`Question ${(questions += 1)}`)], ...more });
const ask = (body, options = on(), sender = key) => chat(gateway, sender, body, options);
const header = (answer, name) => answer.headers.get(`x-openrouter-cache-${name}`);
const status = (answer) => header(answer, "status");
const asked = () => upstream.requests().length;

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";

  test(`an identical request is answered again, for nothing (${how})`, async () => {
    const body = question({ stream, session_id: "s-1" });
    const first = await ask(body);
    assert.deepEqual([status(first), header(first, "ttl"), header(first, "age")], ["MISS", "300", null]);
    assert.ok(first.usage.cost > 0);
    const before = (await settled(gateway, account)).total_usage;
    const second = await ask(body);
    assert.deepEqual([status(second), header(second, "source-id")], ["HIT", first.id]);
    assert.ok(Number(header(second, "age")) <= 10 && Number(header(second, "ttl")) <= 300);
    assert.deepEqual([second.message, second.finish, second.native], [first.message, first.finish, first.native]);
    assert.deepEqual([second.model, second.provider], [first.model, first.provider]);
    assert.notEqual(second.id, first.id);
    assert.equal(second.id, second.headers.get("x-generation-id"));
    const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total, cost } = second.usage;
    assert.deepEqual([prompt, completion, total, cost], [0, 0, 0, 0]);
    assert.equal(asked(), 1);
    const record = await generation(gateway, key, second.id);
    assert.deepEqual(
      [record.response_cache_source_id, record.total_cost, record.tokens_prompt, record.streamed, record.finish_reason, record.session_id],
      [first.id, 0, 0, stream, first.finish, "s-1"],
    );
    assert.deepEqual(record.provider_responses, []);
    assert.equal((await generation(gateway, key, first.id)).response_cache_source_id, null);
    const state = await settled(gateway, account);
    assert.deepEqual([state.total_usage, state.held], [before, 0]);
  });
}

// P37: what one key was told, no other is.
test("the order of properties makes no difference; the way of the answer, the words and the key do", async () => {
  const content = "Same words";
  const first = { model: "test/anthropic", temperature: 1, messages: [{ role: "user", content }], metadata: { a: "1" } };
  const turned = { messages: [{ content, role: "user" }], stream: false, temperature: 1.0, model: "test/anthropic", metadata: { b: "2" } };
  assert.equal(status(await ask(first)), "MISS");
  assert.equal(status(await ask(turned)), "HIT");
  assert.equal(status(await ask({ ...first, stream: true })), "MISS");
  assert.equal(status(await ask({ ...first, messages: [user("Other words")] })), "MISS");
  assert.equal(status(await ask({ ...first, user: "somebody" })), "MISS");
  const sibling = (await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "sibling" })).key;
  assert.equal(status(await ask(first, on(), sibling)), "MISS", "another key of the account");
  const other = await gateway.createAccount();
  assert.equal(status(await ask(first, on(), other.key)), "MISS", "another account");
  assert.equal(status(await ask(first, on(), other.key)), "HIT");
});

test("it is off unless asked for, and for requests of zero retention", async () => {
  const body = question();
  for (const options of [{}, { headers: { "x-openrouter-cache": "false" } }, { headers: { "x-openrouter-cache-ttl": "60" } }]) {
    for (let again = 0; again < 2; again += 1) assert.equal(status(await ask(body, options)), null);
  }
  const zdr = { ...question(), provider: { zdr: true } };
  for (let again = 0; again < 2; again += 1) assert.equal(status(await ask(zdr)), null);
  assert.equal(asked(), 8);
});

test("an entry ends with its lifetime, and a client may have it dropped", async () => {
  const body = question();
  const short = on({ "x-openrouter-cache-ttl": "1.5" });
  assert.equal(header(await ask(body, short), "ttl"), "1");
  await eventually(() => ask(body, short), (answer) => status(answer) === "MISS", { what: "the end of the entry" });
  const long = question();
  assert.equal(header(await ask(long, on({ "x-openrouter-cache-ttl": "999999999" })), "ttl"), "86400");
  const source = await ask(long, on({ "x-openrouter-cache-clear": "true" }));
  assert.equal(status(source), "MISS");
  assert.equal(header(await ask(long), "source-id"), source.id, "the new answer is kept");
});

test("failures and cut answers are not kept", async () => {
  for (const [stream, behaviour] of [
    [false, "fault-status-503"],
    [true, "fault-cut-events-4"],
    [false, "fault-cut-events-1"],
    [true, "fault-error-4"],
  ]) {
    const body = question({ stream, provider: { only: ["one-anthropic"] }, messages: [user(`Please count to 40, take ${(questions += 1)}`)] });
    upstream.script({ prefix: "/p/one-anthropic/", times: 1, behaviour });
    const broken = await ask(body);
    assert.ok(broken.error, `${behaviour}: ${JSON.stringify(broken.body)}`);
    const whole = await ask(body);
    assert.deepEqual([status(whole), whole.finish], ["MISS", "stop"], behaviour);
    assert.equal(status(await ask(body)), "HIT", behaviour);
  }
});

test("simultaneous misses are one request, and one that fails is made by another", async () => {
  for (const stream of [false, true]) {
    const body = question({ stream, messages: [user(`Please count to 20, take ${(questions += 1)}`)] });
    upstream.reset();
    upstream.script({ prefix: "/p/one-anthropic/", times: 1, behaviour: "fault-gate-headers" });
    const answers = Array.from({ length: 6 }, () => ask(body));
    await eventually(() => asked(), (count) => count === 1);
    upstream.release();
    const all = await Promise.all(answers);
    assert.deepEqual(all.map(status).sort(), ["HIT", "HIT", "HIT", "HIT", "HIT", "MISS"]);
    assert.equal(asked(), 1);
    assert.equal(new Set(all.map(({ id }) => id)).size, 6);
    assert.equal(new Set(all.map(({ message }) => message.content)).size, 1);
  }
  const body = question({ provider: { only: ["one-anthropic"] } });
  upstream.reset();
  upstream.script({ prefix: "/p/one-anthropic/", times: 1, behaviour: "fault-gate-headers+fault-status-503" });
  const answers = Array.from({ length: 4 }, () => ask(body));
  await eventually(() => asked(), (count) => count === 1);
  upstream.release();
  const all = await Promise.all(answers);
  assert.deepEqual(all.map(({ status: code }) => code).sort(), [200, 200, 200, 503]);
  assert.equal(asked(), 2, "the next one in line, and nobody else");
});

test("another isolate finds the answer in KV; without KV everybody asks, and nothing fails", async () => {
  const kept = question();
  const first = await ask(kept);
  // The write is behind the response.
  await eventually(() => settled(gateway, account));
  await gateway.stop();
  gateway = await startGateway({ persist: folder, upstream });
  const outage = on({ "x-patchbay-fault": "kv" });
  assert.equal((await ask(kept, outage)).status, 200);
  await gateway.stop();
  gateway = await startGateway({ persist: folder, upstream });
  const again = await ask(kept);
  assert.deepEqual([status(again), header(again, "source-id")], ["HIT", first.id]);
  const body = question();
  assert.equal(status(await ask(body, outage)), "MISS");
  assert.equal(status(await ask(body, outage)), "HIT", "memory needs no KV");
});

/** A body of each surface with these words. */
const BODIES = {
  "chat/completions": (content) => ({ model: "test/anthropic", messages: [user(content)] }),
  messages: (content) => ({ model: "test/anthropic", max_tokens: 400, messages: [user(content)] }),
  responses: (content) => ({ model: "test/anthropic", input: content }),
  completions: (content) => ({ model: "test/anthropic", prompt: content }),
  embeddings: (content) => ({ model: "test/embeddings", input: content }),
};
const TALKS = Object.keys(BODIES).filter((path) => path !== "embeddings");
/** What each answer has of its own. */
const OWN = ["id", "created", "created_at", "completed_at", "usage"];

/** An answer of any surface: `{status, headers, id, told, usages}`; `told` is all that it says beside what is its own. */
async function post(path, body, options = on()) {
  const response = await call(gateway, path, { key, body, ...options });
  const text = await response.text();
  const data = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice("data: ".length));
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const parts = (isStream ? data.filter((each) => each !== "[DONE]") : [text]).map((each) => JSON.parse(each)).filter(({ type }) => type !== "ping");
  const usages = [];
  const rest = (value) => {
    const kept = Object.entries(value).filter(([name, inner]) => {
      if (name === "usage" && inner) usages.push(inner);
      return !OWN.includes(name);
    });
    return Object.fromEntries(kept.map(([name, inner]) => [name, ["message", "response"].includes(name) && inner?.id ? rest(inner) : inner]));
  };
  return { status: response.status, headers: response.headers, id: response.headers.get("x-generation-id"), told: parts.map(rest), usages };
}

const numbersIn = (value) => (typeof value === "object" && value ? Object.values(value).flatMap(numbersIn) : typeof value === "number" ? [value] : []);

for (const [path, body] of Object.entries(BODIES)) {
  for (const stream of path === "embeddings" ? [false] : [false, true]) {
    test(`${path}${stream ? ", streamed" : ""}: the same answer again, and a usage of nothing`, async () => {
      const asks = { ...body(`Please count to ${(questions += 1)}`), ...(stream && { stream }) };
      const first = await post(path, asks);
      assert.deepEqual([first.status, status(first)], [200, "MISS"], JSON.stringify(first.told));
      assert.ok(first.usages.at(-1).cost > 0);
      const again = await post(path, asks);
      assert.deepEqual([again.status, status(again), header(again, "source-id")], [200, "HIT", first.id]);
      assert.deepEqual(again.told, first.told);
      assert.notEqual(again.id, first.id);
      assert.ok(again.usages.length > 0);
      assert.deepEqual(new Set(numbersIn(again.usages)), new Set([0]));
      assert.equal(asked(), 1);
      const [record, source] = await Promise.all([generation(gateway, key, again.id), generation(gateway, key, first.id)]);
      assert.deepEqual([record.response_cache_source_id, record.total_cost, record.streamed], [first.id, 0, stream]);
      assert.deepEqual([record.finish_reason, record.api_type], [source.finish_reason, source.api_type]);
    });
  }
}

test("what one surface was told, no other is", async () => {
  const content = `Same words, take ${(questions += 1)}`;
  const both = { model: "test/anthropic", max_tokens: 400 };
  for (const [paths, body] of [
    [["chat/completions", "messages"], { ...both, messages: [user(content)] }],
    [["chat/completions", "completions"], { ...both, prompt: content }],
  ]) {
    for (const wanted of ["MISS", "HIT"]) {
      for (const path of paths) assert.equal(status(await post(path, body)), wanted, path);
    }
  }
});

describe("a preset", () => {
  const keep = async (slug, config) => {
    const { status: code, body } = await callJson(gateway, `presets/${slug}/chat/completions`, { key, body: { model: "test/anthropic", ...config } });
    return { code, ...body };
  };

  for (const path of TALKS) {
    test(`switches the cache on for ${path}, and says for how long`, async () => {
      assert.equal((await keep("kept", { cache_enabled: true, cache_ttl_seconds: 77 })).code, 201);
      const asks = { ...BODIES[path](`Question ${(questions += 1)}`), model: "@preset/kept" };
      const first = await post(path, asks, {});
      assert.deepEqual([first.status, status(first), header(first, "ttl")], [200, "MISS", "77"]);
      assert.equal(status(await post(path, asks, {})), "HIT");
      assert.equal(status(await post(path, asks, { headers: { "x-openrouter-cache": "false" } })), null, "the request says no");
      const own = { ...BODIES[path](`Question ${(questions += 1)}`), model: "@preset/kept" };
      assert.equal(header(await post(path, own, { headers: { "x-openrouter-cache-ttl": "33" } }), "ttl"), "33");
      // What another version of the preset was told is not the answer of this one.
      await keep("kept", { cache_enabled: true, cache_ttl_seconds: 78 });
      const later = await post(path, asks, {});
      assert.deepEqual([status(later), header(later, "ttl")], ["MISS", "78"]);
    });
  }

  test("switches it off, also where the request asks for it, and takes no lifetime out of bounds", async () => {
    await keep("never", { cache_enabled: false });
    for (const path of TALKS) {
      const asks = { ...BODIES[path](`Question ${(questions += 1)}`), model: "@preset/never" };
      for (let again = 0; again < 2; again += 1) assert.equal(status(await post(path, asks)), null, path);
    }
    for (const [config, param] of [[{ cache_ttl_seconds: 0 }, "cache_ttl_seconds"], [{ cache_ttl_seconds: 86_401 }, "cache_ttl_seconds"], [{ cache_enabled: "yes" }, "cache_enabled"]]) {
      const { code, error } = await keep("wrong", config);
      assert.deepEqual([code, error.param], [400, param]);
    }
  });

  test("says what of it means nothing to a surface with a kept answer too", async () => {
    await keep("odd", { cache_enabled: true, logprobs: true });
    const asks = { ...BODIES.messages(`Question ${(questions += 1)}`), model: "@preset/odd" };
    for (const wanted of ["MISS", "HIT"]) {
      const answer = await post("messages", asks, {});
      assert.deepEqual([status(answer), answer.headers.get("x-patchbay-preset-dropped")], [wanted, "logprobs"]);
    }
  });
});

test("a key that was disabled gets nothing, not even what it paid for", async () => {
  const body = question();
  await ask(body);
  assert.equal(status(await ask(body)), "HIT");
  await gateway.operator.call("PATCH", `keys/${hash}`, { disabled: true });
  const refused = await ask(body);
  assert.deepEqual([refused.status, status(refused)], [401, null]);
});
