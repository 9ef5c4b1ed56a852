// The same exact amount everywhere, over every kind of price: the answer's `usage.cost` is the ledger's entry, the usage row, the
// record, and what the key's counters grow by; and all are what this file computes from the prices, in BigInt, by its own rules.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { endpoint, model, OPERATION_PRICES, operationsCatalog, provider } from "./catalog.mjs";
import { callJson, call, chat, generation, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** Odd to the last digit, so that hardly any sum comes out round. */
const EVERYTHING = {
  prompt: 1_100_000_003,
  completion: 4_300_000_007,
  cache_read: 110_000_009,
  cache_write_5m: 1_375_000_013,
  cache_write_1h: 2_200_000_021,
  reasoning: 5_100_000_017,
  audio_in: 32_000_000_033,
  audio_out: 64_000_000_039,
  image_out: 30_000_000_041,
  request: 7_000_001,
  tiers: [
    { min_prompt_tokens: 20_000, prompt: 2_200_000_043, completion: 6_450_000_047, cache_read: 220_000_051 },
    { min_prompt_tokens: 50_000, prompt: 4_400_000_053, cache_write_5m: 5_500_000_059, cache_write_1h: 8_800_000_061, reasoning: 9_000_000_067, audio_in: 70_000_000_071, audio_out: 90_000_000_073 },
  ],
};
const SEARCH_FEE = 11_000_003;
const MILLION = 1_000_000n;

/** Models of this file: at which dialect, with which prices. */
const MODELS = {
  everything: { dialect: "openai", prices: EVERYTHING },
  anthropic: { dialect: "anthropic", prices: (({ audio_in, audio_out, image_out, ...rest }) => rest)(EVERYTHING) },
  gemini: { dialect: "gemini", prices: (({ audio_in, audio_out, image_out, cache_write_5m, cache_write_1h, ...rest }) => rest)(EVERYTHING) },
  // What is not priced costs what it is part of.
  bare: { dialect: "openai", prices: { prompt: 1_000_000_001, completion: 3_000_000_001 } },
  request: { dialect: "openai", prices: { prompt: 0, completion: 0, request: 12_345_679 } },
  stated: { dialect: "openai", prices: { prompt: 1_000_000_001, completion: 3_000_000_001, stated: true } },
  searching: { dialect: "openai", prices: { prompt: 1_000_000_001, completion: 3_000_000_001 }, search: { price: SEARCH_FEE, per: "request", always: true } },
};

function catalog() {
  const rows = operationsCatalog();
  for (const [name, { dialect, prices, search }] of Object.entries(MODELS)) {
    const row = endpoint({ model: `cost/${name}`, provider: `cost-${name}`, dialect, fields: { prices } });
    rows.providers.push(provider({ slug: `cost-${name}`, dialect }));
    rows.models.push(model(`cost/${name}`));
    rows.endpoints.push({ ...row, ...(search && { supported_parameters: [...row.supported_parameters, "web_search_options"], web_search: search }) });
  }
  // One provider's flex tier, at half the price and a bit.
  const half = Object.fromEntries(Object.entries(MODELS.bare.prices).map(([name, price]) => [name, Math.floor(price / 2)]));
  rows.endpoints.push(endpoint({ model: "cost/bare", provider: "cost-bare", dialect: "openai", fields: { prices: half, tag: "cost-bare/flex" } }));
  MODELS.flex = { dialect: "openai", prices: half, ask: { model: "cost/bare", service_tier: "flex" }, at: "cost-bare" };
  return rows;
}

/** What a conversation costs, from the prices and what the upstream says it counted. */
function expected(prices, usage) {
  if (prices.stated && usage.cost !== undefined) return BigInt(usage.cost);
  const rate = { ...prices };
  for (const tier of prices.tiers ?? []) if (usage.input > tier.min_prompt_tokens) Object.assign(rate, tier);
  const { input, output, cacheRead = 0, cacheWrite5m = 0, cacheWrite1h = 0, reasoning = 0, audioIn = 0, audioOut = 0, imageOut = 0 } = usage;
  const priced = (price, count) => (price === undefined ? 0 : count);
  const sound = priced(rate.audio_in, audioIn);
  const [thoughts, spoken, painted] = [priced(rate.reasoning, reasoning), priced(rate.audio_out, audioOut), priced(rate.image_out, imageOut)];
  const fiveMinutes = rate.cache_write_5m ?? rate.prompt;
  const lines = [
    [input - cacheRead - cacheWrite5m - cacheWrite1h - sound, rate.prompt],
    [sound, rate.audio_in ?? 0],
    [cacheRead, rate.cache_read ?? rate.prompt],
    [cacheWrite5m, fiveMinutes],
    [cacheWrite1h, rate.cache_write_1h ?? fiveMinutes],
    [output - thoughts - spoken - painted, rate.completion],
    [thoughts, rate.reasoning ?? 0],
    [spoken, rate.audio_out ?? 0],
    [painted, rate.image_out ?? 0],
  ];
  const scaled = lines.reduce((sum, [count, price]) => sum + BigInt(count) * BigInt(price), BigInt(rate.request ?? 0) * MILLION);
  return (scaled + MILLION - 1n) / MILLION;
}

/** Each kind of price: which model, and what its provider counts. */
const CASES = [
  ["prompt and completion", "everything", "usage-in1234-out567"],
  ["one token", "everything", "usage-in1-out1"],
  ["cache reads", "everything", "usage-in5001-out7-read4999"],
  ["cache writes of five minutes", "everything", "usage-in5003-out7-write4001"],
  ["cache writes of both durations", "everything", "usage-in9001-out7-read1001-write2003-writehr3007"],
  ["cache writes of both durations, Anthropic", "anthropic", "usage-in9001-out7-read1001-write2003-writehr3007"],
  ["cache reads, Gemini", "gemini", "usage-in5001-out77-read4321-think33"],
  ["reasoning", "everything", "usage-in333-out999-think777"],
  ["sound in", "everything", "usage-in4001-out9-audioin3001"],
  ["sound in beside a cache", "everything", "usage-in4001-out9-read2001-audioin1001"],
  ["sound out", "everything", "usage-in401-out9001-audioout7001"],
  ["images out", "everything", "usage-in41-out1301-imageout1290"],
  ["everything at once", "everything", "usage-in19001-out9001-read3001-write2003-writehr1007-think1001-audioin501-audioout2001-imageout1290"],
  ["just below a step", "everything", "usage-in20000-out101-read1001"],
  ["above the first step", "everything", "usage-in20001-out101-read1001-think11"],
  ["above the second step", "everything", "usage-in50001-out301-read10001-write2003-writehr1007-think101-audioin501-audioout101"],
  ["both durations above the second step, Anthropic", "anthropic", "usage-in60001-out201-read10001-write2003-writehr1007"],
  ["no prices but two", "bare", "usage-in5001-out997-read1001-write501-think333-audioin77-audioout55-imageout44"],
  ["by the request alone", "request", "usage-in999-out999"],
  ["what the provider states", "stated", "usage-in100-out10-nanodollars148561"],
  ["what the provider states is nothing", "stated", "usage-in100-out10-nanodollars0"],
  ["a provider that should state it and does not", "stated", "usage-in100-out10"],
  ["a tier of service", "flex", "usage-in1001-out999"],
  ["a search that the provider runs", "searching", "usage-in1001-out999", BigInt(SEARCH_FEE)],
];

let gateway, key, account, hash;
before(async () => {
  gateway = await startGateway({ catalog: catalog() });
  ({ key, account, hash } = await gateway.createAccount({ usd: "1000" }));
});
after(() => gateway?.stop());

const COUNTERS = ["usage", "usage_daily", "usage_weekly", "usage_monthly"];
const counters = async () => {
  const { data } = (await callJson(gateway, "key", { key })).body;
  return COUNTERS.map((name) => nanos(data[name]));
};

/** The one amount in all places; `before` are the key's counters before the request. */
async function sameEverywhere(id, cost, before) {
  const { data } = await gateway.operator.call("GET", `accounts/${account}/entries?limit=5`);
  const entry = data.find((each) => each.id === id);
  assert.deepEqual([entry.kind, nanos(entry.amount), entry.key_hash], ["settle", -cost, hash]);
  assert.deepEqual(await counters(), before.map((each) => each + cost));
  const record = await generation(gateway, key, id);
  assert.equal(nanos(record.total_cost), cost);
  const [row] = await gateway.d1("SELECT cost, status, key_hash, charge FROM usage WHERE id = ?", id);
  assert.deepEqual([BigInt(row.cost), row.status, row.key_hash], [cost, "settled", hash]);
  if (row.charge) assert.equal(BigInt(JSON.parse(row.charge).total), cost);
}

for (const stream of [false, true]) {
  describe(stream ? "streamed" : "in one piece", () => {
    for (const [name, which, directive, fee = 0n] of CASES) {
      test(name, async () => {
        const { prices, ask, at = `cost-${which}` } = MODELS[which];
        gateway.upstream.script({ prefix: `/p/${at}/`, times: 1, behaviour: directive });
        const before = await counters();
        const answer = await chat(gateway, key, { model: `cost/${which}`, stream, ...ask });
        assert.equal(answer.status, 200, JSON.stringify(answer.error));
        const { usage } = gateway.upstream.requests().at(-1);
        const cost = expected(prices, usage) + fee;
        assert.equal(nanos(answer.usage.cost), cost);
        await sameEverywhere(answer.id, cost, before);
      });
    }
  });
}

describe("operations", () => {
  const tokens = (text) => BigInt(Math.ceil(text.length / 4));
  const up = (quantity, price, per) => (BigInt(quantity) * BigInt(price) + per - 1n) / per;
  const { embeddings, rerank, images, speech, transcription } = OPERATION_PRICES;
  const sound = Buffer.alloc(6_500, 7).toString("base64");
  const painted = (tokens("a red fox") * BigInt(images.prompt) + 2n * BigInt(images.units.images[0].price) * MILLION + MILLION - 1n) / MILLION;
  for (const [name, path, body, cost] of [
    ["embeddings", "embeddings", { input: ["first text"] }, up(tokens("first text"), embeddings.prompt, MILLION)],
    ["rerank", "rerank", { query: "red fox", documents: ["a dog", "the red fox"] }, BigInt(rerank.units.search_unit)],
    ["images", "images", { prompt: "a red fox", n: 2, size: "1024x1024" }, painted],
    ["transcription", "audio/transcriptions", { input_audio: { data: sound, format: "mp3" } }, up(6_500, transcription.units.audio_in_hour, 3_600_000n)],
    ["speech", "audio/speech", { input: "Hello there", voice: "alloy" }, up("Hello there".length, speech.units.characters, MILLION)],
  ]) {
    test(name, async () => {
      const before = await counters();
      const answer = await call(gateway, path, { key, body: { model: `test/${name}`, ...body } });
      assert.equal(answer.status, 200);
      await answer.arrayBuffer();
      await settled(gateway, account);
      await sameEverywhere(answer.headers.get("x-generation-id"), cost, before);
    });
  }
});

test("max_cost is the most that is charged, and the charge says so", async () => {
  gateway.upstream.script({ prefix: "/p/cost-everything/", times: 1, behaviour: "usage-in1000-out9999" });
  const before = await counters();
  const answer = await chat(gateway, key, { model: "cost/everything", max_tokens: 20, max_cost: "0.009", messages: [user("Hi")] });
  assert.equal(answer.status, 200, JSON.stringify(answer.error));
  assert.equal(nanos(answer.usage.cost), 9_000_000n);
  await sameEverywhere(answer.id, 9_000_000n, before);
});

test("and the reconciliation agrees with all of it", async () => {
  await settled(gateway, account);
  const { data } = await gateway.operator.call("POST", "reconcile", { account, restart: true });
  const { data: findings } = await gateway.operator.call("GET", `reconcile/findings?account=${account}`);
  assert.deepEqual(findings, []);
  assert.equal(data.done, true);
  assert.equal(data.matched, 2 * CASES.length + 6);
});
