// Limits of pace, free models, requests in flight, rotation, the allowance for own provider keys: as clients see them.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { call, callJson, chat, eventually, nanos, providerOf, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const OPERATOR_TOKEN = "operator-token-of-the-tests";
const DAY_MS = 86_400_000;

const rows = testCatalog();
rows.models.push(model("test/gift:free"));
rows.endpoints.push(endpoint({ model: "test/gift:free", provider: "one-openai", dialect: "openai", factor: 0 }));

let gateway;
before(async () => {
  gateway = await startGateway({
    catalog: rows,
    vars: {
      BYOK_MASTER_KEY: randomBytes(32).toString("base64"),
      BYOK_FEE_PERCENT: "5",
      BYOK_FREE_USD_PER_MONTH: "0.0005",
      FREE_REQUESTS_PER_MINUTE: "3",
      FREE_REQUESTS_PER_DAY: "2",
      FREE_REQUESTS_PER_DAY_PAID: "4",
    },
  });
});
after(() => gateway?.stop());

/** How often a provider was called. */
const calls = (provider) => gateway.upstream.requests().filter((each) => providerOf(each) === provider).length;
const admin = (method, path, body) => callJson(gateway, `admin/${path}`, { method, key: OPERATOR_TOKEN, body });

/** An account with an API key of these settings and a management key. */
async function account(settings = {}, usd = "5") {
  const made = await gateway.createAccount({ usd });
  const manager = await gateway.operator.call("POST", `accounts/${made.account}/keys`, { name: "manager", is_management_key: true });
  const changed = await admin("PATCH", `keys/${made.hash}`, settings);
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  return { ...made, manager: manager.key };
}

const SURFACES = [
  ["chat/completions", { messages: [{ role: "user", content: "Hello!" }] }],
  ["messages", { max_tokens: 50, messages: [{ role: "user", content: "Hello!" }] }],
  ["responses", { input: "Hello!" }],
];

test("requests per minute are refused on every surface with the limit's headers, before any provider is called", async () => {
  for (const [path, body] of SURFACES) {
    for (const stream of [false, true]) {
      const { key } = await account({ requests_per_minute: 2 });
      const send = (model = "test/openai") => call(gateway, path, { key, body: { model, stream, ...body } });
      for (let n = 0; n < 2; n++) {
        const answer = await send();
        assert.equal(answer.status, 200);
        await answer.text();
      }
      const asked = Date.now();
      const first = await send();
      const refused = await first.json();
      assert.equal(first.status, 429, JSON.stringify(refused));
      assert.deepEqual(["limit", "remaining"].map((name) => first.headers.get(`x-ratelimit-${name}`)), ["2", "0"]);
      const reset = Number(first.headers.get("x-ratelimit-reset"));
      assert.ok(reset > asked && reset <= Date.now() + 60_000, String(reset));
      const wait = Number(first.headers.get("retry-after"));
      assert.ok(wait >= 1 && wait <= 60, String(wait));
      const type = refused.error.metadata?.error_type ?? refused.error.error_type ?? refused.error_type;
      assert.equal(type, "rate_limit_exceeded", JSON.stringify(refused));
      if (path === "messages") assert.deepEqual([refused.type, refused.error.type], ["error", "rate_limit_error"]);
      if (path === "chat/completions") assert.equal(refused.error.metadata.headers["X-RateLimit-Limit"], "2");
      assert.match(JSON.stringify(refused), /2 requests per minute/);
      // From now on the account is asked first.
      for (let n = 0; n < 3; n++) assert.equal((await send("test/gemini")).status, 429);
      assert.equal(calls("one-gemini"), 0);
    }
  }
});

test("tokens per minute count the estimate first and the truth afterwards", async () => {
  const { key, account: id } = await account({ tokens_per_minute: 1_000 });
  const ask = (max_tokens) => chat(gateway, key, { model: "test/openai", max_tokens });
  const never = await ask(2_000);
  assert.equal(never.status, 429);
  assert.match(never.error.message, /Request too large/);
  assert.equal(never.headers.get("retry-after"), null);
  // Each is taken for 600 tokens and more, and uses a few.
  for (let n = 0; n < 4; n++) assert.equal((await ask(600)).status, 200, `request ${n}`);
  await settled(gateway, id);
});

test("requests at the same time have a limit, which the operator sets for an account", async () => {
  const { key, account: id } = await account();
  const put = await admin("PUT", `accounts/${id}/limits`, { concurrent_requests: 2 });
  assert.deepEqual([put.status, put.body.data.concurrent_requests, put.body.data.in_force.requests_per_minute], [200, 2, null]);
  gateway.upstream.script({ prefix: "/p/one-openai/", times: 2, behaviour: "fault-gate-headers" });
  const before = calls("one-openai");
  const held = [1, 2].map(() => chat(gateway, key, { model: "test/openai" }));
  await eventually(async () => (await gateway.account(id)).open_holds, (open) => open === 2);
  await eventually(() => calls("one-openai") - before >= 2);
  const third = await chat(gateway, key, { model: "test/openai" });
  assert.deepEqual([third.status, third.headers.get("x-ratelimit-limit"), third.headers.get("retry-after")], [429, "2", "1"]);
  assert.match(third.error.message, /2 requests in flight/);
  gateway.upstream.release();
  for (const answer of await Promise.all(held)) assert.equal(answer.status, 200);
  assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 200);
  const shown = await admin("GET", `accounts/${id}/limits`);
  assert.equal(shown.body.data.in_force.concurrent_requests, 2);
  for (const wrong of [0, -1, 1.5, "many", true]) {
    const refused = await admin("PUT", `accounts/${id}/limits`, { concurrent_requests: wrong });
    assert.deepEqual([refused.status, refused.body.error.metadata?.param ?? refused.body.error.param], [400, "concurrent_requests"], String(wrong));
  }
});

test("free models have limits of their own, told in /key", async () => {
  const { key, account: id } = await account({}, "1");
  const ask = () => chat(gateway, key, { model: "test/gift:free" });
  for (let n = 0; n < 2; n++) assert.equal((await ask()).usage.cost, 0);
  const daily = async () => (await callJson(gateway, "key", { key })).body.data.free_model_daily_requests;
  assert.deepEqual(await daily(), { used: 2, limit: 2, remaining: 0 });
  const refused = await ask();
  assert.equal(refused.status, 429);
  assert.match(refused.error.message, /^Rate limit exceeded: free-models-per-day\./);
  assert.equal(Number(refused.headers.get("x-ratelimit-reset")) % DAY_MS, 0);
  // What is refused does not count, and other models go on.
  assert.deepEqual(await daily(), { used: 2, limit: 2, remaining: 0 });
  assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 200);
  await gateway.operator.call("POST", `accounts/${id}/grants`, { id: "more", amount_usd: "10" });
  assert.deepEqual(await daily(), { used: 2, limit: 4, remaining: 2 });
  assert.equal((await ask()).status, 200);
  const minute = await ask();
  assert.equal(minute.status, 429);
  assert.match(minute.error.message, /free-models-per-min/);
});

test("a key that is rotated has two secrets for a while, and one of everything else", async () => {
  const { key, hash, manager, account: id } = await account({ requests_per_minute: 3, limit: 1 });
  const other = await account();
  const rotate = (of, body, as = manager) => callJson(gateway, `keys/${of}/rotate`, { method: "POST", key: as, body });
  assert.equal((await rotate(hash, {}, other.manager)).status, 404);
  for (const wrong of [-1, 1.5, "1", 2_592_001]) {
    const refused = await rotate(hash, { overlap_seconds: wrong });
    assert.deepEqual([refused.status, refused.body.error.metadata?.param ?? refused.body.error.param], [400, "overlap_seconds"]);
  }
  const rotated = await rotate(hash, { overlap_seconds: 3_600 });
  assert.equal(rotated.status, 201, JSON.stringify(rotated.body));
  const fresh = rotated.body.key;
  assert.notEqual(fresh, key);
  assert.deepEqual([rotated.body.data.hash, rotated.body.data.limit, rotated.body.data.requests_per_minute], [hash, 1, 3]);
  const ask = (secret) => chat(gateway, secret, { model: "test/openai" });
  for (const secret of [key, fresh, key]) assert.equal((await ask(secret)).status, 200);
  // Limits are shared: nobody has them twice.
  for (const secret of [key, fresh]) assert.equal((await ask(secret)).status, 429);
  const shown = (await callJson(gateway, "key", { key: fresh })).body.data;
  assert.equal(shown.hash, hash);
  assert.equal(nanos(shown.usage), nanos((await callJson(gateway, "key", { key })).body.data.usage));
  assert.ok(shown.usage > 0 && shown.last_used_at);
  await settled(gateway, id);
  const usage = await gateway.d1("SELECT DISTINCT key_hash FROM usage WHERE account = ?", id);
  assert.deepEqual(usage, [{ key_hash: hash }]);

  // Without an overlap every older secret ends at once, whatever copies there are.
  await admin("PATCH", `keys/${hash}`, { requests_per_minute: null });
  const last = (await rotate(hash, { overlap_seconds: 0 })).body.key;
  for (const secret of [key, fresh]) {
    const refused = await ask(secret);
    assert.equal(refused.status, 401);
    assert.match(refused.error.message, /replaced/);
  }
  assert.equal((await ask(last)).status, 200);
  const log = await gateway.d1("SELECT detail FROM audit_log WHERE target = ? AND action = 'key.rotate'", hash);
  assert.equal(log.length, 2);
  assert.ok(!JSON.stringify(log).includes(fresh));
  // Deleting the key ends all of them.
  assert.deepEqual((await callJson(gateway, `keys/${hash}`, { method: "DELETE", key: manager })).body, { deleted: true });
  assert.equal((await ask(last)).status, 401);
});

test("a management key's secret is replaced by the operator, not by itself", async () => {
  const { manager } = await account();
  const { hash } = (await callJson(gateway, "key", { key: manager })).body.data;
  assert.equal((await callJson(gateway, `keys/${hash}/rotate`, { method: "POST", key: manager })).status, 403);
  const rotated = await admin("POST", `keys/${hash}/rotate`, { overlap_seconds: 0 });
  assert.equal(rotated.status, 201);
  assert.equal((await callJson(gateway, "keys", { key: manager })).status, 401);
  assert.equal((await callJson(gateway, "keys", { key: rotated.body.key })).status, 200);
});

test("the fee for own provider keys begins where the month's allowance ends, to the nano-dollar", async () => {
  const { account: id, key } = await account({ include_byok_in_limit: true, limit: 5 });
  const brought = await admin("POST", `accounts/${id}/byok`, { provider: "one-openai", key: `own-${randomBytes(12).toString("hex")}` });
  assert.equal(brought.status, 201);
  const balance = async () => nanos((await settled(gateway, id)).balance);
  const before = await balance();
  // Each costs about 0.0012 at list price: the allowance ends in the middle of the first of them.
  gateway.upstream.script({ prefix: "/p/one-openai/", times: null, behaviour: "usage-in1000-out50" });
  const list = [];
  const costs = [];
  for (let n = 0; n < 3; n++) {
    const { usage } = await chat(gateway, key, { model: "test/openai" });
    assert.ok(usage.is_byok);
    list.push(nanos(usage.cost_details.upstream_inference_cost));
    costs.push(nanos(usage.cost));
  }
  gateway.upstream.reset();
  const ALLOWANCE = 500_000n;
  const [first, full, last] = costs;
  assert.ok(list[0] > ALLOWANCE && list.every((each) => each === list[0]));
  // The list price is rounded up to the nano-dollar before it is told, the fee is not taken of what is told.
  const percent = (list[1] * 5n + 99n) / 100n;
  assert.ok(full === percent || full === percent - 1n, `${full} of ${list[1]}`);
  assert.equal(last, full);
  assert.equal(first, full - (full * ALLOWANCE) / list[0]);
  const charged = first + full + last;
  assert.equal(before - (await balance()), charged);
  const { data } = (await callJson(gateway, "key", { key })).body;
  assert.equal(nanos(data.byok_usage), list.reduce((sum, each) => sum + each));
  assert.equal(nanos(data.byok_usage_monthly), nanos(data.byok_usage));
  assert.equal(nanos(data.limit_remaining), 5_000_000_000n - charged - nanos(data.byok_usage));
  assert.deepEqual(data.effective_budget.scope, "key_limit");
});

test("a flood on one account reaches no provider and stops no other account", async () => {
  const [flooder, other] = [await account({ requests_per_minute: 1 }), await account()];
  const ask = ({ key }, model) => chat(gateway, key, { model });
  for (const status of [200, 429]) assert.equal((await ask(flooder, "test/openai")).status, status);
  const before = calls("one-openai");
  const flood = Array.from({ length: 200 }, () => ask(flooder, "test/anthropic"));
  const served = Array.from({ length: 20 }, () => ask(other, "test/openai"));
  // All of the other account's requests are served while the flood runs.
  for (const answer of await Promise.all(served)) assert.equal(answer.status, 200);
  for (const answer of await Promise.all(flood)) assert.equal(answer.status, 429);
  assert.equal(calls("one-anthropic"), 0);
  assert.ok(calls("one-openai") - before >= 20);
  assert.equal((await gateway.account(flooder.account)).open_holds, 0);
});

test("limits of a key are checked where they are set", async () => {
  const { hash, manager } = await account();
  const cases = [
    [{ limit: -1 }, "limit"], [{ limit: "0.0000000001" }, "limit"], [{ limit: 1e30 }, "limit"], [{ requests_per_minute: 0 }, "requests_per_minute"],
    [{ tokens_per_minute: 1e15 }, "tokens_per_minute"], [{ concurrent_requests: "all" }, "concurrent_requests"], [{ workspace_id: "other" }, "workspace_id"],
  ];
  for (const [body, param] of cases) {
    for (const [method, path, more] of [["PATCH", `keys/${hash}`, {}], ["POST", "keys", { name: "new" }]]) {
      const { status, body: refused } = await callJson(gateway, path, { method, key: manager, body: { ...more, ...body } });
      assert.deepEqual([status, refused.error.metadata?.param ?? refused.error.param], [400, param], `${method} ${JSON.stringify(body)}`);
    }
  }
  const made = await callJson(gateway, "keys", {
    key: manager,
    body: { name: "app", workspace_id: "default", external: { user: "u-1", api_key: "their key" }, requests_per_minute: "unlimited", tokens_per_minute: 5_000 },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { data } = made.body;
  assert.deepEqual([data.external_user, data.workspace_id, data.requests_per_minute, data.tokens_per_minute], ["u-1", "default", "unlimited", 5_000]);
  assert.equal(data.last_used_at, null);
});
