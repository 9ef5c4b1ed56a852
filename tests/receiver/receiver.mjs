// Stands for every place that accounts may send their logs to. See README.md.
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

/** Names that the stand-in resolver knows; all others are public. */
const NAMES = { "private.example.com": ["10.1.2.3"], "rebound.example.com": ["93.184.216.34", "127.0.0.1"], "gone.example.com": [] };

async function bytesOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces);
}

function resolved(url, response) {
  const [name, type] = [url.searchParams.get("name"), url.searchParams.get("type")];
  const numbers = type === "A" ? (NAMES[name] ?? ["93.184.216.34"]) : [];
  const Answer = numbers.map((data) => ({ name, type: 1, TTL: 60, data }));
  response.writeHead(200, { "content-type": "application/dns-json" }).end(JSON.stringify({ Status: 0, Answer }));
}

export async function startReceiver() {
  const got = [];
  const scripts = new Map();
  const hanging = new Set();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://receiver");
    if (url.pathname === "/dns-query") return resolved(url, response);
    try {
      const raw = await bytesOf(request);
      const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
      got.push({ method: request.method, path: url.pathname, query: url.searchParams, target: request.url, headers: request.headers, bytes, raw, at: Date.now() });
    } catch (error) {
      // The sender broke off.
      return void response.destroy(error);
    }
    const script = scripts.get(url.pathname) ?? [200];
    const does = script.length > 1 ? script.shift() : script[0];
    if (does === "hang") return void hanging.add(response);
    if (does === "cut") return void request.socket.destroy();
    const { status, headers = {}, body = "" } = typeof does === "number" ? { status: does } : does;
    response.writeHead(status, headers).end(body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const host = `127.0.0.1:${server.address().port}`;
  return {
    host,
    url: `http://${host}`,
    got,
    /** The requests to a path, in order; those that test the connection apart. */
    at: (path, { tests = false } = {}) => got.filter((each) => each.path === path && ("x-test-connection" in each.headers) === tests),
    under: (prefix) => got.filter((each) => each.path.startsWith(prefix) && !("x-test-connection" in each.headers)),
    script: (path, ...answers) => void scripts.set(path, answers),
    async close() {
      for (const response of hanging) response.destroy();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
