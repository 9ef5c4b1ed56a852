// A client of the messages surface for tests: the stream taken apart as Anthropic's SDKs do it, every rule asserted on the way.
import assert from "node:assert/strict";
import { call, user } from "./client.mjs";

/**
 * A message, streamed or not, as one shape: `{status, headers, error, requestId, message, kinds, text}`.
 */
export async function message(gateway, key, body, { path = "messages", headers, ...options } = {}) {
  const asked = { max_tokens: 4_000, messages: [user("Hello!")], ...body };
  const response = await call(gateway, path, { headers: { "x-api-key": key, "anthropic-version": "2023-06-01", ...headers }, body: asked, ...options });
  const common = { status: response.status, headers: response.headers };
  if (response.headers.get("content-type") === "text/event-stream") return { ...common, ...folded(await response.text()) };
  const whole = await response.json();
  if (whole.type !== "error") return { ...common, message: whole };
  assert.deepEqual(Object.keys(whole).slice(0, 3), ["type", "error", "request_id"]);
  return { ...common, error: whole.error, requestId: whole.request_id };
}

/** A stream's text as the message that a client makes of it. */
export function folded(text) {
  assert.ok(text.endsWith("\n\n"), `a stream ends with a whole event: ${JSON.stringify(text.slice(-200))}`);
  const result = { text, kinds: [], message: undefined, error: undefined };
  let open;
  let over = false;
  for (const event of text.slice(0, -2).split("\n\n")) {
    const [, kind, json] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? assert.fail(event);
    const data = JSON.parse(json);
    assert.equal(data.type, kind);
    assert.ok(!over, `${kind} after the end`);
    result.kinds.push(kind);
    if (kind === "message_start") {
      assert.equal(result.message, undefined);
      result.message = data.message;
    } else if (kind === "content_block_start") {
      assert.equal(open, undefined, "one block at a time");
      assert.equal(data.index, result.message.content.length);
      open = { index: data.index, json: "" };
      result.message.content.push(data.content_block);
    } else if (kind === "content_block_delta") {
      assert.equal(data.index, open?.index);
      grow(result.message.content[open.index], data.delta, open);
    } else if (kind === "content_block_stop") {
      assert.equal(data.index, open?.index);
      const block = result.message.content[open.index];
      if (["tool_use", "server_tool_use"].includes(block.type) && open.json) block.input = JSON.parse(open.json);
      open = undefined;
    } else if (kind === "message_delta") {
      assert.equal(open, undefined, "blocks end before the message");
      Object.assign(result.message, data.delta, { usage: data.usage });
    } else if (kind === "error") {
      result.error = data.error;
      result.requestId = data.request_id;
      result.usage = data.usage;
      over = true;
    } else if (kind === "message_stop") {
      assert.ok(result.message.stop_reason);
      over = true;
    }
  }
  assert.ok(over, `a terminal event: ${text.slice(-300)}`);
  return result;
}

function grow(block, delta, open) {
  if (delta.type === "text_delta") block.text += delta.text;
  else if (delta.type === "thinking_delta") block.thinking += delta.thinking;
  else if (delta.type === "signature_delta") block.signature = delta.signature;
  else if (delta.type === "citations_delta") (block.citations ??= []).push(delta.citation);
  else if (delta.type === "input_json_delta") open.json += delta.partial_json;
}

/** The words of a message. */
export const words = ({ content }) => content.filter(({ type }) => type === "text").map(({ text }) => text).join("");

/** The calls of a message. */
export const calls = ({ content }) => content.filter(({ type }) => type === "tool_use");
