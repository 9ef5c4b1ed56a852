// Every client surface × every upstream dialect × every feature, streamed and not, in the real runtime; printed as a table.
//
// A cell is one conversation of a feature. What a surface has no words for, or a dialect cannot carry, is a dash with its reason in
// `surfaces.mjs` or `CANNOT`; everything else has to work.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { endpoint, model, provider } from "../e2e/catalog.mjs";
import { call, eventually, nanos } from "../e2e/client.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { PIXEL, SURFACES } from "./surfaces.mjs";

const DIALECTS = ["openai", "anthropic", "gemini", "responses", "bedrock", "cohere"];

/** What a dialect's wire has no words for. */
const CANNOT = {};

/** What a provider of a dialect brings beside its format. */
const OWN = { bedrock: { secret: "TEST_BEDROCK_KEY" }, responses: { quirks: ["summarizes_reasoning"] } };
const pairs = DIALECTS.flatMap((dialect) => ["one", "two"].map((name) => ({ slug: `${name}-${dialect}`, dialect })));
const catalog = {
  providers: pairs.map(({ slug, dialect }) => provider({ slug, dialect, ...OWN[dialect] })),
  models: DIALECTS.map((dialect) => model(`test/${dialect}`)),
  endpoints: pairs.map(({ slug, dialect }, at) => endpoint({ model: `test/${dialect}`, provider: slug, dialect, factor: 1 + (at % 2) })),
  aliases: [],
};

let gateway;
let account;
before(async () => {
  gateway = await startGateway({ catalog, vars: { AWS_REGION: "eu-west-1", [OWN.bedrock.secret]: "ABSKtest+key/of=bedrock" } });
  account = await gateway.createAccount();
});
after(() => gateway?.stop());

/** Both providers of a dialect, and only they, behave so. */
function script(dialect, behaviour, times = null) {
  for (const name of ["one", "two"]) gateway.upstream.script({ prefix: `/p/${name}-${dialect}/`, behaviour, times });
}

/** What the provider was asked last. */
const lastAsked = (dialect) => gateway.upstream.requests().findLast(({ path }) => path.includes(`-${dialect}/`));

/** Asks through a surface: `{status, generation, …}` as `surfaces.mjs` says. */
async function ask(surface, wish) {
  const { path, ask: write, read } = SURFACES[surface];
  const response = await call(gateway, path, { key: account.key, body: write(wish) });
  return { status: response.status, generation: response.headers.get("x-generation-id"), ...(await read(response)) };
}

const GOOD_ENDS = ["stop", "completed", "end_turn"];
const CALL_ENDS = ["tool_calls", "completed", "tool_use"];

function well(answer, ends = GOOD_ENDS) {
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  assert.equal(answer.status, 200);
  assert.ok(ends.includes(answer.finish), `finish ${answer.finish}`);
}

/** What usage rows have to say, asked once they are there: they come a second after their answers. */
const owed = [];

const FEATURES = {
  async text(surface, wish) {
    const answer = await ask(surface, { ...wish, user: "say exactly: Grüße, 世界 👋🏽 “quoted” \\ /" });
    well(answer);
    assert.equal(answer.text, "Grüße, 世界 👋🏽 “quoted” \\ /");
  },

  async tools(surface, wish) {
    const asked = { ...wish, tools: true, user: "get_weather in Paris, please" };
    const first = await ask(surface, asked);
    well(first, CALL_ENDS);
    assert.deepEqual(first.calls.map(({ name, args }) => ({ name, args })), [{ name: "get_weather", args: { city: "Paris" } }]);
    const second = await ask(surface, { ...asked, turns: [{ calls: first.calls, results: ["mild and “dry”"] }] });
    well(second);
    assert.match(second.text, /mild and “dry”/);
    assert.deepEqual(second.calls, []);
  },

  async parallel(surface, wish) {
    const asked = { ...wish, tools: true, user: "get_weather in Paris and get_time in Tokyo, please" };
    const first = await ask(surface, asked);
    well(first, CALL_ENDS);
    assert.deepEqual(first.calls.map(({ name, args: { city } }) => [name, city]), [["get_weather", "Paris"], ["get_time", "Tokyo"]]);
    assert.equal(new Set(first.calls.map(({ id }) => id)).size, 2, "each call has an id of its own");
    const second = await ask(surface, { ...asked, turns: [{ calls: first.calls, results: ["17 degrees", "noon"] }] });
    well(second);
    assert.match(second.text, /17 degrees/);
    assert.match(second.text, /noon/);
  },

  async reasoning(surface, wish) {
    const answer = await ask(surface, { ...wish, reasoning: true, user: "say exactly: thought through" });
    well(answer);
    assert.equal(answer.text, "thought through");
    assert.match(answer.reasoning, /The last user message has/);
  },

  async image(surface, wish) {
    well(await ask(surface, { ...wish, image: true, user: "say exactly: seen" }));
    assert.ok(JSON.stringify(lastAsked(wish.dialect).body).includes(PIXEL), "the provider got the image");
  },

  async structured(surface, wish) {
    const answer = await ask(surface, { ...wish, schema: true, user: "The city is “Lyon” with 522250 inhabitants" });
    well(answer);
    assert.deepEqual(JSON.parse(answer.text), { name: "Lyon", inhabitants: 522250 });
  },

  async error(surface, wish) {
    script(wish.dialect, "fault-status-503");
    const refused = await ask(surface, { ...wish, user: "Hello" });
    assert.equal(refused.status, 503);
    assert.ok(refused.error?.message && refused.error.type, "an error in the surface's own envelope");
    gateway.upstream.reset();
    if (!wish.stream) return;
    script(wish.dialect, "fault-error-9");
    const broken = await ask(surface, { ...wish, user: "count to 60" });
    assert.equal(broken.status, 200);
    assert.ok(broken.error?.message, "the failure is told in the stream");
    assert.ok(broken.text.startsWith("1, 2"), `what came before it stays: ${broken.text}`);
  },

  async disconnect(surface, wish) {
    if (!wish.stream) return "–";
    script(wish.dialect, "fault-endless");
    const since = lastAsked(wish.dialect)?.seq ?? 0;
    const leave = new AbortController();
    const { path, ask: write } = SURFACES[surface];
    const response = await call(gateway, path, { key: account.key, body: write({ ...wish, user: "count to 9" }), signal: leave.signal });
    const generation = response.headers.get("x-generation-id");
    const reader = response.body.getReader();
    let bytes = 0;
    while (bytes < 4_000) bytes += (await reader.read()).value.length;
    leave.abort();
    await gateway.upstream.waitFor(({ seq, path: own, aborted }) => seq > since && own.includes(`-${wish.dialect}/`) && aborted, 15_000);
    gateway.upstream.reset();
    owed.push({ wish, generation, says: (cost) => assert.ok(cost > 0n, "what was delivered is paid") });
  },

  async usage(surface, wish) {
    script(wish.dialect, "usage-in1000-out50-read200", 1);
    const answer = await ask(surface, { ...wish, user: "Hello" });
    well(answer);
    const { cost, ...tokens } = answer.usage;
    assert.deepEqual(tokens, { prompt: 1_000, completion: 50, cached: 200 });
    assert.ok(cost > 0);
    const says = (row) => assert.equal(row, nanos(cost), "the client's cost is the usage row's");
    owed.push({ wish, generation: answer.generation, says });
  },
};

const cells = {};

/** The table: a row for each surface and dialect, a column for each feature. */
function table() {
  const names = Object.keys(FEATURES);
  const rows = Object.entries(cells).map(([pair, seen]) => `${pair.padEnd(26)}${names.map((name) => (seen[name] ?? "–").padEnd(12)).join("")}`);
  return [`${"surface × dialect".padEnd(26)}${names.map((name) => name.padEnd(12)).join("")}`, ...rows];
}

for (const surface of Object.keys(SURFACES)) {
  for (const dialect of DIALECTS) {
    const seen = (cells[`${surface} × ${dialect}`] = {});
    describe(`${surface} × ${dialect}`, () => {
      for (const [feature, check] of Object.entries(FEATURES)) {
        if (SURFACES[surface].cannot.includes(feature) || CANNOT[dialect]?.includes(feature)) continue;
        test(feature, async () => {
          seen[feature] = "FAILED";
          const ways = [];
          for (const stream of [false, true]) {
            try {
              const dash = await check(surface, { model: `test/${dialect}`, dialect, stream, failed: () => (seen[feature] = "FAILED") });
              ways.push(dash ?? (stream ? "stream" : "whole"));
            } catch (error) {
              error.message = `${stream ? "streamed" : "in one piece"}: ${error.message}`;
              throw error;
            } finally {
              gateway.upstream.reset();
            }
          }
          seen[feature] = ways.join("+").replace("whole+stream", "ok").replace("–+stream", "ok");
        });
      }
    });
  }
}

test("what was asked is paid, once", async () => {
  const wrong = [];
  for (const { wish, generation, says } of owed) {
    const sql = "SELECT cost FROM usage WHERE id = ?";
    const rows = await eventually(() => gateway.d1(sql, generation), (found) => found.length > 0 && found, { what: `the usage row of ${generation}` });
    try {
      assert.equal(rows.length, 1);
      says(BigInt(rows[0].cost));
    } catch (error) {
      wish.failed();
      wrong.push(`${wish.model}, ${generation}: ${error.message}`);
    }
  }
  assert.deepEqual(wrong, []);
});

after(() => console.log(`\n${table().join("\n")}\n`));
