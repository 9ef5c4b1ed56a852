// Tools that the gateway runs, in real workerd: searches, pages and the time, streamed and not, over two dialects; what fails, what is
// refused, and what it costs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callJson, chat, events, call, generation, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { startUpstream } from "../upstream/upstream.mjs";

const KEY = "search-key-of-the-tests";
const PRICE = 1_234_567n;

let upstream, gateway, key, account, seq;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  const { url, port } = upstream;
  gateway = await startGateway({
    upstream,
    vars: {
      EXA_API_KEY: KEY,
      EXA_BASE_URL: `${url}/search/exa`,
      EXA_SEARCH_PRICE: `${PRICE}`,
      TAVILY_API_KEY: KEY,
      TAVILY_BASE_URL: `${url}/search/tavily`,
      BRAVE_API_KEY: KEY,
      BRAVE_BASE_URL: `${url}/search/brave`,
      WEB_FETCH_TRUSTED_HOSTS: `127.0.0.1:${port}`,
    },
  });
  ({ key, account } = await gateway.createAccount({ usd: "100" }));
});
after(async () => {
  await gateway?.stop();
  await upstream?.close();
});

const mark = () => (seq = upstream.requests().at(-1)?.seq ?? 0);
const since = (format) => upstream.requests({ since: seq }).filter((entry) => entry.format === format);
const searches = (engine = "exa") => since(`search-${engine}`);
const pages = () => since("site");
/** What the model is scripted to call, once. */
const calls = (dialect, ...list) => upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: { text: "Let me look.", calls: list } });
const search = (query) => ({ name: "web_search", args: { query } });
const fetchPage = (url) => ({ name: "web_fetch", args: { url } });
const tool = (name, parameters) => ({ type: `openrouter:${name}`, ...(parameters && { parameters }) });
const ran = (answer) => (answer.message.reasoning_details ?? []).filter((each) => each.type === "reasoning.server_tool_call");
const cited = (answer) => (answer.message.annotations ?? []).map((each) => each.url_citation.url);

for (const dialect of ["openai", "anthropic"]) {
  for (const stream of [false, true]) {
    describe(`${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      const ask = (body) => (mark(), chat(gateway, key, { model: `test/${dialect}`, stream, ...body }));
      const told = () => JSON.stringify(upstream.requests({ since: seq }).filter((entry) => entry.format === dialect).at(-1).body);

      test("a model searches, reads a page, asks for the time, and answers", async () => {
        calls(dialect, search("tea"), fetchPage(`${upstream.url}/site/moved`), { name: "datetime", args: { timezone: "Asia/Kathmandu" } });
        const answer = await ask({ tools: [tool("web_search"), tool("web_fetch"), tool("datetime")] });
        assert.equal(answer.error, undefined, JSON.stringify(answer.error));
        assert.equal(answer.finish, "stop");
        assert.match(answer.message.content, /^Let me look\.\n\n.*The tools answered/s);
        assert.equal(answer.message.tool_calls, undefined);
        assert.deepEqual(ran(answer).map((each) => each.tool_name).sort(), ["openrouter:datetime", "openrouter:web_fetch", "openrouter:web_search"]);
        const [time] = ran(answer).filter((each) => each.tool_name === "openrouter:datetime");
        assert.match(time.result.datetime, /\+05:45$/);
        assert.deepEqual(cited(answer), ["https://results.example/1", "https://results.example/2", "https://results.example/3", `${upstream.url}/site/page`]);
        // What the model was told.
        assert.match(told(), /What page 1 says of tea\./);
        assert.match(told(), /It is so & not otherwise\./);
        assert.doesNotMatch(told(), /hidden\(\)|Menu/);
        // Who was asked, and how.
        const [engine] = searches();
        assert.deepEqual([engine.headers["x-api-key"], engine.body.query, engine.body.numResults], [KEY, "tea", 5]);
        assert.deepEqual(pages().map((entry) => entry.path), ["/site/moved", "/site/page"]);
        const counts = { web_search_requests: 1, web_fetch_requests: 1, tool_calls_requested: 3, tool_calls_executed: 3 };
        assert.deepEqual(answer.usage.server_tool_use, counts);
        assert.deepEqual(answer.usage.server_tool_use_details, counts);
      });

      test("the charge is the row: tokens of each answer, and the search", async () => {
        calls(dialect, search("coffee"));
        const answer = await ask({ tools: [tool("web_search", { max_results: 2 })] });
        const models = upstream.requests({ since: seq }).filter((entry) => entry.format === dialect);
        assert.equal(models.length, 2);
        const tokens = (field) => models.reduce((sum, entry) => sum + entry.usage[field], 0);
        assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [tokens("input"), tokens("output")]);
        assert.equal(nanos(answer.usage.cost_details.server_tool_cost), PRICE);
        await settled(gateway, account);
        const record = await generation(gateway, key, answer.id);
        assert.equal(nanos(record.total_cost), nanos(answer.usage.cost));
        assert.deepEqual([record.num_web_searches, record.num_search_results, record.num_fetches], [1, 2, 0]);
        const [row] = await gateway.d1("SELECT cost FROM usage WHERE id = ?", answer.id);
        assert.equal(BigInt(row.cost), nanos(answer.usage.cost));
        const scaled = record.charge.lines.reduce((sum, line) => sum + BigInt(line.quantity) * BigInt(line.price) * (1_000_000n / BigInt(line.per)), 0n);
        assert.equal((scaled + 999_999n) / 1_000_000n, nanos(answer.usage.cost));
        assert.equal(record.provider_responses.filter((each) => each.part).length, 2);
      });

      for (const [name, asks] of [
        [":online", { model: `test/${dialect}:online` }],
        ["the plugin web", { plugins: [{ id: "web" }] }],
      ]) {
        test(`${name} searches once before the model is called`, async () => {
          const answer = await ask({ messages: [user("What about cocoa?")], ...asks });
          assert.equal(answer.finish, "stop");
          assert.deepEqual(searches().map((entry) => entry.body.query), ["What about cocoa?"]);
          assert.match(told(), /What page 2 says of What about cocoa\?/);
          assert.equal(cited(answer).length, 3);
          assert.equal(answer.usage.server_tool_use.web_search_requests, 1);
          assert.ok(nanos(answer.usage.cost) > PRICE);
        });
      }

      test("a search that fails is told to the model, and is free", async () => {
        for (const behaviour of ["fault-status-500", "fault-reset", "fault-garbage"]) {
          upstream.script({ prefix: "/search/", times: 1, behaviour });
          calls(dialect, search("tea"));
          const answer = await ask({ tools: [tool("web_search")] });
          assert.equal(answer.finish, "stop", behaviour);
          assert.match(told(), /The search failed/);
          assert.doesNotMatch(told(), new RegExp(KEY));
          assert.equal(nanos(answer.usage.cost_details.server_tool_cost), 0n);
          assert.deepEqual(cited(answer), []);
        }
      });

      test("a call of the client's own tool ends the loop", async () => {
        const mine = { type: "function", function: { name: "mine", parameters: { type: "object" } } };
        calls(dialect, search("tea"), { name: "mine", args: { x: 1 } });
        const answer = await ask({ tools: [mine, tool("web_search")] });
        assert.equal(answer.finish, "tool_calls");
        assert.deepEqual(answer.message.tool_calls.map((each) => each.function.name), ["mine"]);
        assert.deepEqual(searches(), []);
      });

      test("no address leads to what is not public", async () => {
        const { port } = new URL(upstream.url);
        const refused = [
          `http://localhost:${port}/site/page`, `http://2130706433:${port}/site/page`, `http://0x7f.1:${port}/site/page`, `http://[::1]:${port}/site/page`,
          `http://[::ffff:127.0.0.1]:${port}/site/page`, `http://127.0.0.1.nip.io:${port}/site/page`, "http://169.254.169.254/latest/", "file:///etc/passwd",
          `http://user@127.0.0.1:${port}/site/page`,
        ];
        calls(dialect, ...refused.map(fetchPage));
        const answer = await ask({ plugins: [{ id: "web-fetch" }] });
        assert.equal(answer.finish, "stop");
        assert.deepEqual(pages(), []);
        assert.equal(told().match(/could not be fetched/g).length, refused.length);
        // Nor does a redirect.
        calls(dialect, ...["to-metadata", "to-itself-by-number", "loop"].map((page) => fetchPage(`${upstream.url}/site/${page}`)));
        await ask({ plugins: [{ id: "web-fetch" }] });
        const asked = pages().map((entry) => entry.path);
        assert.ok(!asked.includes("/site/page"), asked.join());
        assert.equal(asked.filter((path) => path === "/site/loop").length, 6);
        assert.equal(told().match(/could not be fetched/g).length, 3);
      });
    });
  }
}

test("the engine that is named is asked", async () => {
  for (const engine of ["tavily", "brave"]) {
    calls("openai", search("tea"));
    mark();
    const answer = await chat(gateway, key, { model: "test/openai", tools: [tool("web_search", { engine, max_results: 1 })] });
    assert.equal(searches(engine).length, 1, engine);
    assert.deepEqual(cited(answer), ["https://results.example/1"], engine);
  }
  const { status, error } = await chat(gateway, key, { model: "test/openai", tools: [tool("web_search", { engine: "firecrawl" })] });
  assert.deepEqual([status, error.param], [400, "tools[0].parameters.engine"]);
});

test("who leaves while a tool runs stops it, and pays for what came before", async () => {
  upstream.script({ prefix: "/search/", times: 1, behaviour: "fault-gate-headers" });
  calls("openai", search("tea"));
  mark();
  const leaving = new AbortController();
  const response = await call(gateway, "chat/completions", {
    key, signal: leaving.signal,
    body: { model: "test/openai", stream: true, messages: [user("Hello!")], tools: [tool("web_search")] },
  });
  // Reading goes on until the client leaves.
  const reading = response.text().catch(() => undefined);
  await upstream.waitFor((entry) => entry.format === "search-exa" && entry.seq > seq);
  leaving.abort();
  await reading;
  // A client that closes is noticed by the next write: a comment, every ten seconds.
  await upstream.waitFor((entry) => entry.format === "search-exa" && entry.seq > seq && entry.aborted, 30_000);
  const id = response.headers.get("x-generation-id");
  await settled(gateway, account);
  const record = await generation(gateway, key, id);
  assert.equal(record.cancelled, true);
  assert.equal(record.num_web_searches, 0);
  assert.equal(upstream.requests({ since: seq }).filter((entry) => entry.format === "openai").length, 1);
});

test("the metadata tells what the gateway did", async () => {
  calls("openai", search("tea"));
  const headers = { "x-openrouter-metadata": "enabled" };
  const answer = await chat(gateway, key, { model: "test/openai:online", tools: [tool("web_search")] }, { headers });
  const { pipeline } = answer.body.openrouter_metadata;
  assert.deepEqual(pipeline.map((step) => [step.type, step.name]), [["plugin", "web"], ["server_tools", "openrouter:web_search"]]);
});

test("/route plans for a request with tools as it will be", async () => {
  const { status, body } = await callJson(gateway, "route", { key, body: { model: "test/openai", messages: [user("x")], tools: [tool("web_search")], plugins: [{ id: "web" }] } });
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(body.data.prompt_tokens > 1_875, "results of the search before the model are expected");
  assert.equal(body.data.attempts.length, 2);
});

test("a stream is one message, whole in its events", async () => {
  calls("anthropic", search("tea"));
  const response = await call(gateway, "chat/completions", { key, body: { model: "test/anthropic", stream: true, messages: [user("Hello!")], tools: [tool("web_search")] } });
  const chunks = events(await response.text()).data.slice(0, -1).map((each) => JSON.parse(each));
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.delta.role).length, 1);
  assert.equal(chunks.filter((chunk) => chunk.choices[0]?.delta.tool_calls).length, 0);
});
