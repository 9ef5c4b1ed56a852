// The same conversation for every subject: as the gateway takes it, and as the provider takes it from a pass-through.
import { post } from "./load.mjs";

/** The answers of the local upstream that are asked for (`tests/upstream/README.md`). */
export const kinds = ["json", "chunks-200", "chunks-100-gap-5"];
export const formats = ["openai", "anthropic"];

const isStream = (kind) => kind.startsWith("chunks");
const messages = (text) => [{ role: "user", content: text }];

/** A request in the provider's own format: key, path and body. */
export function nativeRequest(format, kind, text) {
  const body = { model: `bench-${kind}`, messages: messages(text), stream: isStream(kind), max_tokens: 1000 };
  if (format === "anthropic") {
    return post("/anthropic/v1/messages", { "x-api-key": "demo-key", "anthropic-version": "2023-06-01" }, body);
  }
  return post("/openai/v1/chat/completions", { authorization: "Bearer demo-key" }, body);
}

/** A request of the gateway. */
export function patchbayRequest(format, kind, text, key) {
  const body = { model: `bench/${format}-${kind}`, messages: messages(text), stream: isStream(kind), max_tokens: 1000 };
  return post("/api/v1/chat/completions", { authorization: `Bearer ${key}` }, body);
}

/** Why an answer is not the one that was asked for; undefined where it is. */
export function flaw(kind, answer) {
  const expected = isStream(kind) ? 2 * Number(/\d+/.exec(kind)[0]) : 1;
  const found = answer.match(isStream(kind) ? /\bword\b/g : /A small answer of fixed size\./g)?.length ?? 0;
  if (found !== expected) return `${found} of ${expected} parts of the text in: ${answer.slice(0, 300)}`;
  if (isStream(kind) && !/\[DONE\]\s*$|"message_stop"\}\s*$/.test(answer)) return `no end mark: ${answer.slice(-200)}`;
  return undefined;
}
