// P128: a panic, in the Worker or in an account's object, fails only the request that it happens in.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DIALECTS } from "./catalog.mjs";
import { call, callJson, chat, folded, generation, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const COUNTED = Array.from({ length: 60 }, (_, at) => at + 1).join(", ");

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());

/** A stream of each dialect that has begun, slowly; `finish()` reads the rest. */
async function begin(key) {
  return Promise.all(
    DIALECTS.map(async (dialect) => {
      gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour: "fault-delay-between-20" });
      const body = { model: `test/${dialect}`, stream: true, messages: [user("Please count to 60")] };
      const response = await call(gateway, "chat/completions", { key, body });
      assert.equal(response.status, 200);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = (await reader.read()).value;
      return async () => {
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) text += piece.value;
        return folded(text);
      };
    }),
  );
}

/** The streams end whole, and the account has paid for each. */
async function complete(streams, { key, account }) {
  let paid = 0n;
  for (const finish of streams) {
    const answer = await finish();
    assert.equal(answer.error, undefined);
    assert.equal(answer.message.content, COUNTED);
    const record = await generation(gateway, key, answer.id);
    assert.deepEqual([record.status, record.cancelled, nanos(record.total_cost)], ["settled", false, nanos(answer.usage.cost)]);
    paid += nanos(answer.usage.cost);
  }
  assert.equal(nanos((await settled(gateway, account)).total_usage), paid);
}

const body = { model: "test/openai", messages: [user("Hello!")] };

test("a panic in the Worker: a JSON 500 for its own request, the streams beside it end whole and are settled", async () => {
  const owner = await gateway.createAccount();
  const streams = await begin(owner.key);
  const panics = await Promise.all(
    ["chat/completions", "key", "models", "chat/completions"].map((path) =>
      callJson(gateway, path, { key: owner.key, headers: { "x-patchbay-fault": "panic" }, ...(path.startsWith("chat") && { body }) }),
    ),
  );
  for (const { status, headers, body: answer } of panics) {
    assert.equal(status, 500);
    assert.match(headers.get("x-generation-id"), /^gen-/);
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.deepEqual([answer.error.code, answer.error.type, answer.error.message], [500, "server", "Internal Server Error"]);
  }
  await complete(streams, owner);
});

test("a panic in the account's object: an error for its own call, the streams of the same account end whole and are settled", async () => {
  const owner = await gateway.createAccount();
  const streams = await begin(owner.key);
  const panics = await Promise.all(
    ["key", "credits", "key"].map((path) => callJson(gateway, path, { key: owner.key, headers: { "x-patchbay-fault": "object-panic" } })),
  );
  for (const { status, body: answer } of panics) {
    assert.equal(status, 500);
    assert.deepEqual([answer.error.code, answer.error.type, answer.error.message], [500, "server", "Internal Server Error"]);
  }
  await complete(streams, owner);
  assert.equal((await callJson(gateway, "key", { key: owner.key })).status, 200);
});

test("the next requests are answered as if nothing had been", async () => {
  const { key } = await gateway.createAccount();
  for (const stream of [false, true]) assert.equal((await chat(gateway, key, { ...body, stream })).finish, "stop");
});

test("faults exist only where the deployment allows them", async () => {
  const careful = await startGateway({ vars: { FAULT_INJECTION: "off" } });
  try {
    const { key } = await careful.createAccount();
    const headers = { "x-patchbay-fault": "panic,object-panic,kv,d1" };
    assert.equal((await chat(careful, key, body, { headers })).status, 200);
    assert.equal((await callJson(careful, "key", { key, headers })).status, 200);
  } finally {
    await careful.stop();
  }
});
