// Tools over REST, in real workerd: the catalog as objects and as functions, the calls of a model's answer, tools inside a conversation,
// confirmations, the bill.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, callJson, chat, nanos, settled, user } from "./client.mjs";
import { startToolGateway } from "./tools.mjs";
import { startUpstream } from "../upstream/upstream.mjs";

const SEARCH = 8_000_000n;
const FIND = { query: "solar roof tiles", max_results: 2, topic: "news", include_domains: ["example.org"] };
const PLACE = { latitude: 52.52, longitude: 13.41 };
const MAIL = { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" };

let upstream, tooled, vendors, gateway, key, account;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  tooled = await startToolGateway({ upstream });
  ({ gateway, vendors } = tooled);
  ({ key, account } = await gateway.createAccount({ usd: "10" }));
});
after(async () => {
  await tooled?.stop();
  await upstream?.close();
});

const get = async (path, options = {}) => (await callJson(gateway, path, { key, ...options })).body;
const toolCall = (id, name, args) => ({ id, type: "function", function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) } });
const message = (...calls) => ({ role: "assistant", content: null, tool_calls: calls });
const run = (body, options = {}) => callJson(gateway, "tools/run", { key, body, ...options });
const told = (answer, id) => answer.body.messages.find((one) => one.tool_call_id === id).content;
const spent = async () => (await gateway.account(account)).balance;

describe("the catalog", () => {
  test("is listed, filtered, searched and paged; what has no key is not in it", async () => {
    const all = await get("tools");
    assert.ok(all.total_count > 15 && all.data.length > 15, `${all.total_count}`);
    assert.ok(all.data.every((tool) => tool.gateway_enabled && ["native", "customer_byok"].includes(tool.offerability)));
    assert.ok(!all.data.some((tool) => tool.provider === "exa"), "Exa has no key here");
    const [search] = (await get("tools?names=tavily/search")).data;
    assert.equal(search.price_per_call, 0.008);
    for (const field of ["operations", "health_status", "super_category", "sub_category", "protocols", "status", "cost", "rating"]) assert.ok(field in search, field);
    const ids = async (query) => (await get(`tools?${query}`)).data.map((tool) => tool.id);
    assert.ok((await ids("category=weather")).every((id) => /open_meteo|met_norway|composite/.test(id)));
    assert.ok((await ids("capability=web_search")).includes("tavily/search"));
    assert.ok((await ids("effect=write")).includes("resend/send_email"));
    assert.equal((await ids("q=send+an+email"))[0], "resend/send_email");
    assert.deepEqual(await ids("provider=nobody"), []);
    const page = await get("tools?limit=2&offset=1");
    assert.deepEqual(page.data.map((tool) => tool.id), all.data.slice(1, 3).map((tool) => tool.id));
    assert.ok(page.has_more);
    // Without a master key nobody can bring one of their own either.
    assert.deepEqual(await ids("offerability=byok_required"), []);
    assert.ok((await ids("offerability=unavailable&provider=exa")).includes("exa/search"));
    assert.ok((await ids("offerability=all")).length > all.total_count);
    const wrong = await callJson(gateway, "tools?effect=nice", { key });
    assert.deepEqual([wrong.status, wrong.body.error.param], [400, "effect"]);
  });

  test("shows one tool with its schema, and says what is near an unknown one", async () => {
    const { data } = await get("tools/resend/send_email");
    assert.deepEqual(data.input_schema.required, ["from", "to", "subject"]);
    assert.equal(data.undo.tool, "resend/cancel_email");
    assert.ok(data.intents.length > 2);
    const missing = await callJson(gateway, "tools/resend/send_mail", { key });
    assert.equal(missing.status, 404);
    assert.match(missing.body.error.message, /resend\/send_email/);
  });

  test("has categories", async () => {
    const { data } = await get("tools/categories");
    const search = data.find((one) => one.id === "search");
    assert.ok(search.providers.includes("tavily") && search.capabilities.includes("web_search"));
  });

  test("becomes functions of each API; many tools become three", async () => {
    const few = "names=tavily/search,resend/send_email";
    const { data: openai } = await get(`tools?format=openai&strict=true&${few}`);
    assert.deepEqual(openai.map((one) => one.function.name).sort(), ["resend__send_email", "tavily__search"]);
    const search = openai.find((one) => one.function.name === "tavily__search").function;
    assert.equal(search.strict, true);
    assert.deepEqual(search.parameters.required, Object.keys(search.parameters.properties));
    const { data: responses } = await get(`tools?format=openai-responses&${few}`);
    assert.ok(responses.every((one) => one.type === "function" && one.strict === false && one.parameters.type === "object"));
    const { data: anthropic } = await get(`tools?format=anthropic&${few}`);
    assert.ok(anthropic.every((one) => one.input_schema.type === "object"));
    const { data: gemini } = await get(`tools?format=gemini&${few}`);
    assert.equal(gemini[0].functionDeclarations.length, 2);
    const { data: mcp } = await get(`tools?format=mcp&${few}`);
    assert.equal(mcp.find((one) => one.name === "tavily__search").annotations.readOnlyHint, true);
    const meta = await get("tools?format=openai");
    assert.deepEqual([meta.meta, meta.data.map((one) => one.function.name)], [true, ["search_tools", "get_tool_schema", "execute_tool"]]);
    const all = await get("tools?format=openai&all=true");
    assert.ok(!all.meta && all.data.length <= 128 && all.data.length === Math.min(128, all.total_count));
  });

  test("can be seen without a key, and not with a wrong one", async () => {
    assert.equal((await callJson(gateway, "tools?limit=1")).status, 200);
    assert.equal((await callJson(gateway, "tools", { key: "sk-pb-v1-wrong" })).status, 401);
  });

  test("well-known places lead to it", async () => {
    const manifest = await (await fetch(`${gateway.base}/agents.json`)).json();
    assert.equal((await fetch(manifest.endpoints.tools)).status, 200);
    const document = await (await fetch(`${gateway.base}/.well-known/openapi.json`)).json();
    assert.ok(document.paths["/api/v1/tools/run"]);
    for (const path of ["/.well-known/mcp.json", "/.well-known/ai-plugin.json", "/api/v1/agent/manifest"]) assert.equal((await fetch(gateway.base + path)).status, 200, path);
  });
});

describe("the calls of a model's answer", () => {
  test("are run, in the form of the answer", async () => {
    const answer = await run({ message: message(toolCall("c1", "tavily__search", FIND), toolCall("c2", "open_meteo__current", PLACE)) });
    assert.equal(answer.status, 200);
    assert.match(told(answer, "c1"), /Tiles with cells inside/);
    assert.match(told(answer, "c2"), /light rain/);
    assert.deepEqual(answer.body.executions.map((one) => [one.call_id, one.status]), [["c1", "succeeded"], ["c2", "succeeded"]]);
    assert.equal(nanos(answer.body.usage.cost), SEARCH);
    const responses = await run({ output: [{ type: "function_call", call_id: "r1", name: "open_meteo__current", arguments: '{"latitude":52.52,"longitude":13.41}' }] });
    assert.deepEqual(responses.body.output.map((one) => [one.type, one.call_id]), [["function_call_output", "r1"]]);
    const anthropic = await run({ role: "assistant", content: [{ type: "tool_use", id: "t1", name: "open_meteo__current", input: PLACE }] });
    assert.equal(anthropic.body.messages[0].content[0].tool_use_id, "t1");
  });

  test("that are wrong are results that say so", async () => {
    const answer = await run({
      message: message(
        toolCall("c1", "tavily__serch", { query: "x" }),
        toolCall("c2", "tavily__search", "{"),
        toolCall("c3", "tavily__search", { q: "x" }),
        toolCall("c4", "open_meteo__current", PLACE),
      ),
    });
    assert.equal(answer.status, 200);
    assert.match(told(answer, "c1"), /tool_not_found.*tavily\/search/);
    assert.match(told(answer, "c2"), /not valid JSON/);
    assert.match(told(answer, "c3"), /invalid_request/);
    assert.match(told(answer, "c4"), /light rain/);
    const mine = await run({ message: message(toolCall("m1", "mine", {})), skip_unknown: true });
    assert.deepEqual([mine.body.unanswered, mine.body.messages], [["m1"], []]);
    const empty = await run({ message: { role: "assistant", content: "Hello" } });
    assert.deepEqual(empty.body.messages, []);
    assert.equal((await run({})).status, 400);
    assert.equal((await run({ message: message() }, { key: undefined })).status, 401);
  });

  test("that change something are done once, however often the answer is sent", async () => {
    const mails = () => vendors.requests("resend").length;
    const body = { message: message(toolCall("mail-1", "resend__send_email", MAIL)) };
    const start = mails();
    const first = await run(body);
    const again = await run(body);
    assert.equal(mails() - start, 1);
    assert.equal(again.body.executions[0].replayed, true);
    assert.deepEqual(again.body.executions[0].data, first.body.executions[0].data);
    assert.equal(nanos(again.body.usage.cost), 0n);
    const both = await Promise.all([1, 2].map(() => run({ message: message(toolCall("mail-2", "resend__send_email", MAIL)) })));
    assert.equal(mails() - start, 2, JSON.stringify(both.map((one) => one.body.messages)));
    // Another call under the same id is another call.
    await run({ message: message(toolCall("mail-1", "resend__send_email", { ...MAIL, subject: "Other" })) });
    assert.equal(mails() - start, 3);
  });

  test("that have to be confirmed wait for the client, and the model does not see the token", async () => {
    const start = vendors.requests("resend").length;
    const body = { message: message(toolCall("ask-1", "resend__send_email", MAIL)), confirm: "writes" };
    const asked = await run(body);
    const [confirmation] = asked.body.confirmations;
    assert.equal(confirmation.call_id, "ask-1");
    assert.match(told(asked, "ask-1"), /confirmation_required/);
    assert.ok(!told(asked, "ask-1").includes(confirmation.token));
    assert.equal(vendors.requests("resend").length, start);
    const forced = await run({ message: message(toolCall("ask-2", "confirm_tool", { token: confirmation.token, tool: "resend/send_email", input: MAIL })), confirm: "writes" });
    assert.match(told(forced, "ask-2"), /Only the client can confirm/);
    const done = await run({ ...body, confirmations: { "ask-1": confirmation.token } });
    assert.equal(done.body.executions[0].status, "succeeded", JSON.stringify(done.body));
    assert.equal(vendors.requests("resend").length, start + 1);
    // A client may leave it to the model.
    const left = await run({ message: message(toolCall("ask-3", "resend__send_email", { ...MAIL, subject: "By the model" })), confirm: "writes", confirm_by: "model" });
    const { token } = JSON.parse(told(left, "ask-3"));
    const confirmed = await run({
      message: message(toolCall("ask-4", "confirm_tool", { token, tool: "resend__send_email", input: { ...MAIL, subject: "By the model" } })),
      ...{ confirm: "writes", confirm_by: "model" },
    });
    assert.equal(confirmed.body.executions[0].status, "succeeded", JSON.stringify(confirmed.body));
  });

  test("reach the whole catalog by three functions", async () => {
    const found = await run({ message: message(toolCall("s1", "search_tools", { query: "weather now" })) });
    const { tools } = JSON.parse(told(found, "s1"));
    assert.ok(tools.some((tool) => tool.tool === "open_meteo/current"));
    const read = await run({ message: message(toolCall("s2", "get_tool_schema", { tools: ["open_meteo/current", "no/such"] })) });
    const [one, none] = JSON.parse(told(read, "s2")).tools;
    assert.deepEqual([one.input_schema.required, typeof none.error], [["latitude", "longitude"], "string"]);
    const ran = await run({ message: message(toolCall("s3", "execute_tool", { tool: "open_meteo/current", input: PLACE })) });
    assert.match(told(ran, "s3"), /light rain/);
    const kept = await run({ message: message(toolCall("s4", "tavily__search", { query: "x" })), tools: ["open_meteo/current"] });
    assert.match(told(kept, "s4"), /tool_not_found/);
  });
});

for (const dialect of ["openai", "anthropic"]) {
  for (const stream of [false, true]) {
    describe(`inside a conversation: ${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      const calls = (...list) => upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: { text: "Let me look.", calls: list } });
      const ask = (tools, more = {}) => chat(gateway, key, { model: `test/${dialect}`, stream, messages: [user("Hello")], tools, ...more });
      const ran = (answer) => (answer.message.reasoning_details ?? []).filter((each) => each.type === "reasoning.server_tool_call");

      test("a tool is run, told and charged by itself", async () => {
        const before = nanos(await spent());
        calls({ name: "tavily__search", args: FIND }, { name: "open_meteo__current", args: PLACE });
        const answer = await ask([{ type: "patchbay:tool", name: "tavily/search" }, { type: "patchbay:tools", category: "weather" }]);
        assert.equal(answer.error, undefined, JSON.stringify(answer.error));
        assert.deepEqual([answer.finish, answer.message.tool_calls], ["stop", undefined]);
        assert.deepEqual(ran(answer).map((each) => [each.tool_name, each.result.status]), [["patchbay:tavily/search", "succeeded"], ["patchbay:open_meteo/current", "succeeded"]]);
        assert.equal(answer.usage.server_tool_use.tool_calls_executed, 2);
        assert.equal(nanos(answer.usage.cost_details.tool_executions_cost), SEARCH);
        const asked = upstream.requests().filter((entry) => entry.format === dialect).at(-1);
        assert.match(JSON.stringify(asked.body), /Tiles with cells inside/);
        await settled(gateway, account);
        assert.equal(before - nanos(await spent()), nanos(answer.usage.cost) + SEARCH);
      });

      test("a call that has to be confirmed becomes the client's", async () => {
        const start = vendors.requests("resend").length;
        calls({ name: "resend__send_email", args: { ...MAIL, subject: `${dialect} ${stream}` } });
        const answer = await ask([{ type: "patchbay:tool", name: "resend/send_email", confirm: "writes" }]);
        assert.deepEqual([answer.finish, answer.native], ["tool_calls", "confirmation_required"]);
        const [pending] = answer.message.tool_calls;
        assert.equal(pending.function.name, "resend__send_email");
        assert.equal(vendors.requests("resend").length, start);
        const { token } = ran(answer)[0].result.confirmation;
        const done = await run({ message: answer.message, confirm: "writes", confirmations: { [pending.id]: token } });
        assert.equal(done.body.executions[0].status, "succeeded", JSON.stringify(done.body));
        assert.equal(vendors.requests("resend").length, start + 1);
        const last = await chat(gateway, key, { model: `test/${dialect}`, messages: [user("Send it"), answer.message, ...done.body.messages], tools: [{ type: "patchbay:tool", name: "resend/send_email" }] });
        assert.equal(last.error, undefined, JSON.stringify(last.error));
      });
    });
  }
}

describe("a declaration that cannot be", () => {
  for (const [name, tools, param] of [
    ["of an unknown tool", [{ type: "patchbay:tool", name: "no/such" }], "tools[0].name"],
    ["of nothing", [{ type: "patchbay:tools", category: "nothing" }], "tools[0]"],
    ["with a wrong policy", [{ type: "patchbay:tools", category: "weather", confirm: "maybe" }], "tools[0].confirm"],
    ["whose name is taken", [{ type: "function", function: { name: "tavily__search", parameters: { type: "object" } } }, { type: "patchbay:tool", name: "tavily/search" }], "tools"],
  ]) {
    test(`${name} is refused with its path`, async () => {
      const answer = await callJson(gateway, "chat/completions", { key, body: { model: "test/openai", messages: [user("x")], tools } });
      assert.deepEqual([answer.status, answer.body.error.param], [400, param], JSON.stringify(answer.body));
    });
  }
});

describe("the other surfaces", () => {
  test("take the same declarations", async () => {
    for (const [path, body] of [
      ["responses", { model: "test/openai", input: "Hello", tools: [{ type: "patchbay:tool", name: "open_meteo/current" }] }],
      ["messages", { model: "test/openai", max_tokens: 200, messages: [user("Hello")], tools: [{ type: "patchbay:tool", name: "open_meteo/current" }] }],
    ]) {
      upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: { text: "Let me look.", calls: [{ name: "open_meteo__current", args: PLACE }] } });
      const start = vendors.requests("open_meteo").length;
      const answer = await callJson(gateway, path, { key, body });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(vendors.requests("open_meteo").length, start + 1, path);
    }
  });
});

test("how a tool does is told once it was used often enough, and what fails in a row is down", async () => {
  const one = async (id) => (await get(`tools/${id}`)).data;
  const before = await one("open_meteo/air_quality");
  assert.deepEqual([before.health_status, before.rating], ["unknown", null]);
  for (let n = 0; n < 20; n += 1) await callJson(gateway, "tools/execute", { key, body: { tool: "open_meteo/air_quality", input: PLACE } });
  const used = await one("open_meteo/air_quality");
  assert.equal(used.health_status, "healthy", JSON.stringify(used.beliefs));
  assert.ok(used.rating > 8 && used.rating <= 10 && used.beliefs.observations.succeeded >= 20, JSON.stringify(used));
  const listed = (await get("tools?names=open_meteo/air_quality")).data[0];
  assert.deepEqual([listed.health_status, listed.rating], ["healthy", used.rating]);
  vendors.fault({ slug: "open_meteo", operation: "forecast", fault: "status-500", times: 50 });
  for (let n = 0; n < 12; n += 1) await callJson(gateway, "tools/execute", { key, body: { tool: "open_meteo/forecast", input: PLACE } });
  assert.equal((await one("open_meteo/forecast")).health_status, "down");
  vendors.reset();
});

test("what is wanted in words runs the tool that fits, over REST and among the calls of a model", async () => {
  const weather = { intent: "what is the current weather there", input: PLACE };
  const { status, body } = await callJson(gateway, "tools/execute", { key, body: weather });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.routing.intent.tool, "weather_current");
  const asked = { ...PLACE, task: weather.intent };
  for (const call of [toolCall("i1", "execute_tool", { tool: "auto/route", input: asked }), toolCall("i2", "auto__route", asked)]) {
    const answer = await run({ message: message(call) });
    assert.equal(answer.body.executions[0]?.status, "succeeded", JSON.stringify(answer.body));
    assert.equal(answer.body.executions[0].routing.intent.tool, "weather_current");
  }
  const narrow = await run({ message: message(toolCall("i3", "auto__route", asked)), tools: ["tavily/search"] });
  assert.match(told(narrow, "i3"), /tool_not_found/);
});

test("ToolRoute's clients find what they know", async () => {
  const execute = await callJson(gateway, "execute", { key, body: { tool: "open_meteo/current", input: PLACE, provider: "open_meteo" } });
  assert.equal(execute.status, 200, JSON.stringify(execute.body));
  for (const field of ["id", "tool", "provider", "data", "usage"]) assert.ok(field in execute.body, field);
  assert.ok("cost" in execute.body.usage && "balance_remaining" in execute.body.usage && "latency_ms" in execute.body.usage);
  const missing = await callJson(gateway, "execute", { key, body: { tool: "no/such", input: {} } });
  assert.deepEqual([missing.status, missing.body.error.code], [404, "tool_not_found"]);
  await settled(gateway, account);
  const usage = await get("usage?tool=open_meteo/current&limit=2");
  assert.ok(usage.data.length > 0 && usage.data.every((row) => row.tool === "open_meteo/current"), JSON.stringify(usage));
  assert.equal((await call(gateway, "usage", {})).status, 401);
});
