// LangChain's ChatOpenAI, unmodified, against the running Worker.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { startGateway } from "../e2e/gateway.mjs";
import { MODELS } from "./cases.mjs";
import { faultsOf } from "./faults.mjs";

let gateway;
let key;
before(async () => {
  gateway = await startGateway();
  ({ key } = await gateway.createAccount());
});
after(() => gateway?.stop());

const { script, calm } = faultsOf(() => gateway);

const city = z.object({ city: z.string() });
const TOOLS = [
  tool(({ city }) => `mild in ${city}`, { name: "get_weather", description: "The weather of a city", schema: city }),
  tool(({ city }) => `noon in ${city}`, { name: "get_time", description: "The time in a city", schema: city }),
];

for (const { model, dialect } of MODELS) {
  describe(`${dialect} upstream`, () => {
    const llm = () => new ChatOpenAI({ model, apiKey: key, maxRetries: 0, streamUsage: true, configuration: { baseURL: `${gateway.base}/api/v1` } });

    test("text with its usage", async () => {
      const answer = await llm().invoke("say exactly: Grüße, 世界 👋🏽");
      assert.equal(answer.text, "Grüße, 世界 👋🏽");
      assert.ok(answer.usage_metadata.input_tokens > 0 && answer.usage_metadata.output_tokens > 0);
    });

    test("a stream is the same, piece by piece, with its usage once", async () => {
      let whole;
      let pieces = 0;
      for await (const chunk of await llm().stream("count to 25")) {
        whole = whole ? whole.concat(chunk) : chunk;
        pieces += chunk.text ? 1 : 0;
      }
      assert.ok(pieces > 1);
      assert.equal(whole.text, Array.from({ length: 25 }, (_, at) => at + 1).join(", "));
      const once = await llm().invoke("count to 25");
      assert.equal(whole.usage_metadata.output_tokens, once.usage_metadata.output_tokens);
    });

    test("tools, several at once, and their results", async () => {
      const bound = llm().bindTools(TOOLS);
      const question = new HumanMessage("get_weather in Paris and get_time in Tokyo, please");
      const asked = await bound.invoke([question]);
      assert.deepEqual(asked.tool_calls.map(({ name, args }) => [name, args.city]), [["get_weather", "Paris"], ["get_time", "Tokyo"]]);
      const results = await Promise.all(
        asked.tool_calls.map(async (call) => {
          const own = TOOLS.find(({ name }) => name === call.name);
          return new ToolMessage({ tool_call_id: call.id, content: await own.invoke(call.args) });
        }),
      );
      const answer = await bound.invoke([question, asked, ...results]);
      assert.match(answer.text, /mild in Paris/);
      assert.match(answer.text, /noon in Tokyo/);
    });

    test("structured output", async () => {
      const schema = z.object({ name: z.string(), inhabitants: z.int() });
      const shaped = llm().withStructuredOutput(schema, { name: "city" });
      assert.deepEqual(await shaped.invoke("The city is “Lyon” with 522250 inhabitants"), { name: "Lyon", inhabitants: 522250 });
    });

    test("an error has its status", async (t) => {
      t.after(calm);
      script(dialect, "fault-status-503");
      await assert.rejects(llm().invoke("Hello"), ({ status }) => status === 503);
    });

    test("a cancelled stream stops the provider", async (t) => {
      t.after(calm);
      script(dialect, "fault-endless");
      const leave = new AbortController();
      const read = async () => {
        let pieces = 0;
        for await (const chunk of await llm().stream("count to 9", { signal: leave.signal })) {
          if (chunk.text && ++pieces === 20) leave.abort();
        }
      };
      await assert.rejects(read());
      await gateway.upstream.waitFor(({ aborted, path }) => aborted && path.includes(dialect), 15_000);
    });
  });
}
