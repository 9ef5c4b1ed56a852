// Conversations as applications hold them, in each dialect of the upstream, streamed and not.
//
// The local upstream refuses what the real API refuses and a signature that it did not make itself: an answer that
// arrives shows that the request was right.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DIALECTS } from "./catalog.mjs";
import { chat, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway, key;
before(async () => {
  gateway = await startGateway();
  ({ key } = await gateway.createAccount());
});
after(() => gateway?.stop());

const PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PDF = `data:application/pdf;base64,${Buffer.from("%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF").toString("base64")}`;

const tool = (name, properties, required = Object.keys(properties)) => ({
  type: "function",
  function: { name, description: `Calls ${name}.`, parameters: { type: "object", properties, required, additionalProperties: false } },
});
const WEATHER = tool("get_weather", { city: { type: "string" } });
const TIME = tool("get_time", { zone: { type: "string" }, hours: { type: "integer" } });

/** What the provider received last. */
const received = () => gateway.upstream.requests().at(-1);

for (const dialect of DIALECTS) {
  for (const stream of [false, true]) {
    describe(`${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      const ask = async (body) => {
        const answer = await chat(gateway, key, { model: `test/${dialect}`, stream, ...body });
        assert.equal(answer.status, 200, JSON.stringify(answer.error));
        assert.equal(answer.error, undefined, JSON.stringify(answer.error));
        assert.equal(received().rejected, undefined);
        return answer;
      };

      test("text, with system and developer words and turns before", async () => {
        const answer = await ask({
          messages: [
            { role: "system", content: "Be brief." },
            { role: "developer", content: [{ type: "text", text: "Be kind." }] },
            user("one"),
            { role: "assistant", content: "two" },
            user([{ type: "text", text: "Please say exactly: Grüße 👋🏽 „ok“" }]),
          ],
        });
        assert.equal(answer.message.content, "Grüße 👋🏽 „ok“");
        assert.deepEqual([answer.finish, answer.provider, answer.model], ["stop", `Test one-${dialect}`, `test/${dialect}`]);
        assert.match(JSON.stringify(received().body), /Be brief\..*Be kind\./s);
      });

      test("parallel tool calls, their results, and the answer made of them", async () => {
        const question = user("Please use get_weather and get_time.");
        const tools = [WEATHER, TIME];
        const called = await ask({ messages: [question], tools, parallel_tool_calls: true });
        assert.equal(called.finish, "tool_calls");
        assert.deepEqual(called.message.tool_calls.map((call) => call.function.name), ["get_weather", "get_time"]);
        assert.equal(new Set(called.message.tool_calls.map((call) => call.id)).size, 2);
        for (const call of called.message.tool_calls) {
          assert.equal(call.type, "function");
          assert.equal(typeof JSON.parse(call.function.arguments), "object");
        }
        const results = called.message.tool_calls.map((call, at) => ({ role: "tool", tool_call_id: call.id, content: `result ${at}` }));
        const answered = await ask({ messages: [question, called.message, ...results], tools });
        assert.equal(answered.finish, "stop");
        assert.match(answered.message.content, /get_weather → .*result 0.*; get_time → .*result 1/);
      });

      test("one tool at a time, a tool that is forced, and none", async () => {
        const question = [user("Please use get_weather and get_time.")];
        const tools = [WEATHER, TIME];
        const names = ({ message }) => (message.tool_calls ?? []).map((call) => call.function.name);
        // Gemini has no such switch.
        if (dialect !== "gemini") assert.deepEqual(names(await ask({ messages: question, tools, parallel_tool_calls: false })), ["get_weather"]);
        const choice = { type: "function", function: { name: "get_time" } };
        assert.deepEqual(names(await ask({ messages: [user("Hello")], tools, tool_choice: choice })), ["get_time"]);
        assert.equal(names(await ask({ messages: [user("Hello")], tools, tool_choice: "required" })).length, 1);
        assert.deepEqual(names(await ask({ messages: question, tools, tool_choice: "none" })), []);
      });

      test("reasoning whose signatures survive two turns with a tool between them", async () => {
        const question = user("Please use get_weather.");
        const reasoning = dialect === "openai" ? { effort: "high" } : { max_tokens: 2048 };
        const first = await ask({ messages: [question], tools: [WEATHER], reasoning });
        assert.ok(first.message.reasoning.length > 20);
        assert.ok(first.usage.completion_tokens_details.reasoning_tokens > 0);
        const details = first.message.reasoning_details;
        const signed = details.filter((detail) => detail.signature || detail.data);
        assert.equal(signed.length > 0, dialect !== "openai");
        const [call] = first.message.tool_calls;
        const turns = [question, first.message, { role: "tool", tool_call_id: call.id, content: "sunny" }];
        const second = await ask({ messages: turns, tools: [WEATHER], reasoning });
        assert.match(second.message.content, /sunny/);
        const sent = JSON.stringify(received().body);
        for (const detail of signed) assert.ok(sent.includes(JSON.stringify(detail.signature ?? detail.data)), "the signature went back");
        if (dialect === "openai") assert.ok(sent.includes(JSON.stringify(first.message.reasoning)));
        const third = await ask({ messages: [...turns, second.message, user("And now?")], tools: [WEATHER], reasoning });
        assert.equal(third.finish, "stop");
      });

      test("reasoning left out where the client does not want to see it", async () => {
        const answer = await ask({ reasoning: { effort: "low", exclude: true } });
        assert.ok(!answer.message.reasoning && !answer.message.reasoning_details?.some((detail) => detail.text));
        assert.ok(answer.message.content);
      });

      test("an image and a PDF reach the provider as its own parts", async () => {
        const file = { type: "file", file: { filename: "a.pdf", file_data: PDF } };
        const answer = await ask({ messages: [user([{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: PNG } }, file])] });
        assert.ok(answer.message.content);
        const sent = JSON.stringify(received().body);
        assert.ok(sent.includes(PNG.split(",")[1]) && sent.includes(PDF.split(",")[1]));
        // An image and a document have flat prices in tokens there.
        assert.ok(answer.usage.prompt_tokens > 700, JSON.stringify(answer.usage));
      });

      test("structured output keeps to its schema", async () => {
        const schema = {
          type: "object",
          properties: { city: { type: "string" }, degrees: { type: "integer" }, tags: { type: "array", items: { type: "string" } } },
          required: ["city", "degrees", "tags"],
          additionalProperties: false,
        };
        const answer = await ask({ response_format: { type: "json_schema", json_schema: { name: "report", strict: true, schema } } });
        const report = JSON.parse(answer.message.content);
        assert.deepEqual(Object.keys(report).sort(), ["city", "degrees", "tags"]);
        assert.ok(typeof report.city === "string" && Number.isInteger(report.degrees) && Array.isArray(report.tags));
        // Anthropic is asked in words, to which the local upstream does not listen.
        if (dialect === "anthropic") return;
        const free = await ask({ response_format: { type: "json_object" }, messages: [user("Answer in JSON.")] });
        assert.equal(typeof JSON.parse(free.message.content), "object");
      });

      test("a marked prompt is written to the cache and read from it, and the usage says so", async () => {
        const text = `${dialect} ${stream} ${"The long instruction that all requests share. ".repeat(200)}`;
        const messages = [
          { role: "system", content: [{ type: "text", text, cache_control: { type: "ephemeral" } }] },
          user("Hello!"),
        ];
        const [first, second] = [await ask({ messages }), await ask({ messages })].map((answer) => answer.usage.prompt_tokens_details);
        assert.equal(first.cached_tokens, 0);
        if (dialect === "anthropic") assert.ok(first.cache_write_tokens > 2000);
        assert.ok(second.cached_tokens > 2000, JSON.stringify(second));
        assert.equal(second.cache_write_tokens, 0);
      });

      test("a stop sequence and a limit end the answer, and the finish reason tells which", async () => {
        const counted = [user("Please count to 50")];
        const stopped = await ask({ messages: counted, stop: ["7,"] });
        assert.deepEqual([stopped.message.content.trim(), stopped.finish], ["1, 2, 3, 4, 5, 6,", "stop"]);
        const cut = await ask({ messages: counted, max_tokens: 5 });
        assert.deepEqual([cut.message.content, cut.finish], ["1, 2, 3, 4, 5, 6, 7, ".slice(0, 20), "length"]);
        assert.equal(cut.usage.completion_tokens, 5);
      });

      test("sampling reaches the provider", async () => {
        await ask({ temperature: 0.25 });
        assert.match(JSON.stringify(received().body), /"temperature":0\.25/);
        await ask({ top_p: 0.5 });
        assert.match(JSON.stringify(received().body), /"top_?[pP]":0\.5/);
      });
    });
  }
}

test("the same answer whether streamed or not, in every dialect", async () => {
  for (const dialect of DIALECTS) {
    const body = { model: `test/${dialect}`, messages: [user("Please use get_weather and get_time.")], tools: [WEATHER, TIME] };
    const [whole, streamed] = [await chat(gateway, key, body), await chat(gateway, key, { ...body, stream: true })];
    const told = ({ message, finish, native, usage }) => ({
      // An upstream may open a stream of calls with an empty text.
      content: message.content || null,
      calls: message.tool_calls.map((call) => call.function),
      finish,
      native,
      usage,
    });
    assert.deepEqual(told(streamed), told(whole));
  }
});
