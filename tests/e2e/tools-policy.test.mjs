// What a key may not call: guardrails, switches of guards and the operator's list, over every protocol. Lists never show it, and who asks for it
// all the same is told who says no.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callJson, chat, eventually, user } from "./client.mjs";
import { startToolGateway } from "./tools.mjs";

const MAIL = { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" };

let tooled, gateway, vendors, owner;
before(async () => {
  tooled = await startToolGateway({ vars: { TOOLS_DISABLED: "wikipedia, npm/package" } });
  ({ gateway, vendors } = tooled);
  const made = await gateway.createAccount({ usd: "10" });
  const { key: manager } = await gateway.operator.call("POST", `accounts/${made.account}/keys`, { name: "manager", is_management_key: true });
  const manage = (method, path, body) => callJson(gateway, path, { key: manager, method, body });
  owner = { ...made, manage };
});
after(() => tooled?.stop());

/** Another key of the account, with a guardrail of its own where it has fields. */
async function keyed(fields) {
  const { key, data: { hash } } = await gateway.operator.call("POST", `accounts/${owner.account}/keys`, { name: "one of many" });
  if (!fields) return { key, hash };
  const { status, body } = await owner.manage("POST", "guardrails", { name: "Search only", ...fields });
  assert.equal(status, 201, JSON.stringify(body));
  const assigned = await owner.manage("POST", `guardrails/${body.data.id}/assignments/keys`, { key_hashes: [hash] });
  assert.equal(assigned.status, 200, JSON.stringify(assigned.body));
  return { key, hash, guardrail: body.data.id };
}

const ids = async (key, query = "limit=1000") => (await callJson(gateway, `tools?${query}`, { key })).body.data.map((tool) => tool.id);
const execute = (key, tool, input, more = {}) => callJson(gateway, "tools/execute", { key, body: { tool, input, ...more } });
async function rpc(path, key, method, params, headers = {}) {
  const response = await fetch(`${gateway.base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", authorization: `Bearer ${key}`, ...headers },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return JSON.parse(await response.text());
}
const mcp = (key, method, params) => rpc("/mcp?tools=all", key, method, params, { "mcp-protocol-version": "2025-06-18" });
const a2a = (key, method, params) => rpc("/a2a", key, method, params);
let count = 0;
const message = (data) => ({ message: { messageId: `p-${++count}`, role: "ROLE_USER", parts: [{ data }] } });

describe("a guardrail over tools", () => {
  let key;
  before(async () => ({ key } = await keyed({ allowed_tools: ["Search", "resend/*", "open_meteo"], ignored_tools: ["resend/send_email", "jina/*"] })));

  test("is stored as it is meant, and refuses names that mean nothing", async () => {
    const { guardrail } = await keyed({ allowed_tools: ["TAVILY", "gmail/*", "web_search", "email"] });
    const { body } = await owner.manage("GET", `guardrails/${guardrail}`);
    assert.deepEqual([body.data.allowed_tools, body.data.ignored_tools], [["tavily", "gmail/*", "web_search", "email"], null]);
    const wrong = await owner.manage("PATCH", `guardrails/${guardrail}`, { ignored_tools: ["tavily/search", "tavily/serch"] });
    assert.deepEqual([wrong.status, wrong.body.error.param], [400, "ignored_tools[1]"]);
    const cleared = await owner.manage("PATCH", `guardrails/${guardrail}`, { allowed_tools: null });
    assert.equal(cleared.body.data.allowed_tools, null);
  });

  test("no list shows what it keeps away, over any protocol", async () => {
    const seen = await ids(key);
    assert.ok(seen.includes("tavily/search") && seen.includes("open_meteo/current"), seen.join(" "));
    for (const query of ["limit=1000", "offerability=all&limit=1000"]) {
      const { data } = (await callJson(gateway, `tools?${query}`, { key })).body;
      assert.ok(data.length >= seen.length && seen.length > 3, seen.join(" "));
      for (const { id, provider, category } of data) {
        assert.ok(category === "search" || ["resend", "open_meteo"].includes(provider), `${id} is of ${category}`);
        assert.ok(id !== "resend/send_email" && provider !== "jina", id);
      }
    }
    const { body: categories } = await callJson(gateway, "tools/categories", { key });
    assert.equal(categories.data.reduce((sum, one) => sum + one.tools, 0), seen.length);
    const { body: functions } = await callJson(gateway, "tools?format=openai&all=true", { key });
    const wire = (id) => id.replace("/", "__");
    assert.deepEqual(functions.data.map((one) => one.function.name).sort(), seen.map(wire).sort());
    const listed = [];
    for (let cursor; ; ) {
      const { result } = await mcp(key, "tools/list", { cursor });
      listed.push(...result.tools.map((tool) => tool.name));
      if (!(cursor = result.nextCursor)) break;
    }
    assert.deepEqual(listed.filter((name) => name !== "confirm_tool").sort(), seen.map(wire).sort());
    const { result: card } = await a2a(key, "GetExtendedAgentCard", {});
    assert.deepEqual(card.skills.map((skill) => skill.id).filter((id) => id.includes("/")).sort(), seen.toSorted());
    const { body: one } = await callJson(gateway, "tools/resend/send_email", { key });
    assert.match(one.error.message, /not allowed by the guardrail "Search only"/);
  });

  test("what it keeps away is refused in its name, over any protocol, and nothing is sent", async () => {
    vendors.reset();
    const says = /resend\/send_email is not allowed by the guardrail "Search only"/;
    for (const [tool, expected] of [["resend/send_email", says], ["composite/verify_and_email", /"Search only"/], ["wikipedia/search", /switched off by the operator/]]) {
      const { status, body } = await execute(key, tool, MAIL);
      assert.equal(status, 403, JSON.stringify(body));
      assert.match(body.error.message, expected);
    }
    const { body } = await execute(key, "resend/send_email", MAIL);
    assert.deepEqual([body.error.code, body.error.details.guardrail.setting, body.error.details.guardrail.scope], ["permission_denied", "ignored_tools", "api_key"]);
    // A capability goes on with who is left, and is refused where nobody is.
    assert.equal((await execute(key, "web_search", { query: "x" })).body.tool, "tavily/search");
    const nobody = await execute(key, "send_email", MAIL);
    assert.equal(nobody.status, 403);
    assert.match(nobody.body.error.message, /^[a-z]+\/send_email is not allowed by the guardrail "Search only"$/);
    const called = await mcp(key, "tools/call", { name: "resend__send_email", arguments: MAIL });
    assert.equal(called.error.code, -32602);
    assert.match(called.error.message, says);
    const { result } = await a2a(key, "SendMessage", message({ tool: "resend/send_email", input: MAIL }));
    assert.equal(result.task.status.state, "TASK_STATE_FAILED");
    assert.match(JSON.stringify(result.task), /Search only/);
    const calls = [{ id: "c1", type: "function", function: { name: "resend__send_email", arguments: JSON.stringify(MAIL) } }];
    const ran = await callJson(gateway, "tools/run", { key, body: { message: { role: "assistant", content: null, tool_calls: calls }, skip_unknown: true } });
    assert.match(ran.body.messages[0].content, /permission_denied.*Search only/);
    const declared = await chat(gateway, key, { model: "test/openai", messages: [user("x")], tools: [{ type: "patchbay:tool", name: "resend/send_email" }] });
    assert.equal(declared.status, 403);
    assert.match(declared.error.message, says);
    const routed = await callJson(gateway, "tools/route", { key, body: { intent: "send an e-mail to b@mail.example with the subject Hello" } });
    assert.ok(!JSON.stringify(routed.body.candidates).includes("send_email"), JSON.stringify(routed.body));
    assert.equal(vendors.requests("resend").length, 0);
  });

  test("those of key and account intersect, and each is named for what it keeps away", async () => {
    const { key: other } = await keyed({ allowed_tools: ["tavily", "open_meteo"] });
    await owner.manage("PATCH", "guardrails/default", { ignored_tools: ["tavily/extract"] });
    const seen = await eventually(
      () => ids(other),
      (list) => !list.includes("tavily/extract"),
      { what: "the account's guardrail" },
    );
    assert.ok(seen.includes("tavily/search") && seen.every((id) => /^(tavily|open_meteo)\//.test(id)), seen.join(" "));
    const { body } = await execute(other, "tavily/extract", { urls: ["https://example.org"] });
    assert.equal(body.error.details.guardrail.scope, "account_default");
    await owner.manage("PATCH", "guardrails/default", { ignored_tools: null });
  });
});

describe("what guards switch off", () => {
  test("leaves the lists of the key, and comes back with it", async () => {
    const { key, hash } = await keyed();
    assert.ok((await ids(key)).includes("resend/send_email"));
    const rules = [{ tool: "*", effects: ["write", "destructive", "money"], disabled: true }];
    const put = await owner.manage("PUT", `tools/guards?key_hash=${hash}`, { rules });
    assert.equal(put.status, 200, JSON.stringify(put.body));
    const reads = await eventually(
      () => ids(key),
      (list) => !list.includes("resend/send_email"),
      { what: "the switch" },
    );
    assert.ok(reads.includes("tavily/search"));
    assert.deepEqual(await ids(key, "effect=write"), []);
    const { status, body } = await execute(key, "resend/send_email", MAIL);
    assert.deepEqual([status, body.error.code, body.error.details.of], [403, "tool_disabled", "key"]);
    // Chains that cannot do without are gone too.
    assert.ok(!reads.includes("composite/verify_and_email"));
    await owner.manage("PUT", `tools/guards?key_hash=${hash}`, { rules: [] });
    await eventually(
      () => ids(key),
      (list) => list.includes("resend/send_email"),
      { what: "the way back" },
    );
  });

  test("of the account leaves the lists of all its keys; a limit of nothing is a switch too", async () => {
    const { key } = await keyed();
    await owner.manage("PUT", "tools/guards", { rules: [{ tool: "tavily", calls_per_day: 0 }] });
    const seen = await eventually(
      () => ids(key),
      (list) => !list.includes("tavily/search"),
      { what: "the account's switch" },
    );
    assert.ok(seen.includes("open_meteo/current"));
    const { body } = await execute(key, "tavily/search", { query: "x" });
    assert.match(body.error.message, /switched off by the account's guard over tavily/);
    const other = await gateway.createAccount({ usd: "1" });
    assert.ok((await ids(other.key)).includes("tavily/search"), "another account's");
    await owner.manage("PUT", "tools/guards", { rules: [] });
  });
});

test("what the operator switches off is in nobody's list", async () => {
  for (const key of [owner.key, undefined]) {
    const seen = await ids(key);
    assert.ok(!seen.some((id) => id.startsWith("wikipedia/")) && !seen.includes("npm/package"), seen.join(" "));
  }
});
