// The API's document is served, and what it says of ids holds: those of another account are answered as those of nobody, in the same words
// and after the same work (`steps.mjs`), so that neither text nor time tells one from the other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { document, operations } from "../openapi/checker.mjs";
import { startReceiver } from "../receiver/receiver.mjs";
import { call } from "./client.mjs";
import { peopleVars } from "./people.mjs";
import { startToolGateway } from "./tools.mjs";

const MASTER = Buffer.from("0123456789abcdef0123456789abcdef").toString("base64");

let tooled, gateway, receiver;
before(async () => {
  receiver = await startReceiver();
  const destinations = { DESTINATION_TRUSTED_HOSTS: receiver.host, TOOLS_TRUSTED_HOSTS: receiver.host, DESTINATION_RESOLVER: `${receiver.url}/dns-query` };
  tooled = await startToolGateway({ main: "tests/e2e/steps.mjs", vars: peopleVars({ BYOK_MASTER_KEY: MASTER, ...destinations }) });
  ({ gateway } = tooled);
});
after(async () => {
  await tooled?.stop();
  await receiver?.close();
});

test("the document is served where tools look for it, to anybody, as it is kept", async () => {
  for (const path of ["/openapi.json", "/api/v1/openapi.json", "/v1/openapi.json"]) {
    const response = await fetch(gateway.base + path);
    assert.deepEqual([path, response.status, response.headers.get("content-type")], [path, 200, "application/json"]);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.deepEqual(await response.json(), document);
  }
  assert.equal((await fetch(`${gateway.base}/openapi.json`, { method: "POST" })).status, 405);
});

test("each operation is there: its path is known and takes its method", async () => {
  for (const { method, path } of operations) {
    const url = path.replace(/\{[^}]+\}/g, "x");
    const response = await fetch(gateway.base + url, { method: "OPTIONS" });
    assert.equal(response.status, 204, path);
    const allowed = response.headers.get("access-control-allow-methods").split(", ");
    assert.ok(allowed.includes(method), `${method} ${path}: ${allowed}`);
  }
});

/** Who calls: a key, or a management key. */
const keyFor = (who, operation) => (operation.security[0].apiKey ? who.key : who.manager);

async function administered() {
  const made = await gateway.createAccount();
  const { key, data } = await gateway.operator.call("POST", `accounts/${made.account}/keys`, { name: "manager", is_management_key: true });
  return { ...made, manager: key, managerHash: data.hash };
}

const ask = async (key, method, path, body) => {
  const response = await call(gateway, path, { key, method, body });
  const text = await response.text();
  const steps = JSON.parse(decodeURIComponent(response.headers.get("x-steps")));
  return { status: response.status, body: text && JSON.parse(text), steps };
};

/** The same with one set of values in place of another. */
const renamed = (told, values, others) => JSON.parse(values.reduce((text, value, at) => text.replaceAll(value, others[at]), JSON.stringify(told)));

/**
 * What is another account's is answered as what is nobody's: status, body and every step on the way. A step may differ once, because copies
 * in memory have an age; what differs because of the id differs each time.
 */
async function indistinguishable(name, key, [method, path, body], theirs, nobodys) {
  const filled = (values) => values.reduce((filled, value) => filled.replace(/\{[^}]+\}/, value), path);
  const steps = new Set();
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const nobody = await ask(key, method, filled(nobodys), body);
    const found = await ask(key, method, filled(theirs), body);
    assert.equal(nobody.status, 404, name);
    assert.deepEqual([found.status, renamed(found.body, theirs, nobodys)], [nobody.status, nobody.body], name);
    const [one, other] = [renamed(found.steps, theirs, nobodys), nobody.steps].map((each) => each.join("\n"));
    assert.match(other, /^(?:d1|object|kv) /m, `${name}: nothing was looked up`);
    if (one === other) return;
    steps.add(`another account's:\n${one}\nnobody's:\n${other}`);
  }
  assert.fail(`${name} takes other steps:\n${[...steps].join("\n\n")}`);
}

const made = async (key, path, body) => {
  const { status, body: answer } = await ask(key, "POST", path, body);
  assert.equal(status, 201, `${path}: ${JSON.stringify(answer)}`);
  return answer.data;
};

const HASH = "0".repeat(64);
const UUID = "00000000-0000-4000-8000-000000000000";

/**
 * By the beginning of a path: what another account has there (`there`: the values of the path's parameters), what nobody has, and a body
 * for each method that takes one.
 */
const FAMILIES = {
  "/api/v1/keys/": { there: async (other) => [other.hash], nobody: [HASH], bodies: { PATCH: { name: "mine" } } },
  "/api/v1/byok/": {
    there: async (other) => [(await made(other.manager, "byok", { provider: (await (await fetch(`${gateway.base}/api/v1/providers`)).json()).data[0].slug, key: "sk-test-0123456789" })).id],
    nobody: [UUID],
    bodies: { PATCH: { name: "mine" } },
  },
  "/api/v1/presets/": {
    there: async (other) => {
      const kept = await made(other.key, "presets/theirs/chat/completions", { model: "test/openai", temperature: 1, messages: [{ role: "user", content: "x" }] });
      return [kept.slug, String(kept.designated_version.version)];
    },
    nobody: ["nobodys", "1"],
    // A preset of any name can be made: each account has names of its own.
    skips: ({ method }) => method === "POST",
  },
  "/api/v1/guardrails/": {
    there: async (other) => [(await made(other.manager, "guardrails", { name: "Theirs" })).id],
    nobody: [UUID],
    bodies: { PATCH: { name: "mine" } },
    body: ({ method, path }, own) => method === "POST" && (path.includes("/keys") ? { key_hashes: [own.hash] } : { member_user_ids: ["usr_nobody"] }),
  },
  "/api/v1/organization/members/": {
    there: async (other) => [(await gateway.operator.call("POST", `accounts/${other.account}/members`, { email: "theirs@example.com", role: "member" })).data.id],
    nobody: ["usr_nobody"],
    bodies: { PATCH: { role: "admin" } },
  },
  "/api/v1/organization/invitations/": {
    there: async (other) => [(await made(other.manager, "organization/invitations", { role: "member" })).id],
    nobody: ["inv_nobody"],
  },
  "/api/v1/credits/purchases/": {
    there: async (other) => {
      await gateway.d1(
        "INSERT INTO purchases (id, account, kind, status, credits, charge_cents, fee_cents, created_at) VALUES (?, ?, 'checkout', 'open', 5000000000, 500, 0, 1)",
        `pur_${other.account}`,
        other.account,
      );
      return [`pur_${other.account}`];
    },
    nobody: ["pur_nobody"],
    // Takes an owner, whatever is named.
    skips: ({ method }) => method === "POST",
  },
  "/api/v1/observability/destinations/": {
    there: async (other) => {
      const config = { endpoint: `${receiver.url}/v1/traces` };
      return [(await made(other.manager, "observability/destinations", { type: "otel-collector", name: "Theirs", config })).id, "gen-1-theirs"];
    },
    nobody: [UUID, "gen-1-nobody"],
    bodies: { PATCH: { name: "mine" } },
  },
  "/api/v1/external-users/": {
    there: async (other) => [(await made(other.manager, "external-users", { user: "theirs" })).user],
    nobody: ["nobodys"],
    bodies: { PATCH: { is_active: false } },
  },
  "/api/v1/tools/executions/": {
    there: async (other) => {
      const input = { latitude: 52.52, longitude: 13.41 };
      const { status, body } = await ask(other.key, "POST", "tools/execute", { tool: "open_meteo/current", input });
      assert.equal(status, 200, JSON.stringify(body));
      return [body.id];
    },
    nobody: ["exec-1-nobody"],
    bodies: { POST: { outcome: "success" } },
  },
  "/api/v1/tools/sources/": {
    there: async (other) => {
      const paths = { "/orders": { get: { operationId: "listOrders", summary: "List orders" } } };
      const document = { openapi: "3.1.0", info: { title: "Theirs", version: "1" }, servers: [{ url: receiver.url }], paths };
      return [(await made(other.manager, "tools/sources", { slug: "theirs", document })).id];
    },
    nobody: [UUID],
    bodies: { PATCH: { enabled: false } },
  },
  // Each account has budgets of these names.
  "/api/v1/budgets/": { there: async () => ["daily"], isOwn: true, nobody: ["daily"], bodies: { PUT: { limit_usd: 5 } }, skips: ({ method }) => method === "PUT" },
  "/api/v1/workspaces/": { there: async () => ["default"], isOwn: true, nobody: [UUID], bodies: { PATCH: {} } },
};

const scoped = operations.filter(
  ({ path, operation }) => path.includes("{") && operation.security.some((one) => one.apiKey || one.managementKey),
);

for (const [prefix, family] of Object.entries(FAMILIES)) {
  test(`${prefix}…: what another account has is not there, in the words of what never was`, async () => {
    const [own, other] = [await administered(), await administered()];
    const theirs = await family.there(other);
    for (const { method, path, operation } of scoped.filter(({ path }) => path.startsWith(prefix))) {
      if (family.skips?.({ method, path })) continue;
      const key = keyFor(own, operation);
      const body = family.bodies?.[method] ?? (family.body?.({ method, path }, own) || undefined);
      // Each account has one of this name.
      const values = family.isOwn ? family.nobody : theirs;
      await indistinguishable(`${method} ${path}`, key, [method, path, body], values, family.nobody);
      if (family.isOwn) continue;
      const filled = values.reduce((filled, value) => filled.replace(/\{[^}]+\}/, value), path);
      const { status, steps } = await ask(undefined, method, filled, body);
      assert.deepEqual([status, steps], [401, []], `${method} ${path} without a key`);
    }
  });
}

test("each operation with an id of an account's is in a family above", () => {
  const lost = scoped.filter(({ path }) => !Object.keys(FAMILIES).some((prefix) => path.startsWith(prefix)));
  assert.deepEqual(lost.map(({ method, path }) => `${method} ${path}`), []);
});

test("ids in queries are of the account alone, too", async () => {
  const [own, other] = [await administered(), await administered()];
  const asked = await ask(other.key, "POST", "chat/completions", { model: "test/openai", messages: [{ role: "user", content: "x" }] });
  const { id } = asked.body;
  for (const path of ["generation?id={id}", "generation/content?id={id}"]) {
    await indistinguishable(path, own.key, ["GET", path], [id], ["gen-1-nobody"]);
  }
  const feedback = { category: "incorrect_response", comment: "no" };
  for (const [name, generation_id] of [["theirs", id], ["nobody's", "gen-1-nobody"]]) {
    const { status } = await ask(own.key, "POST", "generation/feedback", { ...feedback, generation_id });
    assert.equal(status, 404, name);
  }
});

test("a wrong key, and one that never was, take the same steps: a look-up by digest", async () => {
  const { key } = await gateway.createAccount();
  const changed = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;
  const [almost, none] = [await ask(changed, "GET", "key"), await ask(`sk-pb-v1-${HASH}`, "GET", "key")];
  assert.deepEqual([almost.status, almost.body], [401, none.body]);
  const shape = ({ steps }) => steps.map((step) => step.replace(/[0-9a-f]{64}/g, "DIGEST"));
  assert.deepEqual(shape(almost), shape(none));
  assert.ok(almost.steps.length > 0 && !almost.steps.join().includes(changed.slice(-20)), almost.steps.join());
});
