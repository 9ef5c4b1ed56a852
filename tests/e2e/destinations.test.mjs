// Log destinations: every type's wire at a local receiver that checks it, faults of receivers, sampling, what is put aside, and who may see what.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { generationsOf, spansOf } from "../receiver/otlp.mjs";
import { startReceiver } from "../receiver/receiver.mjs";
import { checkS3, checkWebhook, claimsOf, linesOf, rowsOfInsert } from "../receiver/wires.mjs";
import { callJson, chat, eventually, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway, receiver;
before(async () => {
  receiver = await startReceiver();
  gateway = await startGateway({
    vars: {
      BYOK_MASTER_KEY: randomBytes(32).toString("base64"),
      DESTINATION_TRUSTED_HOSTS: receiver.host,
      DESTINATION_RESOLVER: `${receiver.url}/dns-query`,
      DESTINATION_TIMEOUT_MS: "1500",
    },
  });
});
after(async () => {
  await gateway?.stop();
  await receiver?.close();
});

/** An account with an API key and a management key. */
async function administered() {
  const made = await gateway.createAccount();
  const body = { name: "manager", is_management_key: true };
  const { key: manager } = await gateway.operator.call("POST", `accounts/${made.account}/keys`, body);
  return { ...made, manager };
}

const ask = (manager, method, path = "", body) => callJson(gateway, `observability/destinations${path}`, { key: manager, method, body });
async function create(manager, type, config, more = {}) {
  const { status, body } = await ask(manager, "POST", "", { type, name: `my ${type}`, config, ...more });
  assert.equal(status, 201, JSON.stringify(body));
  return body.data;
}
const shown = async (manager, id) => (await ask(manager, "GET", `/${id}`)).body.data;
/** Runs the cron until `enough` says what was waited for. */
async function delivered(account, enough, what) {
  await settled(gateway, account);
  return eventually(async () => (await gateway.scheduled(), enough()), undefined, { within: 20_000, what });
}

const bucket = { bucketName: "traces", accessKeyId: "AKIDTEST", secretAccessKey: "secret/of+the/bucket", region: "eu-central-1" };
const hook = "whsec_c2VjcmV0LW9mLXRoZS1ob29rLTEyMzQ1Ng==";
const { publicKey, privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048, publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" },
});
const basic = (text) => `Basic ${Buffer.from(text).toString("base64")}`;

/** Each receiver of OTLP: its configuration at a base address, where it listens under it, what it wants to see of the sender. */
const OTLP = {
  "otel-collector": [(u) => ({ endpoint: `${u}/v1/traces`, headers: { "X-Team": "blue" }, compression: "gzip" }), "/v1/traces", { "x-team": "blue", "content-encoding": "gzip" }],
  langfuse: [(u) => ({ baseUrl: u, publicKey: "pk-lf-1", secretKey: "sk-lf-1" }), "/api/public/otel/v1/traces", { authorization: basic("pk-lf-1:sk-lf-1") }, { "langfuse.observation.type": "generation", "langfuse.trace.name": "Pipeline" }],
  arize: [(u) => ({ baseUrl: u, apiKey: "ak", spaceKey: "sk", modelId: "shop" }), "/v1/traces", { api_key: "ak", space_id: "sk", "content-type": "application/x-protobuf" }, { "openinference.span.kind": "LLM" }, { "openinference.project.name": "shop" }],
  braintrust: [(u) => ({ baseUrl: u, apiKey: "bt", projectId: "p1" }), "/otel/v1/traces", { authorization: "Bearer bt", "x-bt-parent": "project_id:p1" }],
  datadog: [(u) => ({ url: u, apiKey: "dd", mlApp: "shop" }), "/v1/traces", { "dd-api-key": "dd", "dd-otlp-source": "llmobs", "content-type": "application/x-protobuf" }, {}, { "service.name": "shop" }],
  langsmith: [(u) => ({ endpoint: u, apiKey: "ls", project: "demo", workspaceId: "w1" }), "/otel/v1/traces", { "x-api-key": "ls", "langsmith-project": "demo", "x-tenant-id": "w1" }, { "langsmith.span.kind": "llm" }],
  newrelic: [(u) => ({ baseUrl: u, licenseKey: "nr" }), "/v1/traces", { "api-key": "nr" }],
  sentry: [(u) => ({ otlpEndpoint: `${u}/api/2/integration/otlp/v1/traces`, dsn: "https://abc123@o1.ingest.sentry.io/2" }), "/api/2/integration/otlp/v1/traces", { "x-sentry-auth": "sentry sentry_key=abc123" }],
  grafana: [(u) => ({ baseUrl: u, apiKey: "glc", instanceId: "42" }), "/otlp/v1/traces", { authorization: basic("42:glc") }],
  weave: [(u) => ({ baseUrl: u, apiKey: "wb", entity: "team", project: "shop" }), "/otel/v1/traces", { "wandb-api-key": "wb", "content-type": "application/x-protobuf" }, {}, { "wandb.entity": "team", "wandb.project": "shop" }],
  opik: [(u) => ({ baseUrl: u, apiKey: "op", workspace: "w", projectName: "p" }), "/v1/private/otel/v1/traces", { authorization: "op", "comet-workspace": "w", projectname: "p" }],
  ramp: [(u) => ({ baseUrl: `${u}/usage`, apiKey: "rp" }), "/usage", { authorization: "Bearer rp" }],
};

test("every type of destination gets what happened in the form of its own wire", async () => {
  const { account, key, hash, manager } = await administered();
  const base = `${receiver.url}/all`;
  for (const [type, [config]] of Object.entries(OTLP)) await create(manager, type, config(`${base}/${type}`), { broadcast_generation_identity: true });
  await create(manager, "webhook", { url: `${base}/webhook`, method: "PUT", secret: hook, headers: { "x-key": "k" } });
  await create(manager, "s3", { endpoint: `${base}/s3`, ...bucket, pathTemplate: "logs/{apiKeyName}/{year}-{month}" });
  const clickhouse = await create(manager, "clickhouse", { host: `${base}/clickhouse`, database: "logs", table: "TRACES", username: "u", password: "p w" });
  await create(manager, "posthog", { endpoint: `${base}/posthog`, apiKey: "phc_1" });
  await create(manager, "snowflake", { baseUrl: `${base}/snowflake`, account: "my_org-acc.eu-central-1", user: "loader", privateKey });
  await create(manager, "otel-collector", { endpoint: `${base}/closed` }, { privacy_mode: true });

  gateway.upstream.reset();
  gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: "fault-status-503" });
  const trace = { trace_name: "Pipeline", generation_name: "Sum", team: "blue" };
  const told = { messages: [user("What of the weather?")], session_id: "s-1", user: "u-1", trace };
  const first = await chat(gateway, key, { model: "test/openai", stream: true, ...told });
  const second = await chat(gateway, key, { model: "test/anthropic", messages: [user("What of the news?")] });
  const ids = [first.id, second.id].sort();
  assert.equal(first.provider.length > 0, true);

  const paths = Object.entries(OTLP).map(([type, [, path]]) => `/all/${type}${path}`);
  paths.push("/all/closed", "/all/webhook", "/all/clickhouse/", "/all/posthog/batch/", "/all/snowflake/api/v2/statements");
  // Records whose content is not there yet wait for it, so the two may come one after the other.
  const hasBoth = ({ delivery }) => delivery.delivered === ids.length;
  await delivered(account, async () => (await ask(manager, "GET")).body.data.every(hasBoth), "both generations at each");
  assert.ok(paths.every((path) => receiver.at(path).length > 0) && receiver.under("/all/s3/").length > 0);

  for (const [type, [, path, headers, attributes = {}, resource = {}]] of Object.entries(OTLP)) {
    const requests = receiver.at(`/all/${type}${path}`);
    for (const request of requests) {
      assert.equal(request.method, "POST");
      for (const [name, value] of Object.entries(headers)) assert.equal(request.headers[name], value, `${type} ${name}`);
    }
    const spans = requests.flatMap(generationsOf);
    assert.deepEqual(spans.map((span) => span.attributes["gen_ai.response.id"]).sort(), ids, type);
    const span = spans.find((each) => each.attributes["gen_ai.response.id"] === first.id);
    const { usage } = first;
    const expected = {
      "gen_ai.operation.name": "chat", "gen_ai.request.model": "test/openai", "gen_ai.response.model": "test/openai",
      "gen_ai.usage.input_tokens": usage.prompt_tokens, "gen_ai.usage.output_tokens": usage.completion_tokens,
      "gen_ai.usage.cost": usage.cost, "session.id": "s-1", "gen_ai.conversation.id": "s-1", "user.id": "u-1",
      "patchbay.account.id": account, "patchbay.api_key.hash": hash, ...attributes,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(span.attributes[name], value, `${type} ${name}`);
    assert.deepEqual(span.attributes["gen_ai.response.finish_reasons"], ["stop"]);
    for (const [name, value] of Object.entries({ "service.name": "patchbay", ...resource })) assert.equal(span.resource[name], value, `${type} ${name}`);
    assert.equal(span.name, "Sum");
    const [asked] = JSON.parse(span.attributes["gen_ai.input.messages"]);
    assert.deepEqual(asked, { role: "user", parts: [{ type: "text", content: "What of the weather?" }] });
    const [said] = JSON.parse(span.attributes["gen_ai.output.messages"]);
    assert.equal(said.parts.find((part) => part.type === "text").content, first.message.content, type);
    // The root that the client named is above, both attempts are below.
    const all = requests.flatMap(spansOf).filter((each) => each.traceId === span.traceId);
    assert.equal(all.find((each) => each.spanId === span.parentSpanId).name, "Pipeline");
    const attempts = all.filter((each) => each.parentSpanId === span.spanId);
    assert.deepEqual(attempts.map((each) => [each.status.code, each.attributes["http.response.status_code"]]), [[2, 503], [1, 200]]);
  }

  const [closed] = receiver.at("/all/closed");
  assert.deepEqual(generationsOf(closed).map((span) => span.attributes["gen_ai.usage.output_tokens"]).length, 2);
  assert.ok(!closed.bytes.includes("weather") && !closed.bytes.includes(first.message.content), "privacy mode tells no content");

  const [webhook] = receiver.at("/all/webhook");
  assert.deepEqual([webhook.method, webhook.headers["x-key"]], ["PUT", "k"]);
  checkWebhook(webhook, hook);
  assert.equal(receiver.at("/all/webhook").flatMap(generationsOf).length, 2);

  const objects = receiver.under("/all/s3/");
  for (const object of objects) {
    checkS3(object, { id: bucket.accessKeyId, secret: bucket.secretAccessKey, region: bucket.region });
    assert.match(object.path, /^\/all\/s3\/traces\/logs\/account%20\d+\/\d{4}-\d\d\/[0-9a-f]{32}-\d{13}-[0-9a-f]{8}\.jsonl$/);
  }
  const logged = objects.flatMap(linesOf).flatMap((line) => spansOf({ headers: { "content-type": "application/json" }, bytes: Buffer.from(JSON.stringify(line)) }));
  assert.deepEqual(logged.map((span) => span.attributes["gen_ai.response.id"]).filter((id) => id?.startsWith("gen-")).sort(), ids);

  const inserts = receiver.at("/all/clickhouse/").map((request) => rowsOfInsert(request, clickhouse.setup_sql));
  assert.deepEqual(inserts.flatMap(({ rows }) => rows.map((row) => row.GENERATION_ID)).sort(), ids);
  assert.ok(inserts.every(({ table, token }) => table === "TRACES" && /^[0-9a-f]{32}$/.test(token)));
  const [insert] = receiver.at("/all/clickhouse/");
  assert.deepEqual([insert.headers["x-clickhouse-user"], insert.headers["x-clickhouse-key"], insert.query.get("database")], ["u", "p w", "logs"]);
  const row = inserts.flatMap(({ rows }) => rows).find((each) => each.GENERATION_ID === first.id);
  assert.deepEqual([row.USER_ID, row.SESSION_ID, Number(row.TOTAL_COST), JSON.parse(row.METADATA)], ["u-1", "s-1", first.usage.cost, trace]);
  assert.equal(JSON.parse(row.INPUT)[0].content, "What of the weather?");

  const batches = receiver.at("/all/posthog/batch/").map(({ bytes }) => JSON.parse(bytes));
  assert.ok(batches.every((batch) => batch.api_key === "phc_1"));
  const event = batches.flatMap(({ batch }) => batch).find(({ properties }) => properties.$ai_session_id === "s-1");
  assert.match(event.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([event.event, event.properties.distinct_id, event.properties.$ai_span_name, event.properties.metadata_team], ["$ai_generation", "u-1", "Sum", "blue"]);
  assert.deepEqual([event.properties.$ai_total_cost_usd, event.properties.$ai_output_choices[0].content], [first.usage.cost, first.message.content]);

  const [statement] = receiver.at("/all/snowflake/api/v2/statements");
  const claims = claimsOf(statement, publicKey);
  assert.deepEqual([claims.sub, claims.iss], ["MY_ORG-ACC.LOADER", `MY_ORG-ACC.LOADER.SHA256:${claims.print}`]);
  assert.ok(claims.exp > Date.now() / 1000 && claims.exp - claims.iat <= 3600);
  const { statement: sql, bindings, warehouse } = JSON.parse(statement.bytes);
  assert.match(sql, /^MERGE INTO OPENROUTER_TRACES AS t .* WHEN NOT MATCHED THEN INSERT /);
  assert.deepEqual([warehouse, statement.query.get("retry"), bindings["1"].type], ["COMPUTE_WH", "true", "TEXT"]);
  const merged = receiver.at("/all/snowflake/api/v2/statements").flatMap(({ bytes }) => JSON.parse(JSON.parse(bytes).bindings["1"].value));
  assert.deepEqual(merged.map((each) => each.GENERATION_ID).sort(), ids);

  // Nothing goes twice.
  const before = receiver.got.length;
  await gateway.scheduled();
  assert.equal(receiver.got.length, before);
});

test("whatever a receiver does, requests are served, the others get theirs, and nothing is lost", async () => {
  const { account, key, manager } = await administered();
  const base = `${receiver.url}/faults`;
  const faults = {
    hang: "hang", cut: "cut", broken: 500, full: { status: 429, headers: { "retry-after": "3600" }, body: "slow down" },
    moved: { status: 302, headers: { location: "http://169.254.169.254/latest/meta-data" } }, refused: { status: 401, body: "bad token tok-0123456789abcdef" }, good: 200,
  };
  const made = {};
  for (const [name, does] of Object.entries(faults)) {
    receiver.script(`/faults/${name}`, does);
    made[name] = (await create(manager, "otel-collector", { endpoint: `${base}/${name}`, headers: { authorization: "tok-0123456789abcdef" } }, { privacy_mode: true })).id;
  }
  const first = await chat(gateway, key, { model: "test/openai" });
  await delivered(account, () => Object.keys(faults).every((name) => receiver.at(`/faults/${name}`).length > 0), "a try at each");
  // While one hangs, models answer.
  await gateway.d1("UPDATE destinations SET next_at = 0 WHERE id = ?", made.hang);
  const cron = gateway.scheduled();
  const { key: bystander } = await gateway.createAccount();
  assert.equal((await chat(gateway, bystander, { model: "test/openai", stream: true })).finish, "stop");
  await cron;
  assert.deepEqual(receiver.at("/faults/good").flatMap(generationsOf).map((span) => span.attributes["gen_ai.response.id"]), [first.id]);

  const states = Object.fromEntries(await Promise.all(Object.entries(made).map(async ([name, id]) => [name, (await shown(manager, id)).delivery])));
  assert.deepEqual([states.hang.last_error, states.cut.last_error], ["The receiver did not answer in time", "The connection failed"]);
  assert.deepEqual([states.broken.last_error, states.full.last_error], ["Status 500", "Status 429: slow down"]);
  const wait = Date.parse(states.full.next_try_at) - Date.now();
  assert.ok(wait > 3_500_000 && wait <= 3_600_000, `Retry-After is honoured: ${wait}`);
  for (const name of ["hang", "cut", "broken", "full"]) assert.ok(states[name].tries > 0 && states[name].failing_since && states[name].dead_letters === 0, name);
  assert.deepEqual([states.good.delivered, states.good.tries, states.good.last_error], [1, 0, null]);
  assert.equal(receiver.got.some(({ path }) => path.includes("meta-data")), false, "a redirect is not followed");

  // What is refused for good is put aside, with the receiver's words and without the secret.
  for (const [name, status] of [["moved", 302], ["refused", 401]]) {
    const { data, total_count: total } = (await ask(manager, "GET", `/${made[name]}/dead-letters`)).body;
    assert.deepEqual([total, data[0].generation_id, data[0].status, data[0].queued], [1, first.id, status, false]);
    assert.ok(!JSON.stringify(data).includes("tok-0123456789abcdef"), data[0].reason);
  }
  assert.deepEqual((await ask(manager, "POST", `/${made.refused}/dead-letters/retry`, { generation_ids: [first.id] })).body, { data: { queued: 1 } });
  assert.deepEqual((await ask(manager, "DELETE", `/${made.moved}/dead-letters`)).body, { deleted: true, dropped: 1 });
  assert.equal((await ask(manager, "DELETE", `/${made.moved}/dead-letters/${first.id}`)).status, 404);

  // All is well again: what waited arrives, under the ids it was first sent with.
  const second = await chat(gateway, key, { model: "test/openai", stream: true });
  for (const name of Object.keys(faults)) receiver.script(`/faults/${name}`, 200);
  await gateway.d1("UPDATE destinations SET next_at = 0 WHERE account = ?", account);
  const ids = (name) => [...new Set(receiver.at(`/faults/${name}`).flatMap(generationsOf).map((span) => span.attributes["gen_ai.response.id"]))].sort();
  const whole = [first.id, second.id].sort();
  await delivered(account, () => Object.keys(faults).every((name) => ids(name).includes(second.id)) && ids("refused").length === 2, "what waited");
  for (const name of ["hang", "cut", "broken", "full", "refused", "good"]) {
    assert.deepEqual(ids(name), whole, name);
    const spans = receiver.at(`/faults/${name}`).flatMap(generationsOf).filter((span) => span.attributes["gen_ai.response.id"] === first.id);
    assert.equal(new Set(spans.map((span) => `${span.traceId}/${span.spanId}`)).size, 1, name);
  }
  const after = (await shown(manager, made.refused)).delivery;
  assert.deepEqual([after.dead_letters, after.failing_since, after.delivered], [0, null, 2]);
});

test("sessions are sampled whole, keys and rules choose", async () => {
  const { account, key, hash, manager } = await administered();
  const { data: other, key: otherKey } = await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "other" });
  const base = `${receiver.url}/chosen`;
  const sampled = await create(manager, "otel-collector", { endpoint: `${base}/half` }, { sampling_rate: 0.5, privacy_mode: true });
  await create(manager, "otel-collector", { endpoint: `${base}/key` }, { api_key_hashes: [other.hash], privacy_mode: true });
  const rules = { groups: [{ rules: [{ field: "model", operator: "ends_with", value: "/gemini" }, { field: "prompt_tokens", operator: "gt", value: 0 }] }] };
  await create(manager, "otel-collector", { endpoint: `${base}/rules` }, { filter_rules: rules, privacy_mode: true });
  await create(manager, "otel-collector", { endpoint: `${base}/off` }, { enabled: false });
  const sent = [];
  for (let n = 0; n < 16; n += 1) {
    const session = `session-${n >> 1}`;
    const answer = await chat(gateway, n % 8 === 0 ? otherKey : key, { model: n === 3 ? "test/gemini" : "test/openai", session_id: session });
    sent.push({ id: answer.id, session, n });
  }
  // The draw as the documentation says it.
  const digest = (parts) => parts.reduce((hash, part) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(Buffer.byteLength(part)));
    return hash.update(length).update(part);
  }, createHash("sha256")).digest();
  const isIn = ({ session }) => digest(["sample", sampled.id, "session", session]).readBigUInt64BE(0) % 1_000_000n < 500_000n;
  const expected = { half: sent.filter(isIn), key: sent.filter(({ n }) => n % 8 === 0), rules: sent.filter(({ n }) => n === 3) };
  const arrived = (name) => receiver.at(`/chosen/${name}`).flatMap(generationsOf).map((span) => span.attributes["gen_ai.response.id"]).sort();
  await delivered(account, () => Object.entries(expected).every(([name, list]) => arrived(name).length >= list.length), "all that are wanted");
  await gateway.scheduled();
  for (const [name, list] of Object.entries(expected)) assert.deepEqual(arrived(name), list.map(({ id }) => id).sort(), name);
  assert.equal(receiver.at("/chosen/off").length, 0);
  assert.notEqual(hash, other.hash);
});

test("a destination is made, shown without secrets, changed, tested and deleted", async () => {
  const { manager } = await administered();
  const url = `${receiver.url}/life`;
  const secret = "sk-lf-0123456789abcdef";
  const made = await create(manager, "langfuse", { baseUrl: url, secretKey: secret, publicKey: "pk-lf-0123456789abcdef" });
  assert.deepEqual(made.config, { secretKey: "sk-l...cdef", publicKey: "pk-l...cdef", baseUrl: url });
  assert.deepEqual([made.enabled, made.sampling_rate, made.privacy_mode, made.api_key_hashes, made.filter_rules], [true, 1, false, null, null]);
  const changed = await ask(manager, "PATCH", `/${made.id}`, { name: "renamed", sampling_rate: 0.25, config: { ...made.config, headers: { "X-A": "b" } } });
  assert.deepEqual([changed.status, changed.body.data.name, changed.body.data.sampling_rate, changed.body.data.config.headers], [200, "renamed", 0.25, { "x-a": "********" }]);
  const listed = (await ask(manager, "GET", "?limit=1")).body;
  assert.deepEqual([listed.total_count, listed.data.length, listed.data[0].id], [1, 1, made.id]);

  const path = "/life/api/public/otel/v1/traces";
  for (const [does, expected] of [[200, { ok: true, status: 200 }], [{ status: 400, body: "empty" }, { ok: true, status: 400, message: "empty" }], [{ status: 401, body: `no ${secret}` }, { ok: false, status: 401, message: "Status 401: no [secret]" }], ["hang", { ok: false, status: null }]]) {
    receiver.script(path, does);
    const { data } = (await ask(manager, "POST", `/${made.id}/test`)).body;
    for (const [name, value] of Object.entries(expected)) assert.equal(data[name], value, JSON.stringify(data));
  }
  const [tested] = receiver.at(path, { tests: true });
  assert.deepEqual([tested.headers["x-test-connection"], tested.bytes.toString(), tested.headers["x-a"]], ["true", '{"resourceSpans":[]}', "b"]);
  assert.equal(tested.headers.authorization, basic(`pk-lf-0123456789abcdef:${secret}`), "the masked values were taken for what they hide");

  const rows = await gateway.d1("SELECT * FROM destinations WHERE id = ?", made.id);
  assert.ok(!JSON.stringify(rows).includes(secret), "D1 has it sealed only");
  const log = await gateway.d1("SELECT action FROM audit_log WHERE target = ? ORDER BY seq", made.id);
  assert.deepEqual([...new Set(log.map(({ action }) => action))], ["destination.create", "destination.change", "destination.test"]);
  assert.deepEqual((await ask(manager, "DELETE", `/${made.id}`)).body, { deleted: true });
  assert.equal((await ask(manager, "GET", `/${made.id}`)).status, 404);
});

test("no address leads inside, and what is wrong is named", async () => {
  const { manager } = await administered();
  for (const [type, config, param] of [
    ["otel-collector", { endpoint: "http://127.0.0.1:1/v1/traces" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://localhost/v1/traces" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://169.254.169.254/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://[::ffff:10.0.0.1]/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://private.example.com/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://rebound.example.com/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://gone.example.com/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://a:b@public.example.com/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "https://public.example.com:25/" }, "config.endpoint"],
    ["otel-collector", { endpoint: "http://public.example.com/" }, "config.endpoint"],
    ["webhook", { url: "https://private.example.com/" }, "config.url"],
    ["s3", { ...bucket, endpoint: "https://private.example.com" }, "config.endpoint"],
    ["clickhouse", { host: "https://private.example.com", database: "d", username: "u", password: "p" }, "config.host"],
    ["snowflake", { account: "a", token: "t", baseUrl: "https://private.example.com" }, "config.baseUrl"],
    ["langfuse", { publicKey: "p" }, "config.secretKey"],
    ["langfuse", { publicKey: "p", secretKey: "s", colour: 1 }, "config.colour"],
  ]) {
    const { status, body } = await ask(manager, "POST", "", { type, name: "n", config });
    assert.deepEqual([status, body.error.metadata?.param ?? body.error.param], [400, param], JSON.stringify([config, body]));
  }
  const fine = await ask(manager, "POST", "", { type: "otel-collector", name: "n", config: { endpoint: "https://public.example.com:4318/v1/traces" } });
  assert.equal(fine.status, 201, JSON.stringify(fine.body));
});

test("another account's destination is not there, and an API key administers none", async () => {
  const [own, foreign] = [await administered(), await administered()];
  const { id } = await create(own.manager, "webhook", { url: `${receiver.url}/own` });
  const nowhere = "00000000-0000-4000-8000-000000000000";
  for (const [method, path, body] of [
    ["GET", ""], ["PATCH", "", { name: "x" }], ["DELETE", ""], ["POST", "/test"], ["GET", "/dead-letters"], ["DELETE", "/dead-letters"], ["POST", "/dead-letters/retry"], ["DELETE", "/dead-letters/gen-1"],
  ]) {
    const refused = await ask(foreign.manager, method, `/${id}${path}`, body);
    const absent = await ask(foreign.manager, method, `/${nowhere}${path}`, body);
    assert.deepEqual([refused.status, absent.status], [404, 404], `${method} ${path}`);
    assert.equal(JSON.stringify(refused.body).replaceAll(id, "x"), JSON.stringify(absent.body).replaceAll(nowhere, "x"));
    assert.equal((await ask(own.key, method, `/${id}${path}`, body)).status, 403);
    assert.equal((await ask(undefined, method, `/${id}${path}`, body)).status, 401);
  }
  assert.equal((await ask(foreign.manager, "GET")).body.total_count, 0);
  assert.equal(receiver.at("/own", { tests: true }).length, 0);
});
