// The same exact amount everywhere, over every kind of price: the answer's `usage.cost` is the ledger's entry, the usage row, the
// record, and what the key's counters grow by; and all are what this file computes from the prices, in BigInt, by its own rules.
// What the record tells of its arithmetic is done again to the last fraction.
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
/** What is taken off, in millionths. */
const OFF = 123_457;

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

/** The same at a discount: every kind of price but what providers state, which is what they charged. */
for (const [name, { prices, ...rest }] of Object.entries(MODELS)) {
  if (!prices.stated) MODELS[`${name}-off`] = { ...rest, prices: { ...prices, discount_ppm: OFF } };
}

function catalog() {
  const rows = operationsCatalog();
  for (const operation of Object.keys(OPERATION_PRICES)) {
    const of = (row) => (row.slug ?? row.model) === `test/${operation}`;
    const [named, placed] = [rows.models.find(of), rows.endpoints.find(of)];
    rows.models.push({ ...named, slug: `off/${operation}`, canonical_slug: `off/${operation}` });
    rows.endpoints.push({ ...placed, model: `off/${operation}`, prices: { ...placed.prices, discount_ppm: OFF } });
  }
  for (const [name, { dialect, prices, search }] of Object.entries(MODELS)) {
    const row = endpoint({ model: `cost/${name}`, provider: `cost-${name}`, dialect, fields: { prices } });
    rows.providers.push(provider({ slug: `cost-${name}`, dialect }));
    rows.models.push(model(`cost/${name}`));
    rows.endpoints.push({ ...row, ...(search && { supported_parameters: [...row.supported_parameters, "web_search_options"], web_search: search }) });
  }
  // One provider's flex tier, at half the price and a bit.
  const half = Object.fromEntries(Object.entries(MODELS.bare.prices).map(([name, price]) => [name, Math.floor(price / 2)]));
  for (const [end, more] of [["", {}], ["-off", { discount_ppm: OFF }]]) {
    const [slug, prices] = [`cost-bare${end}`, { ...half, ...more }];
    rows.endpoints.push(endpoint({ model: `cost/bare${end}`, provider: slug, dialect: "openai", fields: { prices, tag: `${slug}/flex` } }));
    MODELS[`flex${end}`] = { dialect: "openai", prices, ask: { model: `cost/bare${end}`, service_tier: "flex" }, at: slug };
  }
  // The dearer one by its list is the cheaper one after its discount.
  rows.models.push(model("cost/choice"));
  for (const [name, prices] of [["listed", { prompt: 1_000_000_000, completion: 3_000_000_000 }], ["discounted", { prompt: 1_500_000_000, completion: 4_500_000_000, request: 100, discount_ppm: 400_000 }]]) {
    rows.providers.push(provider({ slug: name, dialect: "openai" }));
    rows.endpoints.push(endpoint({ model: "cost/choice", provider: name, dialect: "openai", fields: { prices } }));
  }
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
  return up(scaled * kept(prices), MILLION * MILLION);
}

const up = (amount, divisor) => (amount + divisor - 1n) / divisor;
/** What a discount leaves, in millionths. */
const kept = ({ discount_ppm = 0 }) => MILLION - BigInt(discount_ppm);

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
for (const [name, which, ...rest] of [...CASES]) {
  if (MODELS[which]?.prices.stated !== true) CASES.push([`${name}, at a discount`, `${which}-off`, ...rest]);
}

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
  if (record.cost_explained) assert.equal(recomputed(record.cost_explained), cost);
}

/** A decimal text as an integer of so many decimals. */
function exactly(text, decimals) {
  const [whole, fraction = ""] = text.split(".");
  assert.ok(fraction.length <= decimals, text);
  return BigInt(whole + fraction.padEnd(decimals, "0"));
}

/** The charge out of the lines that explain it. */
function recomputed({ lines, is_exact, sum_usd, rounding_usd, total_usd }) {
  const HOUR = 18_000_000n;
  const parts = lines.map((line) => {
    assert.equal(line.text.includes(` × (1 − ${line.discount})`), line.discount !== null, line.text);
    const left = MILLION - exactly(line.discount ?? "0", 6);
    return (BigInt(line.quantity) * exactly(line.price_usd, 9) * left * HOUR) / BigInt(line.per);
  });
  if (is_exact) assert.equal(exactly(sum_usd, 24) + exactly(rounding_usd, 24), exactly(total_usd, 24));
  return up(parts.reduce((sum, part) => sum + part, 0n), MILLION * HOUR);
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
  const times = (quantity, price, per) => [BigInt(quantity) * BigInt(price), per];
  const { embeddings, rerank, images, speech, transcription } = OPERATION_PRICES;
  const sound = Buffer.alloc(6_500, 7).toString("base64");
  const painted = tokens("a red fox") * BigInt(images.prompt) + 2n * BigInt(images.units.images[0].price) * MILLION;
  for (const [name, path, body, [amount, per]] of [
    ["embeddings", "embeddings", { input: ["first text"] }, times(tokens("first text"), embeddings.prompt, MILLION)],
    ["rerank", "rerank", { query: "red fox", documents: ["a dog", "the red fox"] }, times(1, rerank.units.search_unit, 1n)],
    ["images", "images", { prompt: "a red fox", n: 2, size: "1024x1024" }, [painted, MILLION]],
    ["transcription", "audio/transcriptions", { input_audio: { data: sound, format: "mp3" } }, times(6_500, transcription.units.audio_in_hour, 3_600_000n)],
    ["speech", "audio/speech", { input: "Hello there", voice: "alloy" }, times("Hello there".length, speech.units.characters, MILLION)],
  ]) {
    for (const [at, prices] of [["test", {}], ["off", { discount_ppm: OFF }]]) {
      test(`${name} (${at})`, async () => {
        const cost = up(amount * kept(prices), per * MILLION);
        const before = await counters();
        const answer = await call(gateway, path, { key, body: { model: `${at}/${name}`, ...body } });
        assert.equal(answer.status, 200);
        await answer.arrayBuffer();
        await settled(gateway, account);
        await sameEverywhere(answer.headers.get("x-generation-id"), cost, before);
      });
    }
  }
});

test("a discount is told beside the prices, and it is the price after it that counts", async () => {
  const { body } = await callJson(gateway, "models/cost/choice/endpoints");
  const told = Object.fromEntries(body.data.endpoints.map(({ tag, pricing }) => [tag, pricing]));
  assert.deepEqual([told.discounted.prompt, told.discounted.discount, told.listed.discount], ["0.0000015", 0.4, undefined]);
  const listed = (await callJson(gateway, "models?q=cost/choice")).body.data;
  assert.deepEqual(listed.map(({ id, pricing }) => [id, pricing.discount]), [["cost/choice", 0.4]]);
  // Who is cheapest is asked first.
  const who = async (provider) => {
    const answer = await chat(gateway, key, { model: "cost/choice", provider });
    assert.equal(answer.status, 200, JSON.stringify(answer.error));
    return answer.provider;
  };
  assert.equal(await who(), "Test discounted");
  assert.equal(await who({ max_price: { prompt: 0.9, completion: 2.7 } }), "Test discounted");
  const none = await chat(gateway, key, { model: "cost/choice", provider: { max_price: { prompt: 0.899999999 } } });
  assert.equal(none.status, 404);
  // A hold is for the price after the discount too: 1,000 tokens of answer are $0.0027, at the list's price $0.0045.
  const poor = await gateway.createAccount({ usd: "0.0035" });
  const afforded = await chat(gateway, poor.key, { model: "cost/choice", max_tokens: 1_000, provider: { only: ["discounted"] } });
  assert.equal(afforded.status, 200, JSON.stringify(afforded.error));
  const refused = await chat(gateway, poor.key, { model: "cost/choice", max_tokens: 1_400, provider: { only: ["discounted"] } });
  assert.equal(refused.status, 402);
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
  // Of the discount's test, two.
  assert.equal(data.matched, 2 * CASES.length + 2 * Object.keys(OPERATION_PRICES).length + 3);
});
