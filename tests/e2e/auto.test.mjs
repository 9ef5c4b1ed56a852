// Routers: requests that leave the choice of the model to the gateway.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { callJson, chat, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** From cheap to dear; the dearer the better at code, the cheaper the better at languages. */
const LADDER = [1, 2, 3, 4, 5].map((step) => ({ slug: `ladder/${step}`, step }));

function catalog() {
  const rows = testCatalog();
  const add = (slug, fields) => {
    rows.models.push(model(slug, fields));
    rows.endpoints.push(endpoint({ model: slug, provider: "one-openai", dialect: "openai", factor: 1, fields }));
  };
  for (const { slug, step } of LADDER) {
    rows.models.push(model(slug));
    for (const provider of ["one-openai", "one-anthropic"]) {
      const dialect = provider.slice(4);
      rows.endpoints.push(endpoint({ model: slug, provider, dialect, factor: step }));
    }
  }
  rows.quality = LADDER.map(({ slug, step }) => ({ model: slug, figures: { livecodebench: 15 * step, mgsm: 90 - 10 * step } }));
  const prices = { prompt: 0, completion: 0 };
  for (const name of ["a", "b"]) add(`ladder/gift-${name}:free`, { prices });
  rows.models = rows.models.map(({ prices: _, ...row }) => row);
  // A model that nobody can call here, and that would be the best at everything.
  rows.models.push(model("ladder/unreachable"));
  rows.endpoints.push(endpoint({ model: "ladder/unreachable", provider: "spare", dialect: "openai", factor: 5 }));
  rows.quality.push({ model: "ladder/unreachable", figures: { livecodebench: 99, mgsm: 99 } });
  return rows;
}

let gateway;
let key;
before(async () => {
  gateway = await startGateway({ catalog: catalog(), vars: { BYOK_MASTER_KEY: randomBytes(32).toString("base64") } });
  ({ key } = await gateway.createAccount());
});
after(() => gateway?.stop());

const code = [user("Refactor this Python function")];
const ask = (fields) => chat(gateway, key, { model: "openrouter/auto", messages: code, ...fields });
const plugin = (fields) => [{ id: "auto-router", ...fields }];

test("the task and the price band choose the model, and the response says so", async () => {
  const languages = [user("Translate this letter into German")];
  const table = [
    [{}, "ladder/1", "code", "low"],
    [{ plugins: plugin({ cost_tier: "max" }) }, "ladder/5", "code", "max"],
    [{ plugins: plugin({ cost_tier: "high" }), messages: languages }, "ladder/3", "languages", "high"],
    [{ plugins: plugin({ allowed_models: ["ladder/*"], excluded_models: ["*/1"] }) }, "ladder/2", "code", "low"],
    [{ model: "patchbay/auto", plugins: plugin({ cost_tier: "max" }) }, "ladder/5", "code", "max"],
  ];
  for (const [fields, expected, skill, tier] of table) {
    const answer = await ask(fields);
    assert.equal(answer.status, 200);
    assert.equal(answer.model, expected);
    assert.equal(answer.headers.get("x-patchbay-model"), expected);
    assert.match(answer.headers.get("x-patchbay-router"), new RegExp(`^auto; best at ${skill} of \\d+ models in the ${tier} price band`));
  }
});

test("a router's request is charged as the model that it chose", async () => {
  const [routed, named] = [await ask({ plugins: plugin({ cost_tier: "max" }) }), await ask({ model: "ladder/5" })];
  assert.ok(routed.usage.cost > 0);
  assert.equal(routed.usage.cost, named.usage.cost);
});

test("a model that only the account's own provider key reaches is a candidate for that account", async () => {
  const owner = await gateway.createAccount();
  const asked = { model: "openrouter/auto", messages: code, plugins: plugin({ cost_tier: "max" }) };
  const top = async (own) => (await callJson(gateway, "route", { key: own, body: asked })).body.data.router.models[0];
  await gateway.operator.call("POST", `accounts/${owner.account}/byok`, { provider: "spare", key: "own-secret-0123456789" });
  assert.equal(await top(owner.key), "ladder/unreachable");
  assert.equal(await top(key), "ladder/5", "nobody else has it");
});

test("the plan of a router can be asked for without running it", async () => {
  const answer = await callJson(gateway, "route", { key, body: { model: "openrouter/auto", messages: code } });
  const { data } = answer.body;
  assert.equal(data.strategy, "auto");
  assert.deepEqual([data.router.skill, data.router.cost_tier, data.router.candidates], ["code", "low", LADDER.length]);
  assert.deepEqual(data.models.map((each) => each.model), data.router.models);
});

test("a suffix behind the router's name holds for the model that it chooses", async () => {
  const answer = await callJson(gateway, "route", { key, body: { model: "openrouter/auto:floor", messages: code } });
  assert.equal(answer.body.data.models[0].sort, "price");
});

test("where no model can serve, that is said", async () => {
  const nothing = await ask({ plugins: plugin({ allowed_models: ["nobody/*"] }) });
  assert.deepEqual([nothing.status, nothing.error.message], [404, "No models match your request and model restrictions"]);
  const wrong = await ask({ plugins: plugin({ cost_tier: "cheap" }) });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.error.metadata?.param ?? wrong.error.param, "plugins[0].cost_tier");
});

test("free models are drawn by lot, and cost nothing", async () => {
  const drawn = new Set();
  for (let tries = 0; tries < 60 && drawn.size < 2; tries++) {
    const answer = await ask({ model: "openrouter/free" });
    assert.equal(answer.status, 200);
    assert.equal(answer.usage.cost, 0);
    drawn.add(answer.model);
  }
  assert.deepEqual([...drawn].sort(), ["ladder/gift-a:free", "ladder/gift-b:free"]);
});

test("a session stays with the model that served it", async () => {
  const session = { session_id: "a-long-task", plugins: plugin({ cost_tier: "low", allowed_models: ["ladder/*"] }) };
  const first = await ask(session);
  const others = { ...session, messages: [...code, user("Now translate the comments into German")] };
  const second = await ask(others);
  assert.equal(second.model, first.model);
});
