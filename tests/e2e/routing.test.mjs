// What a request says about who may serve it: preferences, names, presets, tiers, and the plan in words.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { call, callJson, chat, generation, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** `test/family-…` of one family, a free variant, and a flex tier at a price of its own. */
function catalog() {
  const rows = testCatalog();
  rows.models.push(
    model("test/openai:free"),
    model("test/family-1", { family: "family", created: 1_700_000_000 }),
    model("test/family-2", { family: "family", created: 1_750_000_000 }),
  );
  rows.endpoints.push(
    endpoint({ model: "test/openai:free", provider: "two-openai", dialect: "openai", factor: 0 }),
    endpoint({ model: "test/family-1", provider: "one-openai", dialect: "openai" }),
    endpoint({ model: "test/family-2", provider: "one-openai", dialect: "openai" }),
    endpoint({ model: "test/openai", provider: "two-openai", dialect: "openai", factor: 3, fields: { tag: "two-openai/flex" } }),
  );
  // A tier that may be served as another one, cheaper and dearer.
  const [usual] = rows.endpoints.filter((row) => row.model === "test/openai");
  const at = (factor) => endpoint({ model: "test/openai", provider: "one-openai", dialect: "openai", factor }).prices;
  rows.endpoints.push({ ...usual, tag: `${usual.provider}/priority`, prices: at(4), tier_prices: { default: at(2), ultrafast: at(9) } });
  return rows;
}

let gateway, key, account;
before(async () => {
  gateway = await startGateway({ catalog: catalog() });
  ({ key, account } = await gateway.createAccount());
});
after(() => gateway?.stop());
beforeEach(() => gateway.upstream.reset());

const price = { sort: "price" };
const ask = (body, options) => chat(gateway, key, { provider: price, ...body }, options);
const route = async (body, headers) =>
  (await callJson(gateway, "route", { key, headers, body: { messages: [user("Hello!")], ...body } })).body;
const sent = () => gateway.upstream.requests().at(-1).body;
const fail = (provider, behaviour = "fault-status-503", times = 1) => gateway.upstream.script({ prefix: `/p/${provider}/`, times, behaviour });
const asked = () => gateway.upstream.requests().map(providerOf);

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";

  test(`names mean their models, and the answer tells the concrete one (${how})`, async () => {
    for (const [name, slug, provider] of [
      ["test/openai:floor", "test/openai", /^Test (one|two)-openai$/],
      ["TEST/openai:nitro", "test/openai", /^Test (one|two)-openai$/],
      ["test/openai:free", "test/openai:free", /^Test two-openai$/],
      ["test/openai:floor:free", "test/openai:free", /^Test two-openai$/],
      ["test/former-name:exacto", "test/openai", /openai$/],
      ["~test/family-latest", "test/family-2", /one-openai$/],
      ["~Test/Family-latest:nitro", "test/family-2", /one-openai$/],
    ]) {
      const answer = await ask({ model: name, stream });
      assert.deepEqual([answer.status, answer.model], [200, slug], name);
      assert.match(answer.provider, provider, name);
      assert.equal(answer.headers.get("x-patchbay-model"), slug);
    }
  });

  test(`an order is an order: the header's, the body's, across models (${how})`, async () => {
    const first = async (body, headers) => (await chat(gateway, key, { stream, ...body }, { headers })).provider;
    const header = { "x-provider": '{"order": ["two-openai"], "allow_fallbacks": false}' };
    assert.equal(await first({ model: "test/openai" }, header), "Test two-openai");
    assert.equal(await first({ model: "test/openai", provider: { order: ["one-openai"] } }, header), "Test one-openai");
    const across = { sort: { by: "price", partition: "none" } };
    const models = { model: "test/anthropic", models: ["test/openai"] };
    assert.equal(await first({ ...models, provider: { ...across, ignore: ["one-anthropic"] } }), "Test one-openai");
    assert.equal(await first({ ...models, provider: { sort: "price", ignore: ["one-anthropic"] } }), "Test two-anthropic");
    assert.equal(await first({ ...models, route: "sort", provider: { ignore: ["one-anthropic", "two-openai"] } }), "Test one-openai");
    fail("two-openai");
    const refused = await chat(gateway, key, { model: "test/openai", stream }, { headers: header });
    assert.equal(refused.status, 503);
  });

  test(`a tier serves whom it was asked for, at its own price (${how})`, async () => {
    const usual = await ask({ model: "test/openai", stream });
    const flex = await ask({ model: "test/openai", stream, service_tier: "flex" });
    assert.equal(sent().service_tier, "flex");
    assert.equal(flex.provider, "Test two-openai");
    const ratio = Number(nanos(flex.usage.cost)) / Number(nanos(usual.usage.cost));
    assert.ok(Math.abs(ratio - 3) < 0.001, `${ratio}`);
    assert.equal((await generation(gateway, key, flex.id)).model, "test/openai");
    // Without its tier it stands aside, also where its provider is named.
    await ask({ model: "test/openai", stream, provider: { only: ["two-openai"] } });
    assert.equal(sent().service_tier, undefined);
  });

  test(`what is charged is the tier that served, told with its arithmetic (${how})`, async () => {
    const body = { model: "test/openai", stream, service_tier: "priority", messages: [user("The same each time.")] };
    const at = async (tier) => {
      gateway.upstream.script({ times: 1, behaviour: tier ? `fault-tier-${tier}` : "" });
      const answer = await ask(body);
      assert.equal(sent().service_tier, "priority");
      const record = await generation(gateway, key, answer.id);
      assert.equal(Number(record.total_cost), Number(answer.usage.cost));
      const prompt = record.charge.lines.find((line) => line.what === "prompt");
      const [response] = record.provider_responses;
      return { answer, record, price: prompt.price, told: [record.service_tier, response.routed_service_tier, response.service_tier] };
    };
    const asked = await at();
    assert.deepEqual(asked.told, ["priority", "priority", "priority"]);
    assert.equal((stream ? asked.answer.chunks.find((chunk) => chunk.service_tier) : asked.answer.body).service_tier, "priority");
    const less = await at("default");
    assert.deepEqual(less.told, ["default", "priority", "default"]);
    assert.equal(less.price * 2, asked.price);
    // Each is rounded up to the nano-dollar once.
    const over = nanos(less.answer.usage.cost) * 2n - nanos(asked.answer.usage.cost);
    assert.ok(over === 0n || over === 1n, `twice half is ${over} more`);
    // A dearer one than was asked for is not the client's affair.
    const more = await at("ultrafast");
    assert.equal(nanos(more.answer.usage.cost), nanos(asked.answer.usage.cost));
  });
}

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";
  const told = (answer) => (stream ? answer.chunks.at(-1) : answer.body).openrouter_metadata;
  const headers = { "x-openrouter-metadata": "enabled" };

  test(`who asks is told how the request was routed, and nobody else (${how})`, async () => {
    fail("one-openai");
    const answer = await ask({ model: "test/former-name:floor", stream }, { headers });
    const metadata = told(answer);
    assert.deepEqual([metadata.requested, metadata.strategy, metadata.attempt, metadata.is_byok], ["test/former-name:floor", "alias", 2, false]);
    assert.deepEqual(metadata.attempts, [
      { provider: "Test one-openai", model: "test/openai", status: 503 },
      { provider: "Test two-openai", model: "test/openai", status: 200 },
    ]);
    assert.equal(metadata.endpoints.total, 4);
    assert.equal(metadata.endpoints.available.filter(({ selected }) => selected).length, 1);
    assert.ok(metadata.generation_time >= 0);
    assert.equal(told(await ask({ model: "test/openai", stream })), undefined);
  });

  test(`errors tell it beside them (${how})`, async () => {
    const beside = async (body, status) => {
      const response = await call(gateway, "chat/completions", { key, headers, body: { messages: [user("Hello!")], stream, ...body } });
      assert.equal(response.status, status);
      return (await response.json()).openrouter_metadata;
    };
    const refused = await beside({ model: "test/openai", provider: { only: ["nobody"] } }, 404);
    assert.deepEqual([refused.attempt, refused.endpoints.available, refused.endpoints.total], [0, [], 4]);
    fail("one-openai");
    const failed = await beside({ model: "test/openai", provider: { order: ["one-openai"], allow_fallbacks: false } }, 503);
    assert.deepEqual(failed.attempts.map(({ status }) => status), [503]);
    assert.equal(failed.endpoints.available.some(({ selected }) => selected), false);
  });

  test(`a provider's options go to it alone and leave the gateway's fields (${how})`, async () => {
    const options = { "one-openai": { frequency_penalty: 0.5, model: "dearer", max_tokens: 9 }, "two-openai": { presence_penalty: 1 } };
    await ask({ model: "test/openai", stream, max_tokens: 50, provider: { ...price, options } });
    const body = sent();
    assert.deepEqual([body.frequency_penalty, body.presence_penalty, body.model, body.max_completion_tokens], [0.5, undefined, "test-openai", 50]);
    assert.equal(body.max_tokens, undefined);
  });
}

for (const [name, body, param, words] of [
  ["an unknown suffix", { model: "test/openai:fast" }, "model", /no suffix :fast/],
  ["a catalog suffix that the model does not have", { model: "test/gemini:free" }, "model", /has no :free variant/],
  ["web search by suffix", { model: "test/openai:online" }, "model", /web search/],
  ["web search by plugin", { model: "test/openai", plugins: [{ id: "web" }] }, "plugins[0].engine", /web search/],
  ["an unknown family", { model: "~test/famly-latest" }, "model", /~test\/family-latest/],
  ["a fallback with a wrong suffix", { model: "test/openai", models: ["test/gemini:fast"] }, "models[0]", /no suffix/],
  ["a wrong sort", { model: "test/openai", provider: { sort: "cheap" } }, "provider.sort", /expected price/],
  ["a wrong route", { model: "test/openai", route: "both" }, "route", /fallback or sort/],
]) {
  test(`${name} is refused by its path`, async () => {
    const { status, error } = await chat(gateway, key, body);
    assert.equal(status, 400);
    assert.equal(error.param, param);
    assert.match(error.message, words);
    assert.deepEqual(asked(), []);
  });
}

test("nothing left is 404 with the reasons", async () => {
  const { status, error } = await chat(gateway, key, { model: "test/openai", provider: { only: ["one-gemini"] } });
  assert.equal(status, 404);
  assert.match(error.message, /^No endpoints found for test\/openai .*one-openai \(allowed_providers\), two-openai \(allowed_providers\)/);
  assert.equal(error.availability.code, "constraint_filtered");
  assert.ok(error.availability.excluded_by.includes("allowed_providers"));
  assert.deepEqual(error.availability.requested_models, ["test/openai"]);
});

test("a model that nobody may serve leaves the request to the next one, and a later model is tried when the first fails", async () => {
  const short = await ask({ model: "test/openai", models: ["test/gemini"], provider: { only: ["one-gemini"] } });
  assert.equal(short.model, "test/gemini");
  fail("one-anthropic");
  fail("two-anthropic", "fault-status-429");
  const later = await ask({ model: "test/anthropic", models: ["test/openai"] });
  assert.equal(later.model, "test/openai");
  assert.equal(later.headers.get("x-patchbay-attempts"), "3");
});

test("the plan is told and nothing is asked or charged", async () => {
  const before = await settled(gateway, account);
  const { data } = await route({ model: "test/openai", models: ["test/gemini"], max_tokens: 100, provider: { sort: "price", ignore: ["two-openai", "one-gemini", "two-gemini"] } });
  assert.deepEqual(asked(), []);
  assert.deepEqual(await settled(gateway, account), before);
  assert.equal(data.strategy, "fallback");
  assert.equal(data.sort, "price");
  assert.match(data.seed, /^[0-9a-f]{16}$/);
  const [first, other] = data.models;
  assert.deepEqual(first.endpoints.map(({ tag, rank, excluded_by: why }) => [tag, rank, why ?? null]), [
    ["one-openai", 1, null],
    ["two-openai", null, "ignored_providers"],
    ["two-openai/flex", null, "service_tier"],
    ["one-openai/priority", null, "service_tier"],
  ]);
  assert.deepEqual(new Set(other.endpoints.map(({ excluded_by: why }) => why)), new Set(["ignored_providers"]));
  // The prompt and 100 tokens of answer at the dearest that they can be, reasoning; to the nano-dollar, rounded up once.
  const expected = BigInt(data.prompt_tokens) * 1_000_003_001n + 100n * 5_000_000_029n;
  assert.equal(nanos(first.endpoints[0].expected_cost), (expected + 999_999n) / 1_000_000n);
  assert.deepEqual(data.attempts, [{ model: "test/openai", tag: "one-openai" }]);
  // An empty plan is told too, and a wrong request refused as it would be.
  assert.deepEqual((await route({ model: "test/openai", provider: { only: ["one-gemini"] } })).data.attempts, []);
  assert.equal((await route({ model: "test/nil" })).error.code, 400);
  assert.equal((await call(gateway, "route", { method: "POST", body: {} })).status, 401);
});

test("a plan tells what max_cost buys at each endpoint", async () => {
  const endpoints = async (fields) => (await route({ model: "test/openai", provider: price, ...fields })).data.models[0].endpoints;
  const [cheap, dear] = await endpoints({ max_cost: "0.0005" });
  assert.ok(cheap.max_cost.serves && dear.max_cost.serves);
  assert.ok(cheap.max_cost.max_tokens > dear.max_cost.max_tokens && dear.max_cost.max_tokens > 0, JSON.stringify([cheap, dear]));
  assert.deepEqual((await endpoints({ max_cost: 5, max_tokens: 10 }))[0].max_cost, { serves: true, max_tokens: null });
  for (const { max_cost: told } of await endpoints({ max_cost: "0.000000001" })) assert.deepEqual(told, { serves: false, max_tokens: null });
  assert.ok((await endpoints({})).every(({ max_cost: told }) => told === undefined));
  assert.equal((await route({ model: "test/openai", max_cost: "cheap" })).error.code, 400);
});

test("a preset is kept, used in three ways, replaced and deleted", async () => {
  const path = "presets/mail/chat/completions";
  const keep = (body) => callJson(gateway, path, { key, body });
  const first = await keep({ model: "test/openai", temperature: 0.25, messages: [user("not kept")], provider: price, system_prompt: "Be brief." });
  assert.equal(first.status, 201);
  assert.deepEqual(first.body.data.designated_version.config, { model: "test/openai", temperature: 0.25, provider: price });
  for (const body of [{ model: "@preset/mail" }, { preset: "mail" }, { model: "test/openai@preset/mail" }]) {
    const answer = await chat(gateway, key, body);
    assert.deepEqual([answer.status, answer.model], [200, "test/openai"], JSON.stringify(body));
    assert.equal(sent().temperature, 0.25);
    assert.equal(sent().preset, undefined);
    assert.deepEqual(sent().messages.map(({ role }) => role), ["system", "user"]);
  }
  await chat(gateway, key, { model: "test/gemini@preset/mail", temperature: 0.75, messages: [{ role: "system", content: "Be long." }, user("Hi")] });
  assert.match(JSON.stringify(sent()), /0\.75/);
  assert.doesNotMatch(JSON.stringify(sent()), /Be brief/);
  const second = await keep({ model: "test/openai", temperature: 0.5 });
  assert.equal(second.body.data.designated_version.version, 2);
  await chat(gateway, key, { model: "@preset/mail" });
  assert.equal(sent().temperature, 0.5);
  assert.deepEqual((await callJson(gateway, "presets", { key })).body.data.map(({ slug }) => slug), ["mail"]);
  // Another account has no part in it.
  const stranger = await gateway.createAccount();
  const foreign = await chat(gateway, stranger.key, { model: "@preset/mail" });
  assert.deepEqual([foreign.status, foreign.error.param], [404, "model"]);
  assert.equal((await keep({ temperature: 9 })).body.error.param, "temperature");
  await gateway.operator.call("DELETE", `accounts/${account}/presets/mail`);
  assert.equal((await chat(gateway, key, { preset: "mail" })).status, 404);
  await assert.rejects(gateway.operator.call("GET", `accounts/${account}/presets/mail`), /404/);
});

/** The same preset in the words of two surfaces: instructions, a limit, and a tool. */
const PRESETS = {
  messages: {
    model: "test/openai", max_tokens: 321, temperature: 0.25, stop_sequences: ["zzz"], system: [{ type: "text", text: "Be brief." }],
    tools: [{ name: "get_time", description: "The time", input_schema: { type: "object", properties: {} } }], messages: [user("not kept")],
  },
  responses: {
    model: "test/openai", max_output_tokens: 321, temperature: 0.25, stop: ["zzz"], instructions: "Be brief.",
    tools: [{ type: "function", name: "get_time", description: "The time", parameters: { type: "object", properties: {} } }], input: "not kept",
  },
};
/** A request of each surface that names nothing but the preset. */
const USES = {
  "chat/completions": { messages: [user("Hi")] },
  messages: { messages: [user("Hi")] },
  responses: { input: "Hi" },
  completions: { prompt: "Hi" },
};

for (const [surface, body] of Object.entries(PRESETS)) {
  test(`a preset out of a request of ${surface} means the same on every surface`, async () => {
    const slug = `of-${surface}`;
    const { status, body: kept } = await callJson(gateway, `presets/${slug}/${surface}`, { key, body });
    assert.equal(status, 201, JSON.stringify(kept));
    const { config, system_prompt: prompt, version } = kept.data.designated_version;
    assert.deepEqual([config.model, config.max_tokens, config.temperature, config.stop, prompt, version], ["test/openai", 321, 0.25, ["zzz"], "Be brief.", 1]);
    assert.deepEqual(config.tools.map(({ type, function: { name } }) => [type, name]), [["function", "get_time"]]);
    assert.ok(!JSON.stringify(kept).includes("not kept"));
    for (const [path, use] of Object.entries(USES)) {
      for (const name of [{ model: `@preset/${slug}` }, { preset: slug }]) {
        const answer = await callJson(gateway, path, { key, body: { ...use, ...name, provider: price } });
        assert.equal(answer.status, 200, `${path}: ${JSON.stringify(answer.body)}`);
        const told = sent();
        assert.deepEqual([told.temperature, told.max_completion_tokens ?? told.max_tokens, told.preset], [0.25, 321, undefined], path);
        const [instructions] = told.messages;
        assert.ok(["system", "developer"].includes(instructions.role) && JSON.stringify(instructions).includes("Be brief."), path);
        const isText = path === "completions";
        assert.deepEqual((told.tools ?? []).map((tool) => tool.function.name), isText ? [] : ["get_time"], path);
        assert.equal(answer.headers.get("x-patchbay-preset-dropped"), isText ? "tools" : null, path);
        assert.deepEqual(told.stop, ["zzz"], path);
      }
    }
    await gateway.operator.call("DELETE", `accounts/${account}/presets/${slug}`);
  });
}

test("the versions of a preset are listed, the newest first, and read by number or id", async () => {
  const keep = (temperature) => callJson(gateway, "presets/aged/responses", { key, body: { model: "test/openai", temperature } });
  for (const temperature of [0.1, 0.2, 0.3]) assert.equal((await keep(temperature)).status, 201);
  const read = (path) => callJson(gateway, `presets/aged/versions${path}`, { key });
  const { body: all } = await read("");
  assert.deepEqual([all.total_count, all.data.map(({ version, config }) => [version, config.temperature])], [3, [[3, 0.3], [2, 0.2], [1, 0.1]]]);
  for (const { id, version } of all.data) {
    for (const name of [id, version]) assert.deepEqual((await read(`/${name}`)).body.data, all.data[3 - version]);
  }
  const { body: newest } = await callJson(gateway, "presets/aged", { key });
  assert.deepEqual(newest.data.designated_version_id, all.data[0].id);
  for (const name of ["4", "0", "newest"]) assert.equal((await read(`/${name}`)).status, 404, name);
  const stranger = await gateway.createAccount();
  assert.equal((await callJson(gateway, "presets/aged/versions", { key: stranger.key })).status, 404);
  await gateway.operator.call("DELETE", `accounts/${account}/presets/aged`);
  assert.equal((await read("")).status, 404);
});
