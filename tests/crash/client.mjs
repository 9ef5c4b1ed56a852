// A client that remembers what it was told: which request, whether its answer was whole, and what it is said to cost.

export const MODELS = ["test/openai", "test/anthropic", "test/gemini"];
const NANOS = 1e9;

/** One request; never throws. `{model, stream, account, id, fate: "whole" | "cut" | "left" | "refused", cost?, status?}`. */
export async function ask(base, { account, key }, random) {
  const model = random.pick(MODELS);
  const stream = random.chance(0.6);
  const leaves = random.chance(0.1);
  const told = { model, stream, account, fate: "cut" };
  const leaving = new AbortController();
  const timer = leaves && setTimeout(() => leaving.abort(), random.between(1, 60));
  try {
    const response = await fetch(`${base}/api/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(question(model, stream, random)),
      signal: leaving.signal,
    });
    told.id = response.headers.get("x-generation-id");
    told.status = response.status;
    if (!response.ok) {
      told.fate = "refused";
      told.why = await response.text();
    } else if (stream) {
      await readStream(response, told);
    } else {
      isWhole(told, JSON.parse(await response.text()));
    }
  } catch {
    // The connection ended: by the kill, or because this client left.
    if (leaving.signal.aborted && told.fate === "cut") told.fate = "left";
  } finally {
    clearTimeout(timer);
  }
  return told;
}

const question = (model, stream, random) => ({
  model,
  stream,
  max_tokens: 2000,
  messages: [
    { role: "system", content: "x".repeat(random.below(400)) },
    { role: "user", content: `Please count to ${random.between(1, 150)}` },
  ],
});

/** An answer is whole when its usage and its end mark have arrived, whatever happens to the connection afterwards. */
async function readStream(response, told) {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    text += decoder.decode(bytes, { stream: true });
    if (!text.endsWith("data: [DONE]\n\n")) continue;
    const chunks = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json]) => JSON.parse(json));
    const error = chunks.find((chunk) => chunk.error);
    if (error) Object.assign(told, { fate: "refused", why: JSON.stringify(error) });
    else isWhole(told, chunks.findLast((chunk) => chunk.usage));
    return;
  }
}

function isWhole(told, answer) {
  told.cost = Math.round(answer.usage.cost * NANOS);
  told.bodyId = answer.id;
  told.fate = "whole";
}
