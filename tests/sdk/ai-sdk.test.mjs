// The Vercel AI SDK with OpenRouter's own provider for it, both unmodified, against the running Worker.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { APICallError, Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import { startGateway } from "../e2e/gateway.mjs";
import { MODELS } from "./cases.mjs";
import { faultsOf, untilLeft } from "./faults.mjs";

let gateway;
let provider;
before(async () => {
  gateway = await startGateway();
  const { key } = await gateway.createAccount();
  provider = createOpenRouter({ baseURL: `${gateway.base}/api/v1`, apiKey: key, compatibility: "strict" });
});
after(() => gateway?.stop());

const { script, calm } = faultsOf(() => gateway);

const numbers = (last) => Array.from({ length: last }, (_, at) => at + 1).join(", ");

for (const { model: name, dialect } of MODELS) {
  describe(`${dialect} upstream`, () => {
    const asked = (prompt, more = {}) => ({ model: provider(name), prompt, maxRetries: 0, ...more });

    test("text, with its usage and cost", async () => {
      const result = await generateText(asked("say exactly: Grüße, 世界 👋🏽"));
      assert.equal(result.text, "Grüße, 世界 👋🏽");
      assert.equal(result.finishReason, "stop");
      assert.ok(result.usage.inputTokens > 0 && result.usage.outputTokens > 0);
      const { openrouter } = result.providerMetadata;
      assert.ok(openrouter.usage.cost > 0);
      assert.equal(openrouter.provider, `Test one-${dialect}`);
    });

    test("a stream", async () => {
      const result = streamText(asked("count to 25"));
      const pieces = [];
      for await (const piece of result.textStream) pieces.push(piece);
      assert.ok(pieces.length > 1, "it comes in pieces");
      assert.equal(pieces.join(""), numbers(25));
      assert.equal(await result.finishReason, "stop");
    });

    for (const stream of [false, true]) {
      test(`tools, several at once, until there is an answer, ${stream ? "streamed" : "in one piece"}`, async () => {
        const ran = [];
        const city = z.object({ city: z.string() });
        const runs = (what) =>
          tool({
            description: `The ${what} of a city`,
            inputSchema: city,
            execute: async (input) => {
              ran.push([what, input.city]);
              return `${what} of ${input.city}`;
            },
          });
        const options = asked("get_weather in Paris and get_time in Tokyo, please", {
          tools: { get_weather: runs("weather"), get_time: runs("time") },
          stopWhen: isStepCount(3),
        });
        const result = stream ? streamText(options) : await generateText(options);
        if (stream) await result.consumeStream();
        assert.deepEqual(ran, [["weather", "Paris"], ["time", "Tokyo"]]);
        const text = await result.text;
        assert.match(text, /weather of Paris/);
        assert.match(text, /time of Tokyo/);
        assert.equal((await result.steps).length, 2);
      });
    }

    test("structured output", async () => {
      const schema = z.object({ name: z.string(), inhabitants: z.int() });
      const { output } = await generateText(asked("The city is “Lyon” with 522250 inhabitants", { output: Output.object({ schema }) }));
      assert.deepEqual(output, { name: "Lyon", inhabitants: 522250 });
    });

    test("reasoning", async () => {
      const model = provider(name, { reasoning: { effort: "low" } });
      const result = await generateText(asked("say exactly: thought through", { model }));
      assert.equal(result.text, "thought through");
      assert.match(result.reasoningText, /The last user message has/);
    });

    test("an error before the answer has the status and the gateway's words", async (t) => {
      t.after(calm);
      script(dialect, "fault-status-503");
      await assert.rejects(generateText(asked("Hello")), (error) => {
        assert.ok(APICallError.isInstance(error), error.message);
        assert.equal(error.statusCode, 503);
        assert.ok(error.isRetryable);
        return true;
      });
    });

    test("an error in the middle of a stream is an error part", async (t) => {
      t.after(calm);
      script(dialect, "fault-error-9");
      const errors = [];
      let text = "";
      const result = streamText(asked("count to 60", { onError: () => {} }));
      for await (const part of result.stream) {
        if (part.type === "error") errors.push(part.error);
        if (part.type === "text-delta") text += part.text;
      }
      assert.equal(errors.length, 1);
      assert.ok(text.startsWith("1, 2"), text);
    });

    test("a cancelled stream stops the provider", async (t) => {
      t.after(calm);
      script(dialect, "fault-endless");
      const leave = new AbortController();
      await untilLeft(leave.signal, async () => {
        const result = streamText(asked("count to 9", { abortSignal: leave.signal, onError: () => {} }));
        let pieces = 0;
        for await (const part of result.stream) {
          if (part.type === "text-delta" && ++pieces === 20) leave.abort();
        }
      });
      await gateway.upstream.waitFor(({ aborted, path }) => aborted && path.includes(dialect), 15_000);
    });
  });
}
