// How endpoints did: from requests over usage rows and the cron to the snapshot, the listing, and what happens at once.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { startUpstream } from "../upstream/upstream.mjs";
import { call, callJson, chat, eventually, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const persist = mkdtempSync(join(tmpdir(), "patchbay-statistics-"));
let upstream, gateway, key, account;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  gateway = await startGateway({ persist, upstream, vars: { FAULTS: "" } });
  ({ key, account } = await gateway.createAccount({ usd: "50" }));
});
after(async () => {
  await gateway?.stop();
  await upstream?.close();
  rmSync(persist, { recursive: true, force: true });
});
beforeEach(() => upstream.reset());

const script = (provider, behaviour, times = null) => upstream.script({ prefix: `/p/${provider}/`, times, behaviour });
const only = (provider, body = {}) => chat(gateway, key, { model: "test/openai", provider: { only: [provider] }, ...body });
const endpoints = async (model, withKey = true) => {
  const { body } = await callJson(gateway, `models/${model}/endpoints`, withKey ? { key } : {});
  return Object.fromEntries(body.data.endpoints.map((endpoint) => [endpoint.tag, endpoint]));
};

/** The counts of an endpoint's last day in the snapshot. */
async function counts(route) {
  const snapshot = JSON.parse(await gateway.kv("statistics"));
  const [counted, cost] = snapshot.endpoints[route]?.day ?? [[0, 0, 0, 0, 0, 0, 0, 0], 0];
  const [attempts, failed, limited, toolAnswers, toolErrors, prompt, cacheRead, completion] = counted;
  return { attempts, failed, limited, toolAnswers, toolErrors, prompt, cacheRead, completion, cost };
}

const TOOLS = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: { at: { type: "string" } } } } }];
const brokenCall = {
  id: "up", object: "chat.completion", created: 1, model: "m",
  choices: [{ index: 0, finish_reason: "tool_calls", message: { role: "assistant", content: null, tool_calls: [{ id: "c", type: "function", function: { name: "look", arguments: '{"at":' } }] } }],
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
};
/** So many that at least one minute has ten of them, wherever a minute ends. */
const ENOUGH = 20;

test("an endpoint of which nothing is known has nulls, with and without the cron", async () => {
  await gateway.scheduled();
  for (const endpoint of Object.values(await endpoints("test/openai"))) {
    for (const field of ["uptime_last_5m", "uptime_last_30m", "uptime_last_1d", "latency_last_30m", "throughput_last_30m"]) {
      assert.equal(endpoint[field], null, field);
    }
  }
});

test("what endpoints did is counted exactly, once, and shown", async () => {
  const expected = { attempts: 0, failed: 0, limited: 0, toolAnswers: 0, toolErrors: 0, prompt: 0, cacheRead: 0, completion: 0, cost: 0 };
  const count = (answer) => {
    expected.attempts += 1;
    expected.prompt += answer.usage.prompt_tokens;
    expected.cacheRead += answer.usage.prompt_tokens_details?.cached_tokens ?? 0;
    expected.completion += answer.usage.completion_tokens;
    expected.cost += Number(nanos(answer.usage.cost));
  };
  script("one-openai", { faults: "usage-in1000-out50-read200", text: "Ten words are enough to be fast" });
  for (let n = 0; n < ENOUGH; n += 1) count(await only("one-openai", { stream: n % 2 === 0 }));
  // Tool calls: one as it should be, one of a tool that nobody offered, one that is no JSON, one in an answer cut short.
  const calls = [
    [{ calls: [{ name: "look", args: { at: "sea" } }] }, true],
    [{ calls: [{ name: "jump", args: {} }] }, false],
    [{ raw: { status: 200, headers: { "content-type": "application/json" }, chunks: [JSON.stringify(brokenCall)] } }, false],
  ];
  for (const [behaviour, valid] of calls) {
    upstream.reset();
    script("one-openai", behaviour);
    const answer = await only("one-openai", { tools: TOOLS });
    count(answer);
    expected.toolAnswers += 1;
    expected.toolErrors += valid ? 0 : 1;
  }
  // What the client got wrong is nobody's fault, a limit is in a count of its own.
  for (const [behaviour, field] of [["fault-status-400"], ["fault-status-429", "limited"], ["fault-status-500", "failed"]]) {
    upstream.reset();
    script("one-openai", behaviour);
    await only("one-openai");
    if (field) expected[field] += 1;
    if (field === "failed") expected.attempts += 1;
  }
  upstream.reset();
  script("two-openai", "fault-status-503");
  for (let n = 0; n < ENOUGH; n += 1) await only("two-openai");
  await settled(gateway, account);

  // An outage, then twice in order: nothing is lost, nothing counts twice.
  for (const cron of ["d1", "kv", "* * * * *", "* * * * *"]) await gateway.scheduled(cron);
  assert.deepEqual(await counts("test/openai|one-openai"), expected);
  const two = await counts("test/openai|two-openai");
  assert.deepEqual([two.attempts, two.failed, two.cost], [ENOUGH, ENOUGH, 0]);

  const shown = await endpoints("test/openai");
  const { "one-openai": good, "two-openai": bad } = shown;
  assert.deepEqual([good.uptime_last_30m, good.uptime_last_1d], [100, 100]);
  assert.deepEqual([bad.uptime_last_30m, bad.uptime_last_1d], [0, 0]);
  for (const field of ["latency_last_30m", "throughput_last_30m"]) {
    assert.deepEqual(Object.keys(good[field]), ["p50", "p75", "p90", "p99"]);
    assert.equal(bad[field], null);
  }
  const { latency_last_30m: latency, throughput_last_30m: throughput } = good;
  assert.ok(latency.p50 <= latency.p99 && throughput.p50 >= throughput.p99 && throughput.p99 > 0, JSON.stringify(good));
  // Speeds are for who has a key.
  const stranger = (await endpoints("test/openai", false))["one-openai"];
  assert.deepEqual([stranger.uptime_last_30m, stranger.latency_last_30m, stranger.throughput_last_30m], [100, null, null]);
});

test("rows that reach D1 late are counted all the same", async () => {
  const before = await counts("test/gemini|one-gemini");
  await gateway.d1("CREATE TRIGGER late BEFORE INSERT ON usage BEGIN SELECT RAISE(FAIL, 'injected failure'); END");
  await chat(gateway, key, { model: "test/gemini", provider: { only: ["one-gemini"] } });
  await eventually(() => gateway.account(account), (state) => state.open_holds === 0 && state.unsent_usage_rows === 1, { what: "the row in the outbox" });
  await gateway.scheduled();
  assert.equal((await counts("test/gemini|one-gemini")).attempts, before.attempts);
  await gateway.d1("DROP TRIGGER late");
  await settled(gateway, account);
  await gateway.scheduled();
  assert.equal((await counts("test/gemini|one-gemini")).attempts, before.attempts + 1);
});

test("a breaker opens after faults: the next requests go elsewhere at once, and one that probes closes it", async () => {
  await gateway.forgetEndpoints();
  const ask = () => chat(gateway, key, { model: "test/anthropic", provider: { sort: "price" } });
  script("one-anthropic", "fault-status-503");
  for (let n = 0; n < 10; n += 1) assert.equal((await ask()).provider, "Test two-anthropic");
  const asked = upstream.requests().map(providerOf);
  assert.equal(asked.filter((provider) => provider === "one-anthropic").length, 3);
  assert.equal((await ask()).headers.get("x-patchbay-attempts"), "1");
  upstream.reset();
  const served = await eventually(ask, ({ provider }) => provider === "Test one-anthropic", { what: "the probe" });
  assert.equal(served.headers.get("x-patchbay-attempts"), "1");
});

test("a 429 with Retry-After keeps requests away for so long and no longer", async () => {
  await gateway.forgetEndpoints();
  const ask = () => chat(gateway, key, { model: "test/gemini", provider: { sort: "price" }, stream: true, messages: [user("Hi")] });
  script("one-gemini", "fault-status-429-retry-2", 1);
  const first = await ask();
  const until = Date.now() + 1_500;
  assert.deepEqual([first.provider, first.headers.get("x-patchbay-attempts")], ["Test two-gemini", "2"]);
  for (let n = 0; n < 3 && Date.now() < until; n += 1) {
    const next = await ask();
    assert.deepEqual([next.provider, next.headers.get("x-patchbay-attempts")], ["Test two-gemini", "1"]);
  }
  await eventually(ask, ({ provider }) => provider === "Test one-gemini", { what: "the end of the back-off" });
});

test("another isolate reads the figures from KV, and serves where KV is out", async () => {
  await gateway.stop();
  gateway = await startGateway({ persist, upstream, vars: { FAULTS: "" } });
  const out = await call(gateway, "models/test/openai/endpoints", { key, headers: { "x-patchbay-fault": "kv" } });
  assert.equal(out.status, 200);
  const shown = await eventually(() => endpoints("test/openai"), (shown) => shown["one-openai"].uptime_last_30m !== null && shown, { what: "the snapshot" });
  assert.equal(shown["one-openai"].uptime_last_30m, 100);
  assert.equal(shown["two-openai"].uptime_last_30m, 0);
  assert.ok(shown["one-openai"].throughput_last_30m.p50 > 0);
});
