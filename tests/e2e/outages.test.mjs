// D1 and KV fail for a while: requests go on, usage rows arrive later and once.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DIALECTS } from "./catalog.mjs";
import { callJson, chat, eventually, generation, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const folder = mkdtempSync(join(tmpdir(), "patchbay-outages-"));
let gateway;
before(async () => (gateway = await startGateway({ persist: folder })));
after(async () => {
  await gateway?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const fault = (names) => ({ headers: { "x-patchbay-fault": names } });

test("while D1 cannot take usage rows, requests are answered and settled; the rows arrive later, each once", async () => {
  const { key, account } = await gateway.createAccount();
  const answers = [];
  const ask = async (stream) => {
    for (const dialect of DIALECTS) answers.push(await chat(gateway, key, { model: `test/${dialect}`, stream }));
  };
  await gateway.d1("ALTER TABLE usage RENAME TO usage_away");
  try {
    await ask(true);
    await eventually(() => gateway.log(), (log) => /usage rows wait in the outbox/.test(log), { what: "a flush that fails" });
    await ask(false);
    for (const answer of answers) assert.deepEqual([answer.status, answer.error], [200, undefined]);
    const state = await gateway.account(account);
    assert.deepEqual([state.open_holds, state.held, state.unsent_usage_rows], [0, 0, 6]);
    assert.equal(nanos(state.total_usage), answers.reduce((sum, { usage }) => sum + nanos(usage.cost), 0n));
  } finally {
    await gateway.d1("ALTER TABLE usage_away RENAME TO usage");
  }
  await eventually(() => gateway.account(account), (state) => state.unsent_usage_rows === 0, { within: 30_000, what: "the rows in D1" });
  const rows = await gateway.d1("SELECT id, cost FROM usage WHERE account = ? ORDER BY id", account);
  assert.deepEqual(
    rows.map(({ id, cost }) => [id, BigInt(cost)]),
    answers.map(({ id, usage }) => [id, nanos(usage.cost)]).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
});

test("a statement of D1 that fails half-way is sent again, and no row comes twice", async () => {
  const { key, account } = await gateway.createAccount();
  await gateway.d1(
    `CREATE TRIGGER second_fails BEFORE INSERT ON usage WHEN NEW.account = '${account}' ` +
      "AND (SELECT count(*) FROM usage WHERE account = NEW.account) > 0 BEGIN SELECT RAISE(FAIL, 'injected failure'); END",
  );
  const answers = await Promise.all(DIALECTS.map((dialect) => chat(gateway, key, { model: `test/${dialect}` })));
  try {
    await eventually(() => gateway.log(), (log) => /injected failure/.test(log), { what: "a flush that fails half-way" });
    assert.ok((await gateway.account(account)).unsent_usage_rows > 0);
  } finally {
    await gateway.d1("DROP TRIGGER second_fails");
  }
  await eventually(() => gateway.account(account), (state) => state.unsent_usage_rows === 0, { within: 30_000, what: "the rows in D1" });
  const rows = await gateway.d1("SELECT id FROM usage WHERE account = ?", account);
  assert.deepEqual(rows.map((row) => row.id).sort(), answers.map((answer) => answer.id).sort());
});

test("without D1 known keys and models go on; what only D1 knows is 503, not 401 or 404", async () => {
  const { key } = await gateway.createAccount();
  const known = await chat(gateway, key, { model: "test/gemini" });
  for (const stream of [false, true]) {
    const answer = await chat(gateway, key, { model: "test/gemini", stream }, fault("d1"));
    assert.deepEqual([answer.status, answer.finish], [200, "stop"]);
  }
  assert.equal((await callJson(gateway, "key", { key, ...fault("d1") })).status, 200);
  const other = await gateway.createAccount();
  assert.equal((await callJson(gateway, "key", { key: other.key, ...fault("d1,kv") })).status, 503);
  const record = await callJson(gateway, `generation?id=${known.id}`, { key, ...fault("d1") });
  assert.ok(record.status >= 500, String(record.status));
  assert.equal((await generation(gateway, key, known.id)).id, known.id);
});

test("without KV known keys and models go on, from memory and in an isolate that has none", async () => {
  const { key } = await gateway.createAccount();
  assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 200);
  const check = async () => {
    for (const dialect of DIALECTS) {
      for (const stream of [false, true]) {
        const answer = await chat(gateway, key, { model: `test/${dialect}`, stream }, fault("kv"));
        assert.deepEqual([answer.status, answer.error], [200, undefined]);
      }
    }
    assert.equal((await callJson(gateway, "model/test/everywhere", fault("kv"))).status, 200);
    assert.equal((await callJson(gateway, "key", { key, ...fault("kv") })).status, 200);
  };
  await check();
  await gateway.stop();
  gateway = await startGateway({ persist: folder });
  await check();
  const stranger = await callJson(gateway, "key", { key: `sk-pb-v1-${"1".repeat(64)}`, ...fault("kv") });
  assert.equal(stranger.status, 401);
});
