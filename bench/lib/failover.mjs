// What failing over adds: the time of a request whose first endpoint refuses, less that of one that is served at once, less the
// refused call's own time. A figure, not a test: the tests of failing over are under tests/e2e.
import { performance } from "node:perf_hooks";
import { median } from "./stats.mjs";

const timed = async (url, headers, body) => {
  const start = performance.now();
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  await response.arrayBuffer();
  return { ms: performance.now() - start, response };
};

/** Medians in milliseconds: `{direct, failedOver, refused, added, requests}`; nothing where the gateway did not fail over. */
export async function failover(subject, upstream, count) {
  const messages = [{ role: "user", content: "Say something short." }];
  const gateway = (model, order) =>
    timed(`http://127.0.0.1:${subject.port}/api/v1/chat/completions`, { authorization: `Bearer ${subject.key}` }, { model, messages, ...(order && { provider: { order } }) });
  const times = { direct: [], failedOver: [], refused: [] };
  for (let at = 0; at < count; at++) {
    times.direct.push((await gateway("bench/openai-json")).ms);
    const { ms, response } = await gateway("bench/openai-failing", ["demo-openai/fails", "demo-openai"]);
    // A breaker may have put the failing endpoint behind the other.
    if (response.status === 200 && response.headers.get("x-patchbay-attempts") === "2") times.failedOver.push(ms);
    times.refused.push((await timed(`${upstream}/openai/v1/chat/completions`, { authorization: "Bearer demo-key" }, { model: "fault-status-503", messages })).ms);
  }
  if (times.failedOver.length === 0) return undefined;
  const [direct, failedOver, refused] = Object.values(times).map(median);
  return { direct, failedOver, refused, added: failedOver - direct - refused, requests: times.failedOver.length };
}
