// Tools by what is wanted, in words, in real workerd: chosen, explained, run, confirmed, remembered; or an honest none.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, eventually } from "./client.mjs";
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
