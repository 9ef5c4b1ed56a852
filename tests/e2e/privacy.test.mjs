// Hosts that keep what they are sent, or train on it: a guardrail, the account's privacy or the request itself keeps a request from them.
// Such a host receives nothing, whoever else could serve or fails, and the client is told why.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { endpoint, model, provider } from "./catalog.mjs";
import { call, callJson, chat, providerOf, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** What hosts say of themselves; the first ones are the cheaper ones. */
const HOSTS = {
  keeper: "training = false, retention_days = 365",
  brief: "training = false, retention_days = 30",
  trainer: "training = true, retention_days = 0",
  silent: "",
  strict: "training = false, retention_days = 0",
};
/** Who serves what; `:free` is free. */
const MODELS = {
  "test/both": ["keeper", "strict"],
  "test/kept": ["keeper"],
  "test/brief": ["brief"],
  "anthropic/kept": ["keeper"],
  "openai/kept": ["keeper"],
  "google/brief": ["brief"],
  "x-ai/kept": ["keeper"],
  "test/trained": ["trainer"],
  "test/trained:free": ["trainer"],
  "test/silent": ["silent"],
  "test/silent:free": ["silent"],
  "test/strict": ["strict"],
};

function catalog() {
  const hosts = Object.keys(HOSTS);
  const free = { prices: { prompt: 0, completion: 0 } };
  return {
    providers: hosts.map((slug) => provider({ slug, dialect: "openai" }).replace(/data_policy = .*/, `data_policy = { ${HOSTS[slug]} }`)),
    models: Object.keys(MODELS).map((slug) => model(slug)),
    endpoints: Object.entries(MODELS).flatMap(([slug, at]) =>
      at.map((host) => endpoint({ model: slug, provider: host, dialect: "openai", factor: 1 + hosts.indexOf(host), fields: slug.endsWith(":free") ? free : {} })),
    ),
    aliases: [],
  };
}

let gateway;
before(async () => (gateway = await startGateway({ catalog: catalog(), vars: { BYOK_MASTER_KEY: Buffer.alloc(32, 7).toString("base64") } })));
after(() => gateway?.stop());

/** An account whose key has a guardrail of these settings: `{key, manage, id}`. */
async function guarded(settings) {
  const made = await gateway.createAccount();
  const { key: manager } = await gateway.operator.call("POST", `accounts/${made.account}/keys`, { name: "manager", is_management_key: true });
  const manage = async (method, path, body) => {
    const answer = await callJson(gateway, path, { key: manager, method, body });
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body.data ?? answer.body;
  };
  if (!settings) return { ...made, manage };
  const { id } = await manage("POST", "guardrails", { name: "Nothing is kept", ...settings });
  await manage("POST", `guardrails/${id}/assignments/keys`, { key_hashes: [made.hash] });
  return { ...made, manage, id };
}

/** What a request came to, and which hosts were sent anything: `[status, hosts]`. */
async function asked(key, body) {
  const from = gateway.upstream.requests().length;
  const answer = await chat(gateway, key, body);
  return { answer, came: [answer.status, gateway.upstream.requests().slice(from).map(providerOf)] };
}

const ZDR = ["data_policy:zdr"];
const TRAINING = ["data_policy:training"];
/** The setting, a model, and for what reason its host is sent nothing; nothing where it serves. */
const CASES = [
  [{ enforce_zdr: true }, "test/kept", ZDR],
  [{ enforce_zdr: true }, "test/brief", ZDR],
  [{ enforce_zdr: true }, "test/silent", ZDR],
  [{ enforce_zdr: true }, "test/trained", ZDR],
  [{ enforce_zdr: true }, "test/strict"],
  [{ enforce_zdr_anthropic: true }, "anthropic/kept", ZDR],
  [{ enforce_zdr_anthropic: true }, "openai/kept"],
  [{ enforce_zdr_openai: true }, "openai/kept", ZDR],
  [{ enforce_zdr_xai: true }, "x-ai/kept", ZDR],
  [{ enforce_zdr_google: true }, "google/brief", ZDR],
  [{ enforce_zdr_google: true, allow_safety_retention_google: true }, "google/brief"],
  [{ enforce_zdr_other: true }, "test/kept", ZDR],
  [{ enforce_zdr_other: true }, "google/brief"],
  [{ enforce_zdr_other: true, allow_safety_retention_other: true }, "test/brief"],
  [{ enforce_zdr_other: true, allow_safety_retention_other: true }, "test/kept", ZDR],
  [{ enable_paid_model_training: false }, "test/trained", TRAINING],
  [{ enable_paid_model_training: false }, "test/silent", TRAINING],
  [{ enable_paid_model_training: false }, "test/kept"],
  [{ enable_paid_model_training: false }, "test/trained:free"],
  [{ enable_free_model_training: false }, "test/trained:free", TRAINING],
  [{ enable_free_model_training: false }, "test/trained"],
  [{ enable_free_model_publication: false }, "test/silent:free", ["data_policy:publication"]],
];

for (const [settings, slug, reasons] of CASES) {
  const [host] = MODELS[slug];
  test(`${JSON.stringify(settings)}: ${slug} ${reasons ? "reaches nobody" : "is served"}`, async () => {
    const { key, id } = await guarded(settings);
    const { answer, came } = await asked(key, { model: slug });
    if (!reasons) return assert.deepEqual(came, [200, [host]], JSON.stringify(answer.error));
    assert.deepEqual(came, [404, []]);
    const { message, metadata } = answer.error;
    assert.match(message, /"Nothing is kept"/);
    assert.deepEqual([metadata.excluded_by, metadata.guardrail_id, metadata.guardrail_scope], [reasons, id, "api_key"]);
    // And it can be asked for beforehand.
    const { body } = await callJson(gateway, "route", { key, body: { model: slug, messages: [user("Hello!")] } });
    const told = JSON.stringify(body);
    assert.ok(told.includes(reasons[0]) && told.includes(id), told);
    // Without the guardrail the same host serves it.
    const free = await guarded();
    assert.deepEqual((await asked(free.key, { model: slug })).came, [200, [host]]);
  });
}

test("who keeps nothing serves instead, and where it fails nobody else does", async () => {
  const { key } = await guarded({ enforce_zdr: true });
  assert.deepEqual((await asked(key, { model: "test/both" })).came, [200, ["strict"]]);
  assert.deepEqual((await asked(key, { model: "test/both", provider: { order: ["keeper", "strict"] } })).came, [200, ["strict"]]);
  assert.deepEqual((await asked(key, { model: "test/both", provider: { only: ["keeper"] } })).came, [404, []]);
  assert.deepEqual((await asked(key, { model: "test/kept", models: ["test/trained", "test/both"] })).came, [200, ["strict"]]);
  gateway.upstream.script({ prefix: "/p/strict/", times: 3, behaviour: "fault-status-503" });
  const failed = await asked(key, { model: "test/both", stream: true, provider: { zdr: false } });
  assert.ok(failed.came[0] >= 500 && failed.came[1].length > 0, JSON.stringify(failed.came));
  assert.ok(failed.came[1].every((host) => host === "strict"), failed.came[1].join());
  gateway.upstream.script({ prefix: "/p/strict/", times: 0, behaviour: "fault-status-503" });
});

test("a provider key of the account's own opens no host that the guardrail closes", async () => {
  const { key, manage } = await guarded({ enforce_zdr: true });
  await manage("POST", "byok", { provider: "keeper", key: "sk-own-0123456789" });
  assert.deepEqual((await asked(key, { model: "test/kept" })).came, [404, []]);
  const open = await guarded();
  await open.manage("POST", "byok", { provider: "keeper", key: "sk-own-0123456789" });
  assert.deepEqual((await asked(open.key, { model: "test/kept" })).came, [200, ["keeper"]]);
});

test("the account's privacy, its default and the request itself close hosts alike, and a request opens nothing", async () => {
  const { key, manage } = await guarded();
  const kept = async (provider) => (await asked(key, { model: "test/kept", provider })).came;
  assert.deepEqual(await kept(), [200, ["keeper"]]);
  assert.deepEqual(await kept({ zdr: true }), [404, []]);
  assert.deepEqual(await kept({ data_collection: "deny" }), [404, []]);
  const own = (await asked(key, { model: "test/kept", provider: { zdr: true } })).answer.error;
  assert.deepEqual([own.metadata.excluded_by, own.metadata.guardrail_id], [ZDR, undefined]);
  for (const [path, scope] of [["account/privacy", "account_privacy"], ["guardrails/default", "account_default"]]) {
    await manage("PATCH", path, { enforce_zdr: true });
    const { answer, came } = await asked(key, { model: "test/kept", provider: { zdr: false, data_collection: "allow" } });
    assert.deepEqual([came, answer.error.metadata.guardrail_scope], [[404, []], scope]);
    await manage("PATCH", path, { enforce_zdr: false });
    assert.deepEqual(await kept(), [200, ["keeper"]]);
  }
});

test("each surface refuses in its own words and sends nothing", async () => {
  const { key } = await guarded({ enforce_zdr: true });
  const from = gateway.upstream.requests().length;
  for (const stream of [false, true]) {
    for (const [path, body] of [
      ["chat/completions", { messages: [user("Hello!")] }],
      ["messages", { max_tokens: 10, messages: [user("Hello!")] }],
      ["responses", { input: "Hello!" }],
      ["completions", { prompt: "Hello!" }],
    ]) {
      const response = await call(gateway, path, { key, body: { model: "test/kept", stream, ...body } });
      const told = await response.text();
      assert.equal(response.status, 404, `${path}: ${told}`);
      assert.match(JSON.parse(told).error.message, /"Nothing is kept"/, path);
    }
  }
  assert.equal(gateway.upstream.requests().length, from);
});
