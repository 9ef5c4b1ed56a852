// Who is asked, in which order, and what the client reads when nobody could answer.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { chat, generation, nanos, providerOf, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway, key, account;
before(async () => {
  gateway = await startGateway();
  ({ key, account } = await gateway.createAccount());
});
after(() => gateway?.stop());
beforeEach(() => gateway.upstream.reset());

const fail = (provider, behaviour = "fault-status-503", times = 1) => gateway.upstream.script({ prefix: `/p/${provider}/`, times, behaviour });
const asked = () => gateway.upstream.requests().map(providerOf);
const ask = (body, options) => chat(gateway, key, body, options);

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";

  test(`the cheaper provider is asked first, the next one when it fails (${how})`, async () => {
    const first = await ask({ model: "test/anthropic", stream });
    assert.equal(first.provider, "Test one-anthropic");
    fail("one-anthropic");
    const second = await ask({ model: "test/anthropic", stream });
    assert.equal(second.provider, "Test two-anthropic");
    assert.deepEqual(asked(), ["one-anthropic", "one-anthropic", "two-anthropic"]);
  });

  test(`an answer of another dialect is as good (${how})`, async () => {
    fail("one-openai");
    fail("one-anthropic", "fault-empty");
    const answer = await ask({ model: "test/everywhere", stream });
    assert.equal(answer.provider, "Test one-gemini");
    assert.equal(answer.headers.get("x-patchbay-attempts"), "3");
    assert.match(answer.message.content, /speaking gemini/);
  });

  for (const [name, body] of [
    ["`models`", { model: "test/openai", models: ["test/gemini"] }],
    ["a `model` with commas", { model: "test/openai,test/gemini" }],
    ["`models` alone", { models: ["test/openai", "test/gemini"] }],
  ]) {
    test(`fallback over models named by ${name} (${how})`, async () => {
      fail("one-openai");
      fail("two-openai", "fault-status-429");
      const answer = await ask({ ...body, stream });
      assert.deepEqual([answer.model, answer.provider], ["test/gemini", "Test one-gemini"]);
      assert.deepEqual(asked(), ["one-openai", "two-openai", "one-gemini"]);
      assert.equal(answer.headers.get("x-patchbay-model"), "test/gemini");
      const record = await generation(gateway, key, answer.id);
      assert.equal(record.model, "test/gemini");
      assert.deepEqual(record.provider_responses.map(({ provider_name: name, status }) => [name, status]), [["one-openai", 503], ["two-openai", 429], ["one-gemini", 200]]);
    });
  }

  test(`preferences: order, only, ignore, allow_fallbacks (${how})`, async () => {
    const served = async (provider) => (await ask({ model: "test/everywhere", stream, provider })).provider;
    assert.equal(await served({ order: ["one-gemini", "one-openai"] }), "Test one-gemini");
    assert.equal(await served({ only: ["one-anthropic"] }), "Test one-anthropic");
    assert.equal(await served({ ignore: ["Test one-openai"] }), "Test one-anthropic");
    fail("one-gemini");
    assert.equal(await served({ order: ["one-gemini"] }), "Test one-openai");
  });

  test(`without fallbacks one failure is the end (${how})`, async () => {
    fail("one-openai");
    const answer = await ask({ model: "test/openai", stream, provider: { allow_fallbacks: false } });
    assert.equal(answer.status, 503);
    assert.deepEqual(asked(), ["one-openai"]);
    assert.equal(answer.error.metadata.error_type, "provider_overloaded");
    assert.equal(answer.error.metadata.provider_name, "Test one-openai");
    assert.equal(answer.error.metadata.previous_errors, undefined);
    assert.match(answer.error.metadata.raw, /Injected fault/);
  });

  test(`when all fail, the last error is told with those before it, as a status, and nothing is charged (${how})`, async () => {
    const before = await settled(gateway, account);
    fail("one-gemini", "fault-status-500");
    fail("two-gemini", "fault-status-429-retry-9");
    const answer = await ask({ model: "test/gemini", stream });
    assert.equal(answer.status, 429);
    assert.equal(answer.headers.get("content-type"), "application/json");
    const { error } = answer;
    assert.deepEqual([error.code, error.type], [429, "rate_limit_exceeded"]);
    assert.deepEqual(error.metadata.previous_errors, [{ provider: "Test one-gemini", code: "provider_unavailable", status: 502 }]);
    // The other provider did not say when to come back: no promise can be made.
    assert.equal(answer.headers.get("retry-after"), null);
    const record = await generation(gateway, key, answer.headers.get("x-generation-id"));
    assert.deepEqual([record.status, record.total_cost, record.cancelled], ["voided", 0, false]);
    assert.match(record.error, /rate_limit_exceeded/);
    const state = await settled(gateway, account);
    assert.deepEqual([nanos(state.total_usage), state.held], [nanos(before.total_usage), 0]);
  });

  test(`Retry-After is the earliest of what all providers said (${how})`, async () => {
    fail("one-openai", "fault-status-429-retry-3");
    fail("two-openai", "fault-status-503-retry-8");
    const answer = await ask({ model: "test/openai", stream });
    assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "3"]);
  });

  test(`a provider may name a date, which becomes the seconds until then (${how})`, async () => {
    fail("one-openai", "fault-status-429-until-7200");
    fail("two-openai", "fault-status-503-retry-9000");
    const answer = await ask({ model: "test/openai", stream });
    assert.equal(answer.status, 503);
    const wait = Number(answer.headers.get("retry-after"));
    assert.ok(wait > 3600 && wait <= 7200, String(wait));
  });
}

test("a filter that leaves nobody is 404 with the reasons", async () => {
  const { status, error } = await ask({ model: "test/openai", provider: { only: ["one-gemini"] } });
  assert.equal(status, 404);
  assert.equal(error.type, "not_found");
  assert.equal(error.metadata.excluded_by.length, 1);
  assert.deepEqual(asked(), []);
});

test("an attempt asks for its own provider's model with its own key", async () => {
  fail("one-openai");
  await ask({ model: "test/everywhere", temperature: 0.5 });
  const [openai, anthropic] = gateway.upstream.requests();
  assert.equal(openai.headers.authorization, "Bearer test-key");
  assert.equal(anthropic.headers["x-api-key"], "test-key");
  assert.equal(anthropic.headers.authorization, undefined);
  for (const { body, headers } of [openai, anthropic]) {
    assert.equal(body.model, "test-everywhere");
    assert.ok(!JSON.stringify(headers).includes(key), "the client's key goes nowhere");
  }
});
