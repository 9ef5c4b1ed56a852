// Every unmodified client × every feature × every dialect upstream, as one table: it is printed, and a hole in it is a failure.
//
// What is particular to a client stands in a file of its own beside this one. A client in Python does the same in `clients.py`.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { eventually } from "../e2e/client.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { MODELS } from "./cases.mjs";
import * as ai from "./clients/ai.mjs";
import { messages } from "./clients/anthropic.mjs";
import * as langchain from "./clients/langchain.mjs";
import { chat, responses } from "./clients/openai.mjs";
import { faultsOf, untilLeft } from "./faults.mjs";
import { pythonTests } from "./python.mjs";

const FEATURES = ["text", "stream", "tools", "structured output", "error", "cancel"];

const JAVASCRIPT = {
  "openai, chat (JavaScript)": chat,
  "openai, responses (JavaScript)": responses,
  "@anthropic-ai/sdk": messages,
  "ai, @openrouter/ai-sdk-provider": ai.openrouter,
  "ai, @ai-sdk/openai, responses": ai.openaiResponses,
  "ai, @ai-sdk/openai, chat": ai.openaiChat,
  "ai, @ai-sdk/anthropic": ai.anthropic,
  "@langchain/openai": langchain.openai,
  "@langchain/anthropic": langchain.anthropic,
  "@langchain/openrouter": langchain.openrouter,
};
const PYTHON = [
  "openai, chat (Python)",
  "openai, responses (Python)",
  "anthropic (Python)",
  "langchain-openai (Python)",
  "langchain-anthropic (Python)",
  "langchain-openrouter (Python)",
];

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());
const { script, calm } = faultsOf(() => gateway);

const numbers = (last) => Array.from({ length: last }, (_, at) => at + 1).join(", ");
const held = new Set();
const cell = (...words) => words.join(" · ");

/** What a client has to do for a cell. */
const CHECKS = {
  async text(client, { model }) {
    assert.equal(await client.text(model, "say exactly: Grüße, 世界 👋🏽"), "Grüße, 世界 👋🏽");
  },
  async stream(client, { model }) {
    const pieces = [];
    for await (const piece of client.stream(model, "count to 25")) pieces.push(piece);
    assert.ok(pieces.length > 1, "it comes in pieces");
    assert.equal(pieces.join(""), numbers(25));
  },
  async tools(client, { model }) {
    const text = await client.tools(model, "get_weather in Paris and get_time in Tokyo, please");
    assert.match(text, /mild in Paris/);
    assert.match(text, /noon in Tokyo/);
  },
  async "structured output"(client, { model }) {
    const city = await client["structured output"](model, "The city is “Lyon” with 522250 inhabitants");
    assert.deepEqual({ ...city }, { name: "Lyon", inhabitants: 522250 });
  },
  async error(client, { model, dialect }) {
    script(dialect, "fault-status-503");
    await assert.rejects(client.text(model, "Hello"), (error) => {
      assert.equal(client.status(error), 503, error.message);
      return true;
    });
  },
  async cancel(client, { model, dialect }, account) {
    script(dialect, "fault-endless");
    const leave = new AbortController();
    const read = async () => {
      let pieces = 0;
      for await (const piece of client.stream(model, "count to 9", leave.signal)) if (piece && ++pieces === 20) leave.abort();
    };
    await untilLeft(leave.signal, async () => {
      // Some clients end the stream of who left as if it were over, others throw.
      await read().catch((error) => {
        if (!leave.signal.aborted) throw error;
      });
      assert.ok(leave.signal.aborted, "the stream went on until the client left");
      await hasLeft(dialect, account);
    });
  },
};

/** Accounts whose only request was cancelled. */
const cancelled = [];

/** The provider saw its caller leave. */
async function hasLeft(dialect, account) {
  await gateway.upstream.waitFor(({ aborted, path }) => aborted && path.includes(dialect), 15_000);
  cancelled.push(account);
}

/** What was delivered until then is charged, and nothing is held any more. */
async function hasPaid(account) {
  const sql = "SELECT cost, completion_tokens FROM usage WHERE account = ? AND cancelled = 1 AND status = 'settled'";
  const [row, ...others] = await eventually(() => gateway.d1(sql, account), (rows) => rows.length > 0 && rows, { what: "the cancelled row" });
  assert.equal(others.length, 0, "one request, one row");
  assert.ok(row.cost > 0 && row.completion_tokens >= 15, JSON.stringify(row));
  assert.equal((await gateway.account(account)).open_holds, 0);
}

for (const [name, make] of Object.entries(JAVASCRIPT)) {
  describe(name, () => {
    for (const at of MODELS) {
      for (const feature of FEATURES) {
        test(`${feature}, ${at.dialect} upstream`, async (t) => {
          t.after(calm);
          const { account, key } = await gateway.createAccount();
          await CHECKS[feature](make({ base: gateway.base, key }), at, account);
          held.add(cell(name, feature, at.dialect));
        });
      }
    }
  });
}

let lacking;
test("the clients in Python", async (t) => {
  lacking = await pythonTests(t, "clients.py", gateway, {}, ({ cell: found, account }) => {
    held.add(cell(...found));
    return found[1] === "cancel" ? hasLeft(found[2], account) : undefined;
  });
});

test("what was delivered before a cancel is charged, and nothing stays held", async () => {
  assert.ok(cancelled.length >= Object.keys(JAVASCRIPT).length * MODELS.length);
  for (const account of cancelled) await hasPaid(account);
});

test("there is no hole in the table", (t) => {
  const rows = [...Object.keys(JAVASCRIPT), ...(lacking ? [] : PYTHON)];
  const width = Math.max(...rows.map((row) => row.length));
  const holds = (row, feature) => MODELS.filter(({ dialect }) => held.has(cell(row, feature, dialect))).length;
  t.diagnostic(["upstream dialects that hold".padEnd(width), ...FEATURES].join(" | "));
  for (const row of rows) {
    t.diagnostic([row.padEnd(width), ...FEATURES.map((feature) => `${holds(row, feature)}/${MODELS.length}`.padEnd(feature.length))].join(" | "));
  }
  if (lacking) t.diagnostic(`without the clients in Python: ${lacking}`);
  const holes = rows.flatMap((row) => FEATURES.filter((feature) => holds(row, feature) < MODELS.length).map((feature) => `${row}: ${feature}`));
  assert.deepEqual(holes, []);
});
