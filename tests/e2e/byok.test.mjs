// Provider keys that accounts bring: who may use and see them, in which order they come, what they cost, and what becomes of
// them in outages, on deletion and under a new master key.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { at } from "../../scripts/lib/project.mjs";
import { callJson, chat, eventually, generation, nanos, providerOf, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const OPERATOR_TOKEN = "operator-token-of-the-tests";
const MASTER = randomBytes(32).toString("base64");
const NEXT_MASTER = randomBytes(32).toString("base64");

/** Every secret that a test brings: none may ever be seen again. */
const secrets = [MASTER, NEXT_MASTER];
const seen = [];
let gateway, folder;

const start = (vars, options) => startGateway({ persist: folder, vars: { BYOK_MASTER_KEY: MASTER, ...vars }, ...options });
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-byok-"));
  gateway = await start();
});
after(async () => {
  await gateway?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** One of the operator's routes: `{status, data, error}`. */
async function admin(method, path, body, headers = {}) {
  const answer = await callJson(gateway, `admin/${path}`, { method, key: OPERATOR_TOKEN, body, headers });
  seen.push(JSON.stringify(answer.body));
  return { status: answer.status, ...answer.body };
}

let brought = 0;
/** Brings a key; returns its id and secret. */
async function bring({ account }, provider, fields = {}) {
  const secret = `own-${++brought}-${randomBytes(12).toString("hex")}`;
  secrets.push(secret);
  const { status, data, error } = await admin("POST", `accounts/${account}/byok`, { provider, key: secret, ...fields });
  assert.equal(status, 201, JSON.stringify(error));
  return { ...data, secret };
}

/** Asks; returns the answer and with which key of which provider each attempt was made: `one:<secret>`. */
async function ask(owner, body, options) {
  const before = gateway.upstream.requests().length;
  const answer = await chat(gateway, owner.key, { model: "test/openai", ...body }, options);
  seen.push(answer.text ?? JSON.stringify(answer.body), JSON.stringify([...answer.headers]));
  const made = gateway.upstream.requests().slice(before);
  const keyOf = ({ headers }) => headers.authorization?.replace("Bearer ", "") ?? headers["x-api-key"] ?? headers["x-goog-api-key"];
  return { ...answer, tried: made.map((each) => `${providerOf(each).split("-")[0]}:${keyOf(each)}`) };
}

const fails = (provider, times = 1, status = 503) =>
  gateway.upstream.script({ prefix: `/p/${provider}/`, times, behaviour: `fault-status-${status}` });
const SHARED = "test-key";

test("an account's own key is used before the operator's, and another account knows nothing of it", async () => {
  const [one, two] = [await gateway.createAccount(), await gateway.createAccount()];
  const own = await bring(one, "two-openai");
  assert.deepEqual((await ask(one)).tried, [`two:${own.secret}`]);
  assert.deepEqual((await ask(two)).tried, [`one:${SHARED}`]);
  const unknown = "00000000-0000-4000-8000-000000000000";
  for (const method of ["GET", "PATCH", "DELETE"]) {
    const body = method === "PATCH" ? { disabled: true } : undefined;
    const foreign = await admin(method, `accounts/${two.account}/byok/${own.id}`, body);
    const none = await admin(method, `accounts/${two.account}/byok/${unknown}`, body);
    assert.deepEqual([foreign.status, none.status], [404, 404]);
    assert.equal(foreign.error.message.replace(own.id, "X"), none.error.message.replace(unknown, "X"));
  }
  assert.deepEqual((await admin("GET", `accounts/${two.account}/byok`)).data, []);
  const filtered = await admin("POST", `accounts/${two.account}/byok`, { provider: "one-openai", key: "k".repeat(20), allowed_api_key_hashes: [one.hash] });
  assert.deepEqual([filtered.status, filtered.error.param], [400, "allowed_api_key_hashes[0]"]);
  assert.deepEqual((await ask(one)).tried, [`two:${own.secret}`]);
});

test("a key is listed, shown, changed and deleted; its secret is never shown and a change is effective at once", async () => {
  const owner = await gateway.createAccount();
  const own = await bring(owner, "two-openai", { name: "mine" });
  const path = `accounts/${owner.account}/byok`;
  const shown = (await admin("GET", `${path}/${own.id}`)).data;
  assert.equal(shown.label, `...${own.secret.slice(-4)}`);
  assert.deepEqual(
    { ...shown, id: 0, label: 0, created_at: 0 },
    {
      id: 0, provider: "two-openai", name: "mine", label: 0, disabled: false, is_fallback: false, is_required: false, is_byok_only: false,
      allowed_models: null, allowed_api_key_hashes: null, allowed_user_ids: null, declared_region: null, declared_zdr: null,
      workspace_id: null, sort_order: 0, created_at: 0, updated_at: null,
    },
  );
  const second = await bring(owner, "one-openai", { allowed_models: ["test/former-name"] });
  assert.deepEqual(second.allowed_models, ["test/openai"]);
  const list = await admin("GET", path);
  assert.deepEqual([list.total_count, list.data.map(({ id }) => id)], [2, [own.id, second.id]]);
  assert.equal((await admin("GET", `${path}?offset=1&limit=1`)).data[0].id, second.id);
  assert.deepEqual((await ask(owner)).tried, [`one:${second.secret}`]);

  assert.equal((await admin("PATCH", `${path}/${second.id}`, { disabled: true, name: "second" })).data.disabled, true);
  assert.deepEqual((await ask(owner)).tried, [`two:${own.secret}`]);
  const renewed = `own-renewed-${randomBytes(12).toString("hex")}`;
  secrets.push(renewed);
  await admin("PATCH", `${path}/${own.id}`, { key: renewed });
  assert.deepEqual((await ask(owner)).tried, [`two:${renewed}`]);
  for (const { id } of [own, second]) {
    const { status, deleted } = await admin("DELETE", `${path}/${id}`);
    assert.deepEqual([status, deleted], [200, true]);
  }
  assert.deepEqual((await ask(owner)).tried, [`one:${SHARED}`]);
  assert.equal((await admin("GET", `${path}/${own.id}`)).status, 404);
  const log = await gateway.d1("SELECT action, detail FROM audit_log WHERE account = ? AND action LIKE 'byok%' ORDER BY seq", owner.account);
  assert.deepEqual(log.map(({ action }) => action.split(".")[1]), ["create", "create", "change", "change", "delete", "delete"]);
});

test("what cannot be stored is refused with the field's path", async () => {
  const { account } = await gateway.createAccount();
  for (const [body, param] of [
    [{ provider: "nobody", key: "sk-1" }, "provider"],
    [{ provider: "one-openai" }, "key"],
    [{ provider: "one-openai", key: "a b" }, "key"],
    [{ provider: "one-openai", key: '{"accessKeyId": "A"}' }, "key"],
    [{ provider: "one-openai", key: "sk-1", allowed_models: ["test/openai", "test/nil"] }, "allowed_models[1]"],
    [{ provider: "one-openai", key: "sk-1", allowed_api_key_hashes: [] }, "allowed_api_key_hashes"],
    [{ provider: "one-openai", key: "sk-1", is_required: true, is_fallback: true }, "is_required"],
  ]) {
    const { status, error } = await admin("POST", `accounts/${account}/byok`, body);
    assert.deepEqual([status, error.param], [400, param], JSON.stringify(error));
  }
  assert.equal((await admin("GET", "accounts/acc_nobody/byok")).status, 404);
});

test("order: own keys in their order, the operator's, fallback keys; each failure moves on", async () => {
  const owner = await gateway.createAccount();
  const first = await bring(owner, "two-openai");
  const second = await bring(owner, "two-openai");
  const last = await bring(owner, "one-openai", { is_fallback: true });
  const chain = [`two:${first.secret}`, `two:${second.secret}`, `one:${SHARED}`, `two:${SHARED}`, `one:${last.secret}`];
  for (const stream of [false, true]) {
    gateway.upstream.reset();
    fails("two-openai", 1, 401);
    fails("two-openai", 1, 429);
    fails("one-openai", 1, 503);
    fails("two-openai", 1, 500);
    const sorted = { stream, provider: { sort: "price" } };
    const answer = await ask(owner, sorted);
    assert.deepEqual([answer.status, answer.tried], [200, chain]);
    assert.deepEqual([answer.usage.is_byok, answer.usage.cost], [true, 0]);
  }
  await admin("PATCH", `accounts/${owner.account}/byok/${second.id}`, { sort_order: 0 });
  await admin("PATCH", `accounts/${owner.account}/byok/${first.id}`, { sort_order: 9 });
  assert.deepEqual((await ask(owner)).tried, [`two:${second.secret}`]);
  const ordered = await ask(owner, { provider: { order: ["one-openai"] } });
  assert.deepEqual(ordered.tried, [`one:${SHARED}`]);
});

test("a required key keeps the operator's away; filters by model and API key decide who may use one", async () => {
  gateway.upstream.reset();
  const owner = await gateway.createAccount();
  const { key: other, data: otherKey } = await admin("POST", `accounts/${owner.account}/keys`, { name: "other" });
  const required = await bring(owner, "one-openai", { is_required: true, allowed_api_key_hashes: [owner.hash] });
  fails("one-openai");
  const answer = await ask(owner, { provider: { only: ["one-openai"] } });
  assert.deepEqual(answer.tried, [`one:${required.secret}`]);
  assert.equal(answer.error.metadata.is_byok, true);
  assert.deepEqual((await ask({ key: other }, { provider: { only: ["one-openai"] } })).tried, [`one:${SHARED}`]);

  const elsewhere = await bring(owner, "one-gemini", { allowed_models: ["test/gemini"], allowed_api_key_hashes: [otherKey.hash] });
  assert.deepEqual((await ask({ key: other }, { model: "test/gemini" })).tried, [`one:${elsewhere.secret}`]);
  assert.deepEqual((await ask({ key: other }, { model: "test/everywhere", provider: { only: ["one-gemini"] } })).tried, [`one:${SHARED}`]);
  assert.deepEqual((await ask(owner, { model: "test/gemini" })).tried, [`one:${SHARED}`]);
});

test("a refused key is told when nothing else is left: by its label", async () => {
  gateway.upstream.reset();
  const owner = await gateway.createAccount();
  const own = await bring(owner, "two-openai", { is_required: true });
  for (const status of [401, 403]) {
    fails("two-openai", 1, status);
    const { error, status: told } = await ask(owner, { provider: { only: ["two-openai"] } });
    assert.equal(told, 502);
    assert.match(error.message, new RegExp(`Test two-openai refused your own key \\.\\.\\.${own.secret.slice(-4)} \\(status ${status}\\)`));
    assert.deepEqual([error.metadata.is_byok, error.metadata.provider_name], [true, "Test two-openai"]);
  }
});

test("an own key makes a provider callable for its account alone, though the operator has no key of it", async () => {
  gateway.upstream.reset();
  const [owner, stranger] = [await gateway.createAccount(), await gateway.createAccount()];
  const own = await bring(owner, "spare");
  assert.deepEqual((await ask(owner, { model: "test/spare" })).tried, [`spare:${own.secret}`]);
  const refused = await ask(stranger, { model: "test/spare" });
  assert.deepEqual([refused.status, refused.tried], [404, []]);
  assert.match(refused.error.message, /holds no key/);
  const { body } = await callJson(gateway, "models");
  assert.ok(!body.data.some(({ id }) => id === "test/spare"), "not on the operator's list");
});

test("without credits an own key that is required still serves; a data policy applies to own keys too", async () => {
  gateway.upstream.reset();
  const poor = await gateway.createAccount({ usd: "0.000000001" });
  assert.equal((await ask(poor)).status, 402);
  const own = await bring(poor, "one-openai", { is_required: true });
  assert.deepEqual((await ask(poor, { provider: { only: ["one-openai"] } })).tried, [`one:${own.secret}`]);
  const denied = await ask(poor, { provider: { only: ["one-openai"], quantizations: ["fp4"] } });
  assert.deepEqual([denied.status, denied.tried], [404, []]);
});

test("copies keep requests going while KV or D1 is out; without either nothing goes to capacity that was ruled out", async () => {
  gateway.upstream.reset();
  const owner = await gateway.createAccount();
  const own = await bring(owner, "one-openai", { is_required: true });
  const only = { provider: { only: ["one-openai"] } };
  const fault = (names) => ({ headers: { "x-patchbay-fault": names } });
  assert.deepEqual((await ask(owner, only)).tried, [`one:${own.secret}`]);
  for (const names of ["kv", "d1", "kv,d1"]) assert.deepEqual((await ask(owner, only, fault(names))).tried, [`one:${own.secret}`], names);
  // An isolate without memory.
  await gateway.stop();
  gateway = await start();
  for (const names of ["kv", "d1"]) {
    assert.deepEqual((await ask(owner, only, fault(names))).tried, [`one:${own.secret}`], names);
  }
  const other = await gateway.createAccount();
  const kept = await bring(other, "one-openai", { is_required: true });
  // The API key's record is known, its account's list is not.
  assert.equal((await callJson(gateway, "key", { key: other.key })).status, 200);
  const cut = await ask(other, only, fault("kv,d1"));
  assert.deepEqual([cut.status, cut.tried], [503, []]);
  assert.deepEqual((await ask(other, only)).tried, [`one:${kept.secret}`]);
});

test("cost: nothing without a fee, else exactly the operator's share of what it would have cost", async () => {
  for (const [percent, share] of [[undefined, 0n], ["5", 5_000_000n], ["0.5", 500_000n]]) {
    await gateway.stop();
    gateway = await start(percent ? { BYOK_FEE_PERCENT: percent } : {});
    const [owner, plain] = [await gateway.createAccount(), await gateway.createAccount()];
    await bring(owner, "one-openai");
    const price = { provider: { only: ["one-openai"] } };
    for (const stream of [false, true]) {
      const own = await ask(owner, { ...price, stream });
      const listed = nanos((await ask(plain, { ...price, stream })).usage.cost);
      const due = (listed * share + 99_999_999n) / 100_000_000n;
      // From the exact sum, before it is rounded: at most one nano-dollar below.
      const paid = nanos(own.usage.cost);
      assert.ok(paid === due || paid === due - 1n, `${paid} ${due}`);
      assert.equal(own.usage.is_byok, true);
      assert.equal(nanos(own.usage.cost_details.upstream_inference_cost), listed);
      const record = await generation(gateway, owner.key, own.id);
      seen.push(JSON.stringify(record));
      assert.deepEqual([record.is_byok, nanos(record.total_cost), nanos(record.upstream_inference_cost)], [true, paid, listed]);
      assert.deepEqual(record.provider_responses.map(({ is_byok: isOwn }) => isOwn), [true]);
      assert.ok(record.charge.lines.every((line) => line.share === (percent ?? "0")));
    }
    const { total_usage: total } = await settled(gateway, owner.account);
    const rows = await gateway.d1("SELECT cost, list_cost, own_key FROM usage WHERE account = ?", owner.account);
    assert.equal(nanos(total), rows.reduce((sum, { cost }) => sum + BigInt(cost), 0n));
    assert.ok(rows.every((row) => row.own_key && row.list_cost > 0));
  }
});

test("an account without own keys costs no look-up", async () => {
  const plain = await gateway.createAccount();
  await ask(plain);
  // The list could not be read, and nobody asks for it.
  await gateway.d1("ALTER TABLE byok_keys RENAME TO byok_keys_away");
  try {
    assert.equal((await ask(plain, {}, { headers: { "x-patchbay-fault": "kv" } })).status, 200);
  } finally {
    await gateway.d1("ALTER TABLE byok_keys_away RENAME TO byok_keys");
  }
});

const operator = async (...words) => {
  const { stdout } = await promisify(execFile)(process.execPath, [at("scripts", "patchbay.mjs"), ...words, "--url", gateway.base, "--token", OPERATOR_TOKEN]);
  seen.push(stdout);
  return stdout;
};

test("the master key is replaced: everything is sealed anew, and the old one can go", async () => {
  const owner = await gateway.createAccount();
  const secret = `own-cli-${randomBytes(12).toString("hex")}`;
  secrets.push(secret);
  process.env.PATCHBAY_TEST_OWN_KEY = secret;
  await operator("byok", "add", owner.account, "two-openai", "--key-env", "PATCHBAY_TEST_OWN_KEY", "--name", "from the terminal");
  assert.match(await operator("byok", owner.account), /two-openai +from the terminal/);
  assert.deepEqual((await ask(owner)).tried, [`two:${secret}`]);
  const masters = () => gateway.d1("SELECT master, count(*) AS n FROM byok_keys GROUP BY master");
  const [{ master: old, n: count }] = await masters();

  await gateway.stop();
  gateway = await start({ BYOK_MASTER_KEY: NEXT_MASTER, BYOK_MASTER_KEY_PREVIOUS: MASTER });
  assert.deepEqual((await ask(owner)).tried, [`two:${secret}`]);
  assert.match(await operator("byok", "rotate"), new RegExp(`sealed_anew +${count}\\b`));
  const [{ master, n }, ...others] = await masters();
  assert.deepEqual([n, others.length, master === old], [count, 0, false]);
  assert.match(await operator("byok", "rotate"), /sealed_anew +0\b/);

  await gateway.stop();
  gateway = await start({ BYOK_MASTER_KEY: NEXT_MASTER });
  await eventually(() => ask(owner), ({ tried }) => tried[0] === `two:${secret}`, { what: "the key under the new master key" });
  const [{ id }] = (await admin("GET", `accounts/${owner.account}/byok`)).data;
  // A row that is moved to another account opens nothing there.
  const thief = await gateway.createAccount();
  await gateway.d1("UPDATE byok_keys SET account = ? WHERE id = ?", thief.account, id);
  assert.deepEqual((await ask(thief)).tried, [`one:${SHARED}`]);
  assert.match(gateway.log(), new RegExp(`own key ${id} does not open: it was changed or belongs elsewhere`));
});

test("a deployment without a master key refuses to keep keys, and says what is missing", async () => {
  await gateway.stop();
  for (const [vars, words] of [[{ BYOK_MASTER_KEY: "" }, /set the secret BYOK_MASTER_KEY/], [{ BYOK_MASTER_KEY: "c2hvcnQ=" }, /not the base64 of 32 bytes/]]) {
    gateway = await start(vars);
    const { account } = await gateway.createAccount();
    const { status, error } = await admin("POST", `accounts/${account}/byok`, { provider: "one-openai", key: "own-refused-123456" });
    assert.equal(status, 501);
    assert.match(error.message, words);
    seen.push(gateway.log());
    if (vars.BYOK_MASTER_KEY === "") await gateway.stop();
  }
});

test("no secret was ever seen: not in an answer, a log or any file of the storage", async () => {
  seen.push(gateway.log());
  await gateway.stop();
  const files = readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
  const texts = files.filter((name) => statSync(name).isFile()).map((name) => readFileSync(name, "latin1"));
  assert.ok(texts.some((text) => text.includes("byok_keys")), "the storage was read");
  for (const secret of secrets) {
    assert.ok(![...seen, ...texts].some((text) => text?.includes(secret)), `a secret of ${secret.length} characters was seen`);
  }
  gateway = undefined;
});
