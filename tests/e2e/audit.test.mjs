// Every change that an operator or an account's administrator can make leaves its line in the audit log: one call of each operation of the
// document that changes something, and none may be forgotten here.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { operations } from "../openapi/checker.mjs";
import { startReceiver } from "../receiver/receiver.mjs";
import { startStripe } from "../stripe/stripe.mjs";
import { compile, endpoint, model, testCatalog } from "./catalog.mjs";
import { callJson, chat, generation, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { peopleVars, person } from "./people.mjs";

/** They ask and change nothing. */
const ASKS = ["POST /api/v1/analytics/query", "POST /api/v1/admin/providers"];
/** What they write is their own books, which say when they were read. */
const BOOKS = ["POST /api/v1/admin/reconcile"];

let gateway, stripe, receiver;
before(async () => {
  [stripe, receiver] = await Promise.all([startStripe(), startReceiver()]);
  gateway = await startGateway({
    vars: peopleVars({
      STRIPE_SECRET_KEY: stripe.key,
      STRIPE_WEBHOOK_SECRET: stripe.webhookSecret,
      STRIPE_API_URL: stripe.url,
      BILLING_RETURN_URL: "https://app.example/credits",
      BYOK_MASTER_KEY: randomBytes(32).toString("base64"),
      DESTINATION_TRUSTED_HOSTS: receiver.host,
      TOOLS_TRUSTED_HOSTS: receiver.host,
    }),
  });
});
after(() => Promise.all([gateway?.stop(), stripe?.stop(), receiver?.close()]));

const changing = operations.filter(
  ({ method, operation }) => method !== "GET" && operation.security.some((one) => one.operator || one.managementKey),
);

test("each change is in the audit log, with who made it", async () => {
  const done = new Set();
  let manager, owner;
  const last = async () => (await gateway.d1("SELECT coalesce(max(seq), 0) AS seq FROM audit_log"))[0].seq;

  /** Does an operation with these values of its path, as the operator, as the account's management key, or, where it is about money, as its owner. */
  async function change(name, values = [], body) {
    const [method, path] = name.split(" ");
    assert.ok(changing.some((one) => one.method === method && one.path === path), `${name} is no operation that changes something`);
    const isOperators = path.startsWith("/api/v1/admin/");
    const url = values.reduce((filled, value) => filled.replace(/\{[^}]+\}/, encodeURIComponent(value)), path);
    const before = await last();
    const isOwners = path.startsWith("/api/v1/credits/");
    const key = isOperators ? gateway.operator.token : manager;
    const answer = isOwners ? await owner.api(method, url.slice("/api/v1/".length), body) : await callJson(gateway, url, { method, key, body });
    assert.ok(answer.status < 300, `${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
    const lines = await gateway.d1("SELECT actor, action FROM audit_log WHERE seq > ?", before);
    assert.ok(lines.length > 0, `${name} leaves no line`);
    const actors = isOperators ? /^operator$/ : isOwners ? /^user:/ : /^key:/;
    assert.ok(lines.some(({ actor }) => actors.test(actor)), `${name}: ${JSON.stringify(lines)}`);
    done.add(name);
    return answer.body;
  }

  const ADMIN = "/api/v1/admin/accounts";
  const { data: { id: account } } = await change(`POST ${ADMIN}`, [], { name: "Audited" });
  await change(`POST ${ADMIN}/{account}/grants`, [account], { id: "g", amount_usd: "5" });
  const own = await change(`POST ${ADMIN}/{account}/keys`, [account], { name: "own" });
  const managing = await change(`POST ${ADMIN}/{account}/keys`, [account], { name: "manager", is_management_key: true });
  manager = managing.key;
  const answer = await chat(gateway, own.key, { model: "test/openai" });
  await generation(gateway, own.key, answer.id);
  await settled(gateway, account);
  await change(`POST ${ADMIN}/{account}/corrections`, [account], { generation_id: answer.id, cost_usd: "0", reason: "wrong" });
  await change(`PUT ${ADMIN}/{account}/limits`, [account], { requests_per_minute: 600 });

  for (const [base, at] of [[`${ADMIN}/{account}/byok`, [account]], ["/api/v1/byok", []]]) {
    const { data } = await change(`POST ${base}`, at, { provider: "one-openai", key: `own-${randomBytes(12).toString("hex")}` });
    await change(`PATCH ${base}/{id}`, [...at, data.id], { name: "renamed" });
    await change(`DELETE ${base}/{id}`, [...at, data.id]);
  }
  await change("POST /api/v1/admin/byok/rotate", [], {});

  await change(`POST ${ADMIN}/{account}/members`, [account], { email: "owner@example.com", role: "owner" });
  owner = await person(gateway, "owner@example.com");
  for (const [base, at] of [[`${ADMIN}/{account}/credits`, [account]], ["/api/v1/credits", []]]) {
    const { data: coupon, code } = await change("POST /api/v1/admin/coupons", [], { amount: 5, name: "Launch" });
    await change(`POST ${base}/redeem`, at, { code: code ?? coupon.code });
    await change("DELETE /api/v1/admin/coupons/{id}", [coupon.id]);
    await change(`PUT ${base}/settings`, at, { low_balance_threshold: 1 });
    const { data } = await change(`POST ${base}/checkout`, at, { amount: 10 });
    const session = [...stripe.sessions.values()].find((each) => each.client_reference_id === data.id);
    for (const event of stripe.pay(session)) assert.equal((await stripe.deliver(gateway, event)).status, 200);
    await change(`POST ${base}/purchases/{id}/refund`, [...at, data.id], {});
  }

  const { data: member } = await change(`POST ${ADMIN}/{account}/members`, [account], { email: "ann@example.com", role: "member" });
  for (const [base, at] of [[`${ADMIN}/{account}`, [account]], ["/api/v1/organization", []]]) {
    const invitation = await change(`POST ${base}/invitations`, at, { email: "bob@example.com", role: "member" });
    await change(`DELETE ${base}/invitations/{id}`, [...at, invitation.data.id]);
    await change(`PATCH ${base}/members/{user}`, [...at, member.id], { role: base.startsWith(ADMIN) ? "admin" : "member" });
  }
  await change("POST /api/v1/admin/login-links", [], { email: "ann@example.com" });
  await change("PATCH /api/v1/admin/users/{user}", [member.id], { disabled: false, operator: true });

  const { data: guardrail } = await change("POST /api/v1/guardrails", [], { name: "Interns" });
  await change("PATCH /api/v1/guardrails/{id}", [guardrail.id], { limit_usd: 10, reset_interval: "daily" });
  for (const [kind, body] of [["keys", { key_hashes: [own.data.hash] }], ["members", { member_user_ids: [member.id] }]]) {
    await change(`POST /api/v1/guardrails/{id}/assignments/${kind}`, [guardrail.id], body);
    await change(`POST /api/v1/guardrails/{id}/assignments/${kind}/remove`, [guardrail.id], body);
  }
  await change("DELETE /api/v1/guardrails/{id}", [guardrail.id]);
  await change("POST /api/v1/external-users", [], { user: "employee_1" });
  await change("PATCH /api/v1/external-users/{user}", ["employee_1"], { is_active: false });
  await change("DELETE /api/v1/external-users/{user}", ["employee_1"]);
  await change("PATCH /api/v1/account/privacy", [], { ignored_providers: ["two-openai"] });
  await change("PATCH /api/v1/account/settings", [], { io_logging_retention_days: 7 });
  await change("PATCH /api/v1/workspaces/{id}", ["default"], { io_logging_retention_days: 8 });
  for (const [base, at] of [["/api/v1/budgets", []], ["/api/v1/workspaces/{id}/budgets", ["default"]]]) {
    await change(`PUT ${base}/{period}`, [...at, "monthly"], { limit_usd: 100 });
    await change(`DELETE ${base}/{period}`, [...at, "monthly"]);
  }

  const refused = `${receiver.url}/refused`;
  receiver.script("/refused", 401);
  const DESTINATION = "/api/v1/observability/destinations";
  const { data: destination } = await change(`POST ${DESTINATION}`, [], { type: "otel-collector", name: "Ours", config: { endpoint: refused } });
  await change(`PATCH ${DESTINATION}/{id}`, [destination.id], { name: "Theirs" });
  await change(`POST ${DESTINATION}/{id}/test`, [destination.id]);
  const put = (id) => gateway.d1("INSERT INTO dead_letters (destination, generation, account, status, reason, tries, created_at) VALUES (?, ?, ?, 401, 'x', 1, 1)", destination.id, id, account);
  await put("gen-1-a");
  await change(`POST ${DESTINATION}/{id}/dead-letters/retry`, [destination.id], { generation_ids: ["gen-1-a"] });
  await change(`DELETE ${DESTINATION}/{id}/dead-letters/{generation}`, [destination.id, "gen-1-a"]);
  await put("gen-1-b");
  await change(`DELETE ${DESTINATION}/{id}/dead-letters`, [destination.id]);
  await change(`DELETE ${DESTINATION}/{id}`, [destination.id]);

  await change(`POST ${ADMIN}/{account}/presets`, [account], { slug: "mine", config: { temperature: 0 } });
  await change(`DELETE ${ADMIN}/{account}/presets/{slug}`, [account, "mine"]);
  const { data: second } = await change("POST /api/v1/keys", [], { name: "second" });
  await change("PATCH /api/v1/keys/{hash}", [second.hash], { name: "renamed" });
  await change("POST /api/v1/keys/{hash}/rotate", [second.hash], {});
  await change("DELETE /api/v1/keys/{hash}", [second.hash]);
  await change("PATCH /api/v1/admin/keys/{hash}", [own.data.hash], { disabled: true });
  await change("POST /api/v1/admin/keys/{hash}/rotate", [own.data.hash], {});
  await change("DELETE /api/v1/admin/keys/{hash}", [own.data.hash]);
  await change("DELETE /api/v1/organization/members/{user}", [member.id]);
  await change(`POST ${ADMIN}/{account}/members`, [account], { email: "cy@example.com", role: "owner" });
  const [{ user }] = await gateway.d1("SELECT user FROM members WHERE account = ?", account);
  await change(`POST ${ADMIN}/{account}/members`, [account], { email: "dee@example.com", role: "owner" });
  await change(`DELETE ${ADMIN}/{account}/members/{user}`, [account, user]);
  const rows = testCatalog();
  rows.models.push(model("test/more"));
  rows.endpoints.push(endpoint({ model: "test/more", provider: "one-openai", dialect: "openai" }));
  const document = { openapi: "3.1.0", info: { title: "Shop", version: "1" }, servers: [{ url: `${receiver.url}/v1` }], paths: { "/orders": { get: { operationId: "list" } } } };
  for (const [base, slug] of [["/api/v1/tools/sources", "corner"], ["/api/v1/admin/tools/sources", "shop"]]) {
    const { data: source } = await change(`POST ${base}`, [], { kind: "openapi", slug, document });
    await change(`PATCH ${base}/{id}`, [source.id], { enabled: false });
    await change(`POST ${base}/{id}/refresh`, [source.id], { document });
    await change(`DELETE ${base}/{id}`, [source.id]);
  }
  await change("PUT /api/v1/tools/guards", [], { confirm: "writes", rules: [] });
  await change("POST /api/v1/external-users", [], { user: "u" });
  await change("PATCH /api/v1/external-users/{user}", ["u"], { is_active: false });
  await change("DELETE /api/v1/external-users/{user}", ["u"]);
  await change("POST /api/v1/admin/catalog", [], await compile(rows));
  await change("DELETE /api/v1/admin/accounts/{account}", [account]);

  const names = changing.map(({ method, path }) => `${method} ${path}`).filter((name) => !ASKS.includes(name) && !BOOKS.includes(name));
  assert.deepEqual(names.filter((name) => !done.has(name)), []);
});
