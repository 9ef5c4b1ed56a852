// Kills workerd under load again and again on the same storage, then holds what the clients were told against what was kept.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startGateway } from "../e2e/gateway.mjs";
import { startUpstream } from "../upstream/upstream.mjs";
import { ask } from "./client.mjs";
import { readLedgers } from "./ledger.mjs";
import { seeded } from "./random.mjs";

const CLIENTS = 16;
const ACCOUNTS = 2;
const FIRST_GRANT = 5_000_000_000;
const GRANT = 1_250_000_001;
/** How long a hold lives here: longer than a request of this test should last, though one that outlives it is charged too. */
const HOLD_LIFETIME_MS = 6_000;
/** A round ends by then, whatever has been answered. */
const ROUND_LIMIT_MS = 10_000;
/** How long the alarms may take, after the holds' time, on a machine that does other things too. */
const PATIENCE_MS = 60_000;

/** Runs `rounds` of load, each ended by a kill; returns what happened. Throws where a promise was broken. */
export async function crashRun({ seed, rounds, say = () => {} }) {
  const random = seeded(seed);
  const persist = mkdtempSync(join(tmpdir(), "patchbay-crash-"));
  const upstream = await startUpstream({ eventDelayMs: 2 });
  const start = () => startGateway({ persist, upstream, vars: { HOLD_LIFETIME_MS: `${HOLD_LIFETIME_MS}` } });
  const history = { requests: [], grants: [] };
  let gateway;
  try {
    gateway = await start();
    const accounts = [];
    for (let at = 0; at < ACCOUNTS; at++) accounts.push(await gateway.createAccount());
    for (let round = 1; round <= rounds; round++) {
      const asked = await loadUntilKilled(gateway, accounts, random, round, history);
      const whole = asked.filter(({ fate }) => fate === "whole").length;
      say(`round ${round}: ${asked.length} requests, ${whole} whole answers before the kill`);
      gateway = await start();
    }
    await grantAgain(gateway, history.grants);
    // From here on nobody asks the objects: their alarms alone have to wake them and end what is open.
    await gateway.kill();
    gateway = await start();
    const ledgers = await settled(gateway, persist, start, (next) => (gateway = next));
    const rows = await gateway.d1("SELECT id, account, key_hash, status, cost FROM usage");
    const result = compare({ ...history, accounts, ledgers, rows });
    for (const { account } of accounts) await sameAsOperatorSees(gateway, account, ledgers.get(account));
    return result;
  } finally {
    await gateway?.stop();
    await upstream.close();
    rmSync(persist, { recursive: true, force: true });
  }
}

/** Many clients at once; workerd is killed at the round's moment. */
async function loadUntilKilled(gateway, accounts, random, round, history) {
  const asked = [];
  let killed = false;
  const { struck, answered } = moment(random);
  const client = async (own) => {
    while (!killed) {
      const told = await ask(gateway.base, own.pick(accounts), own);
      asked.push(told);
      if (told.fate === "whole") answered();
    }
  };
  const clients = Array.from({ length: CLIENTS }, () => client(seeded(random.below(2 ** 32))));
  await struck;
  const grants = accounts.map(({ account }, at) => grant(gateway, { account, id: `round-${round}-${at}` }));
  await (random.chance(0.5) ? sleep(random.below(120)) : Promise.all(grants));
  killed = true;
  await gateway.kill();
  await Promise.all(clients);
  history.requests.push(...asked);
  history.grants.push(...(await Promise.all(grants)));
  return asked;
}

/**
 * When to kill: soon after the start, when many requests are on their first steps; some time after the first whole answer; or
 * at the very moment at which a client has read its last byte. `struck` resolves then; `answered` counts whole answers.
 */
function moment(random) {
  const { promise: struck, resolve: strike } = Promise.withResolvers();
  const last = random.between(1, 80);
  const later = random.between(1, 2000);
  const kind = random.pick(["start", "later", "answer"]);
  const limit = setTimeout(strike, kind === "start" ? random.between(50, 1500) : ROUND_LIMIT_MS);
  struck.then(() => clearTimeout(limit));
  let answers = 0;
  const answered = () => {
    answers += 1;
    if (kind === "answer" && answers === last) strike();
    if (kind === "later" && answers === 1) setTimeout(strike, later);
  };
  return { struck, answered };
}

/** A grant that may or may not arrive. */
async function grant(gateway, { account, id }) {
  try {
    await gateway.operator.call("POST", `accounts/${account}/grants`, { id, amount_usd: dollars(GRANT) });
    return { account, id, isKnown: true };
  } catch {
    return { account, id, isKnown: false };
  }
}

const dollars = (nanos) => `${Math.floor(nanos / 1e9)}.${`${nanos % 1e9}`.padStart(9, "0")}`;

/** The operator repeats every grant, as one does who cannot know which of them arrived. */
async function grantAgain(gateway, grants) {
  for (const { account, id } of grants) {
    await gateway.operator.call("POST", `accounts/${account}/grants`, { id, amount_usd: dollars(GRANT) });
  }
}

/** Waits, without asking the objects, until no hold and no unsent row is left. */
async function settled(gateway, persist, start, restarted) {
  const deadline = Date.now() + HOLD_LIFETIME_MS + PATIENCE_MS;
  await sleep(HOLD_LIFETIME_MS);
  for (;;) {
    await quiet(gateway);
    await gateway.stop();
    const ledgers = readLedgers(persist);
    gateway = await start();
    restarted(gateway);
    const open = [...ledgers.values()].flatMap(({ holds, outbox }) => [...holds, ...outbox]);
    if (open.length === 0) return ledgers;
    assert.ok(Date.now() < deadline, `still open after their time: ${JSON.stringify(open)}`);
  }
}

/** Until no row has reached D1 for two seconds. */
async function quiet(gateway) {
  const count = async () => (await gateway.d1("SELECT COUNT(*) AS rows FROM usage"))[0].rows;
  for (let [before, now] = [-1, await count()]; before !== now; [before, now] = [now, await count()]) await sleep(2000);
}

const sum = (list) => list.reduce((total, value) => total + value, 0);
const isSettlement = ({ kind }) => kind === "settle" || kind === "late_settle";

/** Every promise about money, request by request and account by account. */
function compare({ requests, grants, accounts, ledgers, rows }) {
  const rowsOf = Map.groupBy(rows, ({ id }) => id);
  const entries = [...ledgers].flatMap(([account, ledger]) => ledger.entries.map((entry) => ({ ...entry, account })));
  const entriesOf = Map.groupBy(entries.filter(({ kind }) => kind !== "grant"), ({ id }) => id);
  for (const request of requests) {
    const ends = entriesOf.get(request.id) ?? [];
    const settlements = ends.filter(isSettlement);
    const kept = rowsOf.get(request.id) ?? [];
    const story = JSON.stringify({ request, ends, kept });
    assert.ok(settlements.length <= 1 && kept.length <= 1, `settled twice: ${story}`);
    assert.notEqual(request.fate, "refused", story);
    if (request.fate !== "whole") continue;
    assert.equal(request.bodyId, request.id, story);
    assert.equal(settlements.length, 1, `acknowledged and not settled: ${story}`);
    assert.equal(request.cost + settlements[0].amount, 0, `another cost in the ledger: ${story}`);
    assert.equal(settlements[0].account, request.account, story);
    assert.equal(kept.length, 1, `acknowledged and no usage row: ${story}`);
    assert.equal(kept[0].cost, request.cost, `another cost in the usage row: ${story}`);
  }
  for (const [id, ends] of entriesOf) {
    const [row, ...more] = rowsOf.get(id) ?? [];
    assert.ok(row && more.length === 0, `no or two usage rows of ${JSON.stringify(ends)}`);
    assert.equal(row.cost + sum(ends.map(({ amount }) => amount)), 0, `row and entries of ${id}`);
    assert.equal(row.account, ends[0].account);
  }
  for (const { id } of rows) assert.ok(entriesOf.has(id), `a usage row without an entry: ${id}`);
  for (const { account, hash } of accounts) compareAccount(account, hash, ledgers.get(account), rows, grants);
  const count = (list, field, value) => list.filter((each) => each[field] === value).length;
  return {
    requests,
    whole: count(requests, "fate", "whole"),
    cut: count(requests, "fate", "cut"),
    left: count(requests, "fate", "left"),
    settled: entries.filter(isSettlement).length,
    voided: count(entries, "kind", "void"),
    expired: count(entries, "kind", "expire"),
    unknownGrants: count(grants, "isKnown", false),
  };
}

function compareAccount(account, hash, { entries, keys }, rows, grants) {
  const given = entries.filter(({ kind }) => kind === "grant");
  const own = grants.filter((grant) => grant.account === account);
  assert.deepEqual(given.map(({ id }) => id).sort(), [...own.map(({ id }) => id), `first-${account}`].sort());
  const granted = sum(given.map(({ amount }) => amount));
  assert.equal(granted, FIRST_GRANT + own.length * GRANT);
  const spent = sum(rows.filter((row) => row.account === account).map(({ cost }) => cost));
  const balance = sum(entries.map(({ amount }) => amount));
  assert.equal(balance, granted - spent, "balance = granted − Σ usage costs");
  assert.equal(entries.at(-1).balance, balance, "the running balance");
  assert.equal(keys.find((key) => key.hash === hash).used, spent, "the key's counter");
}

async function sameAsOperatorSees(gateway, account, { entries }) {
  const seen = await gateway.account(account);
  assert.equal(Math.round(seen.balance * 1e9), sum(entries.map(({ amount }) => amount)));
  assert.equal(seen.available, seen.balance);
  assert.deepEqual([seen.open_holds, seen.unsent_usage_rows], [0, 0]);
}
