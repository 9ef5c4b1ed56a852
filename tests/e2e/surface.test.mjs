// What every client sees whatever it asks: routes, statuses, envelopes, headers, limits.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { call, callJson, chat, generation, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const BODY_LIMIT = 25 * 1024 * 1024;

let gateway, key, account;
before(async () => {
  gateway = await startGateway();
  ({ key, account } = await gateway.createAccount());
});
after(() => gateway?.stop());

const ask = (path, options) => callJson(gateway, path, options);
const post = (body, options) => ask("chat/completions", { key, body, ...options });
const request = (fields) => ({ model: "test/openai", messages: [user("Hello!")], ...fields });

/** The documented envelope: the code is the status, the type is named twice. */
function refused({ status, headers, body }, expected, type) {
  assert.equal(status, expected, JSON.stringify(body));
  assert.deepEqual(Object.keys(body), ["error"]);
  const { error } = body;
  assert.equal(error.code, expected);
  assert.ok(error.message.length > 10, error.message);
  assert.equal(error.type, type);
  assert.equal(error.metadata.error_type, type);
  assert.match(headers.get("x-generation-id"), /^gen-\d{10}-[A-Za-z0-9]{20}$/);
  assert.equal(headers.get("access-control-allow-origin"), "*");
  return error;
}

const ROUTES = [
  ["models", (data) => assert.deepEqual(data.map((each) => each.id).sort(), ["test/anthropic", "test/everywhere", "test/gemini", "test/openai"])],
  ["models?q=gemini", (data) => assert.deepEqual(data.map((each) => each.id), ["test/gemini"])],
  ["models/count", (data) => assert.deepEqual(data, { count: 4 })],
  ["model/test/openai", (data) => assert.equal(data.id, "test/openai")],
  ["model/test/former-name", (data) => assert.equal(data.id, "test/openai")],
  ["models/test/everywhere/endpoints", (data) => assert.deepEqual(data.endpoints.map((each) => each.tag), ["one-openai", "one-anthropic", "one-gemini"])],
  ["providers", (data) => assert.deepEqual(data.map((each) => each.slug), ["one-anthropic", "one-gemini", "one-openai", "two-anthropic", "two-gemini", "two-openai"])],
  ["key", (data) => assert.equal(data.name, "account 1")],
  ["credits", (data) => assert.equal(data.total_credits, 5)],
];

for (const prefix of ["/api/v1", "/v1"]) {
  for (const [path, check] of ROUTES) {
    test(`GET ${prefix}/${path}`, async () => {
      const { status, headers, body } = await ask(`${prefix}/${path}`, { key });
      assert.equal(status, 200, JSON.stringify(body));
      check(body.data);
      assert.equal(headers.get("content-type"), "application/json");
      assert.match(headers.get("x-generation-id"), /^gen-/);
      assert.equal(headers.get("access-control-allow-origin"), "*");
      assert.equal(headers.get("access-control-expose-headers"), "*");
    });
  }

  test(`POST ${prefix}/chat/completions`, async () => {
    const { status, body } = await ask(`${prefix}/chat/completions`, { key, body: request() });
    assert.equal(status, 200);
    assert.match(body.choices[0].message.content, /local demo upstream/);
  });
}

test("GET /health needs no key", async () => {
  const { status, body, headers } = await ask("/health");
  assert.deepEqual([status, body], [200, { status: "ok" }]);
  assert.match(headers.get("x-generation-id"), /^gen-/);
});

test("GET /generation gives the record of an answer, to its account only", async () => {
  const { id } = await chat(gateway, key, { model: "test/anthropic", stream: true, user: "u-1", session_id: "s-1" }, {
    headers: { "http-referer": "https://app.example", "x-title": "App", "x-request-id": "req-17" },
  });
  const record = await generation(gateway, key, id);
  const { created_at: at, latency, generation_time: time, total_cost: cost, upstream_id: upstreamId, ...rest } = record;
  assert.ok(Date.now() - Date.parse(at) < 60_000 && latency >= 0 && time >= 0 && cost > 0 && upstreamId);
  for (const [field, value] of Object.entries({
    id, model: "test/anthropic", provider_name: "Test one-anthropic", request_id: "req-17", session_id: "s-1", external_user: "u-1",
    http_referer: "https://app.example", app_title: "App", api_type: "completions", streamed: true, cancelled: false,
    status: "settled", finish_reason: "stop", native_finish_reason: "end_turn", is_byok: false, error: null, usage_estimated: false,
  })) assert.equal(rest[field], value, field);
  const stranger = await gateway.createAccount();
  refused(await ask(`generation?id=${id}`, { key: stranger.key }), 404, "not_found");
  refused(await ask("generation?id=gen-0", { key }), 404, "not_found");
  assert.equal(refused(await ask("generation", { key }), 400, "invalid_request").param, "id");
});

test("a model that the deployment cannot call is not on offer", async () => {
  refused(await ask("model/test/spare"), 404, "not_found");
  refused(await post(request({ model: "test/spare" })), 400, "invalid_request");
});

test("what is not there is 404, a wrong method 405 with what is allowed, both in JSON", async () => {
  for (const path of ["/", "/api", "/api/v1", "/api/v1/nothing", "/v2/models", "/api/v1/models/a", "/api/v1/model/a/b/c", "/api/v1/chat"]) {
    refused(await ask(path, { key }), 404, "not_found");
  }
  for (const [method, path, allow] of [["GET", "chat/completions", "POST"], ["DELETE", "models", "GET"], ["PUT", "key", "GET"], ["PATCH", "chat/completions", "POST"], ["DELETE", "admin/accounts", "GET, POST"]]) {
    const answer = await ask(path, { method, key });
    refused(answer, 405, "method_not_allowed");
    assert.equal(answer.headers.get("allow"), allow);
  }
});

test("a browser may ask from anywhere", async () => {
  for (const [path, methods] of [["chat/completions", "POST, OPTIONS"], ["models", "GET, OPTIONS"], ["admin/keys/abc", "GET, PATCH, DELETE, OPTIONS"]]) {
    const response = await call(gateway, path, { method: "OPTIONS", headers: { origin: "https://app.example", "access-control-request-method": "POST" } });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.equal(response.headers.get("access-control-allow-methods"), methods);
    assert.match(response.headers.get("access-control-allow-headers"), /Authorization/);
    assert.equal(await response.text(), "");
  }
});

test("HEAD has the headers of GET and no body", async () => {
  const response = await call(gateway, "models", { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
});

test("the client's request id is honoured where it is sane, and the generation id is the completion's own", async () => {
  for (const [sent, kept] of [["my-request.1", true], ["x".repeat(128), true], ["x".repeat(129), false], ["with space", false]]) {
    const { headers } = await ask("models", { headers: { "x-request-id": sent } });
    assert.equal(headers.get("x-request-id"), kept ? sent : headers.get("x-generation-id"));
  }
  for (const stream of [false, true]) {
    const { id, headers } = await chat(gateway, key, { model: "test/openai", stream });
    assert.equal(headers.get("x-generation-id"), id);
  }
});

test("an answer says who served it, after how many attempts, and where the time went", async () => {
  for (const stream of [false, true]) {
    gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: "fault-status-503" });
    const { headers, usage } = await chat(gateway, key, { model: "test/openai", stream });
    assert.equal(headers.get("x-patchbay-provider"), "Test two-openai");
    assert.equal(headers.get("x-patchbay-model"), "test/openai");
    assert.equal(headers.get("x-patchbay-attempts"), "2");
    assert.match(headers.get("server-timing"), /^gateway;dur=\d+, upstream;dur=\d+, total;dur=\d+$/);
    if (!stream) {
      assert.equal(headers.get("x-patchbay-prompt-tokens"), String(usage.prompt_tokens));
      assert.equal(headers.get("x-patchbay-completion-tokens"), String(usage.completion_tokens));
    }
  }
});

/**
 * Posts over a socket of its own, because a client that hears its answer while it still sends may take the closed connection
 * for a failure. `framing` is the header that announces the body, `pieces` are what is sent of it.
 */
function postOverSocket(framing, pieces) {
  const { hostname, port } = new URL(gateway.base);
  return new Promise((done, failed) => {
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.setEncoding("utf8").on("data", (text) => (answer += text));
    socket.on("close", () => (answer ? done(answer) : failed(new Error("no answer"))));
    // Whatever goes wrong with sending, the answer decides.
    socket.on("error", () => socket.destroy());
    socket.write(`POST /api/v1/chat/completions HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n`);
    socket.write(`Authorization: Bearer ${key}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`);
    for (const piece of pieces) socket.write(piece);
  });
}

test("a body longer than the limit is 413, with and without a content-length", async () => {
  // P133: memory of a request has a bound.
  const announced = await postOverSocket(`Content-Length: ${BODY_LIMIT + 1}`, []);
  const piece = Buffer.alloc(1 << 20, " ");
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), piece, Buffer.from("\r\n")]);
  const streamed = await postOverSocket("Transfer-Encoding: chunked", Array(26).fill(chunk));
  for (const answer of [announced, streamed]) {
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /"error_type":"payload_too_large"/);
  }
});

test("a body just within the limit is read to its end", async () => {
  const text = JSON.stringify(request());
  const padded = Buffer.concat([Buffer.alloc(BODY_LIMIT - text.length, " "), Buffer.from(text)]);
  assert.equal((await post(padded)).status, 200);
  const streamed = await post(new Blob([text]).stream());
  assert.equal(streamed.status, 200);
});

const deep = (levels) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
const INVALID = [
  ["no JSON", "{\"model\": ", undefined, /JSON/],
  ["an empty body", "", undefined, /JSON/],
  ["a list", "[]", undefined, /object/],
  ["deep nesting", `{"model":"test/openai","x":${deep(64)}}`, "body", /deeper than 64/],
  ["no model", { messages: [user("x")] }, "model", /model/],
  ["no messages", { model: "test/openai" }, "messages", /messages/],
  ["no message", request({ messages: [] }), "messages", /message/],
  ["a wrong role", request({ messages: [{ role: "robot", content: "x" }] }), "messages[0].role", /role|robot/],
  ["a wrong part", request({ messages: [user([{ type: "text", text: "x" }, { type: "smell", smell: "y" }])] }), "messages[0].content[1].type", /smell|type/],
  ["an image without its URL", request({ messages: [user([{ type: "image_url" }])] }), "messages[0].content[0].image_url", /./],
  ["a temperature out of range", request({ temperature: 3 }), "temperature", /./],
  ["max_tokens of nothing", request({ max_tokens: 0 }), "max_tokens", /at least 1/],
  ["a tool without a name", request({ tools: [{ type: "function", function: {} }] }), "tools[0].function.name", /./],
  ["a misspelt preference", request({ provider: { ordre: [] } }), "provider.ordre", /ordre/],
  ["a stream that is no boolean", request({ stream: "yes" }), "stream", /./],
];
for (const [name, body, param, words] of INVALID) {
  test(`400 names the field: ${name}`, async () => {
    const error = refused(await post(body), 400, "invalid_request");
    assert.equal(error.param || undefined, param);
    assert.match(error.message, words);
  });
}

test("an unknown model is 400 with the nearest names; in a path it is 404", async () => {
  const error = refused(await post(request({ model: "test/opemai" })), 400, "invalid_request");
  assert.match(error.message, /test\/opemai is not a valid model ID\. Did you mean test\/openai/);
  assert.equal(error.metadata.nearest_models[0], "test/openai");
  assert.equal(error.metadata.code, "model_not_found");
  assert.equal(refused(await post(request({ models: ["test/gemini", "test/nil"] })), 400, "invalid_request").param, "models[1]");
  for (const path of ["model/test/opemai", "models/test/opemai/endpoints"]) {
    assert.match(refused(await ask(path), 404, "not_found").message, /test\/openai/);
  }
});

test("401: without a key, with one that is none, with one that nobody knows", async () => {
  const unknown = `sk-pb-v1-${"0".repeat(64)}`;
  for (const authorization of [undefined, "", "Bearer", "Basic abc", "Bearer nonsense", `Bearer ${unknown}`, `Bearer ${key}x`, `Bearer ${"k".repeat(5000)}`]) {
    const headers = authorization === undefined ? {} : { authorization };
    for (const path of ["key", "credits", "generation?id=gen-1"]) refused(await ask(path, { headers }), 401, "authentication");
    refused(await ask("chat/completions", { headers, body: request() }), 401, "authentication");
  }
  assert.equal((await ask("key", { headers: { authorization: `bearer ${key}` } })).status, 200);
});

test("the operator's routes want the operator's token", async () => {
  refused(await ask("admin/accounts"), 401, "authentication");
  refused(await ask("admin/accounts", { key }), 401, "authentication");
  refused(await ask(`admin/accounts/${account}/grants`, { key, body: { id: "mine", amount_usd: "1000" } }), 401, "authentication");
});
