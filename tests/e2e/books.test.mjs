// The books in real workerd: admission under a race, the reconciliation's drill on the real stores, the audit log, and the export and the
// deletion of an account.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { callJson, chat, eventually, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** What each request holds, and what it costs: the same. */
const PRICE = 12_345_679n;
const dollars = (amount) => `${amount / 1_000_000_000n}.${`${amount % 1_000_000_000n}`.padStart(9, "0")}`;

function catalog() {
  const rows = testCatalog();
  const prices = { prompt: 0, completion: 0, request: Number(PRICE) };
  rows.models.push(model("test/fixed"));
  rows.endpoints.push(endpoint({ model: "test/fixed", provider: "one-openai", dialect: "openai", fields: { prices } }));
  return rows;
}

const reconciled = async (gateway, account) => {
  for (let restart = true; ; restart = false) {
    const { data } = await gateway.operator.call("POST", "reconcile", { account, restart });
    if (data.done) return data;
  }
};
const findings = async (gateway, account) =>
  (await gateway.operator.call("GET", `reconcile/findings?account=${account}`)).data.map(({ kind, subject, difference }) => ({ kind, subject, difference }));

describe("one deployment", () => {
  let gateway;
  before(async () => (gateway = await startGateway({ catalog: catalog() })));
  after(() => gateway?.stop());

  // P32 P33
  test("64 clients race for a balance of a hundred requests: exactly a hundred are admitted", async () => {
    const { key, account } = await gateway.createAccount({ usd: dollars(100n * PRICE + PRICE - 1n) });
    let [served, refused] = [0, 0];
    const client = async (at) => {
      for (let misses = 0; misses < 3; ) {
        const { status, usage, error } = await chat(gateway, key, { model: "test/fixed", stream: at % 2 === 0 });
        if (status === 200) {
          served += 1;
          assert.equal(nanos(usage.cost), PRICE);
        } else {
          // Requests in flight may hold what is left.
          assert.equal(status, 402, JSON.stringify(error));
          assert.match(error.metadata.limit_source, /^openrouter_(credits|in_flight_budget)$/);
          refused += 1;
          misses += 1;
        }
      }
    };
    await Promise.all(Array.from({ length: 64 }, (_, at) => client(at)));
    const state = await settled(gateway, account);
    assert.equal(served, 100);
    assert.equal(refused, 64 * 3);
    assert.equal(nanos(state.balance), PRICE - 1n);
    const [{ rows, sum }] = await gateway.d1("SELECT count(*) AS rows, sum(cost) AS sum FROM usage WHERE account = ?", account);
    assert.deepEqual([rows, BigInt(sum)], [100, 100n * PRICE]);
    assert.deepEqual(await reconciled(gateway, account).then(({ matched, rows, differences }) => ({ matched, rows, differences })), { matched: 100, rows: 100, differences: 0 });
  });

  test("what is changed in D1 is found, and is closed once it is mended", async () => {
    const { key, account } = await gateway.createAccount();
    const ids = [];
    for (let at = 0; at < 4; at++) ids.push((await chat(gateway, key, { model: "test/openai", stream: at % 2 === 0 })).id);
    await settled(gateway, account);
    await reconciled(gateway, account);
    assert.deepEqual(await findings(gateway, account), []);
    const [kept] = await gateway.d1("SELECT * FROM usage WHERE id = ?", ids[1]);
    await gateway.d1("UPDATE usage SET cost = cost + 1 WHERE id = ?", ids[0]);
    await gateway.d1("DELETE FROM usage WHERE id = ?", ids[1]);
    await gateway.d1("UPDATE usage SET id = 'gen-nobody' WHERE id = ?", ids[2]);
    const { differences } = await reconciled(gateway, account);
    const found = await findings(gateway, account);
    const sorted = found.map(({ kind, subject, difference }) => `${kind} ${subject} ${difference}`).sort();
    assert.deepEqual(sorted, [
      `charge_total ${ids[0]} 0.000000001`,
      `missing_row ${ids[1]} null`,
      `missing_row ${ids[2]} null`,
      `orphan_row gen-nobody null`,
      `row_cost ${ids[0]} 0.000000001`,
    ].sort());
    assert.equal(differences, 5);
    await gateway.d1("UPDATE usage SET cost = cost - 1 WHERE id = ?", ids[0]);
    await gateway.d1("UPDATE usage SET id = ? WHERE id = 'gen-nobody'", ids[2]);
    const columns = Object.keys(kept);
    await gateway.d1(`INSERT INTO usage (${columns}) VALUES (${columns.map(() => "?")})`, ...Object.values(kept));
    await reconciled(gateway, account);
    assert.deepEqual(await findings(gateway, account), []);
    const { data: all } = await gateway.operator.call("GET", `reconcile/findings?account=${account}&state=all`);
    assert.ok(all.length === 5 && all.every(({ closed_at: closed }) => closed));
  });

  test("the cron walks over accounts by itself", async () => {
    const { key, account } = await gateway.createAccount();
    const { id } = await chat(gateway, key, { model: "test/openai" });
    await settled(gateway, account);
    await gateway.d1("UPDATE usage SET status = 'voided' WHERE id = ?", id);
    await gateway.d1("UPDATE reconcile_progress SET account = '', began_at = 0");
    const run = async () => {
      await gateway.scheduled();
      return findings(gateway, account);
    };
    const found = await eventually(run, (list) => list.length > 0 && list, { what: "what the cron finds" });
    assert.deepEqual(found, [{ kind: "row_status", subject: id, difference: null }]);
    const health = await callJson(gateway, "admin/health", { key: gateway.operator.token });
    assert.equal(health.status, 503);
    const { d1, kv, accounts, catalog: offered, cron, books } = health.body.data.parts;
    assert.deepEqual([d1.ok, kv.ok, accounts.ok, offered.ok, cron.ok, books.ok], [true, true, true, true, true, false]);
    await gateway.d1("UPDATE usage SET status = 'settled' WHERE id = ?", id);
    await reconciled(gateway, account);
    assert.equal((await callJson(gateway, "admin/health", { key: gateway.operator.token })).status, 200);
  });

  test("administrators read the audit log of their own account, and of no other", async () => {
    const [one, other] = [await gateway.createAccount(), await gateway.createAccount()];
    const managing = async ({ account }) =>
      (await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "manager", is_management_key: true })).key;
    const manager = await managing(one);
    const { status, body } = await callJson(gateway, "audit", { key: manager });
    assert.equal(status, 200);
    assert.ok(body.data.length >= 3 && body.data.every(({ account }) => account === one.account), JSON.stringify(body.data));
    assert.equal((await callJson(gateway, `audit?account=${other.account}`, { key: manager })).body.data.filter(({ account }) => account === other.account).length, 0);
    assert.equal((await callJson(gateway, "audit", { key: one.key })).status, 403);
    assert.equal((await callJson(gateway, "audit?since=yesterday", { key: manager })).status, 400);
    const grants = await callJson(gateway, `admin/audit?account=${one.account}&action=grant`, { key: gateway.operator.token });
    assert.deepEqual(grants.body.data.map(({ action, account }) => [action, account]), [["grant", one.account]]);
    assert.equal((await callJson(gateway, "admin/audit", { key: manager })).status, 401);
  });

  test("an account is exported whole and deleted whole", async () => {
    const { key, account, hash } = await gateway.createAccount({ name: "Ada of the export" });
    const { id } = await chat(gateway, key, { model: "test/openai", user: "ada-lovelace", session_id: "s-1" });
    await gateway.operator.call("POST", `accounts/${account}/presets`, { slug: "mine", config: { temperature: 0 }, system_prompt: "Be Ada." });
    await settled(gateway, account);
    const exported = async () => {
      const lines = [];
      for (let after = ""; after !== null; ) {
        const { data, next } = await gateway.operator.call("GET", `accounts/${account}/export?after=${encodeURIComponent(after)}`);
        lines.push(...data);
        after = next;
      }
      return lines;
    };
    const lines = await exported();
    const of = (table) => lines.filter((line) => line.table === table).map(({ row }) => row);
    assert.deepEqual(of("usage").map(({ id, external_user: who }) => [id, who]), [[id, "ada-lovelace"]]);
    assert.deepEqual(of("ledger_entries").map(({ kind }) => kind), ["grant", "settle"]);
    assert.deepEqual(of("api_keys").map((row) => row.hash), [hash]);
    assert.equal(of("presets")[0].system_prompt, "Be Ada.");
    assert.equal(of("preset_versions").length, 1);
    assert.deepEqual(of("ledger_account").map(({ id }) => id), [account]);
    assert.ok(!JSON.stringify(lines).includes(key), "no secret");

    const erase = async () => (await gateway.operator.call("DELETE", `accounts/${account}`)).data;
    const gone = await eventually(erase, ({ done }) => done, { what: "the deletion's end" });
    assert.equal(gone.done, true);
    assert.equal((await erase()).done, true, "again is harmless");
    assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 401);
    assert.equal(await gateway.kv(`key:${hash}`), null);
    const left = JSON.stringify(await exported());
    for (const personal of ["Ada of", "ada-lovelace", id, '"s-1"', "Be Ada."]) assert.ok(!left.includes(personal), `${personal} in ${left}`);
    const [books] = await gateway.d1("SELECT balance, months FROM closed_books WHERE account = ?", account);
    const sums = JSON.parse(books.months);
    assert.deepEqual(sums.map(({ kind, count }) => [kind, count]), [["grant", 1], ["settle", 1]]);
    assert.equal(sums.reduce((sum, { amount }) => sum + amount, 0), books.balance);
    const { data: listed } = await gateway.operator.call("GET", "accounts");
    assert.ok(!listed.some((row) => row.id === account));
  });
});

test("what is changed in an account's object is found", async () => {
  const persist = mkdtempSync(join(tmpdir(), "patchbay-drill-"));
  let gateway = await startGateway({ persist });
  try {
    const { key, account, hash } = await gateway.createAccount();
    for (let at = 0; at < 3; at++) await chat(gateway, key, { model: "test/openai" });
    await settled(gateway, account);
    await reconciled(gateway, account);
    assert.deepEqual(await findings(gateway, account), []);
    await gateway.stop();
    breakObject(persist, account, [
      "DROP TRIGGER entries_never_change",
      "UPDATE entries SET balance = balance - 5 WHERE seq = 2",
      `UPDATE keys SET used_day = used_day + 7 WHERE hash = '${hash}'`,
      "INSERT INTO holds (id, key_hash, amount, release_at, began, tokens, byok, free, draft) SELECT id, key_hash, 5, 9000000000000, 0, 0, 0, 0, '{}' FROM entries WHERE seq = 3",
    ]);
    gateway = await startGateway({ persist });
    await reconciled(gateway, account);
    const found = (await findings(gateway, account)).map(({ kind, difference }) => `${kind} ${difference}`).sort();
    assert.deepEqual(found, ["hold_after_end null", "key_counter 0.000000007", "running_balance -0.000000005", "running_balance 0.000000005"]);
  } finally {
    await gateway.stop();
    rmSync(persist, { recursive: true, force: true });
  }
});

/** Changes an account's ledger behind its back, in the file in which workerd keeps it. */
function breakObject(persist, account, statements) {
  const folder = join(persist, "state", "do");
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".sqlite"));
  const broken = files.filter((name) => {
    const database = new DatabaseSync(join(folder, name));
    const ours = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'entries'").all().length === 1;
    const hit = ours && database.prepare("SELECT id FROM account").all()[0]?.id === account;
    if (hit) for (const sql of statements) database.exec(sql);
    database.close();
    return hit;
  });
  assert.equal(broken.length, 1);
}
