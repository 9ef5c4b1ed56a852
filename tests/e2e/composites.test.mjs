// Chains of tools in real workerd: steps that feed each other, a confirmation in the midst, what was done taken back, the same name twice.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson } from "./client.mjs";
import { startToolGateway } from "./tools.mjs";
import { startVendors } from "../vendors/vendors.mjs";

let tooled, gateway, vendors, key;
before(async () => {
  const probe = await startVendors();
  const { HUNTER_API_KEY, GITHUB_TOKEN, SLACK_BOT_TOKEN } = probe.secrets;
  await probe.close();
  tooled = await startToolGateway({ vars: { HUNTER_API_KEY, GITHUB_TOKEN, SLACK_BOT_TOKEN, TOOLS_MODEL: "test/openai" } });
  ({ gateway, vendors } = tooled);
  ({ key } = await gateway.createAccount({ usd: "10" }));
});
after(() => tooled?.stop());

const execute = (body, name) => callJson(gateway, "tools/execute", { key, body, headers: name && { "idempotency-key": name } });
const effects = (operation) => vendors.effects().filter((one) => one.operation === operation).length;
const ISSUE = { owner: "acme", repo: "rocket", title: "Bug", body: "It breaks", channel: "C1" };
const MAIL = { from: "Ann <ann@example.org>", to: "jane@example.org", subject: "Hello", text: "Hi Jane" };

test("a chain is a tool like any other: listed with its schema, carried out in one call, each step told", async () => {
  const { body: one } = await callJson(gateway, "tools/composite/weather_of_place", { key });
  assert.equal(one.data.input_schema.required[0], "place");
  const { status, body } = await execute({ tool: "composite/weather_of_place", input: { place: "Berlin" } });
  assert.deepEqual([status, body.status], [200, "succeeded"], JSON.stringify(body));
  // Which provider finds the place is chosen anew by each request.
  assert.deepEqual(body.result.place, body.steps[0].result.items[0]);
  assert.ok(body.result.items.length > 0 && body.result.now.temperature !== undefined);
  assert.deepEqual(body.steps.map((step) => [step.id, step.status]), [["place", "succeeded"], ["now", "succeeded"], ["days", "succeeded"]]);
  // Each step is an execution of its own.
  const { body: kept } = await callJson(gateway, `tools/executions/${body.steps[0].execution}`, { key });
  assert.equal(kept.status ?? kept.data?.status, "succeeded");
  const wrong = await execute({ tool: "composite/weather_of_place", input: { city: "Berlin" } });
  assert.deepEqual([wrong.status, wrong.body.error.code], [400, "invalid_request"]);
});

test("a model's step reads what was found, and is charged", async () => {
  gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: { text: "Short and true." } });
  const { body } = await execute({ tool: "composite/scrape_and_summarise", input: { url: "https://example.org/" } });
  assert.equal(body.status, "succeeded", JSON.stringify(body));
  assert.equal(body.result.text, "Short and true.");
  assert.ok(body.usage.cost > 0);
});

test("where a later step fails, what was done is taken back and told, and the same name answers the same", async () => {
  vendors.reset();
  vendors.fault({ slug: "slack", operation: "post_message", fault: "error-0", times: 5 });
  const first = await execute({ tool: "composite/issue_and_announce", input: ISSUE }, "announce-1");
  assert.equal(first.body.status, "partially_compensated", JSON.stringify(first.body));
  const { compensation } = first.body.error.details;
  assert.deepEqual(compensation.partially_compensated.map((one) => [one.step, one.tool]), [["issue", "github/create_issue"]]);
  assert.match(first.body.error.message, /^Step post failed/);
  assert.deepEqual([effects("create_issue"), effects("update_issue"), effects("post_message")], [1, 1, 0]);
  const again = await execute({ tool: "composite/issue_and_announce", input: ISSUE }, "announce-1");
  assert.equal(again.body.replayed, true);
  assert.deepEqual(again.body.error, first.body.error);
  assert.deepEqual([effects("create_issue"), effects("update_issue")], [1, 1], "nothing happened again");
  const other = await execute({ tool: "composite/issue_and_announce", input: { ...ISSUE, title: "Another" } }, "announce-1");
  assert.deepEqual([other.status, other.body.error.code], [422, "idempotency_mismatch"]);
});

test("a step that must be confirmed stops the chain; its token goes on with it, and nothing is done twice", async () => {
  vendors.reset();
  const asked = await execute({ tool: "composite/verify_and_email", input: MAIL, confirm: "writes" }, "mail-1");
  assert.deepEqual([asked.status, asked.body.status], [202, "confirmation_required"], JSON.stringify(asked.body));
  assert.equal(effects("send_email"), 0);
  const { token } = asked.body.confirmation;
  const sent = await execute({ tool: "composite/verify_and_email", input: MAIL, confirm: "writes", confirmation: token }, "mail-1");
  assert.equal(sent.body.status, "succeeded", JSON.stringify(sent.body));
  assert.equal(sent.body.result.verdict, "risky");
  const again = await execute({ tool: "composite/verify_and_email", input: MAIL, confirm: "writes" }, "mail-1");
  assert.equal(again.body.replayed, true);
  assert.equal(effects("send_email"), 1);
});
