// MCP servers of npm, unmodified, as sources of tools: the legacy era with sessions and without, the modern era alone and beside the other.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { McpServer as ModernServer, createMcpHandler } from "@modelcontextprotocol/server";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as z from "zod";
import { callJson } from "../e2e/client.mjs";
import { startGateway } from "../e2e/gateway.mjs";

const weather = (context, city) => {
  if (city === "nowhere") return { content: [{ type: "text", text: "no such city" }], isError: true };
  const told = { city, celsius: 22 };
  return { content: [{ type: "text", text: JSON.stringify(told) }], structuredContent: told };
};

/** The tools of either line of the SDK. */
function offer(server) {
  const city = z.object({ city: z.string() });
  server.registerTool("get-weather", { title: "The weather", description: "Tells the weather of a city.", inputSchema: city, annotations: { readOnlyHint: true } }, ({ city }, context) => weather(context, city));
  server.registerTool("draw", { description: "Draws a dot.", inputSchema: z.object({}) }, () => ({ content: [{ type: "image", data: "iVBORw0KGgo=", mimeType: "image/png" }] }));
  return server;
}
const INFO = { name: "weather", version: "1.0.0" };

/** A node server of this handler, with what it was asked: `{url, host, seen, close}`. */
async function serve(handle) {
  const seen = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    seen.push(`${request.method} ${text === "" ? "" : (JSON.parse(text).method ?? "")}`.trim());
    await handle(request, response, text);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const host = `127.0.0.1:${server.address().port}`;
  return { host, url: `http://${host}/mcp`, seen, close: () => new Promise((done) => server.close(done).closeAllConnections()) };
}

/** With sessions, and answers on streams. */
function sessions() {
  const open = new Map();
  return serve(async (request, response, text) => {
    let transport = open.get(request.headers["mcp-session-id"]);
    const body = text === "" ? undefined : JSON.parse(text);
    if (!transport && body?.method === "initialize") {
      transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, onsessioninitialized: (id) => open.set(id, transport), onsessionclosed: (id) => open.delete(id) });
      await offer(new McpServer(INFO)).connect(transport);
    }
    if (!transport) {
      const error = { jsonrpc: "2.0", id: null, error: { code: -32_000, message: "Bad Request: No valid session ID provided" } };
      return response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(error));
    }
    return transport.handleRequest(request, response, body);
  });
}

/** Without any, and with answers in one piece. */
function stateless() {
  return serve(async (request, response, text) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
    await offer(new McpServer(INFO)).connect(transport);
    await transport.handleRequest(request, response, text === "" ? undefined : JSON.parse(text));
  });
}

/** 2026-07-28, with the other era beside it or not. */
function modern(legacy) {
  const handler = createMcpHandler(() => offer(new ModernServer(INFO)), { legacy });
  return serve(async (request, response, text) => {
    const body = request.method === "POST" ? text : undefined;
    const answer = await handler.fetch(new Request(`http://localhost${request.url}`, { method: request.method, headers: request.headers, body }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    for await (const piece of answer.body ?? []) response.write(piece);
    response.end();
  });
}

const SERVERS = [
  { name: "@modelcontextprotocol/sdk 1.32.2 with sessions", start: sessions, calls: ["POST initialize", "POST notifications/initialized", "POST tools/call", "DELETE"] },
  { name: "@modelcontextprotocol/sdk 1.32.2 without sessions", start: stateless, calls: ["POST initialize", "POST notifications/initialized", "POST tools/call"] },
  { name: "@modelcontextprotocol/server, 2026-07-28 alone", start: () => modern("reject"), calls: ["POST tools/call"] },
  { name: "@modelcontextprotocol/server, both eras", start: () => modern("stateless"), calls: ["POST tools/call"] },
];

let gateway;
before(async () => {
  for (const server of SERVERS) server.live = await server.start();
  const trusted = SERVERS.map(({ live }) => live.host).join(",");
  gateway = await startGateway({ vars: { BYOK_MASTER_KEY: randomBytes(32).toString("base64"), TOOLS_TRUSTED_HOSTS: trusted } });
});
after(async () => {
  await gateway?.stop();
  for (const { live } of SERVERS) await live?.close();
});

for (const server of SERVERS) {
  describe(server.name, () => {
    let key;
    before(async () => {
      const made = await gateway.createAccount();
      key = made.key;
      const manager = await gateway.operator.call("POST", `accounts/${made.account}/keys`, { name: "manager", is_management_key: true });
      const body = { kind: "mcp", slug: "weather", url: server.live.url, trust_annotations: true };
      const source = await callJson(gateway, "tools/sources", { key: manager.key, method: "POST", body });
      assert.equal(source.status, 201, JSON.stringify(source.body));
    });
    const execute = (tool, input) => callJson(gateway, "tools/execute", { key, method: "POST", body: { tool, input } });

    test("its tools are ours", async () => {
      const { body } = await callJson(gateway, "tools?provider=weather", { key });
      const told = body.data.map(({ id, name, effect }) => [id ?? name, effect]).sort();
      assert.deepEqual(told, [["weather/draw", "write"], ["weather/get_weather", "read"]]);
    });

    test("they are called, in as few requests as its era wants", async () => {
      const began = server.live.seen.length;
      const { status, body } = await execute("weather/get_weather", { city: "Oslo" });
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(body.result, { city: "Oslo", celsius: 22 });
      // The session ends behind the answer.
      const until = Date.now() + 5_000;
      while (server.live.seen.length - began < server.calls.length && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
      assert.deepEqual(server.live.seen.slice(began), server.calls);
      const drawn = await execute("weather/draw", {});
      assert.deepEqual(drawn.body.result.media, [{ mime_type: "image/png", bytes: 8 }]);
    });

    test("what it refuses is refused", async () => {
      const failed = await execute("weather/get_weather", { city: "nowhere" });
      assert.deepEqual([failed.status, failed.body.error.code, failed.body.error.message], [400, "refused", "no such city"]);
      assert.equal((await execute("weather/get_weather", {})).status, 400);
    });
  });
}
