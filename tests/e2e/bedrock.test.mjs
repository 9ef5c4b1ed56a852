// Amazon Bedrock in real workerd: signed requests, Converse and its binary streams, exceptions, accounts' own AWS keys.
//
// `one-bedrock` is called with access keys, `two-bedrock` with an API key; `bad-bedrock` with keys that do not belong together. The
// local upstream checks each signature against the request that arrived.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { secretOf, tokenOf } from "../upstream/aws/sigv4.mjs";
import { MULTIBYTE } from "../upstream/faults.mjs";
import { endpoint, model, provider } from "./catalog.mjs";
import { callJson, chat, generation, nanos, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const OPERATOR_TOKEN = "operator-token-of-the-tests";
const ID = "global.test.bedrock-v1:0";
const REGION = "eu-west-1";
const keysOf = (id, more = {}) => JSON.stringify({ accessKeyId: id, secretAccessKey: secretOf(id), ...more });
const COUNTED = Array.from({ length: 60 }, (_, at) => at + 1).join(", ");

const SECRETS = { "one-bedrock": "TEST_AWS_KEYS", "two-bedrock": "TEST_BEDROCK_KEY", "bad-bedrock": "TEST_BAD_KEYS", "off-bedrock": "TEST_NO_KEYS" };
const served = (slug, at, of = "test/bedrock") =>
  endpoint({ model: of, provider: slug, dialect: "bedrock", factor: 1 + at, fields: { upstream_model_id: ID } });

const catalog = {
  providers: Object.entries(SECRETS).map(([slug, secret]) => provider({ slug, dialect: "bedrock", secret })),
  models: ["test/bedrock", "test/bad", "test/off"].map((slug) => model(slug)),
  endpoints: [served("one-bedrock", 0), served("two-bedrock", 1), served("bad-bedrock", 0, "test/bad"), served("off-bedrock", 0, "test/off")],
  aliases: [],
};

const vars = {
  AWS_REGION: REGION,
  TEST_AWS_KEYS: keysOf("ASIATESTTEMPORARY", { sessionToken: tokenOf("ASIATESTTEMPORARY") }),
  TEST_BEDROCK_KEY: "ABSKtest+key/of=bedrock",
  TEST_BAD_KEYS: JSON.stringify({ accessKeyId: "AKIABADKEY", secretAccessKey: "HIDDEN-secret" }),
  BYOK_MASTER_KEY: randomBytes(32).toString("base64"),
};

let gateway, owner;
before(async () => {
  gateway = await startGateway({ vars, catalog });
  owner = await gateway.createAccount();
});
after(() => gateway?.stop());

/** Asks `test/bedrock`; the answer with the calls that it led to. */
async function ask(body, { as = owner, behaviour } = {}) {
  if (behaviour) gateway.upstream.script({ prefix: "/p/one-bedrock/", times: 1, behaviour });
  const [{ seq: since } = { seq: 0 }] = gateway.upstream.requests().slice(-1);
  const answer = await chat(gateway, as.key, { model: "test/bedrock", messages: [user("Please count to 60")], ...body });
  return { ...answer, calls: gateway.upstream.requests({ since }) };
}

const WEATHER = {
  type: "function",
  function: { name: "get_weather", description: "Weather.", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
};
const NOW = { type: "function", function: { name: "get_time" } };

for (const stream of [false, true]) {
  describe(stream ? "streamed" : "in one piece", () => {
    test("text comes whole, counted and charged, over a signed request", async () => {
      const answer = await ask({ stream });
      assert.equal(answer.message.content, COUNTED);
      assert.deepEqual([answer.finish, answer.native], ["stop", "end_turn"]);
      const [call] = answer.calls;
      assert.equal(call.path, `/p/one-bedrock/bedrock/model/${encodeURIComponent(ID)}/converse${stream ? "-stream" : ""}`);
      const [, signed] = /Credential=ASIATESTTEMPORARY\/\d{8}\/eu-west-1\/bedrock\/aws4_request, SignedHeaders=(\S+),/.exec(call.headers.authorization);
      assert.equal(signed, "content-type;host;x-amz-date;x-amz-security-token");
      assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [call.usage.input, call.usage.output]);
      const row = await generation(gateway, owner.key, answer.id);
      assert.equal(nanos(row.total_cost), nanos(answer.usage.cost));
      assert.ok(answer.usage.cost > 0);
    });

    test("tools are called in parallel, and their results go back", async () => {
      const tools = [WEATHER, NOW];
      const messages = [user("Please get_weather in Paris and get_time.")];
      const first = await ask({ stream, tools, messages });
      assert.deepEqual([first.finish, first.message.content || null], ["tool_calls", null]);
      const calls = first.message.tool_calls.map(({ function: { name, arguments: json } }) => [name, JSON.parse(json)]);
      assert.deepEqual(calls, [["get_weather", { city: "Paris" }], ["get_time", {}]]);
      const results = first.message.tool_calls.map(({ id }, at) => ({ role: "tool", tool_call_id: id, content: `result ${at}` }));
      // Also where the client no longer declares its tools (P60), or forbids them (P62).
      for (const more of [{ tools }, {}, { tools, tool_choice: "none" }]) {
        const next = await ask({ stream, messages: [...messages, first.message, ...results.toReversed()], ...more });
        assert.match(next.message.content, /get_weather → result 0; get_time → result 1/);
      }
    });

    test("signed reasoning goes round", async () => {
      const body = { stream, tools: [NOW], reasoning: { max_tokens: 2000 }, messages: [user("use get_time")] };
      const first = await ask(body);
      const [{ format, signature }] = first.message.reasoning_details;
      assert.equal(format, "anthropic-claude-v1");
      assert.ok(signature && first.message.reasoning);
      const result = { role: "tool", tool_call_id: first.message.tool_calls[0].id, content: "noon" };
      const next = await ask({ ...body, messages: [...body.messages, first.message, result] });
      assert.match(next.message.content, /noon/);
      const [sent] = next.calls[0].body.messages[1].content;
      assert.equal(sent.reasoningContent.reasoningText.signature, signature);
    });

    test("a marked prefix is written to the cache once, and read afterwards", async () => {
      const text = `${stream} `.repeat(2000);
      const system = { role: "system", content: [{ type: "text", text, cache_control: { type: "ephemeral", ttl: "1h" } }] };
      const usages = [];
      for (const question of ["one", "two"]) usages.push((await ask({ stream, messages: [system, user(question)] })).usage.prompt_tokens_details);
      assert.ok(usages[0].cache_write_tokens > 1000 && usages[0].cached_tokens === 0);
      assert.deepEqual([usages[1].cache_write_tokens ?? 0, usages[1].cached_tokens], [0, usages[0].cache_write_tokens]);
    });

    test("JSON fits its schema", async () => {
      const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };
      const answer = await ask({ stream, messages: [user("A thing for Ada")], response_format: { type: "json_schema", json_schema: { name: "thing", schema } } });
      assert.deepEqual(JSON.parse(answer.message.content), { name: "Ada" });
    });

    for (const behaviour of [400, 403, 404, 408, 424, 429, 500, 503].map((status) => `fault-status-${status}`).concat("fault-html", "fault-reset", "fault-garbage", "fault-error-0", "fault-role-error", "fault-cut-10", "fault-empty")) {
      test(`${behaviour}: the next provider answers, with its API key`, async () => {
        const answer = await ask({ stream }, { behaviour });
        assert.equal(answer.message.content, COUNTED);
        assert.deepEqual(answer.calls.map(providerOf), ["one-bedrock", "two-bedrock"]);
        assert.equal(answer.calls[1].headers.authorization, `Bearer ${vars.TEST_BEDROCK_KEY}`);
      });
    }
  });
}

test("a stream is read in any pieces", async () => {
  // P120
  for (const behaviour of ["fault-onebyte", "fault-chunk-7", "fault-random-3", "fault-delay-between-5"]) {
    const answer = await ask({ stream: true }, { behaviour });
    assert.equal(answer.message.content, COUNTED, behaviour);
    assert.equal(answer.calls.length, 1, behaviour);
  }
  const characters = await ask({ stream: true }, { behaviour: "fault-multibyte" });
  assert.equal(characters.message.content, MULTIBYTE);
});

test("an exception in the middle, and a stream that breaks, are told as errors and charged as far as they came", async () => {
  const account = await gateway.createAccount();
  const told = [];
  for (const [behaviour, code] of [
    ["fault-error-6", "internalServerException"],
    ["fault-cut-events-6"],
    ["fault-end-events-6"],
    ["fault-garbage-after-6"],
  ]) {
    const answer = await ask({ stream: true }, { as: account, behaviour });
    assert.equal(answer.error?.code, 502, behaviour);
    assert.equal(answer.finish, "error", behaviour);
    assert.ok(COUNTED.startsWith(answer.message.content) && answer.message.content !== COUNTED, behaviour);
    assert.equal(answer.error.metadata.provider_code, code, JSON.stringify(answer.error));
    assert.equal(answer.calls.length, 1, behaviour);
    told.push(answer);
  }
  const { balance } = await settled(gateway, account.account);
  const spent = nanos(5) - nanos(balance);
  const rows = await Promise.all(told.map(({ id }) => generation(gateway, account.key, id)));
  assert.equal(spent, rows.reduce((sum, row) => sum + nanos(row.total_cost), 0n));
  assert.ok(rows.every((row) => row.total_cost > 0));
});

test("keys that do not belong together are refused without a word of the signature", async () => {
  for (const stream of [false, true]) {
    const { status, error } = await chat(gateway, owner.key, { model: "test/bad", stream });
    assert.ok(status >= 500, `${status}`);
    assert.match(error.message, /refused the gateway's credentials/);
    assert.doesNotMatch(JSON.stringify(error), /HIDDEN|AKIABADKEY|Canonical/);
  }
});

test("the header tells what the status of a refusal does not", async () => {
  for (const [kind, status] of [["ServiceQuotaExceededException", 429], ["ValidationException", 400]]) {
    const { error, status: told, calls } = await ask({ provider: { only: ["one-bedrock"] } }, { behaviour: `fault-status-400+fault-kind-${kind}` });
    assert.deepEqual([told, error.metadata.provider_code], [status, kind], JSON.stringify(error));
    assert.equal(calls.length, 1);
  }
});

test("a provider without its secret is not offered", async () => {
  const { body } = await callJson(gateway, "models", { key: owner.key });
  const ids = body.data.map(({ id }) => id);
  assert.ok(ids.includes("test/bedrock") && !ids.includes("test/off"), `${ids}`);
});

describe("accounts' own keys", () => {
  const bring = async (account, name, key) => {
    const answer = await callJson(gateway, `admin/accounts/${account}/byok`, { method: "POST", key: OPERATOR_TOKEN, body: { provider: name, key } });
    assert.ok(!JSON.stringify(answer.body).includes("secret/of"), "an answer shows no secret");
    return answer;
  };

  test("access keys sign for their own region, an API key is sent as it is", async () => {
    const mine = await gateway.createAccount();
    const { status, body } = await bring(mine.account, "one-bedrock", keysOf("AKIAOWNKEY99", { region: "us-west-2" }));
    assert.deepEqual([status, body.data?.label], [201, "...EY99"], JSON.stringify(body));
    const signed = await ask({}, { as: mine });
    assert.match(signed.calls[0].headers.authorization, /Credential=AKIAOWNKEY99\/\d{8}\/us-west-2\/bedrock\/aws4_request/);
    assert.equal(signed.usage.is_byok, true);

    const other = await gateway.createAccount();
    assert.equal((await bring(other.account, "off-bedrock", "ABSKown+key=")).status, 201);
    const sent = await ask({ model: "test/off", stream: true }, { as: other });
    assert.equal(sent.message.content, COUNTED);
    assert.equal(sent.calls[0].headers.authorization, "Bearer ABSKown+key=");
  });

  test("a key of another form is refused", async () => {
    for (const key of ["{}", keysOf("AKIAOWN"), keysOf("AKIAOWN", { region: "evil.example/" }), keysOf("AKIAOWN", { region: "us-west-2", role: "x" }), "two words"]) {
      const { status, body } = await bring(owner.account, "one-bedrock", key);
      assert.deepEqual([status, body.error.param], [400, "key"], JSON.stringify(body));
    }
  });
});
