// OpenAI's Responses for every upstream: what a client of that format sees, whoever serves, and what the upstream is told.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { endpoint, model, provider } from "./catalog.mjs";
import { call, generation, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const DIALECTS = ["responses", "openai", "anthropic"];
const catalog = {
  providers: DIALECTS.map((dialect) => provider({ slug: `one-${dialect}`, dialect })),
  models: DIALECTS.map((dialect) => model(`test/${dialect}`)),
  endpoints: DIALECTS.map((dialect) => endpoint({ model: `test/${dialect}`, provider: `one-${dialect}`, dialect })),
  aliases: [],
};

let gateway, key, account;
before(async () => {
  gateway = await startGateway({ catalog });
  ({ key, account } = await gateway.createAccount());
});
after(() => gateway?.stop());

const script = (dialect, behaviour) => gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour });
const lastRequest = () => gateway.upstream.requests().at(-1);

/** A response, streamed or not, as one shape: `{status, headers, error, response, kinds}`. */
async function ask(body, options = {}) {
  const answer = await call(gateway, "responses", { key, body: { input: "Hello!", ...body }, ...options });
  const common = { status: answer.status, headers: answer.headers };
  if (answer.headers.get("content-type") !== "text/event-stream") {
    const read = await answer.json();
    return { ...common, ...(read.object === "response" ? { response: read } : { error: read.error, body: read }) };
  }
  return { ...common, ...folded(await answer.text()) };
}

/** A stream's text as a client reads it; the order of its events is asserted. */
function folded(text) {
  assert.ok(text.endsWith("data: [DONE]\n\n"), text.slice(-200));
  const events = text.slice(0, -"data: [DONE]\n\n".length).split("\n\n").filter((event) => event && !event.startsWith(":"));
  const kinds = [];
  const open = new Map();
  const items = [];
  let response;
  events.forEach((event, at) => {
    const [name, data] = event.split("\ndata: ");
    const read = JSON.parse(data);
    assert.deepEqual([name, read.sequence_number], [`event: ${read.type}`, at]);
    assert.equal(response, undefined, "nothing follows the end");
    kinds.push(read.type);
    if (read.type === "response.output_item.added") {
      assert.equal(read.output_index, items.length);
      items.push(read.item);
      open.set(read.output_index, read.item.id);
    } else if (read.item_id) assert.equal(open.get(read.output_index), read.item_id, read.type);
    if (read.type === "response.output_item.done") {
      assert.ok(open.delete(read.output_index));
      items[read.output_index] = read.item;
    }
    if (["response.completed", "response.incomplete", "response.failed"].includes(read.type)) response = read.response;
  });
  assert.deepEqual(kinds.slice(0, 2), ["response.created", "response.in_progress"]);
  assert.ok(response, "a terminal event");
  if (response.status === "completed") {
    assert.equal(open.size, 0);
    assert.deepEqual(response.output, items);
  }
  return { response, kinds };
}

const of = (response, type) => response.output.filter((item) => item.type === type);
const words = (response) => of(response, "message").flatMap((item) => item.content).map((part) => part.text).join("");
const tool = (name) => ({
  type: "function",
  name,
  description: `The ${name} of a city`,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  strict: false,
});
const tools = [tool("get_weather"), tool("get_time")];

for (const dialect of DIALECTS) {
  const name = `test/${dialect}`;
  for (const stream of [false, true]) {
    describe(`${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      test("text, what was asked, usage and the same charge everywhere", async () => {
        const { status, error, response, headers } = await ask({ model: name, stream, instructions: "Be brief.", input: "say exactly: Grüße, 世界 👋🏽", metadata: { k: "v" } });
        assert.equal(status, 200, JSON.stringify(error));
        assert.equal(words(response), "Grüße, 世界 👋🏽");
        assert.deepEqual([response.object, response.status, response.model, response.provider], ["response", "completed", name, `Test one-${dialect}`]);
        assert.deepEqual([response.instructions, response.metadata, response.store], ["Be brief.", { k: "v" }, false]);
        assert.equal(response.id, headers.get("x-generation-id"));
        const { usage } = lastRequest();
        assert.deepEqual([response.usage.input_tokens, response.usage.output_tokens], [usage.input, usage.output]);
        const row = await generation(gateway, key, response.id);
        assert.equal(nanos(row.total_cost), nanos(response.usage.cost));
        assert.ok(response.usage.cost > 0);
      });

      test("several tools at once, their results, and an answer", async () => {
        const input = [{ role: "user", content: "get_weather in Paris and get_time in Tokyo, please" }];
        const { response: first } = await ask({ model: name, stream, tools, input });
        const calls = of(first, "function_call");
        assert.deepEqual(calls.map((each) => [each.name, JSON.parse(each.arguments)]), [["get_weather", { city: "Paris" }], ["get_time", { city: "Tokyo" }]]);
        const results = calls.map((each) => ({ type: "function_call_output", call_id: each.call_id, output: `${each.name}: fine` }));
        const { status, error, response: last } = await ask({ model: name, stream, tools, input: [...input, ...first.output, ...results] });
        assert.equal(status, 200, JSON.stringify(error));
        assert.match(words(last), /get_weather: fine.*get_time: fine/s);
      });

      test("reasoning goes back as it came", async () => {
        const asked = { model: name, stream, tools, reasoning: { effort: "high", summary: "auto" } };
        const input = [{ role: "user", content: "get_weather in Paris" }];
        const { response: first } = await ask({ ...asked, input });
        const [thought] = of(first, "reasoning");
        const told = [...thought.summary, ...(thought.content ?? [])].map((part) => part.text).join("");
        assert.ok(told.length > 0, JSON.stringify(thought));
        const results = of(first, "function_call").map((each) => ({ type: "function_call_output", call_id: each.call_id, output: "fine" }));
        const { status, error } = await ask({ ...asked, input: [...input, ...first.output, ...results] });
        assert.equal(status, 200, JSON.stringify(error));
        const sent = JSON.stringify(lastRequest().body);
        // The upstreams verify what they sealed; here it is only seen that it went back.
        if (dialect === "responses") assert.ok(sent.includes(thought.encrypted_content));
        if (dialect === "anthropic") assert.match(sent, /"signature":"[^"]+"/);
      });

      test("an answer in a form, and one that is cut", async () => {
        const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
        const text = { format: { type: "json_schema", name: "place", schema, strict: true } };
        const { response } = await ask({ model: name, stream, text, input: "Where is Paris?" });
        assert.equal(typeof JSON.parse(words(response)).city, "string");
        const { response: cut } = await ask({ model: name, stream, input: "Please count to 300", max_output_tokens: 20 });
        assert.deepEqual([cut.status, cut.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
      });

      test("an error before the answer begins", async () => {
        script(dialect, "fault-status-503");
        const { status, error, body } = await ask({ model: name, stream });
        assert.equal(status, 503);
        assert.deepEqual([error.type, error.code, body.error_type], ["server_error", "provider_overloaded", "provider_overloaded"]);
      });
    });
  }

  test(`${dialect}: an error in the stream ends it with a terminal event`, async () => {
    script(dialect, "fault-error-5");
    const { status, response, kinds } = await ask({ model: name, stream: true, input: "Please count to 300" });
    assert.equal(status, 200);
    assert.equal(kinds.at(-1), "response.failed");
    assert.deepEqual([response.status, response.error.code], ["failed", "server_error"]);
    assert.ok(response.usage.cost > 0 && response.error_type);
  });

  test(`${dialect}: a client that leaves pays for what it got`, async () => {
    const leaver = await gateway.createAccount();
    // Events flow: an ordinary close is seen by the next write.
    script(dialect, "fault-delay-between-15");
    const abort = new AbortController();
    const answer = await call(gateway, "responses", { key: leaver.key, body: { model: name, stream: true, input: "Please count to 300" }, signal: abort.signal });
    const reader = answer.body.getReader();
    let text = "";
    while (!text.includes("output_text.delta")) text += new TextDecoder().decode((await reader.read()).value);
    abort.abort();
    await gateway.upstream.waitFor((entry) => entry.path.startsWith(`/p/one-${dialect}/`) && entry.aborted);
    const state = await settled(gateway, leaver.account);
    assert.ok(state.total_usage > 0 && state.held === 0, JSON.stringify(state));
  });
}

test("the items of a client go on as they are to a host of the same format", async () => {
  const input = [{ type: "message", role: "user", content: [{ type: "input_text", text: "say exactly: fine" }] }];
  const custom = { type: "custom", name: "patch", format: { type: "text" } };
  const { status, error, response } = await ask({ model: "test/responses", input, tools: [custom], truncation: "auto" });
  assert.equal(status, 200, JSON.stringify(error));
  const { body } = lastRequest();
  assert.deepEqual([body.input, body.tools, body.truncation, body.store], [input, [custom], "auto", false]);
  assert.deepEqual([response.tools, response.truncation], [[custom], "auto"]);
});

test("a custom tool is a custom tool whoever serves", async () => {
  for (const dialect of DIALECTS) {
    const tools = [{ type: "custom", name: "apply_patch", description: "Patches files" }];
    const { status, error, response } = await ask({ model: `test/${dialect}`, input: "call the apply_patch tool", tools, tool_choice: { type: "custom", name: "apply_patch" } });
    assert.equal(status, 200, JSON.stringify(error));
    const [made] = of(response, "custom_tool_call");
    assert.deepEqual([made?.name, typeof made?.input], ["apply_patch", "string"], JSON.stringify(response.output));
  }
});

for (const dialect of DIALECTS) {
  test(`${dialect}: a search that an agent offers out of habit is left out where nobody searches, and that is told`, async () => {
    const search = { type: "web_search", external_web_access: true, search_context_size: "low" };
    const headers = { "x-openrouter-metadata": "enabled" };
    for (const stream of [false, true]) {
      for (const [offered, choice, left] of [[[tools[0], search], "auto", ["get_weather"]], [[search, tools[0]], "required", ["get_weather"]], [[search], undefined, []]]) {
        const { status, error, response, headers: told } = await ask({ model: `test/${dialect}`, stream, input: "get_weather in Paris", tools: offered, tool_choice: choice }, { headers });
        assert.equal(status, 200, JSON.stringify(error));
        assert.match(told.get("x-patchbay-pipeline") ?? "", /unavailable-tools/);
        const step = response.openrouter_metadata.pipeline.find(({ name }) => name === "unavailable-tools");
        assert.deepEqual(step.data, { dropped: ["web_search"] });
        assert.equal(response.status, "completed");
        const { body } = lastRequest();
        assert.deepEqual((body.tools ?? []).map((each) => each.name ?? each.function.name), left);
        if (left.length === 0) assert.equal(body.tool_choice, undefined);
        else assert.equal(of(response, "function_call")[0].name, "get_weather");
      }
    }
  });
}

test("a search that has to be made is refused where nobody searches", async () => {
  const search = { type: "web_search" };
  for (const [fields, param] of [
    [{ tools: [search], tool_choice: "required" }, "tools[0].engine"],
    [{ tools: [search], tool_choice: { type: "function", name: "web_search" } }, "tools[0].engine"],
    [{ tools: [search], tool_choice: { type: "web_search" } }, "tool_choice"],
    [{ tools: [{ type: "openrouter:web_search" }] }, "tools[0].engine"],
    [{ tools: [{ ...search, engine: "exa" }] }, "tools[0].engine"],
    [{ plugins: [{ id: "web" }] }, "plugins[0].engine"],
  ]) {
    const { status, error } = await ask({ model: "test/openai", ...fields });
    assert.deepEqual([status, error?.param], [400, param], JSON.stringify(fields));
  }
});

test("nothing is stored, so nothing can be referred to", async () => {
  for (const [field, value] of [["store", true], ["previous_response_id", "resp_1"], ["background", true]]) {
    const { status, error, body } = await ask({ model: "test/openai", [field]: value });
    assert.deepEqual([status, error.param, error.type, body.error_type], [400, field, "invalid_request_error", "invalid_request"]);
  }
  const { status, error } = await ask({ model: "test/openai" }, { headers: { authorization: "Bearer nobody" } });
  assert.deepEqual([status, error.type], [401, "authentication_error"]);
  const rest = await settled(gateway, account);
  assert.equal(rest.held, 0);
});
