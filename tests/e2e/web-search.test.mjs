// Searches of the web on every surface, in real workerd: those that the gateway runs, told in each surface's own way and taken back on
// the next turn; and those that the provider of the model runs, asked for in its own words and charged at its own count.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { endpoint, model, provider } from "./catalog.mjs";
import { call, callJson, chat, eventually, generation, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { message, words } from "./messages.mjs";
import { startUpstream } from "../upstream/upstream.mjs";

const PRICE = 7_654_321n;
const FEE = 11_000_003;

/** Endpoints whose providers search: the wire in which they answer, and what the catalog says of the search. */
const NATIVE = {
  anthropic: { wire: "anthropic", search: { price: FEE, filters: ["allowed", "blocked"] } },
  gemini: { wire: "gemini", search: { price: FEE, per: "answer" } },
  // Asked through chat completions, but for searches.
  responses: { wire: "responses", search: { price: FEE, filters: ["allowed"], dialect: "openai_responses" }, fields: { dialect: "openai_chat" } },
  always: { wire: "openai", search: { price: FEE, high: FEE + 2, per: "request", always: true } },
};

const searching = Object.entries(NATIVE).map(([name, { wire, search, fields }]) => {
  const row = endpoint({ model: `test/${name}`, provider: `web-${name}`, dialect: wire });
  const usual = row.supported_parameters.filter((parameter) => parameter !== "verbosity");
  return { ...row, ...fields, supported_parameters: [...usual, "web_search_options"], web_search: search };
});
const plain = ["openai", "anthropic"].map((dialect) => endpoint({ model: `test/plain-${dialect}`, provider: `one-${dialect}`, dialect }));
const catalog = {
  providers: [
    ...["openai", "anthropic"].map((dialect) => provider({ slug: `one-${dialect}`, dialect })),
    ...Object.entries(NATIVE).map(([name, { wire }]) => provider({ slug: `web-${name}`, dialect: wire })),
  ],
  models: [...plain, ...searching].map((row) => model(row.model)),
  endpoints: [...plain, ...searching],
  aliases: [],
};

let upstream, gateway, key, account, seq;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  gateway = await startGateway({
    upstream,
    catalog,
    vars: { EXA_API_KEY: "k", EXA_BASE_URL: `${upstream.url}/search/exa`, EXA_SEARCH_PRICE: `${PRICE}`, WEB_FETCH_TRUSTED_HOSTS: `127.0.0.1:${upstream.port}` },
  });
  ({ key, account } = await gateway.createAccount({ usd: "100" }));
});
after(async () => {
  await gateway?.stop();
  await upstream?.close();
});

const mark = () => (seq = upstream.requests().at(-1)?.seq ?? 0);
const since = (format) => upstream.requests({ since: seq }).filter((entry) => entry.format === format);
const script = (slug, behaviour, times = 1) => upstream.script({ prefix: `/p/${slug}/`, times, behaviour });
const calls = (dialect, ...list) => script(`one-${dialect}`, { text: "Let me look.", calls: list });
const search = (query) => ({ name: "web_search", args: { query } });
const fetchPage = () => ({ name: "web_fetch", args: { url: `${upstream.url}/site/page` } });
const time = { name: "datetime", args: {} };
const of = (list, type) => list.filter((each) => each.type === type);

/** A response, streamed or not, as `{status, error, response, kinds}`. */
async function respond(body, options = {}) {
  const answer = await call(gateway, "responses", { key, body: { input: "Hello!", ...body }, ...options });
  if (answer.headers.get("content-type") !== "text/event-stream") {
    const read = await answer.json();
    return { status: answer.status, error: read.error, response: read };
  }
  const text = await answer.text();
  const lines = text.split("\n").filter((line) => line.startsWith("data: {"));
  const events = lines.map((line) => JSON.parse(line.slice("data: ".length)));
  const items = [];
  for (const event of events) if (event.type === "response.output_item.done") items[event.output_index] = event.item;
  const { response } = events.at(-1);
  assert.deepEqual(response.output, items, "the end repeats the items");
  return { status: 200, error: response.error, response, kinds: events.map((event) => event.type) };
}

/** What each surface asks with, and what it makes of the answer: `{text, searched, fetched, cited, failed, usage, id}`. */
const SURFACES = {
  messages: {
    tools: () => [
      { type: "web_search_20250305", name: "web_search", max_uses: 3 },
      { type: "web_fetch_20250910", name: "web_fetch" },
      { type: "openrouter:datetime" },
    ],
    async ask(body, options) {
      const { status, error, message: read } = await message(gateway, key, body, options);
      if (!read || error) return { status, error };
      const results = of(read.content, "web_search_tool_result");
      const ids = of(read.content, "server_tool_use").map((block) => block.id);
      assert.deepEqual(read.content.filter((block) => block.tool_use_id).map((block) => block.tool_use_id), ids, "each call has its result");
      return {
        status, read, id: read.id, usage: read.usage, text: words(read), end: read.stop_reason,
        searched: of(read.content, "server_tool_use").filter((block) => block.name === "web_search").map((block) => block.input.query),
        fetched: of(read.content, "web_fetch_tool_result").map((block) => block.content.url),
        found: results.flatMap(({ content }) => (Array.isArray(content) ? content.map((page) => page.url) : [])),
        failed: results.filter(({ content }) => content.type === "web_search_tool_result_error").length,
        cited: of(read.content, "text").flatMap((block) => block.citations ?? []).map((citation) => citation.url),
      };
    },
    next: (answer, question) => ({ messages: [user("Hello!"), { role: "assistant", content: answer.read.content }, user(question)] }),
  },
  responses: {
    tools: () => [{ type: "web_search_preview" }, { type: "openrouter:web_fetch" }, { type: "openrouter:datetime" }],
    async ask(body, options) {
      const { status, error, response, kinds } = await respond(body, options);
      if (status !== 200 || error) return { status, error };
      const actions = of(response.output, "web_search_call");
      if (kinds) assert.equal(kinds.filter((kind) => kind === "response.web_search_call.completed").length, actions.length);
      const searches = actions.filter((item) => item.action.type === "search");
      const parts = of(response.output, "message").flatMap((item) => item.content);
      return {
        status, read: response, id: response.id, usage: response.usage, text: parts.map((part) => part.text).join(""), end: response.status,
        searched: searches.map((item) => item.action.query),
        fetched: actions.filter((item) => item.action.type === "open_page").map((item) => item.action.url),
        found: searches.flatMap((item) => item.action.sources ?? []).map((source) => source.url),
        failed: actions.filter((item) => item.status === "failed").length,
        cited: parts.flatMap((part) => part.annotations).map((annotation) => annotation.url),
      };
    },
    next: (answer, question) => ({ input: [user("Hello!"), ...answer.read.output, user(question)] }),
  },
};
const RESULTS = [1, 2, 3].map((page) => `https://results.example/${page}`);

for (const [surface, { tools, ask, next }] of Object.entries(SURFACES)) {
  for (const dialect of ["openai", "anthropic"]) {
    for (const stream of [false, true]) {
      describe(`the gateway's tools for ${surface} over ${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
        const asked = (body) => (mark(), ask({ model: `test/plain-${dialect}`, stream, ...body }));

        test("what was run is told in the surface's own way, cited, charged, and taken back on the next turn", async () => {
          calls(dialect, search("tea"), fetchPage(), time);
          const answer = await asked({ tools: tools() });
          assert.equal(answer.error ?? undefined, undefined, JSON.stringify(answer.error));
          assert.match(answer.text, /^Let me look\..*The tools answered/s);
          assert.deepEqual([answer.searched, answer.found, answer.fetched], [["tea"], RESULTS, [`${upstream.url}/site/page`]]);
          assert.deepEqual(answer.cited, [...RESULTS, `${upstream.url}/site/page`]);
          assert.deepEqual(answer.usage.server_tool_use, { web_search_requests: 1, web_fetch_requests: 1, tool_calls_requested: 3, tool_calls_executed: 3 });
          assert.equal(nanos(answer.usage.cost_details.server_tool_cost), PRICE);
          const record = await generation(gateway, key, answer.id);
          assert.deepEqual([nanos(record.total_cost), record.num_web_searches, record.num_fetches], [nanos(answer.usage.cost), 1, 1]);
          for (const to of ["openai", "anthropic"]) {
            mark();
            const again = await ask({ ...next(answer, "say exactly: again"), model: `test/plain-${to}`, stream, tools: tools() });
            assert.equal(again.text, "again", JSON.stringify(again.error));
            const [told] = since(to);
            assert.equal(told.rejected, undefined);
            assert.match(JSON.stringify(told.body), /Let me look\./);
            assert.doesNotMatch(JSON.stringify(told.body), /pb1/);
          }
        });

        test("a search that fails is told as such, and is free", async () => {
          upstream.script({ prefix: "/search/", times: 1, behaviour: "fault-status-500" });
          calls(dialect, search("tea"));
          const answer = await asked({ tools: tools() });
          assert.deepEqual([answer.failed, answer.searched.length, answer.cited], [1, 1, []]);
          assert.match(answer.text, /The tools answered/);
          assert.equal(nanos(answer.usage.cost_details.server_tool_cost), 0n);
          assert.equal(answer.usage.server_tool_use.web_search_requests, 0);
        });

        test("the loop ends at its bound with words, however often the model would go on", async () => {
          script(`one-${dialect}`, { text: "Let me look.", calls: [search("tea")] }, 3);
          const bound = [{ type: "step_count_is", step_count: 2 }];
          const answer = await asked({ tools: tools(), stop_server_tools_when: bound });
          assert.equal(since("search-exa").length, 2);
          const models = since(dialect);
          assert.equal(models.length, 3);
          assert.equal(models.at(-1).body.tool_choice.type ?? models.at(-1).body.tool_choice, "none");
          assert.equal(answer.searched.length, 2);
          assert.equal(answer.end, surface === "messages" ? "end_turn" : "completed");
          assert.equal(nanos(answer.usage.cost_details.server_tool_cost), 2n * PRICE);
        });
      });
    }
  }
}

test("who leaves while a search runs is settled once, on every surface", async () => {
  upstream.script({ prefix: "/search/", times: 2, behaviour: "fault-gate-headers" });
  script("one-openai", { text: "Let me look.", calls: [search("tea")] }, 2);
  mark();
  const leaving = new AbortController();
  const begun = await Promise.all(
    Object.entries(SURFACES).map(async ([surface, { tools }]) => {
      const said = surface === "messages" ? { messages: [user("Hello!")] } : { input: "Hello!" };
      const body = { model: "test/plain-openai", stream: true, max_tokens: 500, tools: tools(), ...said };
      const response = await call(gateway, surface, { key, signal: leaving.signal, body });
      return { id: response.headers.get("x-generation-id"), reading: response.text().catch(() => undefined) };
    }),
  );
  await eventually(() => since("search-exa"), (asked) => asked.length === 2);
  leaving.abort();
  await Promise.all(begun.map(({ reading }) => reading));
  // A client that closes is noticed by the next write: a sign of life, every ten seconds.
  await eventually(() => since("search-exa"), (asked) => asked.every((entry) => entry.aborted), { within: 30_000 });
  await settled(gateway, account);
  for (const { id } of begun) {
    const record = await generation(gateway, key, id);
    assert.deepEqual([record.cancelled, record.num_web_searches], [true, 0]);
    assert.equal((await gateway.d1("SELECT id FROM usage WHERE id = ?", id)).length, 1);
  }
  assert.equal(since("openai").length, 2, "no model was asked again");
});

test("a text gets the search before it, and no tools", async () => {
  mark();
  const { status, body } = await callJson(gateway, "completions", { key, body: { model: "test/plain-openai:online", prompt: "Once upon a time", max_tokens: 200, tools: [{ type: "openrouter:web_search" }] } });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(since("search-exa").length, 1);
  const [told] = since("openai");
  assert.equal(told.body.tools, undefined);
  assert.match(JSON.stringify(told.body), /What page 1 says of/);
  assert.equal(body.usage.server_tool_use.web_search_requests, 1);
});

const json = (body) => ({ raw: { status: 200, headers: { "content-type": "application/json" }, chunks: [JSON.stringify(body)] } });
const sse = (events) => ({ raw: { chunks: events.map((event) => `${event.type ? `event: ${event.type}\n` : ""}data: ${JSON.stringify(event)}\n\n`) } });
const PAGE = { url: "https://native.example/a", title: "Native" };
const TEXT = "It is so.";

/** What providers answer that searched twice (and opened a page), as they write it; each counts in its own way. */
const ANSWERS = {
  anthropic(stream) {
    const used = (at) => ({ type: "server_tool_use", id: `srvtoolu_n${at}`, name: "web_search", input: { query: `q${at}` } });
    const result = (at) => ({ type: "web_search_tool_result", tool_use_id: `srvtoolu_n${at}`, content: [{ type: "web_search_result", ...PAGE, encrypted_content: "SEALED", page_age: null }] });
    const citation = { type: "web_search_result_location", ...PAGE, cited_text: "so", encrypted_index: "SEALED" };
    const blocks = [used(1), result(1), used(2), result(2), { type: "text", text: TEXT, citations: [citation] }];
    const usage = { input_tokens: 40, output_tokens: 12, server_tool_use: { web_search_requests: 2, web_fetch_requests: 0 } };
    const head = { id: "msg_n", type: "message", role: "assistant", model: "m", stop_reason: null, stop_sequence: null };
    if (!stream) return json({ ...head, stop_reason: "end_turn", content: blocks, usage });
    const events = blocks.flatMap((block, index) => {
      const { text, citations, input, ...bare } = block;
      const begun = { ...bare, ...(text && { text: "" }), ...(input && { input: {} }) };
      const deltas = [
        ...(citations ?? []).map((each) => ({ type: "citations_delta", citation: each })),
        ...(text ? [{ type: "text_delta", text }] : []),
        ...(input ? [{ type: "input_json_delta", partial_json: JSON.stringify(input) }] : []),
      ];
      return [
        { type: "content_block_start", index, content_block: begun },
        ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
        { type: "content_block_stop", index },
      ];
    });
    return sse([
      { type: "message_start", message: { ...head, content: [], usage: { input_tokens: 40, output_tokens: 1 } } },
      ...events,
      { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage },
      { type: "message_stop" },
    ]);
  },
  responses(stream) {
    const ran = (id, action) => ({ type: "web_search_call", id, status: "completed", action });
    const output = [
      ran("ws_1", { type: "search", query: "q1", sources: [{ type: "url", url: PAGE.url }] }),
      ran("ws_2", { type: "open_page", url: PAGE.url }),
      ran("ws_3", { type: "search", query: "q2" }),
      { type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: TEXT, logprobs: [], annotations: [{ type: "url_citation", start_index: 0, end_index: 9, ...PAGE }] }] },
    ];
    const whole = { id: "resp_n", object: "response", created_at: 1, status: "completed", model: "m", output, usage: { input_tokens: 40, output_tokens: 12, total_tokens: 52 } };
    if (!stream) return json(whole);
    const events = output.flatMap((item, output_index) => [
      { type: "response.output_item.added", output_index, item: { ...item, status: "in_progress", ...(item.content && { content: [] }) } },
      ...(item.content
        ? [
            { type: "response.content_part.added", item_id: item.id, output_index, content_index: 0, part: { type: "output_text", text: "", annotations: [] } },
            { type: "response.output_text.delta", item_id: item.id, output_index, content_index: 0, delta: TEXT },
            { type: "response.output_text.annotation.added", item_id: item.id, output_index, content_index: 0, annotation_index: 0, annotation: item.content[0].annotations[0] },
          ]
        : ["in_progress", "searching", "completed"].map((state) => ({ type: `response.web_search_call.${state}`, output_index, item_id: item.id }))),
      { type: "response.output_item.done", output_index, item },
    ]);
    const numbered = [{ type: "response.created", response: { ...whole, status: "in_progress", output: [], usage: null } }, ...events, { type: "response.completed", response: whole }];
    return sse(numbered.map((event, sequence_number) => ({ ...event, sequence_number })));
  },
  gemini(stream) {
    const grounding = { webSearchQueries: ["q1", "q2"], groundingChunks: [{ web: { uri: PAGE.url, title: PAGE.title } }], groundingSupports: [{ segment: { startIndex: 0, endIndex: 9, text: TEXT }, groundingChunkIndices: [0] }] };
    const usageMetadata = { promptTokenCount: 40, candidatesTokenCount: 12, totalTokenCount: 52 };
    const candidate = { index: 0, content: { role: "model", parts: [{ text: TEXT }] } };
    if (!stream) return json({ candidates: [{ ...candidate, finishReason: "STOP", groundingMetadata: grounding }], usageMetadata });
    const last = { index: 0, content: { role: "model", parts: [{ text: "" }] }, finishReason: "STOP", groundingMetadata: grounding };
    return sse([{ candidates: [candidate], usageMetadata }, { candidates: [last], usageMetadata }]);
  },
};

/** What is asked of the provider, and how many units it counts. */
const EXPECTED = {
  anthropic: { units: 2, tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 3, blocked_domains: ["b.example"] }], place: { blocked_domains: ["b.example"] } },
  responses: { units: 2, tools: [{ type: "web_search", filters: { allowed_domains: ["native.example"] } }], place: { allowed_domains: ["native.example"] } },
  gemini: { units: 1, tools: [{ googleSearch: {} }], place: {} },
};

for (const [name, { units, tools, place }] of Object.entries(EXPECTED)) {
  for (const stream of [false, true]) {
    describe(`the search of ${name}'s own, ${stream ? "streamed" : "in one piece"}`, () => {
      const ready = () => (mark(), script(`web-${name}`, ANSWERS[name](stream)));
      const charged = async (usage, id) => {
        const fee = BigInt(FEE * units);
        assert.equal(usage.server_tool_use.web_search_requests, units);
        assert.equal(nanos(usage.cost_details.server_tool_cost), fee);
        // The prices of the test's catalog: tokens, rounded up once with the searches.
        const tokens = 40n * 1_000_003_001n + 12n * 4_000_007_003n;
        assert.equal(nanos(usage.cost), fee + (tokens + 999_999n) / 1_000_000n);
        const record = await generation(gateway, key, id);
        assert.deepEqual([nanos(record.total_cost), record.num_web_searches], [nanos(usage.cost), units]);
      };

      test("a tool of the gateway's is left to the provider, and no engine is asked", async () => {
        ready();
        const answer = await chat(gateway, key, { model: `test/${name}`, stream, tools: [{ type: "openrouter:web_search", parameters: { max_uses: 3, ...place } }] });
        assert.equal(answer.message?.content, TEXT, JSON.stringify(answer.error));
        const [told] = since(NATIVE[name].wire);
        assert.deepEqual(told.body.tools, tools);
        assert.deepEqual(since("search-exa"), []);
        assert.deepEqual(answer.message.annotations.map((each) => each.url_citation.url), [PAGE.url]);
        await charged(answer.usage, answer.id);
      });

      for (const [surface, { ask }] of Object.entries(SURFACES)) {
        test(`${surface}: told, cited and charged`, async () => {
          ready();
          const tool = surface === "messages" ? { type: "web_search_20250305", name: "web_search", max_uses: 3, ...place } : { type: "web_search", ...(place.allowed_domains && { filters: place }) };
          const answer = await ask({ model: `test/${name}`, stream, tools: [tool] });
          assert.equal(answer.text, TEXT, JSON.stringify(answer.error));
          assert.deepEqual([answer.searched, answer.cited], [["q1", "q2"], [PAGE.url]]);
          await charged(answer.usage, answer.id);
        });
      }
    });
  }
}

test("Anthropic's own tool, of whatever date, and its sealed results pass between a client of messages and Anthropic", async () => {
  for (const stream of [false, true]) {
    mark();
    script("web-anthropic", ANSWERS.anthropic(stream));
    const tools = [{ type: "web_search_20260209", name: "web_search", max_uses: 2, allowed_callers: ["direct"], cache_control: { type: "ephemeral" } }];
    const { message: read } = await message(gateway, key, { model: "test/anthropic", stream, tools });
    assert.deepEqual(since("anthropic")[0].body.tools, tools);
    assert.deepEqual(of(read.content, "web_search_tool_result").map((block) => block.content[0].encrypted_content), ["SEALED", "SEALED"]);
    assert.equal(read.usage.server_tool_use.web_search_requests, 2);
    const messages = [user("Hello!"), { role: "assistant", content: read.content }, user("say exactly: again")];
    mark();
    await message(gateway, key, { model: "test/anthropic", stream, tools, messages });
    assert.deepEqual(since("anthropic")[0].body.messages[1].content, read.content, "as it came");
  }
});

test("the engine that is named searches, also where the provider could", async () => {
  mark();
  script("web-anthropic", { calls: [search("tea")] });
  const answer = await chat(gateway, key, { model: "test/anthropic", tools: [{ type: "openrouter:web_search", parameters: { engine: "exa" } }] });
  assert.equal(since("search-exa").length, 1, JSON.stringify(answer.error));
  assert.equal(nanos(answer.usage.cost_details.server_tool_cost), PRICE);
  // Domains that the provider cannot be told of are the engine's to keep to.
  mark();
  script("web-gemini", { calls: [search("tea")] });
  await chat(gateway, key, { model: "test/gemini", tools: [{ type: "openrouter:web_search", parameters: { allowed_domains: ["results.example"] } }] });
  assert.equal(since("search-exa").length, 1);
  const { status, error } = await chat(gateway, key, { model: "test/plain-openai", tools: [{ type: "openrouter:web_search", parameters: { engine: "native" } }] });
  assert.deepEqual([status, error.param], [400, "tools[0].parameters.engine"]);
});

test("web_search_options ask the provider, and models that always search cost always", async () => {
  mark();
  script("web-responses", ANSWERS.responses(false));
  const options = { search_context_size: "low", user_location: { type: "approximate", approximate: { country: "DE" } } };
  const answer = await chat(gateway, key, { model: "test/responses", web_search_options: options });
  assert.equal(answer.message?.content, TEXT, JSON.stringify(answer.error));
  assert.deepEqual(since("responses")[0].body.tools, [{ type: "web_search", search_context_size: "low", user_location: { country: "DE", type: "approximate" } }]);
  assert.equal(nanos(answer.usage.cost_details.server_tool_cost), BigInt(2 * FEE));
  for (const [asked, fee] of [[{}, FEE], [{ web_search_options: { search_context_size: "high" } }, FEE + 2]]) {
    const { usage, error } = await chat(gateway, key, { model: "test/always", ...asked });
    assert.equal(nanos(usage?.cost_details.server_tool_cost), BigInt(fee), JSON.stringify(error));
  }
  const { body } = await callJson(gateway, "models/test/always/endpoints", { key });
  assert.equal(body.data.endpoints[0].pricing.web_search, "0.011000003");
});
