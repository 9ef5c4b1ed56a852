// The same exact amount everywhere: what the upstream reported times the endpoint's prices, computed here in integers, is the
// answer's `usage.cost`, the usage row, `/generation`, the key's counter and what is gone from the balance.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DIALECTS, testCatalog } from "./catalog.mjs";
import { callJson, chat, generation, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());

const { endpoints } = testCatalog();
const pricesOf = (model, provider) => endpoints.find((each) => each.model === model && each.provider === provider).prices;

/** Nano-dollars for `usage` (as the local upstream records it), by the rules of the price table. */
function expected(prices, usage) {
  const tier = prices.tiers.findLast((each) => usage.input > each.min_prompt_tokens);
  const rate = { ...prices, ...tier };
  const { input, cacheRead, cacheWrite5m, cacheWrite1h, output, reasoning } = usage;
  const lines = [
    [input - cacheRead - cacheWrite5m - cacheWrite1h, rate.prompt],
    [cacheRead, rate.cache_read],
    [cacheWrite5m, rate.cache_write_5m],
    [cacheWrite1h, rate.cache_write_1h],
    [output - reasoning, rate.completion],
    [reasoning, rate.reasoning],
  ];
  const scaled = lines.reduce((sum, [tokens, price]) => sum + BigInt(tokens) * BigInt(price), 0n);
  return (scaled + 999_999n) / 1_000_000n;
}

/** Usage that each dialect can report. */
const USAGES = {
  plain: "usage-in1000-out50",
  "one token": "usage-in1-out1",
  "cache read": "usage-in5000-out77-read4321",
  reasoning: "usage-in333-out999-think777",
  "all of it": "usage-in60001-out1234-read30003-think99",
  "just below the tier": "usage-in200000-out10",
  "above the tier": "usage-in200001-out10-read100000",
};
const WRITES = {
  "cache write": "usage-in5000-out5-write3333",
  "one hour": "usage-in7000-out5-read100-write1000-writehr2001",
  "one hour above the tier": "usage-in300000-out5-write1000-writehr200001",
};

for (const dialect of DIALECTS) {
  for (const stream of [false, true]) {
    describe(`${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      const requests = [];
      let key, account, hash;
      before(async () => ({ key, account, hash } = await gateway.createAccount({ usd: "100" })));

      // Only Anthropic reports what it wrote to a cache.
      for (const [name, directive] of Object.entries({ ...USAGES, ...(dialect === "anthropic" && WRITES) })) {
        test(`the answer's cost is exact: ${name}`, async () => {
          gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: directive });
          const answer = await chat(gateway, key, { model: `test/${dialect}`, stream });
          const { usage } = gateway.upstream.requests().at(-1);
          const cost = expected(pricesOf(`test/${dialect}`, `one-${dialect}`), usage);
          assert.equal(nanos(answer.usage.cost), cost);
          assert.equal(answer.usage.prompt_tokens, usage.input);
          assert.equal(answer.usage.completion_tokens, usage.output);
          assert.equal(answer.usage.total_tokens, usage.input + usage.output);
          assert.equal(answer.usage.prompt_tokens_details.cached_tokens, usage.cacheRead);
          assert.equal(answer.usage.prompt_tokens_details.cache_write_tokens, usage.cacheWrite5m + usage.cacheWrite1h);
          assert.equal(answer.usage.completion_tokens_details.reasoning_tokens, usage.reasoning);
          const details = answer.usage.cost_details;
          assert.equal(nanos(details.upstream_inference_prompt_cost) + nanos(details.upstream_inference_completions_cost), cost);
          requests.push({ id: answer.id, cost, usage });
        });
      }

      test("and so are its row, its record, the key's counters, the credits and the balance", async () => {
        const state = await settled(gateway, account);
        for (const { id, cost, usage } of requests) {
          const [row] = await gateway.d1("SELECT * FROM usage WHERE id = ?", id);
          assert.deepEqual([row.account, row.key_hash, row.status, BigInt(row.cost)], [account, hash, "settled", cost]);
          assert.deepEqual(
            [row.prompt_tokens, row.cache_read_tokens, row.cache_write_5m_tokens, row.cache_write_1h_tokens, row.completion_tokens, row.reasoning_tokens, row.estimated],
            [usage.input, usage.cacheRead, usage.cacheWrite5m, usage.cacheWrite1h, usage.output, usage.reasoning, 0],
          );
          const record = await generation(gateway, key, id);
          assert.equal(nanos(record.total_cost), cost);
          assert.equal(nanos(record.usage), cost);
          assert.deepEqual([record.native_tokens_prompt, record.native_tokens_completion, record.native_tokens_cached], [usage.input, usage.output, usage.cacheRead]);
          // The record explains the charge: quantities and prices that make it.
          const scaled = record.charge.lines.reduce((sum, line) => sum + BigInt(line.quantity) * BigInt(line.price), 0n);
          assert.equal((scaled + 999_999n) / 1_000_000n, cost);
        }
        const total = requests.reduce((sum, { cost }) => sum + cost, 0n);
        assert.ok(total > 0n && requests.length >= 7);
        assert.equal(nanos(state.total_usage), total);
        assert.equal(nanos(state.balance), nanos(100) - total);
        const { data } = (await callJson(gateway, "key", { key })).body;
        for (const counter of ["usage", "usage_daily", "usage_weekly", "usage_monthly"]) assert.equal(nanos(data[counter]), total, counter);
        const credits = (await callJson(gateway, "credits", { key })).body.data;
        assert.deepEqual([nanos(credits.total_credits), nanos(credits.total_usage)], [nanos(100), total]);
        const [{ rows, sum }] = await gateway.d1("SELECT count(*) AS rows, sum(cost) AS sum FROM usage WHERE account = ?", account);
        assert.deepEqual([rows, BigInt(sum)], [requests.length, total]);
      });
    });
  }
}

test("an answer without a word is free, and so is one that the provider counts as nothing", async () => {
  const { key, account } = await gateway.createAccount();
  const ids = [];
  for (const dialect of DIALECTS) {
    for (const stream of [false, true]) {
      gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: "fault-usage-zero" });
      const zero = await chat(gateway, key, { model: `test/${dialect}`, stream });
      assert.equal(zero.usage.cost, 0);
      gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: "fault-empty" });
      const empty = await chat(gateway, key, { model: `test/${dialect}`, stream, provider: { allow_fallbacks: false } });
      assert.equal(empty.status, 502);
      ids.push(zero.id, empty.headers.get("x-generation-id"));
    }
  }
  const state = await settled(gateway, account);
  assert.deepEqual([state.total_usage, state.balance, state.held], [0, 5, 0]);
  for (const id of ids) assert.equal((await generation(gateway, key, id)).total_cost, 0);
});

test("402 says what the balance affords, and just that is granted", async () => {
  const { key, account } = await gateway.createAccount({ usd: "0.001" });
  for (const stream of [false, true]) {
    for (const max_tokens of [5000, undefined]) {
      const body = { model: "test/openai", stream, max_tokens, messages: [user("Please count to 5")] };
      const [{ seq: since } = { seq: 0 }] = gateway.upstream.requests().slice(-1);
      const refused = await chat(gateway, key, body);
      assert.equal(refused.status, 402, JSON.stringify(refused));
      const { message, metadata, type } = refused.error;
      assert.equal(type, "payment_required");
      assert.equal(metadata.limit_source, "openrouter_credits");
      const affordable = metadata.affordable_tokens;
      assert.ok(affordable > 20 && affordable < 250, String(affordable));
      if (max_tokens) assert.match(message, /requested up to 5000 tokens/);
      assert.match(message, new RegExp(`can only afford ${affordable}\\b.*max_tokens of ${affordable} or less`));
      // The call that was already on its way never reaches the client, and is ended.
      for (const entry of gateway.upstream.requests({ since })) await gateway.upstream.waitFor(({ seq, aborted, finished }) => seq === entry.seq && (aborted || finished));
      const oneMore = await chat(gateway, key, { ...body, max_tokens: affordable + 1 });
      assert.equal(oneMore.status, 402);
      const granted = await chat(gateway, key, { ...body, max_tokens: affordable });
      assert.equal(granted.status, 200, JSON.stringify(granted.error));
      assert.equal(granted.message.content, "1, 2, 3, 4, 5");
    }
  }
  const state = await settled(gateway, account);
  const [{ rows }] = await gateway.d1("SELECT count(*) AS rows FROM usage WHERE account = ?", account);
  assert.equal(rows, 4, "a refused hold leaves no row");
  assert.ok(state.balance > 0 && state.open_holds === 0);
});

test("an account that cannot pay for the prompt alone is told so", async () => {
  const { key } = await gateway.createAccount({ usd: "0.000000001" });
  const { status, error } = await chat(gateway, key, { model: "test/gemini", max_tokens: 10 });
  assert.deepEqual([status, error.metadata.affordable_tokens], [402, undefined]);
  assert.match(error.message, /for the prompt/);
});

test("the limit of a key is its own 402", async () => {
  const { account } = await gateway.createAccount();
  const path = `accounts/${account}/keys`;
  const { key, data } = await gateway.operator.call("POST", path, { name: "limited", limit: "0.005", limit_reset: "daily" });
  assert.deepEqual([data.limit, data.limit_remaining, data.limit_reset], [0.005, 0.005, "daily"]);
  const granted = await chat(gateway, key, { model: "test/openai", max_tokens: 50 });
  assert.equal(granted.status, 200);
  const refused = await chat(gateway, key, { model: "test/openai", max_tokens: 2000 });
  assert.equal(refused.status, 402);
  assert.equal(refused.error.metadata.limit_source, "openrouter_key_limit");
  const resets = new Date(refused.error.metadata.resets_at);
  assert.ok(resets > new Date() && resets.getUTCHours() === 0 && resets - Date.now() <= 86_400_000);
  const afforded = await chat(gateway, key, { model: "test/openai", max_tokens: refused.error.metadata.affordable_tokens });
  assert.equal(afforded.status, 200);
  const after = (await callJson(gateway, "key", { key })).body.data;
  assert.equal(nanos(after.limit_remaining), nanos(0.005) - nanos(granted.usage.cost) - nanos(afforded.usage.cost));
  await gateway.operator.call("PATCH", `keys/${data.hash}`, { limit: null });
  assert.equal((await chat(gateway, key, { model: "test/openai", max_tokens: 2000 })).status, 200);
});
