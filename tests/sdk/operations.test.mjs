// OpenAI's JavaScript SDK, unmodified, for operations beside conversation: only its base URL and its key are ours.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI, { toFile } from "openai";
import { operationsCatalog } from "../e2e/catalog.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { PIXEL, vectorOf } from "../upstream/formats/operations.mjs";

let gateway;
let openai;
before(async () => {
  gateway = await startGateway({ catalog: operationsCatalog() });
  const { key } = await gateway.createAccount();
  openai = new OpenAI({ baseURL: `${gateway.base}/api/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
});
after(() => gateway?.stop());

test("embeddings: the SDK asks for base64 by itself and decodes it", async () => {
  const { data, usage, object } = await openai.embeddings.create({ model: "test/embeddings", input: ["one", "two"] });
  assert.equal(object, "list");
  assert.deepEqual(data.map(({ embedding }) => [...embedding]), [vectorOf("one"), vectorOf("two")]);
  assert.equal(gateway.upstream.requests().at(-1).body.encoding_format, "base64");
  assert.ok(usage.prompt_tokens > 0 && usage.cost > 0);
});

test("embeddings: tokens, and numbers of a chosen length", async () => {
  const { data } = await openai.embeddings.create({ model: "test/embeddings", input: [[1, 2], [3]], dimensions: 4, encoding_format: "float" });
  assert.deepEqual(data.map(({ embedding }) => embedding.length), [4, 4]);
});

test("images", async () => {
  const { data, created } = await openai.images.generate({ model: "test/images", prompt: "a fox", n: 2, size: "1024x1024", quality: "high" });
  assert.ok(created > 0);
  assert.deepEqual(data.map(({ b64_json }) => b64_json), [PIXEL, PIXEL]);
});

test("images as events", async () => {
  const kinds = [];
  const stream = await openai.images.generate({ model: "test/images", prompt: "a fox", stream: true, partial_images: 1 });
  for await (const event of stream) {
    assert.equal(event.b64_json, PIXEL);
    kinds.push(event.type);
  }
  assert.deepEqual(kinds, ["image_generation.partial_image", "image_generation.completed"]);
});

test("a transcript as events", async () => {
  const file = await toFile(Buffer.alloc(3_000, 1), "talk.mp3");
  let text = "";
  const stream = await openai.audio.transcriptions.create({ model: "test/transcription", file, stream: true });
  for await (const event of stream) if (event.type === "transcript.text.delta") text += event.delta;
  assert.equal(text, "A file of 3000 bytes named talk.mp3.");
});

test("speech, read as it comes", async () => {
  const response = await openai.audio.speech.create({ model: "test/speech", voice: "alloy", input: "Hello", response_format: "mp3" });
  assert.equal(response.headers.get("content-type"), "audio/mpeg");
  assert.equal((await response.arrayBuffer()).byteLength, 480 * "Hello".length);
});

test("transcription: the SDK sends a form", async () => {
  const file = await toFile(Buffer.alloc(3_000, 1), "talk.mp3");
  const { text } = await openai.audio.transcriptions.create({ model: "test/transcription", file });
  assert.equal(text, "A file of 3000 bytes named talk.mp3.");
  const verbose = await openai.audio.transcriptions.create({ model: "test/transcription", file, response_format: "verbose_json", timestamp_granularities: ["segment"] });
  assert.deepEqual([verbose.duration, verbose.segments.length], [3, 1]);
});

test("errors are the SDK's own exceptions", async () => {
  await assert.rejects(openai.embeddings.create({ model: "test/embeddings", input: [] }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "input");
    return true;
  });
  for (const prefix of ["/p/one-ops", "/p/two-ops"]) gateway.upstream.script({ prefix, times: 1, behaviour: "fault-status-429-retry-2" });
  await assert.rejects(openai.images.generate({ model: "test/images", prompt: "a fox" }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.headers.get("retry-after"), "2");
    return true;
  });
});
