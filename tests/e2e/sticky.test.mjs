// A conversation stays at the endpoint that holds its prompt cache, and only where that helps.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { startUpstream } from "../upstream/upstream.mjs";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { chat, generation, nanos, providerOf, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

// A conversation is driven to its endpoint by name; which endpoint it takes without a hint is nobody's promise here.
const catalog = testCatalog();
const at = (slug, provider, fields) => endpoint({ model: slug, provider, dialect: provider.split("-")[1], fields });
catalog.models.push(model("test/pair"), model("test/uncached"), model("test/signed"));
catalog.endpoints.push(
  at("test/pair", "one-openai"),
  at("test/pair", "two-openai"),
  ...["one-openai", "two-openai"].map((provider) => at("test/uncached", provider, { prices: { prompt: 1_000, completion: 1_000 } })),
  at("test/signed", "one-gemini"),
  at("test/signed", "two-anthropic"),
);

let upstream, folder, gateway, key;
before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  folder = mkdtempSync(join(tmpdir(), "patchbay-sticky-"));
  gateway = await startGateway({ catalog, persist: folder, upstream });
  ({ key } = await gateway.createAccount());
});
after(async () => {
  await gateway?.stop();
  await upstream?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => upstream.reset());

const two = { provider: { only: ["two-openai"] } };
let conversations = 0;
/** A conversation of its own, long enough for any cache. */
const begin = () => [{ role: "system", content: `Conversation ${(conversations += 1)}. ${"Be brief. ".repeat(600)}` }, user("Hello!")];
/** One turn; the answer joins the conversation. */
async function turn(messages, { key: sender = key, headers, ...body } = {}) {
  const answer = await chat(gateway, sender, { model: "test/pair", messages, ...body }, { headers });
  assert.equal(answer.status, 200, JSON.stringify(answer.error));
  messages.push(answer.message, user("Go on."));
  return { ...answer, at: answer.provider.replace("Test ", ""), sticky: answer.headers.get("x-patchbay-sticky"), cached: answer.usage.prompt_tokens_details.cached_tokens };
}
const facts = ({ at, sticky }) => [at, sticky];
/** The next request of a provider fails. */
const fail = (provider, behaviour = "fault-status-503") => upstream.script({ prefix: `/p/${provider}/`, times: 1, behaviour });
/** A conversation that was driven to the second endpoint, and whose cache is warm there. */
async function settleAtTwo(options) {
  const messages = begin();
  await turn(messages, { ...two, ...options });
  const second = await turn(messages, { ...two, ...options });
  assert.ok(second.cached > 1_000);
  return messages;
}

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";

  test(`a long conversation stays where its cache is, and says what the cache saved (${how})`, async () => {
    const messages = begin();
    const there = { stream, provider: { only: ["two-openai"] } };
    // No cache was seen at work by the first turn, so the second one is new too.
    const first = await turn(messages, there);
    assert.deepEqual([...facts(first), first.cached], ["two-openai", "new", 0]);
    const warm = await turn(messages, there);
    assert.deepEqual(facts(warm), ["two-openai", "new"]);
    assert.ok(warm.cached > 1_000, String(warm.cached));
    for (let again = 0; again < 3; again += 1) {
      const next = await turn(messages, { stream });
      assert.deepEqual(facts(next), ["two-openai", "hit"]);
      assert.ok(next.cached >= warm.cached);
      // Read at a tenth of the price: nine tenths are saved, to the nano-dollar up to one rounding.
      const saved = nanos(next.usage.cost_details.cache_discount);
      const exact = (BigInt(next.cached) * (1_000_003_001n - 100_000_019n)) / 1_000_000n;
      assert.ok(saved - exact >= -1n && saved - exact <= 1n, `${saved} ${exact}`);
      if (again === 2) assert.equal(nanos((await generation(gateway, key, next.id)).cache_discount), saved);
    }
  });
}

test("a session sticks after any success, whoever names it", async () => {
  for (const [name, options] of [
    ["session_id", { session_id: "s-1" }],
    ["X-Session-Id", { headers: { "x-session-id": "s-2" } }],
    ["the body before the header", { session_id: "s-3", headers: { "x-session-id": "s-other" } }],
  ]) {
    assert.deepEqual(facts(await turn([user("Hi")], { ...options, ...two })), ["two-openai", "new"], name);
    assert.deepEqual(facts(await turn([user("Something else")], options)), ["two-openai", "hit"], name);
  }
  assert.deepEqual(facts(await turn([user("Hi")], { session_id: "s-2" })), ["two-openai", "hit"], "the header means the same");
  assert.equal((await turn([user("Hi")], { session_id: "s-other" })).sticky, "new");
  const { status, error } = await chat(gateway, key, { model: "test/pair" }, { headers: { "x-session-id": "x".repeat(257) } });
  assert.deepEqual([status, error.param], [400, "x-session-id"]);
});

test("`prompt_cache_key` names a conversation, which sticks once its cache is at work", async () => {
  const options = { prompt_cache_key: "k-1" };
  await settleAtTwo(options);
  assert.deepEqual(facts(await turn([user("Hi")], options)), ["two-openai", "hit"]);
  assert.equal((await turn([user("Hi")], { prompt_cache_key: "k-2" })).sticky, "new");
});

test("an order turns it off, and a filter always wins", async () => {
  const messages = await settleAtTwo();
  assert.deepEqual(facts(await turn(messages)), ["two-openai", "hit"]);
  assert.deepEqual(facts(await turn(messages, { provider: { order: ["one-openai"] } })), ["one-openai", "off"]);
  assert.deepEqual(facts(await turn(messages, { provider: { ignore: ["two-openai"] } })), ["one-openai", "miss"]);
  assert.equal((await turn(begin(), { model: "test/uncached", session_id: "u" })).sticky, "off", "no cache price, nothing to gain");
  const alone = await turn(begin(), { model: "test/openai", provider: { only: ["one-openai"] }, session_id: "u" });
  assert.equal(alone.sticky, "new", "it is kept for requests that have a choice");
});

test("when the sticky endpoint fails the next one serves, and the failure refreshes nothing", async () => {
  const messages = await settleAtTwo();
  fail("two-openai");
  const moved = await turn(messages);
  assert.deepEqual(facts(moved), ["one-openai", "miss"]);
  assert.deepEqual(upstream.requests().slice(-2).map(providerOf), ["two-openai", "one-openai"]);
  // The first endpoint saw the conversation for the first time: its cache was not at work, the old home stays.
  assert.equal(moved.cached, 0);
  assert.deepEqual(facts(await turn(messages)), ["two-openai", "hit"]);
  // A session moves with the success.
  const session = { session_id: "moves" };
  await turn([user("Hi")], { ...session, ...two });
  fail("two-openai");
  assert.deepEqual(facts(await turn([user("Hi")], session)), ["one-openai", "miss"]);
  assert.deepEqual(facts(await turn([user("Hi")], session)), ["one-openai", "hit"]);
});

test("another account with the same conversation is not influenced", async () => {
  const messages = await settleAtTwo({ session_id: "shared" });
  const other = await gateway.createAccount();
  for (const options of [{ session_id: "shared" }, {}]) {
    const answer = await turn([...messages], { key: other.key, ...options });
    assert.equal(answer.sticky, "new");
  }
  assert.deepEqual(facts(await turn(messages, { session_id: "shared" })), ["two-openai", "hit"]);
});

test("signed reasoning goes back to whoever signed it, and is left out on a hop (P81, P84, P87)", async () => {
  const ask = { model: "test/signed", reasoning: { effort: "high" }, session_id: undefined };
  const messages = [user("Think: what is two and two?")];
  const first = await turn(messages, { ...ask, provider: { only: ["two-anthropic"] } });
  assert.equal(first.at, "two-anthropic");
  assert.ok(messages[1].reasoning_details.some(({ signature }) => signature), JSON.stringify(messages[1]));
  assert.deepEqual(facts(await turn(messages, ask)), ["two-anthropic", "hit"]);
  // Without its past (another account) the form of the blocks still tells where they are understood.
  const other = await gateway.createAccount();
  assert.deepEqual(facts(await turn([...messages], { key: other.key, ...ask })), ["two-anthropic", "new"]);
  fail("two-anthropic");
  const hop = await turn(messages, ask);
  assert.deepEqual(facts(hop), ["one-gemini", "miss"]);
  const sent = upstream.requests().at(-1);
  assert.equal(sent.rejected, undefined, JSON.stringify(sent));
  assert.ok(!JSON.stringify(sent.body).includes(messages[1].reasoning_details.find(({ signature }) => signature).signature));
});

test("another isolate finds the hint in KV; without KV the conversation is cold, never an error", async () => {
  const messages = await settleAtTwo();
  const session = { session_id: "kept" };
  await turn([user("Hi")], { ...session, ...two });
  await gateway.stop();
  gateway = await startGateway({ catalog, persist: folder, upstream });
  const fault = { "x-patchbay-fault": "kv" };
  assert.equal((await turn([...messages], { headers: fault })).sticky, "new");
  assert.deepEqual(facts(await turn(messages)), ["two-openai", "hit"]);
  assert.deepEqual(facts(await turn([user("Hi")], session)), ["two-openai", "hit"]);
  // What memory holds needs no KV.
  assert.deepEqual(facts(await turn(messages, { headers: fault })), ["two-openai", "hit"]);
});
