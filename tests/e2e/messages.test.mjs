// Anthropic's messages for every upstream: what a client of that format sees, whoever serves, and what the upstream is told.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { DIALECTS, endpoint, model as modelRow, provider } from "./catalog.mjs";
import { call, callJson, generation, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { calls, message, words } from "./messages.mjs";

let gateway, key, account;
before(async () => {
  gateway = await startGateway();
  ({ key, account } = await gateway.createAccount());
});
after(() => gateway?.stop());

const script = (dialect, behaviour, times = 1) => {
  for (const name of ["one", "two"]) gateway.upstream.script({ prefix: `/p/${name}-${dialect}/`, times, behaviour });
};
const lastRequest = () => gateway.upstream.requests().at(-1);
const numbers = (last) => Array.from({ length: last }, (_, at) => at + 1).join(", ");

const tool = (name) => ({
  name,
  description: `The ${name} of a city`,
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
});
const tools = [tool("get_weather"), tool("get_time")];
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";

for (const dialect of DIALECTS) {
  const model = `test/${dialect}`;
  for (const stream of [false, true]) {
    describe(`${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      test("text, its usage and the same charge everywhere", async () => {
        const answer = await message(gateway, key, { model, stream, system: "Be brief.", messages: [user("say exactly: Grüße, 世界 👋🏽")] });
        assert.equal(answer.status, 200, JSON.stringify(answer.error));
        const { message: said } = answer;
        assert.deepEqual(said.content, [{ type: "text", text: "Grüße, 世界 👋🏽" }]);
        assert.deepEqual([said.type, said.role, said.model, said.provider], ["message", "assistant", model, `Test one-${dialect}`]);
        assert.deepEqual([said.stop_reason, said.stop_sequence], ["end_turn", null]);
        assert.equal(said.id, answer.headers.get("x-generation-id"));
        const { usage } = lastRequest();
        const prompt = said.usage.input_tokens + said.usage.cache_read_input_tokens + said.usage.cache_creation_input_tokens;
        assert.deepEqual([prompt, said.usage.output_tokens], [usage.input, usage.output]);
        const row = await generation(gateway, key, said.id);
        assert.equal(nanos(row.total_cost), nanos(said.usage.cost));
        assert.ok(said.usage.cost > 0);
      });

      test("several tools at once, their results, and an answer", async () => {
        const asked = { model, stream, tools, messages: [user("get_weather in Paris and get_time in Tokyo, please")] };
        const { message: first } = await message(gateway, key, asked);
        assert.equal(first.stop_reason, "tool_use");
        assert.deepEqual(calls(first).map(({ name, input }) => [name, input]), [["get_weather", { city: "Paris" }], ["get_time", { city: "Tokyo" }]]);
        for (const { id } of calls(first)) assert.match(id, /^[a-zA-Z0-9_-]+$/);
        const results = calls(first).map(({ id, name }) => ({ type: "tool_result", tool_use_id: id, content: [{ type: "text", text: `${name}: fine` }] }));
        // The local Gemini answers the last turn alone, and words after results are a turn of their own there.
        const more = dialect === "gemini" ? [] : [{ type: "text", text: "Well?" }];
        const messages = [...asked.messages, { role: "assistant", content: first.content }, { role: "user", content: [...results, ...more] }];
        const { status, error, message: last } = await message(gateway, key, { ...asked, messages });
        assert.equal(status, 200, JSON.stringify(error));
        assert.match(words(last), /get_weather → .*get_weather: fine.*get_time → .*get_time: fine/);
      });

      test("a tool that has to be called, and only one at a time", async () => {
        const asked = { model, stream, tools, messages: [user("get_weather in Rome and get_time in Rome")] };
        const single = await message(gateway, key, { ...asked, tool_choice: { type: "any", disable_parallel_tool_use: true } });
        // Gemini cannot be told.
        if (dialect !== "gemini") assert.equal(calls(single.message).length, 1);
        const named = await message(gateway, key, { ...asked, tool_choice: { type: "tool", name: "get_time" } });
        assert.deepEqual(calls(named.message).map(({ name }) => name), ["get_time"]);
        const none = await message(gateway, key, { ...asked, tool_choice: { type: "none" } });
        assert.deepEqual(calls(none.message), []);
      });

      test("thinking, and its blocks sent back to the provider that signed them", async () => {
        const thinking = { type: "enabled", budget_tokens: 1_500 };
        const asked = { model, stream, thinking, tools, messages: [user("get_weather in Paris")] };
        const { message: first } = await message(gateway, key, asked);
        assert.equal(first.content[0].type, "thinking");
        assert.match(first.content[0].thinking, /I shall call get_weather/);
        assert.ok(first.content[0].signature);
        const results = calls(first).map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "rain" }));
        const messages = [...asked.messages, { role: "assistant", content: first.content }, { role: "user", content: results }];
        const second = await message(gateway, key, { ...asked, messages });
        assert.equal(second.status, 200, JSON.stringify(second.error));
        // Anybody else serves the same conversation without them: the upstreams refuse what others signed.
        for (const other of DIALECTS.filter((each) => each !== dialect)) {
          const elsewhere = await message(gateway, key, { ...asked, model: `test/${other}`, thinking: undefined, messages });
          assert.equal(elsewhere.status, 200, `${other}: ${JSON.stringify(elsewhere.error)}`);
          assert.ok(!JSON.stringify(lastRequest().body).includes(first.content[0].signature), other);
        }
      });

      test("an image and a document", async () => {
        const content = [
          { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
          { type: "document", title: "notes", source: { type: "text", media_type: "text/plain", data: "The tide is at nine." } },
          { type: "text", text: "say exactly: seen" },
        ];
        const answer = await message(gateway, key, { model, stream, messages: [{ role: "user", content }] });
        assert.equal(words(answer.message), "seen", JSON.stringify(answer.error));
        const sent = JSON.stringify(lastRequest().body);
        assert.ok(sent.includes(PIXEL) && sent.includes("The tide is at nine."));
      });

      test("the form of the answer", async () => {
        const schema = { type: "object", properties: { name: { type: "string" }, inhabitants: { type: "integer" } }, required: ["name", "inhabitants"], additionalProperties: false };
        const answer = await message(gateway, key, { model, stream, output_config: { format: { type: "json_schema", schema } }, messages: [user("Paris")] });
        const city = JSON.parse(words(answer.message));
        assert.deepEqual(Object.keys(city).sort(), ["inhabitants", "name"]);
      });

      test("a limit", async () => {
        const { message: short } = await message(gateway, key, { model, stream, max_tokens: 20, messages: [user("count to 300")] });
        assert.equal(short.stop_reason, "max_tokens");
      });

      for (const [status, told, type] of [[429, 429, "rate_limit_error"], [529, 503, "overloaded_error"]]) {
        test(`a ${status} of every provider in Anthropic's envelope`, async () => {
          script(dialect, `fault-status-${status}`);
          const answer = await message(gateway, key, { model, stream });
          gateway.upstream.reset();
          assert.equal(answer.status, told);
          assert.equal(answer.error.type, type);
          assert.equal(answer.requestId, answer.headers.get("x-generation-id"));
        });
      }
    });
  }

  describe(`${dialect}, a stream that does not end well`, () => {
    test("an error in its middle is an event of its own, with what was used", async () => {
      script(dialect, "fault-error-8");
      const broken = await message(gateway, key, { model, stream: true, messages: [user("count to 60")] });
      gateway.upstream.reset();
      assert.equal(broken.status, 200);
      assert.equal(broken.kinds.at(-1), "error");
      assert.ok(["overloaded_error", "api_error"].includes(broken.error.type), broken.error.type);
      assert.ok(broken.usage.cost > 0 && numbers(60).startsWith(broken.message.content[0].text));
    });

    test("a client that leaves ends it, and pays for what it got", async () => {
      const { key: own, account: payer } = await gateway.createAccount();
      script(dialect, "fault-delay-between-15");
      await leave(own, { model, stream: true, max_tokens: 4_000, messages: [user("Please count to 300")] });
      await gateway.upstream.waitFor((each) => each.aborted && providerOf(each) === `one-${dialect}`);
      await settled(gateway, payer);
      const [row] = await gateway.d1("SELECT * FROM usage WHERE account = ?", payer);
      gateway.upstream.reset();
      assert.deepEqual([row.status, row.cancelled, row.streamed], ["settled", 1, 1]);
      assert.ok(row.cost > 0);
    });
  });
}

/** Asks on a socket of its own and resets it once some text has come. */
async function leave(own, body) {
  const text = JSON.stringify(body);
  const socket = connect(gateway.port, "127.0.0.1");
  let got = "";
  const seen = new Promise((done) => {
    socket.setEncoding("utf8").on("data", (chunk) => {
      got += chunk;
      if (/text_delta[^\n]*5/.test(got)) done();
    });
    socket.on("close", done);
  });
  socket.on("error", () => {});
  socket.write(
    `POST /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: ${own}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  await seen;
  assert.match(got, /text_delta/, got.slice(-300));
  socket.resetAndDestroy();
}

describe("an upstream that speaks messages too", () => {
  const ask = (body, options) => message(gateway, key, { model: "test/anthropic", ...body }, options);

  test("gets the conversation as the bytes it was, and the features that the client switched on", async () => {
    const system = [{ type: "text", text: "You keep notes.", cache_control: { type: "ephemeral", ttl: "1h" } }];
    const messages = [{ role: "user", content: [{ type: "text", text: "say exactly: kept", cache_control: { type: "ephemeral" } }] }];
    const betas = "context-management-2025-06-27,oauth-2025-04-20";
    const fields = { system, messages, context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] } };
    const { message: said, error } = await ask(fields, { headers: { "anthropic-beta": betas } });
    assert.equal(words(said ?? { content: [] }), "kept", JSON.stringify(error));
    const { body, headers } = lastRequest();
    assert.deepEqual([body.system, body.messages, body.context_management], [system, messages, fields.context_management]);
    assert.equal(headers["anthropic-beta"], "context-management-2025-06-27");
  });

  test("keeps a stop sequence, redacted thinking and its order of events", async () => {
    const { message: stopped } = await ask({ stream: true, stop_sequences: ["5"], messages: [user("count to 9")] });
    assert.deepEqual([stopped.stop_reason, stopped.stop_sequence], ["stop_sequence", "5"]);
    const redact = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING";
    const asked = { thinking: { type: "enabled", budget_tokens: 1_500 }, messages: [user(`${redact} hello`)] };
    const { message: opaque, kinds } = await ask({ ...asked, stream: true });
    assert.equal(opaque.content[0].type, "redacted_thinking");
    assert.ok(kinds.includes("ping"), "the provider's pings pass");
    const messages = [...asked.messages, { role: "assistant", content: opaque.content }, user("And now?")];
    assert.equal((await ask({ ...asked, messages })).status, 200);
  });

  test("prompt caching is marked, counted and cheaper", async () => {
    const system = [{ type: "text", text: "word ".repeat(4_000), cache_control: { type: "ephemeral" } }];
    const written = (await ask({ system, stream: true })).message.usage;
    const read = (await ask({ system, stream: true })).message.usage;
    assert.ok(written.cache_creation.ephemeral_5m_input_tokens > 1_000);
    assert.ok(read.cache_read_input_tokens > 1_000 && read.cost < written.cost);
  });

  test("gets only what Anthropic knows, which others refuse by name", async () => {
    const tools = [{ type: "code_execution_20260120", name: "code_execution" }];
    assert.equal((await ask({ tools })).status, 200);
    assert.deepEqual(lastRequest().body.tools, tools);
    const refused = await ask({ tools, model: "test/openai" });
    assert.deepEqual([refused.status, refused.error.type], [400, "invalid_request_error"]);
    assert.match(refused.error.message + refused.error.param, /tools\[0\]/);
  });
});

describe("the surface", () => {
  test("what Claude Code sends, from any model", async () => {
    const cached = { cache_control: { type: "ephemeral" } };
    const body = {
      max_tokens: 32_000,
      stream: true,
      system: [
        { type: "text", text: "x-anthropic-billing-header: cc_version=2.1.0; cc_entrypoint=cli" },
        { type: "text", text: "You are an agent that works in a terminal.", ...cached },
        { type: "text", text: "Long instructions.", ...cached },
      ],
      messages: [
        { role: "user", content: [{ type: "text", text: "<system-reminder>todo list is empty</system-reminder>" }, { type: "text", text: "say exactly: at work", ...cached }] },
      ],
      tools: Array.from({ length: 24 }, (_, at) => ({
        ...tool(`Tool${at}`),
        ...(at === 23 && cached),
      })),
      metadata: { user_id: `user_${"a".repeat(64)}_account__session_0b5e7a1c-0000-4000-8000-000000000000` },
      thinking: { type: "adaptive" },
      output_config: { effort: "high" },
      context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    };
    const headers = {
      authorization: `Bearer ${key}`,
      "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05",
      "anthropic-dangerous-direct-browser-access": "true",
      "user-agent": "claude-cli/2.1.0 (external, cli)",
      "x-app": "cli",
    };
    for (const dialect of DIALECTS) {
      const answer = await message(gateway, "", { ...body, model: `test/${dialect}` }, { path: "messages?beta=true", headers });
      assert.equal(answer.status, 200, JSON.stringify(answer.error));
      assert.equal(words(answer.message), "at work");
      const told = JSON.stringify(lastRequest().body);
      assert.equal(told.includes("x-anthropic-billing-header"), dialect === "anthropic", dialect);
      assert.ok(!told.includes("account__session"), "who asks is not told");
    }
  });

  test("a key is taken in either header, and a missing one is told in the envelope of the path", async () => {
    const body = { model: "test/openai", max_tokens: 9, messages: [user("Hi")] };
    assert.equal((await call(gateway, "messages", { key, body })).status, 200);
    assert.equal((await call(gateway, "chat/completions", { headers: { "x-api-key": key }, body })).status, 200);
    for (const path of ["messages", "messages?beta=true", "messages/count_tokens"]) {
      const { status, body: told } = await callJson(gateway, path, { body });
      assert.deepEqual([status, told.type, told.error.type], [401, "error", "authentication_error"]);
      assert.match(told.request_id, /^gen-/);
    }
    const { body: chat } = await callJson(gateway, "chat/completions", { body });
    assert.equal(chat.error.code, 401);
  });

  test("wrong fields, models and methods in Anthropic's envelope", async () => {
    const model = "test/openai";
    for (const [fields, status, param] of [
      [{ model, messages: [{ role: "user", content: [{ type: "image" }] }] }, 400, "messages[0].content[0].source"],
      [{ model, max_tokens: 0 }, 400, "max_tokens"],
      [{ model: "test/opnai" }, 400, "model"],
      [{ model, provider: { only: ["nobody"] } }, 404, undefined],
    ]) {
      const answer = await message(gateway, key, fields);
      assert.deepEqual([answer.status, answer.error.param], [status, param], JSON.stringify(answer.error));
      assert.equal(answer.error.type, status === 404 ? "not_found_error" : "invalid_request_error");
    }
    const { status, body } = await callJson(gateway, "messages", { key });
    assert.deepEqual([status, body.type], [405, "error"]);
    const poor = await gateway.createAccount({ usd: "0.000000001" });
    const refused = await message(gateway, poor.key, { model });
    assert.deepEqual([refused.status, refused.error.type], [402, "billing_error"]);
  });

  test("a conversation that the server would keep is refused as clients know it, so that they keep it themselves", async () => {
    const { status, error } = await message(gateway, key, { model: "test/anthropic", thread: { type: "create" } });
    assert.deepEqual([status, error.details.error_code], [400, "thread_unsupported_request"]);
  });

  test("fallback models in either spelling", async () => {
    script("openai", "fault-status-503");
    const answer = await message(gateway, key, { model: "test/openai", fallbacks: [{ model: "test/anthropic" }] });
    gateway.upstream.reset();
    assert.equal(answer.message.model, "test/anthropic");
  });

  test("counting tokens costs nothing and grows with the conversation", async () => {
    const count = async (content, model = "test/gemini") => {
      const { status, headers, body } = await callJson(gateway, "messages/count_tokens", { key, body: { model, messages: [user(content)], tools } });
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(headers.get("x-patchbay-token-count"), "estimate");
      return body.input_tokens;
    };
    const before = await settled(gateway, account);
    assert.ok((await count("Hi")) > 0);
    assert.ok((await count("word ".repeat(1_000))) > (await count("word ".repeat(10), "test/anthropic")) + 500);
    assert.equal((await settled(gateway, account)).balance, before.balance);
  });
});

describe("tokens that the provider counts", () => {
  const WIRES = ["anthropic", "gemini", "openai", "responses"];
  const rows = (make) => WIRES.map((dialect) => make(`count-${dialect}`, dialect));
  const catalog = {
    providers: rows((slug, dialect) => provider({ slug, dialect, counts: true })),
    models: rows((slug, dialect) => modelRow(`test/${dialect}`)),
    endpoints: rows((slug, dialect) => endpoint({ model: `test/${dialect}`, provider: slug, dialect })),
    aliases: [],
  };
  let counting, payer;
  before(async () => {
    counting = await startGateway({ catalog });
    payer = await counting.createAccount();
  });
  after(() => counting?.stop());

  const count = async (dialect, content = "How long is this?") => {
    const body = { model: `test/${dialect}`, max_tokens: 99, temperature: 0.5, stream: true, system: "Be brief.", messages: [user(content)], tools };
    const { status, headers, body: told } = await callJson(counting, "messages/count_tokens", { key: payer.key, body });
    assert.equal(status, 200, JSON.stringify(told));
    return { how: headers.get("x-patchbay-token-count"), provider: headers.get("x-patchbay-provider"), tokens: told.input_tokens };
  };

  for (const dialect of WIRES) {
    test(`${dialect} is asked in its own words, and nothing is charged`, async () => {
      const before = await settled(counting, payer.account);
      const { how, provider: name, tokens } = await count(dialect);
      const asked = counting.upstream.requests().at(-1);
      assert.deepEqual([how, name, asked.format, asked.rejected], ["provider", `Test count-${dialect}`, "counting", undefined]);
      assert.equal(tokens, asked.usage.input);
      for (const word of ["How long is this?", "Be brief.", "get_weather"]) assert.ok(JSON.stringify(asked.body).includes(word), word);
      assert.ok((await count(dialect, "word ".repeat(2_000))).tokens > tokens + 2_000);
      const { balance, total_usage: used } = await settled(counting, payer.account);
      assert.deepEqual([balance, used], [before.balance, before.total_usage]);
    });

    test(`${dialect}: where it fails or says nonsense, the gateway estimates`, async () => {
      for (const behaviour of ["fault-status-503", "fault-status-400", "fault-reset", "fault-garbage"]) {
        counting.upstream.script({ prefix: `/p/count-${dialect}/`, times: 1, behaviour });
        const { how, provider: name, tokens } = await count(dialect);
        assert.deepEqual([how, name], ["estimate", null], behaviour);
        assert.ok(tokens > 10, behaviour);
        assert.equal((await count(dialect)).how, "provider", "the next one is asked again");
      }
    });
  }

  test("a provider that does not answer is not waited for", async () => {
    counting.upstream.script({ prefix: "/p/count-anthropic/", times: 1, behaviour: "fault-gate-headers" });
    const { how, tokens } = await count("anthropic");
    assert.ok(how === "estimate" && tokens > 10);
    counting.upstream.reset();
  });
});

describe("completions", () => {
  const post = (fields, model = "test/openai") => callJson(gateway, "completions", { key, body: { model, prompt: "say exactly: a text", ...fields } });

  for (const dialect of DIALECTS) {
    test(`a text from ${dialect}, in one piece and streamed`, async () => {
      const { status, body } = await post({ echo: true }, `test/${dialect}`);
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual([body.object, body.choices[0].text, body.choices[0].finish_reason], ["text_completion", "say exactly: a texta text", "stop"]);
      assert.ok(body.usage.cost > 0);
      const streamed = await call(gateway, "completions", { key, body: { model: `test/${dialect}`, prompt: ["count to 30"], stream: true } });
      const events = (await streamed.text()).trimEnd().split("\n\n").map((line) => line.replace(/^data: /, ""));
      assert.equal(events.pop(), "[DONE]");
      const chunks = events.map((each) => JSON.parse(each));
      assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), numbers(30));
      assert.ok(chunks.every((chunk) => chunk.object === "text_completion") && chunks.at(-1).usage.cost > 0);
    });
  }

  test("several answers, several prompts, a suffix, an error", async () => {
    const { body } = await post({ n: 2 });
    assert.deepEqual(body.choices.map(({ index, text }) => [index, text]), [[0, "a text"], [1, "Choice 2. a text"]]);
    const several = await post({ prompt: ["a", "b"] });
    assert.deepEqual([several.status, several.body.error.param], [400, "prompt"]);
    assert.equal((await post({ suffix: "the end" })).status, 200);
    assert.match(JSON.stringify(lastRequest().body.messages[0]), /the end/);
    const unknown = await post({}, "test/opnai");
    assert.deepEqual([unknown.status, unknown.body.error.code], [400, 400]);
  });
});
