// Every way in which an upstream fails, in each dialect, streamed and not.
//
// A case says what the client sees: `fine` (nothing at all), `next` (the second provider's answer: nothing had left yet) or
// `broken` (an error inside the stream, its end mark, and a bill for what was delivered). Whatever happens, the account pays
// exactly what the answers said.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { MULTIBYTE } from "../upstream/faults.mjs";
import { DIALECTS } from "./catalog.mjs";
import { chat, generation, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** Events of an answer's start in every dialect after which some of its text has been sent. */
const SOME = 6;
const COUNTED = Array.from({ length: 60 }, (_, at) => at + 1).join(", ");

const always = (behaviour, outcome, more) => ({ behaviour, streamed: outcome, whole: outcome, ...more });
const either = (behaviour, streamed, whole, more) => ({ behaviour, streamed, whole, ...more });

const CASES = [
  ...[400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529].map((status) => always(`fault-status-${status}`, "next")),
  always("fault-status-429-retry-30", "next"),
  always("fault-status-502+fault-html", "next"),
  always("fault-html", "next"),
  always("fault-reset", "next"),
  always("fault-cut-10", "next"),
  always("fault-end-10", "next"),
  always("fault-blank", "next"),
  always("fault-garbage", "next"),
  always("fault-error-0", "next"),
  always("fault-role-error", "next"),
  always("fault-empty", "next"),
  always("fault-delay-first-100+fault-garbage", "next"),
  either("fault-oversized-40", "next", "next"),
  either(`fault-cut-events-${SOME}`, "broken", "next"),
  either(`fault-end-events-${SOME}`, "broken", "fine"),
  either(`fault-garbage-after-${SOME}`, "broken", "next"),
  either(`fault-error-${SOME}`, "broken", "next"),
  either("fault-no-finish", "broken", "fine"),
  ...["onebyte", "chunk-7", "random-3", "crlf", "lf", "cr", "no-space", "comments-3", "heartbeats-3", "no-done", "no-type"].map((fault) => always(`fault-${fault}`, "fine")),
  always("fault-multibyte", "fine", { text: MULTIBYTE }),
  always("fault-multibyte+fault-crlf+fault-comments-2+fault-no-space", "fine", { text: MULTIBYTE }),
  ...["twice", "late"].map((usage) => always(`fault-usage-${usage}`, "fine")),
  always("fault-usage-every", "fine", { only: ["openai"] }),
  always("fault-usage-end", "fine", { only: ["anthropic"] }),
  always("fault-usage-none", "fine", { usage: "estimated" }),
  always("fault-usage-zero", "fine", { usage: "zero" }),
  always("fault-delay-headers-150", "fine"),
  always("fault-delay-first-150", "fine"),
  always("fault-delay-between-10", "fine"),
  always("fault-oversized-2", "fine", { text: "x".repeat(2 << 20) }),
];

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());

for (const dialect of DIALECTS) {
  for (const stream of [false, true]) {
    describe(`${dialect}, ${stream ? "streamed" : "in one piece"}`, () => {
      let key, account;
      const told = [];
      before(async () => ({ key, account } = await gateway.createAccount()));

      const ask = async (behaviour) => {
        gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour });
        const [{ seq: since } = { seq: 0 }] = gateway.upstream.requests().slice(-1);
        const answer = await chat(gateway, key, { model: `test/${dialect}`, stream, messages: [user("Please count to 60")] });
        told.push({ behaviour, ...answer });
        return { ...answer, calls: gateway.upstream.requests({ since }) };
      };

      const check = {
        fine({ answer, text = COUNTED, usage = "exact" }) {
          assert.equal(answer.error, undefined, JSON.stringify(answer.error));
          assert.equal(answer.message.content, text);
          assert.equal(answer.provider, `Test one-${dialect}`);
          assert.equal(answer.headers.get("x-patchbay-attempts"), "1");
          assert.equal(answer.calls.length, 1);
          if (usage === "zero") assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.cost], [0, 0, 0]);
          else assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0 && answer.usage.cost > 0);
          if (usage === "exact") assert.equal(answer.usage.completion_tokens, answer.calls[0].usage.output);
        },
        next({ answer }) {
          assert.equal(answer.status, 200, JSON.stringify(answer.error));
          assert.equal(answer.error, undefined, JSON.stringify(answer.error));
          assert.equal(answer.message.content, COUNTED);
          assert.equal(answer.finish, "stop");
          assert.equal(answer.provider, `Test two-${dialect}`);
          assert.equal(answer.headers.get("x-patchbay-attempts"), "2");
          assert.deepEqual(answer.calls.map(providerOf), [`one-${dialect}`, `two-${dialect}`]);
          assert.equal(answer.usage.completion_tokens, answer.calls[1].usage.output);
        },
        broken({ answer }) {
          assert.equal(answer.status, 200);
          assert.ok(["provider_unavailable", "provider_overloaded", "server"].includes(answer.error.metadata.error_type), JSON.stringify(answer.error));
          assert.equal(answer.error.metadata.provider_name, `Test one-${dialect}`);
          assert.equal(answer.finish, "error");
          assert.ok(answer.message.content.length > 0 && COUNTED.startsWith(answer.message.content));
          assert.equal(answer.calls.length, 1);
          assert.ok(answer.usage.completion_tokens > 0 && answer.usage.cost > 0, JSON.stringify(answer.usage));
        },
      };

      for (const { behaviour, only = DIALECTS, streamed, whole, ...more } of CASES) {
        if (!only.includes(dialect)) continue;
        const outcome = stream ? streamed : whole;
        test(`${behaviour}: ${outcome}`, async () => {
          const answer = await ask(behaviour);
          check[outcome]({ answer, ...more });
        });
      }

      test("each record tells every attempt, and the account paid what the answers said", async () => {
        for (const { behaviour, id, provider, headers, usage, error } of told) {
          const record = await generation(gateway, key, id);
          assert.equal(nanos(record.total_cost), nanos(usage.cost), behaviour);
          assert.equal(record.provider_name, provider, behaviour);
          assert.equal(String(record.provider_responses.length), headers.get("x-patchbay-attempts"), behaviour);
          for (const failed of record.provider_responses.slice(0, -1)) assert.ok(failed.error, behaviour);
          assert.equal(Boolean(record.error), Boolean(error), behaviour);
          assert.equal(record.cancelled, false, behaviour);
        }
        const state = await settled(gateway, account);
        const paid = told.reduce((sum, { usage }) => sum + nanos(usage.cost), 0n);
        assert.equal(nanos(state.total_usage), paid);
        assert.equal(nanos(state.balance), nanos(5) - paid);
        assert.equal(state.held, 0);
      });
    });
  }
}

test("comments after the finish do not keep a stream open", async () => {
  // P122
  const { key } = await gateway.createAccount();
  await Promise.all(
    DIALECTS.map(async (dialect) => {
      gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: "fault-heartbeats-forever" });
      const answer = await chat(gateway, key, { model: `test/${dialect}`, stream: true });
      assert.deepEqual([answer.finish, answer.error], ["stop", undefined]);
      assert.ok(answer.usage.cost > 0);
      await gateway.upstream.waitFor((entry) => entry.aborted && providerOf(entry) === `one-${dialect}`);
    }),
  );
});

test("a fault after the commit is not tried again, and what was delivered before it stands", async () => {
  const { key } = await gateway.createAccount();
  gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: `fault-error-${SOME}` });
  const answer = await chat(gateway, key, { model: "test/everywhere", stream: true, messages: [user("Please count to 60")] });
  assert.equal(answer.provider, "Test one-openai");
  assert.equal(answer.finish, "error");
  const kinds = answer.chunks.map((chunk) => (chunk.error ? "error" : chunk.choices[0]?.delta.content ? "text" : "other"));
  assert.ok(kinds.indexOf("text") < kinds.indexOf("error"));
  assert.equal(kinds.lastIndexOf("error"), kinds.length - 1);
});
