// Tools by what is wanted, in words, in real workerd: chosen, explained, run, confirmed, remembered; or an honest none.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { vectorOf } from "../upstream/formats/operations.mjs";
import { catalogWithEmbeddings } from "./catalog.mjs";
import { callJson, eventually, generation, nanos } from "./client.mjs";
import { startToolGateway } from "./tools.mjs";

const WORDS = "search the web for what is new about solar roof tiles";

let tooled, vendors, gateway, one, two;
before(async () => {
  tooled = await startToolGateway();
  ({ gateway, vendors } = tooled);
  [one, two] = [await gateway.createAccount({ usd: "10" }), await gateway.createAccount({ usd: "10" })];
});
after(() => tooled?.stop());

const ask = async (path, { key }, body) => (await callJson(gateway, path, { key, body })).body;
const route = (who, intent, rest = {}) => ask("tools/route", who, { intent, ...rest });
const execute = (who, intent, rest = {}) => ask("tools/execute", who, { intent, ...rest });
const rows = () => gateway.d1("SELECT * FROM tool_intents");

test("the best fit is told with its reasons, and nothing is run", async () => {
  const told = await route(one, "current temperature in Nairobi");
  assert.equal(told.tool, "weather_current", JSON.stringify(told));
  assert.deepEqual([told.abstained, told.needs_confirmation, told.input], [false, false, null]);
  assert.deepEqual(told.input_schema.required, ["latitude", "longitude"]);
  assert.ok(told.confidence >= told.thresholds.confidence && told.candidates[0].matched.includes("temperature"), JSON.stringify(told));
  assert.equal(vendors.requests("open_meteo").length, 0);
});

test("what one argument is missing of is filled in by rule; what is wanted may be narrowed", async () => {
  const told = await route(one, WORDS, { tools: ["web_search"] });
  assert.deepEqual([told.tool, told.filled.by, told.input], ["web_search", "rule", { query: WORDS }], JSON.stringify(told));
  assert.equal(vendors.requests("tavily").length, 0);
});

test("where nothing suits nothing is run, and it is said why", async () => {
  for (const intent of ["Paint my bicycle green", "xyzzy"]) {
    const envelope = await execute(one, intent);
    assert.equal(envelope.error.code, "tool_not_found", JSON.stringify(envelope));
    assert.equal(envelope.routing.intent.abstained, true);
  }
  assert.deepEqual(await rows(), []);
});

test("what served an intent is remembered for its account alone, and without its words", async () => {
  const before = vendors.requests("tavily").length;
  const envelope = await execute(one, WORDS, { tool: "web_search", provider: "tavily" });
  assert.equal(envelope.status, "succeeded", JSON.stringify(envelope));
  assert.equal(envelope.routing.intent.tool, "web_search");
  assert.equal(vendors.requests("tavily").length, before + 1);
  assert.equal((await route(one, WORDS)).remembered_intents, 1);
  const other = await route(two, WORDS);
  assert.equal(other.remembered_intents, 0, JSON.stringify(other));
  const [row] = await eventually(rows, (found) => found.length === 1 && found);
  assert.equal(row.account, one.account);
  assert.doesNotMatch(JSON.stringify(row), /solar|roof|tiles/i);
});

test("what would change the world is confirmed first, whatever the request says of that", async () => {
  const input = { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" };
  const before = vendors.requests("resend").length;
  const envelope = await execute(one, "send an email to Bob", { tool: "resend/send_email", input, confirm: "never" });
  assert.equal(envelope.status, "confirmation_required", JSON.stringify(envelope));
  assert.equal(vendors.requests("resend").length, before);
});

test("what words leave open is settled by meaning, where the operator names a model, and told", async (t) => {
  const other = await startToolGateway({ catalog: catalogWithEmbeddings(), vars: { TOOLS_INTENT_EMBEDDINGS: "test/embeddings" } });
  t.after(() => other.stop());
  const who = await other.gateway.createAccount({ usd: "10" });
  const route = async (intent, { key } = who) => (await callJson(other.gateway, "tools/route", { key, body: { intent } })).body;
  const dot = (one, two) => one.reduce((sum, each, at) => sum + each * two[at], 0);
  const cosine = (one, two) => dot(one, two) / Math.sqrt(dot(one, one) * dot(two, two));

  const sure = await route("current temperature in Nairobi");
  assert.deepEqual([sure.tool, sure.meaning], ["weather_current", null]);
  assert.equal(other.gateway.upstream.requests().length, 0, "what words decide costs nothing");

  let [compared, decided] = [0, 0];
  for (const intent of ["Will it rain in Lisbon tomorrow?", "look up who works at this company", "convert this amount of money", "what is the price", "send this to my team"]) {
    const [{ seq: since } = { seq: 0 }] = other.gateway.upstream.requests().slice(-1);
    const told = await route(intent);
    const texts = other.gateway.upstream.requests({ since }).flatMap(({ body }) => body.input);
    if (!told.meaning) {
      assert.equal(texts.length, 0, intent);
      continue;
    }
    compared += 1;
    assert.ok(texts.includes(intent), "the words themselves are sent");
    const vectors = told.candidates.map(({ title }) => vectorOf(texts.find((text) => text.startsWith(`${title}: `))));
    const near = vectors.map((vector) => cosine(vectorOf(intent), vector));
    for (const [at, value] of told.meaning.near.entries()) assert.ok(Math.abs(value - near[at]) < 1e-3, `${intent}: ${JSON.stringify(told.meaning)} ${near}`);
    const pairs = vectors.flatMap((one, at) => vectors.slice(at + 1).map((two) => 1 - cosine(one, two)));
    const [best, next] = near.toSorted((a, b) => b - a);
    const lead = (best - next) / (pairs.reduce((sum, each) => sum + each, 0) / pairs.length);
    const decides = lead >= told.meaning.least_lead;
    assert.deepEqual([told.meaning.decides, told.tool, told.abstained], [decides, decides ? told.candidates[0].tool : null, !decides], JSON.stringify(told));
    if (decides) assert.equal(near[0], best, "the nearest is the first");
    decided += decides;
    const data = await generation(other.gateway, who.key, told.meaning.generation);
    assert.equal(nanos(data.total_cost), nanos(told.meaning.cost), "the account pays for it");
  }
  assert.ok(compared >= 2 && decided >= 1, `${compared} compared, ${decided} decided`);

  const poor = await other.gateway.createAccount({ usd: "0.000000001" });
  const told = await route("Will it rain in Lisbon tomorrow?", poor);
  assert.deepEqual([told.tool, told.abstained, told.meaning.decides, told.meaning.near], [null, true, false, []], JSON.stringify(told));
  assert.ok(told.meaning.problem.length > 0);
});
