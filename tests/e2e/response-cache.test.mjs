// The response cache: who gets an answer again, how it looks, what it costs, and who never does.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { startUpstream } from "../upstream/upstream.mjs";
import { chat, eventually, generation, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let upstream, folder, gateway, key, account, hash;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  folder = mkdtempSync(join(tmpdir(), "patchbay-cache-"));
  gateway = await startGateway({ persist: folder, upstream });
  ({ key, account, hash } = await gateway.createAccount());
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

test("a key that was disabled gets nothing, not even what it paid for", async () => {
  const body = question();
  await ask(body);
  assert.equal(status(await ask(body)), "HIT");
  await gateway.operator.call("PATCH", `keys/${hash}`, { disabled: true });
  const refused = await ask(body);
  assert.deepEqual([refused.status, status(refused)], [401, null]);
});
