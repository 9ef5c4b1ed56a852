// Operations beside conversation, in the running Worker: answers, errors, fallback, and the same exact amount everywhere.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PIXEL, vectorOf } from "../upstream/formats/operations.mjs";
import { OPERATION_PRICES, operationsCatalog } from "./catalog.mjs";
import { call, callJson, chat, generation, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway({ catalog: operationsCatalog() })));
after(() => gateway?.stop());

const up = (quantity, price, per) => (BigInt(quantity) * BigInt(price) + per - 1n) / per;
const MILLION = 1_000_000n;
const HOUR = 3_600_000n;
const tokens = (text) => Math.ceil(text.length / 4);
const sound = Buffer.alloc(6_500, 7);

/** Each operation: its path, a good body, what it costs at the first endpoint, and what its answer says. */
const CASES = {
  embeddings: {
    path: "embeddings",
    body: { input: ["first text", "second"] },
    cost: () => up(tokens("first text") + tokens("second"), OPERATION_PRICES.embeddings.prompt, MILLION),
    check({ body }) {
      assert.equal(body.object, "list");
      assert.deepEqual(body.data.map(({ index, embedding }) => [index, embedding]), [[0, vectorOf("first text")], [1, vectorOf("second")]]);
    },
  },
  rerank: {
    path: "rerank",
    body: { query: "red fox", documents: ["a dog", "the red fox", { text: "red" }], top_n: 2 },
    cost: () => BigInt(OPERATION_PRICES.rerank.units.search_unit),
    check({ body }) {
      assert.deepEqual(body.results.map(({ index, document }) => [index, document.text]), [[1, "the red fox"], [2, "red"]]);
      assert.equal(body.usage.search_units, 1);
    },
  },
  images: {
    path: "images",
    body: { prompt: "a red fox", n: 2, size: "1024x1024" },
    cost: () => {
      const { prompt, units } = OPERATION_PRICES.images;
      return (BigInt(tokens("a red fox")) * BigInt(prompt) + 2n * BigInt(units.images[0].price) * MILLION + MILLION - 1n) / MILLION;
    },
    check({ body }) {
      assert.deepEqual(body.data, Array.from({ length: 2 }, () => ({ b64_json: PIXEL, media_type: "image/png" })));
    },
  },
  transcription: {
    path: "audio/transcriptions",
    body: { input_audio: { data: sound.toString("base64"), format: "mp3" } },
    cost: () => up(6_500, OPERATION_PRICES.transcription.units.audio_in_hour, HOUR),
    check({ body }) {
      assert.equal(body.text, "A file of 6500 bytes named audio.mp3.");
      assert.equal(body.usage.seconds, 6.5);
    },
  },
};

for (const [operation, { path, body, cost, check }] of Object.entries(CASES)) {
  describe(operation, () => {
    const ask = (key, more = {}) => callJson(gateway, path, { key, body: { model: `test/${operation}`, ...body, ...more } });

    test("an answer, and its cost is that of its row, its record, the key and the balance", async () => {
      const { key, account } = await gateway.createAccount();
      const answer = await ask(key);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      check(answer);
      assert.equal(nanos(answer.body.usage.cost), cost());
      const id = answer.headers.get("x-generation-id");
      const state = await settled(gateway, account);
      const record = await generation(gateway, key, id);
      const [row] = await gateway.d1("SELECT * FROM usage WHERE id = ?", id);
      assert.deepEqual([row.status, BigInt(row.cost), row.model, row.estimated], ["settled", cost(), `test/${operation}`, 0]);
      assert.equal(row.api_type, operation === "transcription" ? "transcriptions" : operation);
      assert.equal(nanos(record.total_cost), cost());
      assert.ok(record.charge.lines.length > 0);
      const { data } = (await callJson(gateway, "key", { key })).body;
      assert.equal(nanos(data.usage), cost());
      assert.equal(nanos(state.balance), nanos(5) - cost());
    });

    test("a provider that fails gives way to the next, and only the one that serves is paid", async () => {
      const { key, account } = await gateway.createAccount();
      const first = operation === "rerank" ? "one-cohere" : "one-ops";
      gateway.upstream.script({ prefix: `/p/${first}/`, times: 1, behaviour: "fault-status-503" });
      const answer = await ask(key);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.equal(answer.headers.get("x-patchbay-provider"), "Test two-ops");
      assert.equal(answer.headers.get("x-patchbay-attempts"), "2");
      const state = await settled(gateway, account);
      assert.equal(nanos(state.total_usage), nanos(answer.body.usage.cost));
    });

    test("garbage from all is a failure of the providers', and free", async () => {
      const { key, account } = await gateway.createAccount();
      for (const prefix of ["/p/one-", "/p/two-"]) gateway.upstream.script({ prefix, times: 1, behaviour: "fault-garbage" });
      const answer = await ask(key);
      assert.ok(answer.status >= 500, JSON.stringify(answer.body));
      const state = await settled(gateway, account);
      assert.deepEqual([state.total_usage, state.held], [0, 0]);
    });

    test("an account that cannot pay is told what it may cost", async () => {
      const { key } = await gateway.createAccount({ usd: "0.000000001" });
      const { status, body: refused } = await ask(key);
      assert.equal(status, 402);
      assert.match(refused.error.message, /may cost \$0\.\d+/);
    });

    test("max_cost leaves out what is dearer", async () => {
      const { key } = await gateway.createAccount();
      const { status, body: refused } = await ask(key, { max_cost: "0.000000001" });
      assert.deepEqual([status, refused.error.metadata.limit_source], [402, "max_cost"]);
    });
  });
}

describe("embeddings in detail", () => {
  test("base64 and numbers are the same vectors, whichever the provider knows", async () => {
    const { key } = await gateway.createAccount();
    for (const only of ["one-ops", "two-ops"]) {
      const ask = (encoding_format) => callJson(gateway, "embeddings", { key, body: { model: "test/embeddings", input: "text", encoding_format, provider: { only: [only] } } });
      const [numbers, base64] = [await ask("float"), await ask("base64")];
      const bytes = Buffer.from(base64.body.data[0].embedding, "base64");
      assert.deepEqual([...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))], numbers.body.data[0].embedding);
    }
  });

  test("more inputs than the provider takes come back in order, at one price", async () => {
    const { key } = await gateway.createAccount();
    const input = Array.from({ length: 8 }, (_, at) => `text ${at}`);
    const [{ seq: since } = { seq: 0 }] = gateway.upstream.requests().slice(-1);
    const { body } = await callJson(gateway, "embeddings", { key, body: { model: "test/embeddings", input } });
    assert.deepEqual(body.data.map(({ embedding }) => embedding), input.map((text) => vectorOf(text)));
    assert.deepEqual(gateway.upstream.requests({ since }).map((entry) => entry.body.input.length), [3, 3, 2]);
    const all = input.reduce((sum, text) => sum + tokens(text), 0);
    assert.deepEqual([body.usage.prompt_tokens, nanos(body.usage.cost)], [all, up(all, OPERATION_PRICES.embeddings.prompt, MILLION)]);
  });

  test("a wrong input is named by its path", async () => {
    const { key } = await gateway.createAccount();
    const { status, body } = await callJson(gateway, "embeddings", { key, body: { model: "test/embeddings", input: ["a", 3] } });
    assert.deepEqual([status, body.error.param], [400, "input[1]"]);
  });
});

describe("speech", () => {
  const ask = (key, more) => call(gateway, "audio/speech", { key, body: { model: "test/speech", input: "Hello there", voice: "alloy", ...more } });
  const cost = up("Hello there".length, OPERATION_PRICES.speech.units.characters, MILLION);

  test("the sound comes as it was made, and is charged by the character", async () => {
    const { key, account } = await gateway.createAccount();
    const answer = await ask(key, { response_format: "mp3" });
    assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "audio/mpeg"]);
    assert.equal((await answer.arrayBuffer()).byteLength, 480 * "Hello there".length);
    const state = await settled(gateway, account);
    assert.equal(nanos(state.total_usage), cost);
    const [row] = await gateway.d1("SELECT api_type, cost, status FROM usage WHERE id = ?", answer.headers.get("x-generation-id"));
    assert.deepEqual([row.api_type, BigInt(row.cost), row.status], ["speech", cost, "settled"]);
  });

  test("nothing but silence before the first byte is a failure that the next provider mends", async () => {
    const { key, account } = await gateway.createAccount();
    gateway.upstream.script({ prefix: "/p/one-ops/", times: 1, behaviour: "fault-empty" });
    const answer = await ask(key);
    assert.equal(answer.headers.get("x-patchbay-provider"), "Test two-ops");
    assert.equal((await answer.arrayBuffer()).byteLength, 480 * "Hello there".length);
    assert.equal(nanos((await settled(gateway, account)).total_usage), up("Hello there".length, 2 * OPERATION_PRICES.speech.units.characters, MILLION));
  });

  test("a sound that breaks off is on record as broken", async () => {
    const { key, account } = await gateway.createAccount();
    gateway.upstream.script({ prefix: "/p/one-ops/", times: 1, behaviour: "fault-cut-events-3" });
    const answer = await ask(key);
    await answer.arrayBuffer().catch(() => {});
    await settled(gateway, account);
    const [row] = await gateway.d1("SELECT error FROM usage WHERE id = ?", answer.headers.get("x-generation-id"));
    assert.match(row.error, /connection/i);
  });

  test("the credits are asked before a byte leaves", async () => {
    const { key } = await gateway.createAccount({ usd: "0.000000001" });
    const answer = await ask(key);
    assert.equal(answer.status, 402);
    assert.equal((await answer.json()).error.type, "payment_required");
  });
});

test("an image that cannot be shown is no image: the next provider is asked", async () => {
  const { key, account } = await gateway.createAccount();
  const body = { model: "test/images", prompt: "a fox" };
  gateway.upstream.script({ prefix: "/p/one-ops/", times: 1, behaviour: "fault-empty" });
  const answer = await callJson(gateway, "images", { key, body });
  assert.deepEqual([answer.status, answer.headers.get("x-patchbay-provider")], [200, "Test two-ops"]);
  for (const name of ["one", "two"]) gateway.upstream.script({ prefix: `/p/${name}-ops/`, times: 1, behaviour: "fault-empty" });
  const failed = await callJson(gateway, "images", { key, body });
  assert.equal(failed.status, 503, "several broke");
  assert.equal(nanos((await settled(gateway, account)).total_usage), nanos(answer.body.usage.cost));
});

describe("answers as events", () => {
  /** The events of a stream, the end mark included. */
  const events = async (path, key, body) => {
    const response = await call(gateway, path, { key, body: { ...body, stream: true } });
    const text = await response.text();
    const lines = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
    return { response, events: lines.map((line) => (line === "[DONE]" ? line : JSON.parse(line))) };
  };

  test("an image grows, and its last event tells what the ledger has", async () => {
    const { key, account } = await gateway.createAccount();
    const told = await events("images", key, { model: "test/images", prompt: "a fox", partial_images: 2 });
    assert.equal(told.response.headers.get("content-type"), "text/event-stream");
    const [first, second, last, end] = told.events;
    assert.deepEqual([first.type, second.partial_image_index, last.type, end], ["image_generation.partial_image", 1, "image_generation.completed", "[DONE]"]);
    assert.deepEqual([first.b64_json, last.b64_json], [PIXEL, PIXEL]);
    assert.equal(nanos((await settled(gateway, account)).total_usage), nanos(last.usage.cost));
  });

  test("one that is not finished is free", async () => {
    const { key, account } = await gateway.createAccount();
    gateway.upstream.script({ prefix: "/p/one-ops/", times: 1, behaviour: "fault-cut-events-1" });
    const told = await events("images", key, { model: "test/images", prompt: "a fox", partial_images: 2 });
    assert.deepEqual(told.events.map((event) => event.type ?? event), ["image_generation.partial_image", "error", "[DONE]"]);
    assert.deepEqual((await settled(gateway, account)).total_usage, 0);
  });

  test("a transcript of a provider that knows no events is events all the same", async () => {
    const { key } = await gateway.createAccount();
    const told = await events("audio/transcriptions", key, { model: "test/transcription", input_audio: { data: sound.toString("base64"), format: "mp3" } });
    assert.deepEqual(told.events.map((event) => event.type ?? event), ["transcript.text.delta", "transcript.text.done", "[DONE]"]);
    assert.equal(told.events[1].text, "A file of 6500 bytes named audio.mp3.");
  });
});

test("a form is a transcription too, and times are for those who ask", async () => {
  const { key } = await gateway.createAccount();
  const ask = async (fields) => {
    const form = new FormData();
    form.append("file", new Blob([sound]), "talk.wav");
    for (const [name, value] of Object.entries({ model: "test/transcription", ...fields })) form.append(name, value);
    const response = await fetch(`${gateway.base}/api/v1/audio/transcriptions`, { method: "POST", headers: { authorization: `Bearer ${key}` }, body: form });
    return { status: response.status, body: await response.json() };
  };
  const plain = await ask({});
  assert.equal(plain.body.text, "A file of 6500 bytes named talk.wav.");
  assert.equal(plain.body.segments, undefined);
  const verbose = await ask({ response_format: "verbose_json", language: "de" });
  assert.deepEqual([verbose.body.language, verbose.body.duration, verbose.body.segments.length], ["de", 6.5, 1]);
  const wrong = await ask({ response_format: "srt" });
  assert.deepEqual([wrong.status, wrong.body.error.param], [400, "response_format"]);
});

test("a model is asked for what it does", async () => {
  const { key } = await gateway.createAccount();
  for (const [path, body, where] of [
    ["embeddings", { model: "test/openai", input: "a" }, /\/chat\/completions/],
    ["chat/completions", { model: "test/embeddings", messages: [{ role: "user", content: "a" }] }, /\/embeddings/],
  ]) {
    const answer = await callJson(gateway, path, { key, body });
    assert.deepEqual([answer.status, answer.body.error.availability.code], [400, "wrong_endpoint"]);
    assert.match(answer.body.error.message, where);
  }
});

test("lists show what a model writes, and the usual list only those that write text", async () => {
  const ids = async (path) => (await callJson(gateway, path)).body.data.map(({ id }) => id);
  const painters = ["test/painter-gemini", "test/painter-openai"];
  assert.deepEqual(await ids("models"), ["test/openai", ...painters]);
  assert.deepEqual(await ids("embeddings/models"), ["test/embeddings"]);
  assert.deepEqual(await ids("images/models"), ["test/images"], "those that /images serves");
  const [listed] = (await callJson(gateway, "images/models")).body.data;
  assert.deepEqual(listed.supported_parameters.output_compression, { type: "range", min: 0, max: 100 });
  const places = await callJson(gateway, "images/models/test/images/endpoints");
  assert.deepEqual([places.status, places.body.id, places.body.endpoints.map((one) => one.provider_slug)], [200, "test/images", ["one-ops", "two-ops"]]);
  assert.equal((await callJson(gateway, "images/models/test/openai/endpoints")).status, 404);
  assert.deepEqual(await ids("models?output_modalities=speech,transcription"), ["test/speech", "test/transcription"]);
  assert.equal((await ids("models?output_modalities=all")).length, 8);
  const { body } = await callJson(gateway, "model/test/rerank");
  assert.deepEqual(body.data.architecture.output_modalities, ["rerank"]);
});

describe("images out of a conversation", () => {
  const url = `data:image/png;base64,${PIXEL}`;
  const painted = {
    gemini: () => ({
      candidates: [{ content: { role: "model", parts: [{ text: "Here:" }, { inlineData: { mimeType: "image/png", data: PIXEL } }] }, finishReason: "STOP" }],
      usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 1300, totalTokenCount: 1305 },
    }),
    openai: (stream) => {
      const said = { role: "assistant", content: "Here:", images: [{ type: "image_url", image_url: { url } }] };
      const choice = { index: 0, finish_reason: "stop", ...(stream ? { delta: said } : { message: said }) };
      return { id: "c1", object: stream ? "chat.completion.chunk" : "chat.completion", created: 1, model: "m", choices: [choice], usage: { prompt_tokens: 5, completion_tokens: 1300, total_tokens: 1305 } };
    },
  };
  for (const [dialect, answer] of Object.entries(painted)) {
    for (const stream of [false, true]) {
      test(`${dialect}, ${stream ? "streamed" : "in one piece"}`, async () => {
        const { key } = await gateway.createAccount();
        const json = JSON.stringify(answer(stream));
        const body = stream ? `data: ${json}\n\n${dialect === "openai" ? "data: [DONE]\n\n" : ""}` : json;
        const headers = { "content-type": stream ? "text/event-stream" : "application/json" };
        gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: { raw: { headers, chunks: [body] } } });
        const asked = { model: `test/painter-${dialect}`, stream, modalities: ["image", "text"], image_config: { aspect_ratio: "16:9" } };
        const told = await chat(gateway, key, asked);
        assert.equal(told.message.content, "Here:", JSON.stringify(told.error));
        const images = stream ? told.chunks.flatMap((chunk) => chunk.choices[0]?.delta.images ?? []) : told.message.images;
        assert.deepEqual(images.map((each) => each.image_url.url), [url]);
        assert.equal(told.usage.completion_tokens, 1300);
        const sent = gateway.upstream.requests().at(-1).body;
        if (dialect === "gemini") {
          assert.deepEqual(new Set(sent.generationConfig.responseModalities), new Set(["TEXT", "IMAGE"]));
          assert.equal(sent.generationConfig.imageConfig.aspectRatio, "16:9");
        } else {
          // Hosts of this format are not known to take `image_config`, and many refuse what they do not know.
          assert.deepEqual([sent.modalities, sent.image_config], [asked.modalities, undefined]);
        }
      });
    }
  }
});
