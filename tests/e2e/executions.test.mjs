// Executions of tools in real workerd, against a provider that counts what it did: once per name whatever breaks, asked before what moves
// money, guarded, charged by success, on the books.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { testCatalog } from "./catalog.mjs";
import { callJson, eventually, generation, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const operation = (name, { method = "POST", path = `/${name}`, effect = "write", retry = '"none"', price = 1_000_001, more = "" } = {}) => `[[operation]]
name = "${name}"
title = "Desk ${name}"
description = "A deed at the desk."
effect = "${effect}"
retry = ${retry}
price = { call = ${price} }
price_source = "https://desk.example (2026-11-20)"
input = '''{"type": "object", "properties": {"to": {"type": "string"}, "text": {"type": "string"}}, "required": ["to"], "additionalProperties": false}'''
intents = ["do ${name} at the desk", "let the desk ${name}", "desk, please ${name}"]
${more}
[operation.request]
method = "${method}"
path = "${path}"
`;

const DESK = `slug = "desk"
name = "Desk"
website = "https://desk.example"
docs = "https://desk.example/docs"
category = "messaging"
base_url = "\${DESK_URL}"
secret = "DESK_KEY"
auth = { kind = "bearer" }
timeout_ms = 20000

${operation("plain", { more: 'recipients = ["/to"]' })}
${operation("keyed", { retry: '{ header = "idempotency-key" }' })}
${operation("look", { method: "GET", effect: "read", retry: '"safe"', price: 2_000_003 })}
${operation("pay", { effect: "money", retry: '{ header = "idempotency-key" }' })}
`;

const SECRET = "desk-secret-0123456789";

/** A provider that counts its deeds; `text: "hang"` is done and never answered. */
async function desk() {
  const seen = [];
  const deeds = new Map();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://desk");
    let body = "";
    for await (const piece of request) body += piece;
    const input = request.method === "GET" ? Object.fromEntries(url.searchParams) : JSON.parse(body || "{}");
    const key = request.headers["idempotency-key"];
    seen.push({ path: url.pathname, input, key, authorization: request.headers.authorization });
    const deed = key === undefined ? `${seen.length}` : key;
    if (url.pathname !== "/look" && !deeds.has(deed)) deeds.set(deed, input);
    if (input.text === "hang") return;
    if (input.text === "refuse") {
      response.writeHead(400, { "content-type": "application/json" });
      return response.end(JSON.stringify({ error: { message: `no, ${SECRET}` } }));
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: `deed-${deed.slice(0, 8)}`, to: input.to, told: request.headers.authorization }));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    deeds,
    of: (to) => [...deeds.values()].filter((input) => input.to === to).length,
    close() {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

const catalog = () => ({ ...testCatalog(), tools: { desk: DESK } });
const vars = (provider, more = {}) => ({ DESK_URL: provider.url, DESK_KEY: SECRET, ...more });
const execute = (gateway, key, tool, input, { name, headers = {}, ...more } = {}) =>
  callJson(gateway, "tools/execute", { key, body: { tool: `desk/${tool}`, input, ...more }, headers: { ...(name && { "idempotency-key": name }), ...headers } });
const balance = async (gateway, account) => nanos((await settled(gateway, account)).balance);

describe("one deployment", () => {
  let provider;
  let gateway;
  before(async () => {
    provider = await desk();
    gateway = await startGateway({ catalog: catalog(), vars: vars(provider, { BYOK_MASTER_KEY: randomBytes(32).toString("base64") }) });
  });
  after(async () => {
    await gateway?.stop();
    await provider?.close();
  });

  test("an execution is answered by one envelope, charged, and on record like any other request", async () => {
    const { key, account } = await gateway.createAccount();
    const start = await balance(gateway, account);
    const { status, body } = await execute(gateway, key, "look", { to: "ada" });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.status, body.tool, body.provider, body.data.to], ["succeeded", "desk/look", "desk", "ada"]);
    assert.equal(provider.seen.at(-1).authorization, `Bearer ${SECRET}`);
    assert.ok(!JSON.stringify(body).includes(SECRET), "what the provider echoes holds no secret");
    assert.equal(nanos(body.usage.cost), 2_000_003n);
    assert.equal(await balance(gateway, account), start - 2_000_003n);
    const row = await generation(gateway, key, body.id);
    assert.deepEqual([row.model, row.provider_name, row.api_type, row.surface], ["desk/look", "desk", "tool", "rest"]);
    for (let restart = true; ; restart = false) {
      const { data } = await gateway.operator.call("POST", "reconcile", { account, restart });
      if (data.done) break;
    }
    assert.deepEqual((await gateway.operator.call("GET", `reconcile/findings?account=${account}`)).data, []);
    const list = await callJson(gateway, "tools/executions", { key });
    assert.deepEqual(list.body.data.map((one) => [one.id, one.status]), [[body.id, "succeeded"]]);
    const kept = await callJson(gateway, `tools/executions/${body.id}`, { key });
    assert.deepEqual(kept.body.data, body.data);
    const other = await gateway.createAccount();
    assert.equal((await callJson(gateway, `tools/executions/${body.id}`, { key: other.key })).status, 404);
  });

  test("of many clients with one key, one is served by the provider, and all are told the same", async () => {
    const { key, account } = await gateway.createAccount();
    const start = await balance(gateway, account);
    const one = () => execute(gateway, key, "plain", { to: "many", text: "x" }, { name: '"many-1"' });
    const answers = await Promise.all(Array.from({ length: 12 }, one));
    for (const { status, body, headers } of answers) {
      if (status === 409) {
        assert.equal(body.error.code, "idempotency_in_progress");
        assert.ok(Number(headers.get("retry-after")) > 0);
      } else assert.equal(status, 200, JSON.stringify(body));
    }
    const again = await one();
    assert.equal(again.headers.get("idempotent-replayed"), "true");
    assert.equal(again.body.replayed, true);
    assert.equal(provider.of("many"), 1);
    assert.equal(await balance(gateway, account), start - 1_000_001n);
    const other = await execute(gateway, key, "plain", { to: "others" }, { name: "many-1" });
    assert.deepEqual([other.status, other.body.error.code], [422, "idempotency_mismatch"]);
  });

  test("an answer that is lost is outcome_unknown; only what the provider knows by its key is sent again", async () => {
    const { key, account } = await gateway.createAccount();
    const start = await balance(gateway, account);
    const lost = { "x-patchbay-fault": "tool-lost" };
    const plain = (headers) => execute(gateway, key, "plain", { to: "lost" }, { name: "lost-1", headers });
    for (const headers of [lost, {}]) {
      const { status, body } = await plain(headers);
      assert.deepEqual([status, body.status, body.error.code], [424, "outcome_unknown", "outcome_unknown"]);
    }
    assert.equal(provider.of("lost"), 1);
    const keyed = (headers) => execute(gateway, key, "keyed", { to: "keyed" }, { name: "lost-2", headers });
    assert.equal((await keyed(lost)).status, 424);
    const served = await keyed({});
    assert.deepEqual([served.status, served.body.status], [200, "succeeded"]);
    const keys = new Set(provider.seen.filter(({ input }) => input.to === "keyed").map((request) => request.key));
    assert.equal(keys.size, 1);
    assert.equal(provider.of("keyed"), 1);
    assert.equal(await balance(gateway, account), start - 1_000_001n);
  });

  test("what was certainly not sent runs again, and what was refused is told again", async () => {
    const { key } = await gateway.createAccount();
    const fault = { "x-patchbay-fault": "tool-not-sent" };
    const first = await execute(gateway, key, "plain", { to: "later" }, { name: "n-1", headers: fault });
    assert.deepEqual([first.status, provider.of("later")], [503, 0]);
    assert.equal((await execute(gateway, key, "plain", { to: "later" }, { name: "n-1" })).status, 200);
    const refused = () => execute(gateway, key, "plain", { to: "refused", text: "refuse" }, { name: "n-2" });
    for (const replayed of [undefined, true]) {
      const { status, body } = await refused();
      assert.deepEqual([status, body.error.class, body.replayed], [400, "invalid", replayed]);
      assert.ok(!JSON.stringify(body).includes(SECRET));
    }
    assert.equal(provider.seen.filter(({ input }) => input.to === "refused").length, 1);
  });

  test("what moves money is asked about first, and a yes is good for what was shown, once", async () => {
    const { key } = await gateway.createAccount();
    const asked = await execute(gateway, key, "pay", { to: "eve" });
    assert.deepEqual([asked.status, asked.body.status], [202, "confirmation_required"]);
    const { token, summary } = asked.body.confirmation;
    assert.match(summary, /^Desk pay \(Desk\): to = “eve”/);
    const other = await execute(gateway, key, "pay", { to: "mallory" }, { confirmation: token });
    assert.deepEqual([other.status, other.body.error.details.reason], [403, "other_arguments"]);
    assert.equal((await execute(gateway, key, "pay", { to: "eve" }, { confirmation: token })).body.status, "succeeded");
    const used = await execute(gateway, key, "pay", { to: "eve" }, { confirmation: token });
    assert.equal(used.body.error.details.reason, "used");
    assert.deepEqual([provider.of("eve"), provider.of("mallory")], [1, 0]);
  });

  test("a provider key that the account brought serves its tools, free of charge", async () => {
    const { key, account } = await gateway.createAccount();
    const start = await balance(gateway, account);
    const own = "own-desk-secret-987654";
    await gateway.operator.call("POST", `accounts/${account}/byok`, { provider: "desk", key: own });
    const { body } = await execute(gateway, key, "look", { to: "own" });
    assert.deepEqual([body.status, body.usage.byok, body.usage.cost], ["succeeded", true, 0], JSON.stringify(body));
    assert.equal(provider.seen.at(-1).authorization, `Bearer ${own}`);
    assert.ok(!JSON.stringify(body).includes(own));
    assert.equal(await balance(gateway, account), start);
  });

  test("guards stop a loop and say until when; a dry run sends nothing; who cannot pay sends nothing", async () => {
    const { key, account, hash } = await gateway.createAccount();
    const admin = (await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "admin", is_management_key: true })).key;
    const rules = [{ tool: "desk", calls_per_minute: 2 }];
    const put = await callJson(gateway, `tools/guards?key_hash=${hash}`, { key: admin, method: "PUT", body: { confirm: "never", rules } });
    assert.equal(put.status, 200, JSON.stringify(put.body));
    assert.deepEqual((await callJson(gateway, `tools/guards?key_hash=${hash}`, { key: admin })).body.data.rules, rules);
    const dry = await execute(gateway, key, "pay", { to: "loop" }, { dry_run: true });
    assert.deepEqual([dry.body.status, provider.of("loop")], ["dry_run", 0]);
    for (let n = 0; n < 2; n += 1) assert.equal((await execute(gateway, key, "plain", { to: "loop", text: `${n}` })).status, 200);
    const stopped = await execute(gateway, key, "plain", { to: "loop", text: "2" });
    assert.deepEqual([stopped.status, stopped.body.error.details.guard], [429, "calls_per_minute"]);
    assert.ok(stopped.body.error.retry_after > 0 && stopped.body.error.retry_after <= 60);
    assert.equal(provider.of("loop"), 2);
    const poor = await gateway.createAccount({ usd: "0.0001" });
    assert.deepEqual([(await execute(gateway, poor.key, "plain", { to: "poor" })).status, provider.of("poor")], [402, 0]);
    assert.equal((await callJson(gateway, "execute", { key: "sk-none", body: { tool: "desk/look", input: {} } })).body.error.code, "invalid_api_key");
  });
});

test("SIGKILL while a provider works: nothing is done twice, nothing is charged that nobody knows of, nothing is lost", async () => {
  const provider = await desk();
  const persist = mkdtempSync(join(tmpdir(), "patchbay-tools-"));
  let gateway;
  try {
    const more = vars(provider, { HOLD_LIFETIME_MS: "4000" });
    gateway = await startGateway({ catalog: catalog(), vars: more, persist });
    const { key, account } = await gateway.createAccount();
    const start = await balance(gateway, account);
    const begun = [];
    for (const tool of ["plain", "keyed", "look"]) {
      begun.push(execute(gateway, key, tool, { to: tool, text: "hang" }, { name: `kill-${tool}` }).catch(() => undefined));
    }
    await eventually(
      () => provider.seen.length,
      (count) => count === 3,
      { what: "three requests at the provider" },
    );
    await gateway.kill();
    await Promise.all(begun);
    gateway = await startGateway({ vars: more, persist });
    const again = (tool) => execute(gateway, key, tool, { to: tool, text: "hang" }, { name: `kill-${tool}` });
    // Until the deadline it is under way; then nobody knows.
    const plain = await eventually(
      () => again("plain"),
      ({ status }) => status !== 409,
      { what: "the end of the deadline" },
    );
    assert.deepEqual([plain.status, plain.body.status, plain.body.replayed], [424, "outcome_unknown", true]);
    assert.equal(provider.of("plain"), 1);
    // The provider hangs again: but it was asked again, with the same key, and did nothing new.
    await again("keyed");
    const keys = new Set(provider.seen.filter(({ input }) => input.to === "keyed").map((request) => request.key));
    assert.deepEqual([keys.size, provider.of("keyed")], [1, 1]);
    assert.ok(provider.seen.filter(({ input }) => input.to === "keyed").length >= 2);
    const state = await settled(gateway, account);
    assert.equal(nanos(state.balance), start, "what nobody knows of costs nothing");
    const list = await callJson(gateway, "tools/executions?status=outcome_unknown", { key });
    assert.ok(list.body.data.some(({ tool }) => tool === "desk/plain"));
  } finally {
    await gateway?.stop().catch(() => {});
    await provider.close();
    rmSync(persist, { recursive: true, force: true });
  }
});
