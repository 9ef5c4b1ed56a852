// A vendor of tools for the clients' tests: rows, and the server that they call.
import { createServer } from "node:http";

/** Its rows. */
export const ROWS = `
slug = "demo"
name = "Demo"
website = "https://demo.example"
docs = "https://demo.example/docs"
category = "search"
base_url = "\${MCP_VENDOR}"
secret = "MCP_VENDOR_KEY"
auth = { kind = "bearer" }

[[operation]]
name = "search"
title = "Search the shelves"
description = "Finds things on the shelves by words."
effect = "read"
retry = "safe"
price = { call = 8_000_000 }
price_source = "of these tests"
intents = ["find a lamp", "look for books about tea", "search the shelves for a kettle"]
input = '''{"type": "object", "additionalProperties": false, "required": ["query"], "properties": {"query": {"type": "string", "minLength": 1, "description": "What to look for"}}}'''
[operation.request]
method = "POST"
path = "/search"
[operation.response]
kind = "search_results"
result = '''{"items": {"$each": "/results", "title": "{/title}", "url": "{/url}"}}'''

[[operation]]
name = "slow_search"
title = "Search the cellar"
description = "Finds things in the cellar, which takes a while."
effect = "read"
retry = "safe"
price = { call = 0 }
price_source = "of these tests"
intents = ["find a lamp in the cellar", "look for wine", "search the cellar"]
input = '''{"type": "object", "additionalProperties": false, "properties": {}}'''
[operation.request]
method = "POST"
path = "/slow"

[[operation]]
name = "say"
title = "Say something"
description = "Speaks a text."
effect = "read"
retry = "safe"
price = { call = 0 }
price_source = "of these tests"
intents = ["say hello", "speak this text", "read this aloud"]
input = '''{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": {"type": "string", "description": "What to say"}}}'''
[operation.request]
method = "POST"
path = "/say"
[operation.response]
binary = "audio/mpeg"

[[operation]]
name = "throw_away"
title = "Throw something away"
description = "Takes a thing off the shelves for ever."
effect = "destructive"
retry = "none"
price = { call = 1_000_000 }
price_source = "of these tests"
intents = ["throw the lamp away", "get rid of the kettle", "remove this thing"]
input = '''{"type": "object", "additionalProperties": false, "required": ["thing"], "properties": {"thing": {"type": "string", "description": "Which thing"}}}'''
[operation.request]
method = "POST"
path = "/throw-away"
`;

/** The vendor's server: `{url, calls, close}`; `calls` are the paths and bodies that came, and whether their client left. */
export async function startVendor() {
  const calls = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const call = { path: request.url, body: text && JSON.parse(text), key: request.headers.authorization, left: false };
    calls.push(call);
    response.on("close", () => (call.left = !response.writableFinished));
    const json = (status, value) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (request.url === "/search") {
      if (call.body.query === "nothing works") return json(500, { error: "broken" });
      return json(200, { results: [{ title: "A lamp", url: "https://demo.example/lamp" }] });
    }
    if (request.url === "/slow") return setTimeout(() => json(200, { found: true }), 3_500);
    if (request.url === "/say") return response.writeHead(200, { "content-type": "audio/mpeg" }).end(Buffer.from("ID3 sound"));
    if (request.url === "/throw-away") return json(200, { gone: call.body.thing });
    return json(404, { error: "no such path" });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    calls,
    close: () => new Promise((done) => server.close(done).closeAllConnections()),
  };
}
