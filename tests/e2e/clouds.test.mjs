// Upstreams in clouds: tokens that are exchanged, remembered and renewed, addresses that name resources and regions, keys of clouds
// that accounts bring, hosts without a key, and the runtime's own binding of Workers AI.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { startUpstream } from "../upstream/upstream.mjs";
import { endpoint, model } from "./catalog.mjs";
import { call, callJson, chat, eventually, generation, settled, user } from "./client.mjs";
import { serviceAccount, startCloud } from "./cloud.mjs";
import { startGateway } from "./gateway.mjs";

const OPERATOR_TOKEN = "operator-token-of-the-tests";
const operators = serviceAccount("operators");
let gateway, cloud, upstream, owner;

const row = (slug, dialect, fields) => `[[provider]]
slug = "${slug}"
name = "Test ${slug}"
dialect = "${dialect}"
data_policy = { training = false, retention_days = 0 }
${dialect === "openai_chat" ? 'quirks = ["developer_role", "max_completion_tokens"]\n' : ""}can_cancel = true
${fields}
`;
const VERTEX = `defaults = { GOOGLE_VERTEX_LOCATION = "global" }
auth = { kind = "signed_jwt", token_url = "\${CLOUD}/token", scope = "https://www.googleapis.com/auth/cloud-platform" }
secret = "SERVICE_ACCOUNT"
group = "vertex"
key_format = "service_account"
base_url = "\${CLOUD}/vertex/v1/projects/\${GOOGLE_VERTEX_PROJECT}/locations/\${GOOGLE_VERTEX_LOCATION}/publishers`;
const AZURE = `auth = { kind = "header", name = "api-key" }
secret = "AZURE_KEY"
group = "azure"
key_format = "azure"
base_url = "\${CLOUD}/azure/\${AZURE_RESOURCE_NAME}/openai`;

/** Provider → its dialect in the catalog and at the local upstream, and the rest of its row. */
const PROVIDERS = {
  vertex: ["gemini", "gemini", `${VERTEX}/google"`],
  "vertex-claude": ["anthropic_messages", "anthropic", `path_style = "raw_predict"\n${VERTEX}/anthropic"`],
  azure: ["openai_chat", "openai", `${AZURE}/v1"`],
  "azure-former": ["openai_chat", "openai", `path_style = "deployments"\nquery = "api-version=\${AZURE_API_VERSION}"\ndefaults = { AZURE_API_VERSION = "2024-10-21" }\n${AZURE}"`],
  ollama: ["openai_chat", "openai", `auth = { kind = "bearer" }\nsecret = "OLLAMA_API_KEY"\nsecret_optional = true\nbase_url = "\${OLLAMA_BASE_URL}/v1"`],
  basic: ["openai_chat", "openai", `auth = { kind = "basic" }\nsecret = "BASIC_KEY"\nbase_url = "\${CLOUD}/basic/v1"`],
  oauth: ["openai_chat", "openai", `auth = { kind = "oauth_client_credentials", token_url = "\${CLOUD}/token", scope = "read write", client_id = "CLIENT_ID" }\nsecret = "CLIENT_SECRET"\nbase_url = "\${CLOUD}/oauth/v1"`],
  workers: ["openai_chat", "openai", `auth = { kind = "bearer" }\nsecret = "WORKERS_AI_KEY"\nbinding = "AI"\nbase_url = "https://\${WORKERS_AI_HOST}/v1"`],
};

function catalog() {
  const names = Object.keys(PROVIDERS);
  const rowOf = (name, slug, upstreamId) => endpoint({ model: slug, provider: name, dialect: PROVIDERS[name][1], fields: { upstream_model_id: upstreamId } });
  const idOf = { "vertex-claude": "claude-haiku-4-5@20251001", workers: "@cf/meta/llama" };
  return {
    providers: names.map((name) => row(name, PROVIDERS[name][0], PROVIDERS[name][2])),
    models: [...names.map((name) => `test/${name}`), "test/workers-own"].map((slug) => model(slug)),
    endpoints: [
      ...names.map((name) => rowOf(name, `test/${name}`, idOf[name] ?? `test-${name}`)),
      rowOf("workers", "test/workers-own", "@cf/meta/own-form"),
    ],
    aliases: [],
  };
}

before(async () => {
  upstream = await startUpstream({ eventDelayMs: 0 });
  cloud = await startCloud(upstream);
  cloud.accounts.push(operators);
  const vars = {
    BYOK_MASTER_KEY: randomBytes(32).toString("base64"),
    CLOUD: cloud.url, SERVICE_ACCOUNT: operators.json, AZURE_KEY: "azure-key-of-the-operator", AZURE_RESOURCE_NAME: "operators",
    OLLAMA_BASE_URL: `${cloud.url}/ollama`, BASIC_KEY: "me:secret", CLIENT_ID: "client", CLIENT_SECRET: "the/secret",
  };
  gateway = await startGateway({ upstream, vars, ai: cloud.url, catalog: catalog() });
  owner = await gateway.createAccount();
});
after(async () => {
  await gateway?.stop();
  await cloud?.close();
  await upstream?.close();
});

/** Asks in both ways; returns what the cloud saw of it. */
async function both(name, key = owner.key, fields = {}) {
  const from = cloud.seen.length;
  for (const stream of [false, true]) {
    const answer = await chat(gateway, key, { model: `test/${name}`, stream, messages: [user("say exactly: Clouds are high")], ...fields });
    assert.equal(answer.status, 200, JSON.stringify(answer.error));
    assert.equal(answer.error, undefined);
    assert.equal(answer.message.content, "Clouds are high");
    assert.deepEqual([answer.finish, answer.model], ["stop", `test/${name}`]);
    assert.ok(answer.usage.prompt_tokens > 0 && (answer.usage.is_byok || answer.usage.cost > 0));
  }
  return cloud.seen.slice(from);
}

test("Gemini and Claude on Vertex share a token that is asked for once, and say project and region in their paths", async () => {
  const at = "/vertex/v1/projects/operators/locations/global/publishers";
  const google = await both("vertex");
  assert.deepEqual(google.map(({ path, query }) => path + query), [
    `${at}/google/models/test-vertex:generateContent`, `${at}/google/models/test-vertex:streamGenerateContent?alt=sse`,
  ]);
  const claude = await both("vertex-claude");
  assert.deepEqual(claude.map(({ path }) => path), [
    `${at}/anthropic/models/claude-haiku-4-5@20251001:rawPredict`, `${at}/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict`,
  ]);
  assert.deepEqual(cloud.issued, [operators.email]);
});

test("a token that is refused is replaced, unseen by the client; one that cannot be had fails the request without its secrets", async () => {
  const before = cloud.issued.length;
  cloud.revoke();
  const tries = await both("vertex");
  assert.deepEqual(tries.map(({ status }) => status), [401, 200, 200]);
  assert.equal(cloud.issued.length, before + 1);
  cloud.revoke();
  cloud.tokens.status = 400;
  const failed = await chat(gateway, owner.key, { model: "test/vertex-claude" });
  cloud.tokens.status = 200;
  assert.equal(failed.status, 502);
  assert.match(failed.error.message, /gave no access token: its token endpoint answered with status 400 \(invalid_grant\)/);
  const told = JSON.stringify(failed.body) + gateway.log();
  for (const hidden of [operators.secret.split("\n")[3], "token-", "assertion"]) assert.ok(!told.includes(hidden), hidden);
  await both("vertex-claude");
});

test("client credentials and basic authentication reach their hosts", async () => {
  const oauth = await both("oauth");
  assert.match(oauth[0].key, /^token-\d+-client$/);
  assert.equal(oauth[1].key, oauth[0].key);
  await both("basic");
});

test("Azure is called at its resource with its own header, and the former API by deployment and version", async () => {
  const azure = await both("azure");
  assert.deepEqual(azure.map(({ path, query }) => path + query), Array(2).fill("/azure/operators/openai/v1/chat/completions"));
  const former = await both("azure-former");
  const path = "/azure/operators/openai/deployments/test-azure-former/chat/completions?api-version=2024-10-21";
  assert.deepEqual(former.map((each) => each.path + each.query), Array(2).fill(path));
});

test("a host of one's own needs no key", async () => {
  const seen = await both("ollama");
  assert.deepEqual(seen.map(({ key }) => key), [undefined, undefined]);
});

test("an account's key for a cloud reaches the account's own resource, project and region, under every wire of the cloud", async () => {
  const mine = serviceAccount("mine", { region: "europe-west4" });
  cloud.accounts.push(mine);
  const account = await gateway.createAccount();
  const bring = (body) => callJson(gateway, `admin/accounts/${account.account}/byok`, { method: "POST", key: OPERATOR_TOKEN, body });
  for (const [provider, key] of [["vertex", "AIza-plain"], ["vertex", "{}"], ["azure", "plain"], ["azure", `[{"api_key":"k","resource_name":"evil.example/"}]`]]) {
    const { status, body } = await bring({ provider, key });
    assert.deepEqual([status, body.error.param], [400, "key"], key);
  }
  const google = await bring({ provider: "vertex-claude", key: mine.json, is_required: true });
  assert.equal(google.status, 201, JSON.stringify(google.body));
  assert.deepEqual([google.body.data.provider, google.body.data.label], ["vertex", "...mine"]);
  const azure = JSON.stringify([{ api_key: "azure-key-of-mine", resource_name: "mine", resource_type: "openai" }]);
  const kept = await bring({ provider: "azure", key: azure, is_required: true });
  assert.deepEqual([kept.status, kept.body.data.label], [201, "...mine"]);
  const seen = [];
  for (const name of ["vertex", "vertex-claude", "azure", "azure-former"]) seen.push(...(await both(name, account.key)));
  for (const { path, key } of seen) {
    const isGoogle = path.startsWith("/vertex");
    assert.ok(path.startsWith(isGoogle ? "/vertex/v1/projects/mine/locations/europe-west4/" : "/azure/mine/"), path);
    assert.match(key, isGoogle ? /-mine@iam\.example$/ : /^azure-key-of-mine$/);
  }
  await both("vertex-claude", account.key, { provider: { only: ["vertex"] } });
  const told = JSON.stringify([google.body, kept.body]) + gateway.log();
  assert.ok(!told.includes("azure-key-of-mine") && !told.includes(mine.secret.split("\n")[3]));
});

test("Workers AI answers through its binding, in both of its forms, and stops when the client leaves", async () => {
  for (const name of ["workers", "workers-own"]) assert.deepEqual(await both(name), [], "no address is called");
  const refused = await chat(gateway, owner.key, { model: "test/workers", messages: [user("Hi")], temperature: 9 });
  assert.equal(refused.status, 400, JSON.stringify(refused.body));
  upstream.script({ prefix: "/p/ai/", behaviour: "fault-endless" });
  const leaves = new AbortController();
  const left = cloud.left;
  const body = { model: "test/workers", stream: true, messages: [user("count to 100")] };
  const response = await call(gateway, "chat/completions", { key: owner.key, body, signal: leaves.signal });
  const id = response.headers.get("x-generation-id");
  await response.body.getReader().read();
  leaves.abort();
  await eventually(() => cloud.left, (count) => count > left, { what: "the end of the call" });
  const record = await generation(gateway, owner.key, id);
  assert.equal(record.cancelled, true);
  await settled(gateway, owner.account);
});
