// Clients that leave: the upstream is told at once, the account pays for what was delivered, and nothing stays held.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DIALECTS } from "./catalog.mjs";
import { chat, eventually, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());

const FULL = "Please count to 300";
/** How often a silent stream says so (src/relay/limits.rs). */
const KEEP_ALIVE_MS = 10_000;

/** A request on a socket of its own, so that it can be left in every way that a socket knows. */
function ask(key, body) {
  const text = JSON.stringify({ messages: [user(FULL)], ...body });
  const socket = connect(gateway.port, "127.0.0.1");
  socket.setNoDelay(true);
  let got = "";
  let wake = () => {};
  socket.setEncoding("utf8").on("data", (chunk) => {
    got += chunk;
    wake();
  });
  socket.on("error", () => wake());
  socket.on("close", () => wake());
  socket.write(
    `POST /api/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer ${key}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return {
    /** Waits until so much of the answer has come. */
    async until(pattern) {
      while (!pattern.test(got)) {
        assert.ok(!socket.destroyed, `the answer ended before ${pattern}: ${got.slice(-300)}`);
        await new Promise((done) => (wake = done));
      }
      return got;
    },
    reset: () => socket.resetAndDestroy(),
    /** An ordinary close: what the client's process does when it ends. */
    close: () => socket.destroy(),
  };
}

const script = (dialect, behaviour, times = 1) => gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times, behaviour });

/** The only row of an account. */
async function onlyRow(account) {
  const state = await settled(gateway, account);
  const rows = await gateway.d1("SELECT * FROM usage WHERE account = ?", account);
  assert.equal(rows.length, 1);
  const [row] = rows;
  assert.equal(nanos(state.total_usage), BigInt(row.cost));
  assert.equal(nanos(state.balance), nanos(5) - BigInt(row.cost));
  assert.equal(state.held, 0);
  return row;
}

for (const dialect of DIALECTS) {
  for (const way of ["reset", "close"]) {
    describe(`${dialect}, left by ${way}`, () => {
      test("in the middle of a stream: the upstream stops, what was delivered is paid", async () => {
        const { key, account } = await gateway.createAccount();
        script(dialect, "fault-delay-between-15");
        const client = ask(key, { model: `test/${dialect}`, stream: true });
        await client.until(/"content":"[^"]*5/);
        client[way]();
        const entry = await gateway.upstream.waitFor((each) => each.aborted && providerOf(each) === `one-${dialect}`);
        assert.deepEqual([entry.abortPhase, entry.finished], ["body", false]);
        const row = await onlyRow(account);
        assert.deepEqual([row.status, row.cancelled, row.streamed, row.finish_reason], ["settled", 1, 1, null]);
        assert.ok(row.cost > 0 && row.completion_tokens > 0);
        assert.ok(row.completion_tokens < entry.usage.output, "less than the whole answer");
        // Gemini counts as it goes; the others tell at the end, which never came.
        if (dialect !== "gemini") assert.equal(row.estimated, 1);
        gateway.upstream.reset();
      });

      test("in the middle of an answer in one piece: it runs to its end and is paid in full", async () => {
        const { key, account } = await gateway.createAccount();
        script(dialect, "fault-gate-after-0");
        const client = ask(key, { model: `test/${dialect}` });
        const entry = await gateway.upstream.waitFor((each) => each.status === 200 && providerOf(each) === `one-${dialect}`);
        client[way]();
        await sleep(100);
        gateway.upstream.release();
        await gateway.upstream.waitFor((each) => each.seq === entry.seq && each.finished);
        const row = await onlyRow(account);
        assert.deepEqual([row.status, row.streamed, row.completion_tokens, row.estimated], ["settled", 0, entry.usage.output, 0]);
        assert.equal(entry.aborted, false);
        gateway.upstream.reset();
      });
    });
  }

  test(`${dialect}: left before the headers of a stream, nothing is charged and the upstream is told`, async () => {
    const { key, account } = await gateway.createAccount();
    script(dialect, "fault-gate-headers");
    const client = ask(key, { model: `test/${dialect}`, stream: true });
    await gateway.upstream.waitFor((each) => each.model && providerOf(each) === `one-${dialect}`);
    client.reset();
    const entry = await gateway.upstream.waitFor((each) => each.aborted && providerOf(each) === `one-${dialect}`);
    assert.equal(entry.abortPhase, "headers");
    const row = await onlyRow(account);
    assert.deepEqual([row.status, row.cost, row.cancelled], ["voided", 0, 1]);
    gateway.upstream.reset();
  });

  test(`${dialect}: a stream that never ends is ended by its reader`, async () => {
    const { key, account } = await gateway.createAccount();
    script(dialect, "fault-endless");
    const client = ask(key, { model: `test/${dialect}`, stream: true });
    await client.until(/"content":"[^"]/);
    client.reset();
    await gateway.upstream.waitFor((each) => each.aborted && providerOf(each) === `one-${dialect}`);
    assert.ok((await onlyRow(account)).cost > 0);
    gateway.upstream.reset();
  });
}

test("a stream that fell silent tells its client that it lives, and notices when the client closes", async () => {
  const clients = await Promise.all(
    DIALECTS.map(async (dialect) => {
      const { key, account } = await gateway.createAccount();
      script(dialect, "fault-stall-8");
      return { dialect, account, client: ask(key, { model: `test/${dialect}`, stream: true }) };
    }),
  );
  for (const { client } of clients) await client.until(/"content":"[^"][^]*: PATCHBAY PROCESSING/);
  for (const { client } of clients) client.close();
  for (const { dialect, account } of clients) {
    // An ordinary close is noticed by a write that comes after it: the next comment or the one after that.
    await gateway.upstream.waitFor((each) => each.aborted && providerOf(each) === `one-${dialect}`, 3 * KEEP_ALIVE_MS);
    assert.ok((await onlyRow(account)).cost > 0);
  }
  gateway.upstream.reset();
});

test("forty clients that leave at any moment: each request has one end, and the books balance", async () => {
  const { key, account } = await gateway.createAccount();
  for (const dialect of DIALECTS) script(dialect, "fault-delay-between-5", null);
  const leavers = Array.from({ length: 40 }, async (_, at) => {
    const client = ask(key, { model: `test/${DIALECTS[at % 3]}`, stream: at % 4 !== 0 });
    await sleep((at * 37) % 400);
    client[at % 2 ? "reset" : "close"]();
  });
  await Promise.all(leavers);
  const stayer = await chat(gateway, key, { model: "test/openai", stream: true });
  assert.equal(stayer.error, undefined);
  const state = await settled(gateway, account);
  const rows = await gateway.d1("SELECT id, status, cost FROM usage WHERE account = ?", account);
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length);
  const paid = rows.reduce((sum, row) => sum + BigInt(row.cost), 0n);
  assert.equal(nanos(state.total_usage), paid);
  assert.equal(nanos(state.balance), nanos(5) - paid);
  await eventually(
    () => gateway.upstream.requests().filter((entry) => !entry.finished && !entry.aborted),
    (open) => open.length === 0,
    { what: "the end of every upstream call" },
  );
});
