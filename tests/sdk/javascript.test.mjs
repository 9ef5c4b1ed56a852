// The official JavaScript SDK, unmodified, against the running Worker: only its base URL and its key are ours.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { startGateway } from "../e2e/gateway.mjs";
import { MODELS, schema, tools } from "./cases.mjs";

let gateway;
let openai;

/** A client whose HTTP calls can be counted; the SDK takes any `fetch`. */
function client(key, { path = "/api/v1", ...options } = {}) {
  const answers = [];
  const counting = async (...call) => {
    const response = await fetch(...call);
    answers.push({ status: response.status, retryAfter: response.headers.get("retry-after") });
    return response;
  };
  return { answers, openai: new OpenAI({ baseURL: gateway.base + path, apiKey: key, maxRetries: 0, timeout: 30_000, fetch: counting, ...options }) };
}

before(async () => {
  gateway = await startGateway();
  const { key } = await gateway.createAccount();
  openai = client(key).openai;
});
after(() => gateway?.stop());

const user = (content) => ({ role: "user", content });

/** Makes every provider of the models answer so, once each. */
function script(behaviour, times = 1) {
  for (const name of ["one", "two"]) {
    for (const { dialect } of MODELS) gateway.upstream.script({ prefix: `/p/${name}-${dialect}`, behaviour, times });
  }
}

/** Forgets scripts that were not used up, and lets go whatever waits. */
const calm = () => {
  gateway.upstream.release();
  gateway.upstream.reset();
};

for (const { model, dialect } of MODELS) {
  describe(`${dialect} upstream`, () => {
    test("a chat", async () => {
      const completion = await openai.chat.completions.create({
        model,
        messages: [{ role: "system", content: "Be brief." }, user("say exactly: Grüße, 世界 👋🏽")],
        temperature: 0.3,
        max_completion_tokens: 400,
      });
      assert.equal(completion.object, "chat.completion");
      const [choice] = completion.choices;
      assert.equal(choice.message.content, "Grüße, 世界 👋🏽");
      assert.equal(choice.finish_reason, "stop");
      const { prompt_tokens: prompt, completion_tokens: written, total_tokens: total } = completion.usage;
      assert.ok(prompt > 0 && written > 0);
      assert.equal(total, prompt + written);
      assert.ok(completion.usage.cost > 0);
    });

    test("a conversation of several turns, with an image", async () => {
      const image = `data:image/png;base64,${PIXEL}`;
      const completion = await openai.chat.completions.create({
        model,
        messages: [
          user([{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: image } }]),
          { role: "assistant", content: "A pixel." },
          user("say exactly: yes"),
        ],
      });
      assert.equal(completion.choices[0].message.content, "yes");
    });

    test("a stream, chunk by chunk", async () => {
      const stream = await openai.chat.completions.create({
        model,
        messages: [user("count to 40")],
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = "";
      const finishes = [];
      const usages = [];
      let pieces = 0;
      for await (const chunk of stream) {
        assert.equal(chunk.object, "chat.completion.chunk");
        text += chunk.choices[0]?.delta.content ?? "";
        pieces += chunk.choices[0]?.delta.content ? 1 : 0;
        if (chunk.choices[0]?.finish_reason) finishes.push(chunk.choices[0].finish_reason);
        if (chunk.usage) usages.push(chunk.usage);
      }
      assert.equal(text, numbers(40));
      assert.ok(pieces > 1);
      assert.deepEqual(new Set(finishes), new Set(["stop"]));
      assert.equal(usages.length, 1);
      assert.ok(usages[0].cost > 0);
    });

    test("the stream helper folds the same message", async () => {
      const asked = { model, messages: [user("count to 25")], stream_options: { include_usage: true } };
      const stream = openai.chat.completions.stream(asked);
      let seen = "";
      stream.on("content", (delta) => (seen += delta));
      const completion = await stream.finalChatCompletion();
      const inOnePiece = await openai.chat.completions.create({ model, messages: asked.messages });
      assert.equal(seen, numbers(25));
      assert.equal(completion.choices[0].message.content, inOnePiece.choices[0].message.content);
      assert.equal(completion.usage.completion_tokens, inOnePiece.usage.completion_tokens);
    });

    test("parallel tool calls, in one piece and streamed", async () => {
      const asked = { model, messages: [user("get_weather in Paris and get_time in Tokyo, please")], tools, tool_choice: "auto" };
      const whole = await openai.chat.completions.create(asked);
      const streamed = await openai.chat.completions.stream(asked).finalChatCompletion();
      for (const { choices } of [whole, streamed]) {
        assert.equal(choices[0].finish_reason, "tool_calls");
        const calls = choices[0].message.tool_calls;
        assert.deepEqual(calls.map((call) => call.function.name), ["get_weather", "get_time"]);
        assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments)), [{ city: "Paris" }, { city: "Tokyo" }]);
        assert.equal(new Set(calls.map((call) => call.id)).size, 2);
      }
    });

    for (const stream of [false, true]) {
      test(`the tool runner goes round until there is an answer, ${stream ? "streamed" : "in one piece"}`, async () => {
        const asked = [];
        const runnable = tools.map((tool) => ({
          type: "function",
          function: {
            ...tool.function,
            parse: JSON.parse,
            function: (args) => {
              asked.push([tool.function.name, args]);
              return JSON.stringify({ answer: `${tool.function.name} of ${args.city}` });
            },
          },
        }));
        const runner = openai.chat.completions.runTools({
          model,
          stream,
          messages: [user("get_weather in Paris and get_time in Tokyo, please")],
          tools: runnable,
        });
        const said = await runner.finalContent();
        assert.deepEqual(asked, [["get_weather", { city: "Paris" }], ["get_time", { city: "Tokyo" }]]);
        assert.match(said, /get_weather of Paris/);
        assert.match(said, /get_time of Tokyo/);
        assert.deepEqual(runner.messages.map(({ role }) => role), ["user", "assistant", "tool", "tool", "assistant"]);
      });
    }

    test("a tool choice by name, and none", async () => {
      const named = { type: "function", function: { name: "get_time" } };
      const asked = { model, messages: [user("Hello in Rome")], tools };
      const forced = await openai.chat.completions.create({ ...asked, tool_choice: named });
      assert.deepEqual(forced.choices[0].message.tool_calls.map((call) => call.function.name), ["get_time"]);
      const none = await openai.chat.completions.create({ ...asked, messages: [user("get_time in Rome")], tool_choice: "none" });
      assert.equal(none.choices[0].message.tool_calls, undefined);
      assert.equal(none.choices[0].finish_reason, "stop");
    });

    test("structured output through the parse helper", async () => {
      const response_format = { type: "json_schema", json_schema: { name: "city", strict: true, schema } };
      const asked = { model, messages: [user("The city is “Lyon” with 522250 inhabitants")], response_format };
      const completion = await openai.chat.completions.parse(asked);
      assert.deepEqual(completion.choices[0].message.parsed, { name: "Lyon", inhabitants: 522250 });
      const streamed = await openai.chat.completions.stream(asked).finalChatCompletion();
      assert.deepEqual(streamed.choices[0].message.parsed, { name: "Lyon", inhabitants: 522250 });
    });

    test("a limit ends the answer early, and the parse helper says so", async () => {
      const asked = { model, messages: [user("count to 500")], max_tokens: 20 };
      const completion = await openai.chat.completions.create(asked);
      assert.equal(completion.choices[0].finish_reason, "length");
      const response_format = { type: "json_schema", json_schema: { name: "city", schema } };
      await assert.rejects(openai.chat.completions.parse({ ...asked, max_tokens: 2, response_format }), OpenAI.LengthFinishReasonError);
    });

    test("429 becomes RateLimitError, and the SDK's own retry honours Retry-After", async (t) => {
      t.after(calm);
      const { key } = await gateway.createAccount();
      const once = client(key);
      script("fault-status-429-retry-1");
      await assert.rejects(once.openai.chat.completions.create({ model, messages: [user("Hi")] }), (error) => {
        assert.ok(error instanceof OpenAI.RateLimitError);
        assert.equal(error.status, 429);
        assert.equal(error.headers.get("retry-after"), "1");
        return true;
      });
      calm();
      const patient = client(key, { maxRetries: 2 });
      script("fault-status-429-retry-1");
      const completion = await patient.openai.chat.completions.create({ model, messages: [user("say exactly: at last")] });
      assert.equal(completion.choices[0].message.content, "at last");
      assert.deepEqual(patient.answers, [{ status: 429, retryAfter: "1" }, { status: 200, retryAfter: null }]);
    });

    test("an error of the provider in the middle of a stream is thrown", async (t) => {
      t.after(calm);
      script("fault-error-8");
      const stream = await openai.chat.completions.create({ model, messages: [user("count to 60")], stream: true });
      let text = "";
      const read = async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      };
      await assert.rejects(read(), OpenAI.APIError);
      assert.ok(numbers(60).startsWith(text) && text.length > 0);
    });

    test("a client that aborts in the middle of a stream stops the provider", async (t) => {
      calm();
      t.after(calm);
      script("fault-stall-8");
      const stream = await openai.chat.completions.create({ model, messages: [user("count to 60")], stream: true });
      for await (const chunk of stream) {
        if (chunk.choices[0]?.delta.content) stream.controller.abort();
      }
      // An ordinary close is noticed at the next write: with a silent provider that is the keep-alive comment, after 10 s.
      await gateway.upstream.waitFor(({ aborted }) => aborted, 25_000);
    });

    test("a time-out of the SDK's is its own exception", async (t) => {
      t.after(calm);
      script("fault-gate-headers");
      const asked = openai.chat.completions.create({ model, messages: [user("Hi")], stream: true }, { timeout: 500 });
      await assert.rejects(asked, OpenAI.APIConnectionTimeoutError);
    });
  });
}

describe("errors", () => {
  const hello = { model: MODELS[0].model, messages: [user("Hello")] };

  test("401", async () => {
    const { openai: stranger } = client(`sk-pb-v1-${"0".repeat(64)}`);
    await assert.rejects(stranger.chat.completions.create(hello), OpenAI.AuthenticationError);
    await assert.rejects(stranger.chat.completions.create({ ...hello, stream: true }), OpenAI.AuthenticationError);
  });

  test("400 names the field", async () => {
    const wrong = { ...hello, messages: [{ role: "user", content: [{ type: "hologram" }] }] };
    await assert.rejects(openai.chat.completions.create(wrong), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "messages[0].content[0].type");
      assert.equal(error.type, "invalid_request");
      return true;
    });
  });

  test("400 for an unknown model names its neighbours", async () => {
    await assert.rejects(openai.chat.completions.create({ ...hello, model: "test/opnai" }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "model");
      assert.match(error.message, /test\/openai/);
      return true;
    });
  });

  test("402 when the credits do not cover the request", async () => {
    const { key } = await gateway.createAccount({ usd: "0.000000001" });
    await assert.rejects(client(key).openai.chat.completions.create(hello), (error) => {
      assert.ok(error instanceof OpenAI.APIError);
      assert.equal(error.status, 402);
      assert.equal(error.type, "payment_required");
      return true;
    });
  });

  test("404", async () => {
    await assert.rejects(openai.models.retrieve("nobody/nothing"), OpenAI.NotFoundError);
    await assert.rejects(openai.get("/no/such/route"), OpenAI.NotFoundError);
  });

  test("5xx is retried by the SDK, and InternalServerError at the end", async (t) => {
    t.after(calm);
    const { key } = await gateway.createAccount();
    const stubborn = client(key, { maxRetries: 1 });
    script("fault-status-503", 2);
    await assert.rejects(stubborn.openai.chat.completions.create(hello), OpenAI.InternalServerError);
    assert.deepEqual(stubborn.answers.map(({ status }) => status), [503, 503]);
  });

  test("the request id is the client's own", async () => {
    const headers = { "x-request-id": "mine-1234" };
    const { request_id: id } = await openai.chat.completions.create(hello, { headers }).withResponse();
    assert.equal(id, "mine-1234");
  });
});

describe("models", () => {
  test("the list, awaited and iterated", async () => {
    const page = await openai.models.list();
    const ids = page.data.map(({ id }) => id);
    for (const { model } of MODELS) assert.ok(ids.includes(model));
    const walked = [];
    for await (const { id } of openai.models.list()) walked.push(id);
    assert.deepEqual(walked, ids);
    const pages = [];
    for await (const each of page.iterPages()) pages.push(each.data.length);
    assert.deepEqual(pages, [ids.length]);
  });

  test("one of them", async () => {
    const found = await openai.models.retrieve(MODELS[0].model);
    assert.equal(found.id, MODELS[0].model);
    assert.equal(found.object, "model");
  });
});

test("the alias /v1 serves too", async () => {
  const { key } = await gateway.createAccount();
  const { openai: short } = client(key, { path: "/v1" });
  const completion = await short.chat.completions.create({ model: MODELS[0].model, messages: [user("say exactly: here")] });
  assert.equal(completion.choices[0].message.content, "here");
});

const numbers = (last) => Array.from({ length: last }, (_, at) => at + 1).join(", ");

/** A PNG of one pixel. */
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
