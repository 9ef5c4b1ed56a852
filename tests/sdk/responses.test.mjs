// The Responses API through the official JavaScript SDK, unmodified, against the running Worker.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { startGateway } from "../e2e/gateway.mjs";
import { MODELS } from "./cases.mjs";
import { faultsOf } from "./faults.mjs";

let gateway;
let openai;
before(async () => {
  gateway = await startGateway();
  const { key } = await gateway.createAccount();
  openai = new OpenAI({ baseURL: `${gateway.base}/api/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
});
after(() => gateway?.stop());

const { script, calm } = faultsOf(() => gateway);

const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const TOOLS = ["get_weather", "get_time"].map((name) => ({ type: "function", name, description: `Tells ${name.slice(4)}.`, parameters: CITY, strict: true }));
const numbers = (last) => Array.from({ length: last }, (_, at) => at + 1).join(", ");

for (const { model, dialect } of MODELS) {
  describe(`${dialect} upstream`, () => {
    test("text, with instructions and usage", async () => {
      const response = await openai.responses.create({ model, instructions: "Be brief.", input: "say exactly: Grüße, 世界 👋🏽" });
      assert.equal(response.object, "response");
      assert.equal(response.status, "completed");
      assert.equal(response.output_text, "Grüße, 世界 👋🏽");
      assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
      assert.ok(response.usage.cost > 0);
    });

    test("a stream", async () => {
      const stream = openai.responses.stream({ model, input: "count to 25" });
      let seen = "";
      stream.on("response.output_text.delta", ({ delta }) => (seen += delta));
      const response = await stream.finalResponse();
      assert.equal(seen, numbers(25));
      assert.equal(response.output_text, seen);
      assert.ok(response.usage.output_tokens > 0);
    });

    test("tools, several at once, and their results", async () => {
      const input = [{ role: "user", content: "get_weather in Paris and get_time in Tokyo, please" }];
      const first = await openai.responses.create({ model, input, tools: TOOLS });
      const calls = first.output.filter(({ type }) => type === "function_call");
      assert.deepEqual(calls.map(({ name, arguments: json }) => [name, JSON.parse(json).city]), [["get_weather", "Paris"], ["get_time", "Tokyo"]]);
      const results = calls.map(({ call_id, name }) => ({ type: "function_call_output", call_id, output: `${name} is done` }));
      const second = await openai.responses.create({ model, input: [...input, ...first.output, ...results], tools: TOOLS });
      assert.match(second.output_text, /get_weather is done/);
      assert.match(second.output_text, /get_time is done/);
    });

    test("reasoning comes back and is taken back", async () => {
      const input = [{ role: "user", content: "say exactly: thought through" }];
      const asked = { model, reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"] };
      const first = await openai.responses.create({ ...asked, input });
      assert.equal(first.output_text, "thought through");
      assert.ok(first.output.some(({ type }) => type === "reasoning"));
      const next = [...input, ...first.output, { role: "user", content: "say exactly: and again" }];
      const second = await openai.responses.create({ ...asked, input: next });
      assert.equal(second.output_text, "and again");
    });

    test("structured output through the parse helper", async () => {
      const schema = z.object({ name: z.string(), inhabitants: z.int() });
      const input = "The city is “Lyon” with 522250 inhabitants";
      const response = await openai.responses.parse({ model, input, text: { format: zodTextFormat(schema, "city") } });
      assert.deepEqual(response.output_parsed, { name: "Lyon", inhabitants: 522250 });
    });

    test("errors before an answer and within one", async (t) => {
      t.after(calm);
      script(dialect, "fault-status-503");
      await assert.rejects(openai.responses.create({ model, input: "Hello" }), OpenAI.InternalServerError);
      calm();
      script(dialect, "fault-error-9");
      const stream = await openai.responses.create({ model, input: "count to 60", stream: true });
      let [text, failed] = ["", false];
      const read = async () => {
        for await (const event of stream) {
          if (event.type === "response.output_text.delta") text += event.delta;
          failed ||= event.type === "response.failed" || event.type === "error";
        }
      };
      await read().catch((error) => {
        assert.ok(error instanceof OpenAI.APIError, error);
        failed = true;
      });
      assert.ok(failed && text.startsWith("1, 2"), text);
    });

    test("a cancelled stream stops the provider", async (t) => {
      t.after(calm);
      script(dialect, "fault-endless");
      const stream = await openai.responses.create({ model, input: "count to 9", stream: true });
      let pieces = 0;
      for await (const event of stream) {
        if (event.type === "response.output_text.delta" && ++pieces === 20) stream.controller.abort();
      }
      await gateway.upstream.waitFor(({ aborted, path }) => aborted && path.includes(dialect), 15_000);
    });
  });
}

test("what needs a store is refused with the field's name", async () => {
  const asked = { model: MODELS[0].model, input: "Hello" };
  for (const [field, value] of [["store", true], ["previous_response_id", "resp_1"]]) {
    await assert.rejects(openai.responses.create({ ...asked, [field]: value }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, field);
      return true;
    });
  }
});
