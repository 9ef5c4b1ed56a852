// An MCP server of either era, written by hand so that it can misbehave: it counts its deeds, dies in the middle of one, asks back, and
// changes what it says of itself.
import { createServer } from "node:http";

const MODERN = "2026-07-28";

/** What it sells: tools as they are listed. */
export const TOOLS = [
  { name: "look-up", title: "Look something up", description: "Says what is on a shelf.", inputSchema: { type: "object", properties: { "the shelf": { type: "string", "x-mcp-header": "Shelf" } }, required: ["the shelf"] }, annotations: { readOnlyHint: true } },
  { name: "buy", description: "Buys a thing.", inputSchema: { type: "object", properties: { thing: { type: "string" } }, required: ["thing"] } },
  { name: "picture", description: "Shows a thing.", inputSchema: { type: "object", properties: {} } },
];

/**
 * Starts it: `{url, calls, deeds, methods, tools, close}`. `deeds` counts what was bought; a thing named "crash" is bought and the
 * connection is cut, "ask" asks the client something first, "stream" comes on a stream that never ends, "broken" fails.
 */
export async function startShop({ era = "modern", key = "shop-key-0123456789" } = {}) {
  const shop = { tools: structuredClone(TOOLS), calls: [], deeds: [], methods: [], sessions: new Set(), ended: [], answers: [] };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    const message = text === "" ? undefined : JSON.parse(text);
    const session = request.headers["mcp-session-id"];
    shop.methods.push(message?.method ?? (message ? "answer" : request.method));
    const json = (status, value, headers = {}) => response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
    const reply = (value, headers) => json(200, { jsonrpc: "2.0", id: message.id, result: era === "modern" ? { resultType: "complete", ...value } : value }, headers);
    const refuse = (status, code, why) => json(status, { jsonrpc: "2.0", id: message?.id ?? null, error: { code, message: why } });
    if (request.headers.authorization !== `Bearer ${key}`) return refuse(401, -32_001, "who are you?");
    const isModern = request.headers["mcp-protocol-version"] === MODERN;
    if (era === "legacy") {
      if (message?.method === "initialize") {
        const id = `session-${shop.sessions.size + 1}`;
        shop.sessions.add(id);
        return reply({ protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "shop", version: "1" } }, { "mcp-session-id": id });
      }
      if (isModern || session === undefined) return refuse(400, -32_000, "Bad Request: Server not initialized");
      if (!shop.sessions.has(session)) return refuse(404, -32_001, "Session not found");
      if (request.method === "DELETE") {
        shop.sessions.delete(session);
        shop.ended.push(session);
        return response.writeHead(200).end();
      }
      if (message.id === undefined || message.method === undefined) {
        if (message.method === undefined) shop.answers.push(message);
        return response.writeHead(202).end();
      }
    } else {
      if (!isModern || request.headers["mcp-method"] !== message?.method) return refuse(400, -32_020, "Header mismatch");
      if (message.method === "server/discover") {
        return reply({ supportedVersions: [MODERN], capabilities: { tools: {} }, _meta: { "io.modelcontextprotocol/serverInfo": { name: "shop", version: "1" } } });
      }
    }
    if (message.method === "tools/list") {
      const at = Number(message.params?.cursor ?? 0);
      const more = at + 2 < shop.tools.length ? { nextCursor: String(at + 2) } : {};
      return reply({ tools: shop.tools.slice(at, at + 2), ...more, ...(era === "modern" ? { ttlMs: 0, cacheScope: "private" } : {}) });
    }
    if (message.method !== "tools/call") return refuse(404, -32_601, "Method not found");
    shop.calls.push({ params: message.params, headers: request.headers });
    const { name, arguments: input } = message.params;
    const said = (text, more = {}) => ({ content: [{ type: "text", text }], ...more });
    if (name === "look-up") {
      if (era === "modern" && request.headers["mcp-param-shelf"] === undefined) return refuse(400, -32_020, "Mcp-Param-Shelf is missing");
      return reply(said(JSON.stringify({ lamps: 3 }), { structuredContent: { lamps: 3, shelf: input["the shelf"] } }));
    }
    if (name === "picture") return reply({ content: [{ type: "image", data: "iVBORw0KGgo=", mimeType: "image/png" }, { type: "text", text: "a lamp" }] });
    if (name !== "buy") return refuse(200, -32_602, `Unknown tool: ${name}`);
    if (input.thing === "broken") return reply(said(`sold out; your key is ${key}`, { isError: true }));
    shop.deeds.push(input.thing);
    if (input.thing === "crash") return request.socket.destroy();
    const done = { jsonrpc: "2.0", id: message.id, result: said(`bought ${input.thing}`) };
    const event = (value) => response.write(`event: message\ndata: ${JSON.stringify(value)}\n\n`);
    if (input.thing === "stream" || input.thing === "ask") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      event({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken: 1, progress: 1 } });
      if (input.thing === "ask") {
        event({ jsonrpc: "2.0", id: "q", method: "elicitation/create", params: { message: "which one?", requestedSchema: { type: "object", properties: {} } } });
        const until = Date.now() + 5_000;
        while (shop.answers.length === 0 && Date.now() < until) await new Promise((done) => setTimeout(done, 10));
      }
      // The stream stays open behind the answer.
      return event(done);
    }
    return json(200, done);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  return Object.assign(shop, {
    key,
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}/mcp`,
    close: () => new Promise((done) => server.close(done).closeAllConnections()),
  });
}
