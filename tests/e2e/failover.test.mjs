// Failing over in the real runtime: each row of the reference's endpoint and model fallback, two attempts side by side, a
// stream that goes on elsewhere, a cap on the cost, and a provider that dies under load.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, beforeEach, test } from "node:test";
import { createInterface } from "node:readline";
import process from "node:process";
import { at } from "../../scripts/lib/project.mjs";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { chat, eventually, generation, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** A provider in a process of its own, so that it can die. */
async function startDying() {
  const child = spawn(process.execPath, [at("tests", "upstream", "main.mjs")], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((done) => createInterface({ input: child.stdout }).once("line", done));
  return { url: `http://127.0.0.1:${JSON.parse(line).port}`, kill: () => child.kill("SIGKILL") };
}

/** Models for one use: an endpoint that failed is remembered. */
const CASES = Array.from({ length: 60 }, (_, nth) => `test/case-${nth}`);
let used = 0;
const fresh = () => CASES[used++];

/** The test's rows: `lax-openai` takes the beginning of an answer, and a provider that will die serves `test/dying` first. */
function catalog() {
  const rows = testCatalog();
  const dying = rows.providers[0].replaceAll("one-openai", "dying").replace("${TEST_UPSTREAM}/p/dying/", "${DYING_UPSTREAM}/p/fault-delay-first-9000/");
  const lax = rows.providers[0].replaceAll("one-openai", "lax-openai").replace("quirks = [", 'quirks = ["prefix_flag", ');
  const plain = { reasoning: undefined };
  return {
    ...rows,
    providers: [...rows.providers, dying, lax],
    models: [...rows.models, ...["test/dying", "test/resumed", "test/long-false", "test/long-true", ...CASES].map((slug) => model(slug))],
    endpoints: [
      ...rows.endpoints,
      endpoint({ model: "test/resumed", provider: "one-openai", dialect: "openai" }),
      endpoint({ model: "test/resumed", provider: "lax-openai", dialect: "openai", factor: 2 }),
      endpoint({ model: "test/dying", provider: "dying", dialect: "openai", fields: plain }),
      endpoint({ model: "test/dying", provider: "two-openai", dialect: "openai", factor: 2, fields: plain }),
      ...[false, true].flatMap((stream) => [
        endpoint({ model: `test/long-${stream}`, provider: "one-openai", dialect: "openai", fields: { context_length: 8_000, max_completion_tokens: 4_000 } }),
        endpoint({ model: `test/long-${stream}`, provider: "two-openai", dialect: "openai", factor: 2, fields: { context_length: 8_000, max_completion_tokens: 4_000 } }),
        endpoint({ model: `test/long-${stream}`, provider: "one-gemini", dialect: "gemini", factor: 3, fields: { context_length: 1_000_000 } }),
      ]),
      ...CASES.flatMap((slug) => [
        endpoint({ model: slug, provider: "one-openai", dialect: "openai" }),
        endpoint({ model: slug, provider: "two-openai", dialect: "openai", factor: 2 }),
      ]),
    ],
  };
}

let gateway, key, account, dying;
before(async () => {
  dying = await startDying();
  gateway = await startGateway({ catalog: catalog(), vars: { DYING_UPSTREAM: dying.url } });
  ({ key, account } = await gateway.createAccount());
});
after(async () => {
  dying?.kill();
  await gateway?.stop();
});
beforeEach(() => gateway.upstream.reset());

const script = (provider, behaviour, times = 1) => gateway.upstream.script({ prefix: `/p/${provider}/`, times, behaviour });
const asked = () => gateway.upstream.requests().map(providerOf);
// Where chance would decide the order is named.
const ask = (body, options) => chat(gateway, key, { ...body, provider: { order: ["one-openai", "two-openai", "one-anthropic", "one-gemini"], ...body.provider } }, options);
const refusal = (code) => ({
  raw: { status: 400, headers: { "content-type": "application/json" }, chunks: [JSON.stringify({ error: { message: "refused", type: "invalid_request_error", code } })] },
});

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";

  test(`every failure before the commit is tried at the next endpoint, silently (${how})`, async () => {
    const failures = ["fault-status-500", "fault-status-503", "fault-status-529", "fault-status-429", "fault-reset", "fault-blank", "fault-empty", "fault-garbage", "fault-html", "fault-status-400", "fault-status-401", "fault-status-422"];
    for (const failure of failures) {
      gateway.upstream.reset();
      script("one-openai", failure);
      const answer = await ask({ model: fresh(), stream });
      assert.equal(answer.error, undefined, failure);
      assert.equal(answer.provider, "Test two-openai", failure);
      assert.deepEqual(asked(), ["one-openai", "two-openai"], failure);
    }
  });

  test(`what the client reads when nobody answers (${how})`, async () => {
    for (const [one, two, status, type, code] of [
      ["fault-status-429-retry-9", "fault-status-429-retry-4", 429, "rate_limit_exceeded", "capacity_exhausted"],
      ["fault-status-500", "fault-status-503", 503, "provider_overloaded", "temporarily_unavailable"],
      ["fault-reset", "fault-empty", 503, "provider_overloaded", "temporarily_unavailable"],
      ["fault-status-400", "fault-status-400", 400, "invalid_request", undefined],
      ["fault-status-429", "fault-status-400", 429, "rate_limit_exceeded", undefined],
    ]) {
      script("one-openai", one);
      script("two-openai", two);
      const asked = fresh();
      const answer = await ask({ model: asked, stream });
      const { error } = answer;
      assert.deepEqual([answer.status, error?.type, error?.availability?.code], [status, type, code], `${one}, ${two}`);
      if (code) assert.deepEqual([error.availability.requested_models, error.availability.affected_providers], [[asked], ["one-openai", "two-openai"]]);
      if (code === "capacity_exhausted") assert.deepEqual([answer.headers.get("retry-after"), error.availability.retry_after], ["4", 4]);
    }
  });

  test(`allow_fallbacks: false returns the error of the one (${how})`, async () => {
    script("one-openai", "fault-status-500");
    const answer = await ask({ model: fresh(), stream, provider: { only: ["one-openai"], allow_fallbacks: false } });
    assert.deepEqual([answer.status, answer.error.type], [502, "provider_unavailable"]);
    assert.deepEqual(asked(), ["one-openai"]);
  });

  test(`a prompt that is too long goes to a longer context, refused content to the next model (${how})`, async () => {
    script("one-openai", refusal("context_length_exceeded"));
    const longer = await ask({ model: `test/long-${stream}`, stream });
    assert.deepEqual([longer.provider, asked()], ["Test one-gemini", ["one-openai", "one-gemini"]]);
    gateway.upstream.reset();
    script("one-openai", refusal("content_filter"));
    const next = await ask({ model: fresh(), models: ["test/anthropic"], stream });
    assert.deepEqual([next.model, asked()], ["test/anthropic", ["one-openai", "one-anthropic"]]);
  });

  test(`a model's endpoints are exhausted first, the last model's error is told, the answering one is charged (${how})`, async () => {
    script("one-openai", "fault-status-500");
    script("two-openai", "fault-reset");
    const answer = await ask({ model: fresh(), models: ["test/gemini"], stream });
    assert.equal(answer.model, "test/gemini");
    const record = await generation(gateway, key, answer.id);
    assert.equal(record.model, "test/gemini");
    assert.equal(nanos(record.total_cost), nanos(answer.usage.cost));
    for (const provider of ["one-openai", "two-openai", "one-gemini", "two-gemini"]) script(provider, provider.includes("gemini") ? "fault-status-429" : "fault-status-500");
    const failed = await ask({ model: fresh(), models: ["test/gemini"], stream });
    assert.deepEqual([failed.status, failed.error.availability.code], [429, "capacity_exhausted"]);
    assert.equal(failed.error.metadata.previous_errors.length, 3);
  });

  test(`two attempts side by side: the first content wins, the loser is told and not charged (${how})`, async () => {
    script("one-openai", "fault-delay-headers-4000");
    const answer = await ask({ model: fresh(), stream, provider: { hedge: { after_ms: 150 } } });
    assert.equal(answer.provider, "Test two-openai");
    assert.equal(answer.headers.get("x-patchbay-attempts"), "2");
    const lost = Number(answer.headers.get("x-patchbay-hedge-cost"));
    assert.ok(lost > 0, `the loser may have cost something: ${lost}`);
    assert.equal(answer.usage.cost_details.hedge_cost, lost);
    const [first] = await eventually(() => gateway.upstream.requests(), (all) => all[0].aborted && all, { what: "the abort of the loser" });
    assert.equal(providerOf(first), "one-openai");
    const record = await generation(gateway, key, answer.id);
    assert.equal(nanos(record.total_cost), nanos(answer.usage.cost));
    assert.equal(Number(record.provider_responses[0].hedge_cost), lost);
    assert.ok(!JSON.stringify(gateway.upstream.requests().map(({ body }) => body)).includes("hedge"), "the wish stays here");
  });
}

test("after the commit there is no failing over: the error is in-band", async () => {
  script("one-openai", "fault-cut-events-6");
  const answer = await ask({ model: fresh(), stream: true, messages: [user("Please count to 60")] });
  assert.deepEqual([answer.status, answer.finish, asked().length], [200, "error", 1]);
  assert.ok(answer.usage.cost > 0);
});

test("a broken stream goes on elsewhere where the client wants that, charged as the sum of its parts", async () => {
  script("one-openai", "fault-cut-events-6");
  script("lax-openai", { text: " and so on." });
  const answer = await ask({ model: "test/resumed", stream: true, messages: [user("Please count to 60")], reasoning: { enabled: false }, provider: { continue: true } });
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  assert.equal(answer.finish, "stop");
  const [, second] = gateway.upstream.requests();
  assert.equal(second.status, 200, JSON.stringify(second.rejected));
  const beginning = second.body.messages.at(-1);
  assert.deepEqual([beginning.role, beginning.prefix], ["assistant", true]);
  assert.match(answer.message.content, /^1, 2.* and so on\.$/);
  assert.ok(answer.message.content.startsWith(beginning.content));
  assert.deepEqual(answer.usage.parts.map(({ provider }) => provider), ["Test one-openai", "Test lax-openai"]);
  assert.deepEqual([...new Set(answer.chunks.map(({ provider }) => provider))], ["Test one-openai", "Test lax-openai"]);
  const record = await generation(gateway, key, answer.id);
  const parts = record.provider_responses.map(({ part }) => BigInt(Math.round(Number(part.cost) * 1e9)));
  const total = nanos(record.total_cost);
  assert.equal(nanos(answer.usage.cost), total);
  // Each part is rounded up by itself, the charge once.
  assert.ok(total <= parts[0] + parts[1] && total >= parts[0] + parts[1] - 1n, `${total} of ${parts}`);
  assert.equal(record.tokens_completion, answer.usage.completion_tokens);
});

test("max_cost: refused where the prompt is too dear, capped upstream, never exceeded", async () => {
  const refused = await ask({ model: fresh(), max_cost: "0.000000001" });
  assert.deepEqual([refused.status, refused.error.type, refused.error.metadata.limit_source], [402, "payment_required", "max_cost"]);
  assert.equal(typeof refused.error.metadata.affordable_tokens, "number");
  const wrong = await ask({ model: fresh(), max_cost: "cheap" });
  assert.deepEqual([wrong.status, wrong.error.param], [400, "max_cost"]);
  assert.deepEqual(asked(), []);
  for (const stream of [false, true]) {
    gateway.upstream.reset();
    // The provider counts far more than it was allowed.
    script("one-openai", "usage-in900000-out900000");
    const answer = await ask({ model: fresh(), stream, max_cost: 0.0005, messages: [user("Please count to 60")] });
    const [{ body }] = gateway.upstream.requests();
    assert.equal(body.max_cost, undefined);
    assert.ok(body.max_completion_tokens > 0, JSON.stringify(body));
    assert.equal(nanos(answer.usage.cost), 500_000n);
    const record = await generation(gateway, key, answer.id);
    assert.equal(nanos(record.total_cost), 500_000n);
  }
});

test("a provider that dies under load loses no request that had not committed", async () => {
  const before = await settled(gateway, account);
  const requests = Array.from({ length: 60 }, (_, at) =>
    chat(gateway, key, { model: "test/dying", stream: at % 2 === 0, messages: [user(`say exactly: ${at}`)], provider: { order: ["dying", "two-openai"] } }));
  // Some wait for their headers, some for their first event, some are not sent yet.
  await eventually(async () => (await fetch(`${dying.url}/__control/requests`)).json(), (seen) => (seen.requests ?? seen).length >= 10, { what: "requests at the provider" });
  dying.kill();
  const answers = await Promise.all(requests);
  for (const [at, answer] of answers.entries()) {
    assert.equal(answer.error, undefined, JSON.stringify(answer.error));
    assert.equal(answer.message.content, String(at));
    assert.equal(answer.provider, "Test two-openai");
  }
  const state = await settled(gateway, account);
  const charged = answers.reduce((sum, { usage }) => sum + nanos(usage.cost), 0n);
  assert.equal(nanos(state.total_usage) - nanos(before.total_usage), charged);
});
