// MCP's clients of npm, unmodified, in both eras: list, call, error, confirm, cancel.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as modern from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { startTools } from "./server.mjs";

let gateway;
let key;
before(async () => {
  gateway = await startTools();
  ({ key } = await gateway.createAccount());
});
after(() => gateway?.stop());

const INFO = { name: "test", version: "1" };
const address = (query) => new URL(`/mcp${query}`, gateway.base);
const requestInit = () => ({ headers: { authorization: `Bearer ${key}` } });

/** Each client as `{name, connect(capable, answer, query) → client}`: `answer` fills in forms. */
const CLIENTS = [
  {
    name: "@modelcontextprotocol/sdk 1.32.2, legacy",
    async connect({ capable = true, answer, query = "" } = {}) {
      const client = new Client(INFO, { capabilities: capable ? { elicitation: {} } : {} });
      if (capable) client.setRequestHandler(ElicitRequestSchema, answer ?? (() => assert.fail("asked")));
      await client.connect(new StreamableHTTPClientTransport(address(query), { requestInit: requestInit() }));
      return { client, list: (params) => client.listTools(params), call: (params, options) => client.callTool(params, undefined, options) };
    },
  },
  ...["legacy", "auto"].map((mode) => ({
    name: `@modelcontextprotocol/client 2.4.0, ${mode === "auto" ? "modern" : mode}`,
    async connect({ capable = true, answer, query = "" } = {}) {
      const client = new modern.Client(INFO, { capabilities: capable ? { elicitation: { form: {} } } : {}, versionNegotiation: { mode } });
      if (capable) client.setRequestHandler("elicitation/create", answer ?? (() => assert.fail("asked")));
      await client.connect(new modern.StreamableHTTPClientTransport(address(query), { requestInit: requestInit() }));
      return { client, list: (params) => client.listTools(params), call: (params, options) => client.callTool(params, options) };
    },
  })),
];

const textOf = (result) => result.content.map((block) => block.text ?? "").join("\n");
const thrown = () => gateway.vendor.calls.filter(({ path }) => path === "/throw-away").map(({ body }) => body.thing);

for (const { name, connect } of CLIENTS) {
  test(`${name}: tools are listed with what they do, and called`, async () => {
    const { client, list, call } = await connect();
    const { tools } = await list();
    assert.deepEqual(tools.map((tool) => tool.name), ["demo__search", "demo__slow_search", "demo__say", "demo__throw_away", "confirm_tool"]);
    const [search, , , throwAway] = tools;
    assert.deepEqual([search.annotations.readOnlyHint, search.inputSchema.required], [true, ["query"]]);
    assert.deepEqual([throwAway.annotations.readOnlyHint, throwAway.annotations.destructiveHint], [false, true]);
    const result = await call({ name: "demo__search", arguments: { query: "lamp" } });
    assert.ok(!result.isError, textOf(result));
    assert.equal(result.structuredContent.result.items[0].title, "A lamp");
    assert.equal(result.structuredContent.usage.cost, 0.008);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    const sound = await call({ name: "demo__say", arguments: { text: "hello" } });
    assert.deepEqual([sound.content[1].type, Buffer.from(sound.content[1].data, "base64").toString()], ["audio", "ID3 sound"]);
    await client.close();
  });

  test(`${name}: a selection is listed in pages`, async () => {
    const { client, list } = await connect({ query: "?tools=demo&page_size=2" });
    const first = await list();
    // A client may gather all pages by itself.
    const names = first.tools.map((tool) => tool.name);
    for (let cursor = first.nextCursor; cursor; ) {
      const next = await list({ cursor });
      names.push(...next.tools.map((tool) => tool.name));
      cursor = next.nextCursor;
    }
    assert.equal(names.length, 5);
    await client.close();
    const { client: few, list: listFew, call } = await connect({ query: "?tools=meta" });
    assert.deepEqual((await listFew()).tools.map((tool) => tool.name), ["search_tools", "get_tool_schema", "execute_tool", "confirm_tool"]);
    const found = await call({ name: "search_tools", arguments: { query: "find a lamp" } });
    assert.equal(found.structuredContent.tools[0].name, "demo__search");
    const told = await call({ name: "get_tool_schema", arguments: { tools: ["demo__search"] } });
    assert.deepEqual(told.structuredContent.tools[0].inputSchema.required, ["query"]);
    const result = await call({ name: "execute_tool", arguments: { tool: "demo__search", input: { query: "lamp" } } });
    assert.equal(result.structuredContent.result.items[0].title, "A lamp");
    await few.close();
  });

  test(`${name}: what is wrong is an error of the protocol, or a result that says it`, async () => {
    const { client, call } = await connect();
    await assert.rejects(call({ name: "demo__nothing", arguments: {} }), (error) => error.code === -32602 && /Unknown tool/.test(error.message));
    const wrong = await call({ name: "demo__search", arguments: { query: 7 } });
    assert.ok(wrong.isError && /query/.test(textOf(wrong)), textOf(wrong));
    const broken = await call({ name: "demo__search", arguments: { query: "nothing works" } });
    assert.ok(broken.isError && /provider/.test(textOf(broken)), textOf(broken));
    await client.close();
  });

  test(`${name}: what takes something away asks first, and does what the person says`, async () => {
    const asked = [];
    const says = (action, content) => connect({
      answer: (request) => {
        asked.push(request.params.message);
        return { action, ...(content && { content }) };
      },
    });
    const before = thrown().length;
    for (const [action, content] of [["decline"], ["cancel"], ["accept", { confirm: false }]]) {
      const { client, call } = await says(action, content);
      const result = await call({ name: "demo__throw_away", arguments: { thing: "lamp" } });
      assert.ok(result.isError && /declined/.test(textOf(result)), textOf(result));
      await client.close();
    }
    assert.equal(thrown().length, before);
    const { client, call } = await says("accept", { confirm: true });
    const result = await call({ name: "demo__throw_away", arguments: { thing: "lamp" } });
    assert.ok(!result.isError, textOf(result));
    assert.deepEqual(thrown().slice(before), ["lamp"]);
    assert.equal(asked.length, 4);
    assert.match(asked[0], /lamp/);
    await client.close();
  });

  test(`${name}: without forms the answer holds a token, which is good for this call once`, async () => {
    const { client, call } = await connect({ capable: false });
    const before = thrown().length;
    const wanted = await call({ name: "demo__throw_away", arguments: { thing: "kettle" } });
    assert.ok(wanted.isError && /confirm_tool/.test(textOf(wanted)), textOf(wanted));
    const { token } = wanted.structuredContent.confirmation;
    const confirm = (thing) => call({ name: "confirm_tool", arguments: { tool: "demo__throw_away", input: { thing }, token } });
    const other = await confirm("everything");
    assert.ok(other.isError, textOf(other));
    const done = await confirm("kettle");
    assert.ok(!done.isError, textOf(done));
    const again = await confirm("kettle");
    assert.ok(again.isError, textOf(again));
    assert.deepEqual(thrown().slice(before), ["kettle"]);
    await client.close();
  });

  test(`${name}: the same idempotency key is one deed`, async () => {
    const { client, call } = await connect();
    const before = gateway.vendor.calls.length;
    const params = { name: "demo__search", arguments: { query: "tea" }, _meta: { "io.patchbay/idempotencyKey": `${name} once`.replaceAll(" ", "-") } };
    const first = await call(params);
    const second = await call(params);
    assert.deepEqual([first.structuredContent.id, second.structuredContent.replayed], [second.structuredContent.id, true]);
    assert.equal(gateway.vendor.calls.length, before + 1);
    await client.close();
  });

  test(`${name}: progress is told while a call runs, and a call that is given up ends`, async () => {
    const { client, call } = await connect();
    const progress = [];
    const result = await call({ name: "demo__slow_search", arguments: {} }, { onprogress: (step) => progress.push(step.progress) });
    assert.ok(!result.isError, textOf(result));
    assert.ok(progress.length >= 2 && progress.every((step, i) => i === 0 || step > progress[i - 1]), String(progress));
    const before = gateway.vendor.calls.length;
    const controller = new AbortController();
    const once = { "io.patchbay/idempotencyKey": `${name} given up`.replaceAll(" ", "-") };
    const given = call({ name: "demo__slow_search", arguments: {}, _meta: once }, { signal: controller.signal, onprogress: () => {} });
    given.catch(() => {});
    while (gateway.vendor.calls.length === before) await sleep(20);
    controller.abort();
    await assert.rejects(given);
    // It was sent, so its outcome is kept: the same key tells it, and nothing is asked twice.
    let again;
    do again = await call({ name: "demo__slow_search", arguments: {}, _meta: once });
    while (/idempotency_in_progress/.test(textOf(again)) && (await sleep(100, true)));
    assert.deepEqual([again.structuredContent.replayed, gateway.vendor.calls.length], [true, before + 1]);
    await client.close();
  });
}
