// Anthropic's JavaScript SDK, unmodified, against the running Worker: only its base URL and its key are ours.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import { startGateway } from "../e2e/gateway.mjs";
import { MODELS, schema, tools as functions } from "./cases.mjs";

let gateway;
let anthropic;
const client = (apiKey, options) => new Anthropic({ baseURL: `${gateway.base}/api`, apiKey, maxRetries: 0, timeout: 30_000, ...options });

before(async () => {
  gateway = await startGateway();
  anthropic = client((await gateway.createAccount()).key);
});
after(() => gateway?.stop());

const user = (content) => ({ role: "user", content });
const numbers = (last) => Array.from({ length: last }, (_, at) => at + 1).join(", ");
const words = ({ content }) => content.filter(({ type }) => type === "text").map(({ text }) => text).join("");
const tools = functions.map(({ function: { name, description, parameters } }) => ({ name, description, input_schema: parameters }));

/** Makes both providers of every model answer so, once each. */
function script(behaviour, times = 1) {
  for (const name of ["one", "two"]) {
    for (const { dialect } of MODELS) gateway.upstream.script({ prefix: `/p/${name}-${dialect}`, behaviour, times });
  }
}

const calm = () => {
  gateway.upstream.release();
  gateway.upstream.reset();
};

for (const { model, dialect } of MODELS) {
  describe(`${dialect} upstream`, () => {
    const asked = (content, more = {}) => ({ model, max_tokens: 4_000, messages: [user(content)], ...more });

    test("a message", async () => {
      const message = await anthropic.messages.create(asked("say exactly: Grüße, 世界 👋🏽", { system: "Be brief.", temperature: 0.3 }));
      assert.equal(words(message), "Grüße, 世界 👋🏽");
      assert.deepEqual([message.type, message.stop_reason], ["message", "end_turn"]);
      assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0 && message.usage.cost > 0);
    });

    test("a stream, event by event and accumulated by the helper", async () => {
      const stream = await anthropic.messages.create({ ...asked("count to 25"), stream: true });
      let text = "";
      for await (const event of stream) if (event.delta?.type === "text_delta") text += event.delta.text;
      assert.equal(text, numbers(25));
      const helper = anthropic.messages.stream(asked("count to 25"));
      let seen = "";
      helper.on("text", (delta) => (seen += delta));
      const message = await helper.finalMessage();
      const inOnePiece = await anthropic.messages.create(asked("count to 25"));
      assert.equal(seen, numbers(25));
      assert.deepEqual(message.content, inOnePiece.content);
      assert.equal(message.usage.output_tokens, inOnePiece.usage.output_tokens);
      assert.equal(message.usage.input_tokens, inOnePiece.usage.input_tokens);
    });

    test("parallel tool calls, in one piece and streamed", async () => {
      const both = asked("get_weather in Paris and get_time in Tokyo, please", { tools });
      for (const message of [await anthropic.messages.create(both), await anthropic.messages.stream(both).finalMessage()]) {
        assert.equal(message.stop_reason, "tool_use");
        const calls = message.content.filter(({ type }) => type === "tool_use");
        assert.deepEqual(calls.map(({ name, input }) => [name, input]), [["get_weather", { city: "Paris" }], ["get_time", { city: "Tokyo" }]]);
        assert.equal(new Set(calls.map(({ id }) => id)).size, 2);
      }
    });

    for (const stream of [false, true]) {
      test(`the tool runner goes round until there is an answer, ${stream ? "streamed" : "in one piece"}`, async () => {
        const ran = [];
        const runnable = tools.map(({ name, description, input_schema: inputSchema }) =>
          betaTool({ name, description, inputSchema, run: ({ city }) => (ran.push([name, city]), `${name} of ${city}`) }),
        );
        const thinking = { type: "enabled", budget_tokens: 1_500 };
        const runner = anthropic.beta.messages.toolRunner({ ...asked("get_weather in Paris and get_time in Tokyo, please"), stream, thinking, tools: runnable });
        const last = await runner.runUntilDone();
        assert.deepEqual(ran, [["get_weather", "Paris"], ["get_time", "Tokyo"]]);
        assert.match(words(last), /get_weather of Paris.*get_time of Tokyo/);
      });
    }

    test("structured output through the parse helper", async () => {
      const message = await anthropic.messages.parse(asked("Paris", { output_config: { format: jsonSchemaOutputFormat(schema) } }));
      assert.equal(typeof message.parsed_output.name, "string");
      assert.ok(Number.isInteger(message.parsed_output.inhabitants));
    });

    test("an error before the stream is its own exception", async (t) => {
      t.after(calm);
      for (const [status, type, word] of [[429, Anthropic.RateLimitError, "rate_limit_error"], [529, Anthropic.InternalServerError, "overloaded_error"]]) {
        script(`fault-status-${status}`);
        await assert.rejects(anthropic.messages.create(asked("Hi")), (error) => error instanceof type && error.type === word);
        calm();
      }
    });

    test("an error in the middle of a stream is raised", async (t) => {
      t.after(calm);
      script("fault-error-8");
      const stream = anthropic.messages.stream(asked("count to 60"));
      let text = "";
      stream.on("text", (delta) => (text += delta));
      await assert.rejects(stream.finalMessage(), Anthropic.APIError);
      assert.ok(text && numbers(60).startsWith(text));
    });

    test("an abort ends the stream at the upstream", async (t) => {
      t.after(calm);
      script("fault-delay-between-15");
      const stream = anthropic.messages.stream(asked("count to 300"));
      stream.once("text", () => stream.abort());
      await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
      await gateway.upstream.waitFor((each) => each.aborted && each.path.startsWith(`/p/one-${dialect}`), 15_000);
    });

    test("tokens are counted", async () => {
      const { messages } = asked("How long is this?");
      assert.ok((await anthropic.messages.countTokens({ model, messages, tools })).input_tokens > 10);
    });
  });
}

describe("errors", () => {
  const hello = { model: MODELS[0].model, max_tokens: 9, messages: [user("Hello")] };

  test("401, 400 with the field, 402, 404", async () => {
    await assert.rejects(client(`sk-pb-v1-${"0".repeat(64)}`).messages.create(hello), Anthropic.AuthenticationError);
    const wrong = { ...hello, messages: [user([{ type: "image" }])] };
    await assert.rejects(anthropic.messages.create(wrong), (error) => {
      assert.ok(error instanceof Anthropic.BadRequestError);
      assert.equal(error.type, "invalid_request_error");
      assert.equal(error.error.error.param, "messages[0].content[0].source");
      return true;
    });
    const { key } = await gateway.createAccount({ usd: "0.000000001" });
    await assert.rejects(client(key).messages.create(hello), (error) => error.status === 402 && error.type === "billing_error");
    await assert.rejects(anthropic.messages.create({ ...hello, provider: { only: ["nobody"] } }), Anthropic.NotFoundError);
  });

  test("the SDK retries what may pass, and a token in Authorization is a key too", async (t) => {
    t.after(calm);
    const { key } = await gateway.createAccount();
    const patient = client(null, { authToken: key, maxRetries: 2 });
    script("fault-status-503");
    const message = await patient.messages.create({ ...hello, max_tokens: 50, messages: [user("say exactly: at last")] });
    assert.equal(words(message), "at last");
  });
});
