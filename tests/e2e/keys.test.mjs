// Keys and grants: what the operator changes holds from the next request on, and repeating it changes nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat, generation, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());

const admin = (method, path, body) => gateway.operator.call(method, path, body);
const ask = (key, stream = false) => chat(gateway, key, { model: "test/openai", stream });

/** The key is refused everywhere, and no provider's work reaches the client. */
async function isRefused(key, words) {
  for (const stream of [false, true]) {
    const { status, error } = await ask(key, stream);
    assert.deepEqual([status, error?.type], [401, "authentication"]);
    assert.match(error.message, words);
  }
  for (const path of ["key", "credits"]) assert.equal((await callJson(gateway, path, { key })).status, 401, path);
}

test("a disabled key is refused on its next request, and serves again when it is enabled", async () => {
  const { key, hash } = await gateway.createAccount();
  assert.equal((await ask(key)).status, 200);
  await admin("PATCH", `keys/${hash}`, { disabled: true });
  await isRefused(key, /disabled/);
  await admin("PATCH", `keys/${hash}`, { disabled: false });
  assert.equal((await ask(key)).status, 200);
});

test("a deleted key is refused on its next request; the account's other keys go on", async () => {
  const { key, hash, account } = await gateway.createAccount();
  const second = await admin("POST", `accounts/${account}/keys`, { name: "second" });
  assert.equal((await ask(key)).status, 200);
  assert.deepEqual(await admin("DELETE", `keys/${hash}`), { deleted: true });
  await isRefused(key, /No such API key/);
  assert.equal((await ask(second.key)).status, 200);
  await assert.rejects(admin("GET", `keys/${hash}`), /404/);
});

test("a key that copies still hold valid is refused by the account itself", async () => {
  const { key, account, hash } = await gateway.createAccount();
  assert.equal((await ask(key)).status, 200);
  // KV is out while the operator disables the key: its copy there stays as it was.
  await changeWithoutKv("PATCH", hash, { disabled: true });
  const before = await gateway.account(account);
  for (const stream of [false, true]) {
    const { status, error } = await ask(key, stream);
    assert.deepEqual([status, error?.type], [401, "authentication"]);
  }
  const state = await settled(gateway, account);
  assert.deepEqual([state.total_usage, state.held], [before.total_usage, 0]);
});

/** A change of a key while KV is out; the operator hears that it did not succeed. */
async function changeWithoutKv(method, hash, body) {
  const response = await fetch(`${gateway.base}/api/v1/admin/keys/${hash}`, {
    method,
    headers: { authorization: `Bearer ${gateway.operator.token}`, "content-type": "application/json", "x-patchbay-fault": "kv" },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.status >= 500, `${method} answered ${response.status}`);
}

for (const [what, method, change, words] of [
  ["disabled", "PATCH", { disabled: true }, /disabled/],
  ["deleted", "DELETE", undefined, /deleted|No such API key/],
]) {
  test(`a key ${what} while KV is out is refused at once, and saying it again ends the change everywhere`, async () => {
    const { key, hash, account } = await gateway.createAccount();
    assert.equal((await ask(key)).status, 200);
    assert.equal(JSON.parse(await gateway.kv(`key:${hash}`)).disabled, false);
    await changeWithoutKv(method, hash, change);
    await changeWithoutKv(method, hash, change);
    assert.notEqual(await gateway.kv(`key:${hash}`), null, "the copy is still there");
    for (const stream of [false, true]) assert.equal((await ask(key, stream)).status, 401);
    for (let again = 0; again < 2; again += 1) await admin(method, `keys/${hash}`, change);
    const copy = await gateway.kv(`key:${hash}`);
    assert.ok(copy === null || JSON.parse(copy).disabled, `the copy is gone or tells the truth: ${copy}`);
    await isRefused(key, words);
    const row = (await gateway.d1("SELECT disabled, deleted FROM api_keys WHERE hash = ?", hash))[0];
    assert.deepEqual(row, method === "DELETE" ? { disabled: 0, deleted: 1 } : { disabled: 1, deleted: 0 });
    const action = method === "DELETE" ? "key.delete" : "key.change";
    const audited = await gateway.d1("SELECT account FROM audit_log WHERE target = ? AND action = ?", hash, action);
    // A change that was sent four times changed something four times, a deletion once.
    assert.deepEqual(audited.map((row) => row.account), Array(method === "DELETE" ? 1 : 4).fill(account));
  });
}

test("a key that has expired is refused", async () => {
  const { account } = await gateway.createAccount();
  const soon = new Date(Date.now() + 1500).toISOString();
  const { key, data } = await admin("POST", `accounts/${account}/keys`, { name: "short", expires_at: soon });
  assert.equal(Date.parse(data.expires_at), Date.parse(soon));
  assert.equal((await ask(key)).status, 200);
  await new Promise((done) => setTimeout(done, Date.parse(soon) - Date.now() + 50));
  await isRefused(key, /expired/);
});

test("an amount beyond 32 bits is in D1 to the last digit", async () => {
  // P129: 9,000 dollars and one nano-dollar.
  const { account } = await gateway.createAccount();
  const { data } = await admin("POST", `accounts/${account}/keys`, { name: "large", limit: "9000.000000001" });
  const rows = await gateway.d1("SELECT limit_nanos FROM api_keys WHERE hash = ?", data.hash);
  assert.deepEqual(rows, [{ limit_nanos: 9_000_000_000_001 }]);
});

test("only the hash of a key is stored, and its text is shown once", async () => {
  const { key, hash, account } = await gateway.createAccount();
  assert.match(key, /^sk-pb-v1-[0-9a-f]{64}$/);
  const listed = (await admin("GET", `accounts/${account}/keys`)).data;
  assert.deepEqual(listed.map((each) => each.hash), [hash]);
  for (const table of ["api_keys", "audit_log", "accounts"]) {
    assert.ok(!JSON.stringify(await gateway.d1(`SELECT * FROM ${table}`)).includes(key.slice(-40)), table);
  }
  assert.ok(!JSON.stringify(listed).includes(key.slice(-40)));
});

test("a grant repeated with its id counts once; with another amount it is refused", async () => {
  const { account } = await gateway.createAccount({ usd: "1" });
  const grant = (id, amount) => admin("POST", `accounts/${account}/grants`, { id, amount_usd: amount });
  await grant("g-1", "2.5");
  const again = await grant("g-1", "2.5");
  assert.equal(again.data.balance, 3.5);
  await assert.rejects(grant("g-1", "3"), /409/);
  assert.equal((await grant("g-2", "0.000000001")).data.balance, 3.500000001);
  assert.equal(nanos((await gateway.account(account)).total_credits), 3_500_000_001n);
  for (const bad of ["0.0000000001", "five", {}]) await assert.rejects(grant("g-3", bad), /400/);
});

// P38
test("a wrong price is corrected in both directions, and every total says the same", async () => {
  const { account, key, hash } = await gateway.createAccount({ usd: "1" });
  const first = await chat(gateway, key, { model: "test/openai" });
  const second = await chat(gateway, key, { model: "test/anthropic", stream: true });
  const correct = (generation, cost, reason) =>
    admin("POST", `accounts/${account}/corrections`, { generation_id: generation, cost_usd: cost, reason });
  const charged = nanos(first.usage.cost) + nanos(second.usage.cost);
  await correct(first.id, "0.000000001", "the price was a thousandfold");
  const dear = (await correct(second.id, "0.250000003", "the price was zero")).data;
  assert.deepEqual(await correct(second.id, 0.250000003, "the price was zero"), { data: dear });
  assert.equal(nanos(dear.amount), nanos(second.usage.cost) - 250_000_003n);
  const dearer = (await correct(second.id, "0.3", "and the fee")).data;
  assert.equal(nanos(dearer.cost_before), 250_000_003n);

  const total = 300_000_001n;
  assert.equal(nanos((await gateway.account(account)).balance), 1_000_000_000n - total);
  assert.equal(nanos((await callJson(gateway, "credits", { key })).body.data.total_usage), total);
  const counted = (await admin("GET", `keys/${hash}`)).data;
  assert.deepEqual([counted.usage, counted.usage_daily, counted.usage_monthly].map(nanos), [total, total, total]);

  const record = await generation(gateway, key, second.id);
  assert.deepEqual(record.corrections.map(({ reason }) => reason), ["the price was zero", "and the fee"]);
  const changes = record.corrections.reduce((sum, { change }) => sum + nanos(Number(change)), 0n);
  assert.equal(nanos(second.usage.cost) + changes, 300_000_000n, "charge and corrections are the cost");
  assert.equal(nanos(record.total_cost), 300_000_000n);
  const untouched = await gateway.d1("SELECT SUM(cost) AS cost FROM usage WHERE account = ?", account);
  assert.equal(BigInt(untouched[0].cost), charged, "a usage row stays what was charged at first");

  const entries = (await admin("GET", `accounts/${account}/entries`)).data;
  assert.deepEqual(entries.map(({ kind }) => kind), ["correction", "correction", "correction", "settle", "settle", "grant"]);
  assert.equal(entries.reduce((sum, { amount }) => sum + nanos(amount), 0n), 1_000_000_000n - total);
  const page = (await admin("GET", `accounts/${account}/entries?limit=2&before=${entries[1].seq}`)).data;
  assert.deepEqual(page, entries.slice(2, 4));

  await assert.rejects(correct(second.id, "0.2", "and the fee"), /409/);
  await assert.rejects(correct(second.id, "0.3", "nothing new"), /400/);
  await assert.rejects(correct(second.id, "-1", "below zero"), /400/);
  await assert.rejects(correct("gen-none", "1", "x"), /404/);
  await assert.rejects(admin("GET", `accounts/${account}/entries?limit=0`), /400/);
  const audited = await gateway.d1("SELECT target, detail FROM audit_log WHERE account = ? AND action = 'correction' ORDER BY seq", account);
  assert.equal(audited.length, 4);
  assert.deepEqual(JSON.parse(audited[3].detail), { from: "0.250000003", to: "0.3", reason: "and the fee" });
});

test("what does not exist is 404, what is wrong is 400, and every change is in the audit log", async () => {
  const { account, hash } = await gateway.createAccount();
  await assert.rejects(admin("GET", "accounts/acc_none"), /404/);
  await assert.rejects(admin("POST", "accounts/acc_none/grants", { id: "x", amount_usd: "1" }), /404/);
  await assert.rejects(admin("POST", "accounts/acc_none/keys", { name: "x" }), /404/);
  await assert.rejects(admin("PATCH", `keys/${"0".repeat(64)}`, { disabled: true }), /404/);
  await assert.rejects(admin("POST", "accounts", { name: " " }), /400/);
  await assert.rejects(admin("POST", "accounts", { nam: "x" }), /400/);
  await assert.rejects(admin("PATCH", `keys/${hash}`, { limit_reset: "hourly" }), /400/);
  await admin("PATCH", `keys/${hash}`, { name: "renamed" });
  const actions = await gateway.d1("SELECT action FROM audit_log WHERE account = ? ORDER BY seq", account);
  assert.deepEqual(actions.map((each) => each.action), ["account.create", "grant", "key.create", "key.change"]);
});

test("a catalog that was changed after it was compiled is refused, and the one in force stays", async () => {
  const { data } = await admin("GET", "catalog");
  await assert.rejects(admin("POST", "catalog", { version: "0".repeat(16), providers: [], models: [], endpoints: [], aliases: {} }), /400/);
  assert.deepEqual((await admin("GET", "catalog")).data, data);
});
