// Management keys: an account administers itself, and no other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());

/** An account with an API key and a management key. */
async function administered() {
  const made = await gateway.createAccount();
  const body = { name: "manager", is_management_key: true };
  const manager = await gateway.operator.call("POST", `accounts/${made.account}/keys`, body);
  return { ...made, manager: manager.key, managerHash: manager.data.hash };
}

const ask = (manager, method, path, body) => callJson(gateway, path, { key: manager, method, body });

test("a management key makes, lists, changes and deletes the keys of its account", async () => {
  const { account, hash, manager, managerHash } = await administered();
  const made = await ask(manager, "POST", "keys", { name: "team", limit: 1.5, limit_reset: "weekly" });
  assert.equal(made.status, 201);
  const { data, key } = made.body;
  assert.deepEqual([data.name, data.limit, data.limit_reset, data.is_management_key], ["team", 1.5, "weekly", false]);
  assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 200);

  const listed = await ask(manager, "GET", "keys");
  assert.deepEqual(listed.body.data.map((each) => each.hash).sort(), [hash, managerHash, data.hash].sort());
  assert.deepEqual((await ask(manager, "GET", "keys?offset=2")).body.data.length, 1);

  const changed = await ask(manager, "PATCH", `keys/${data.hash}`, { disabled: true, limit: null });
  assert.deepEqual([changed.body.data.disabled, changed.body.data.limit], [true, null]);
  assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 401);
  const enabled = await ask(manager, "GET", "keys?include_disabled=false");
  assert.ok(!enabled.body.data.some((each) => each.hash === data.hash));

  assert.deepEqual((await ask(manager, "DELETE", `keys/${data.hash}`)).body, { deleted: true });
  assert.equal((await ask(manager, "GET", `keys/${data.hash}`)).status, 404);
  const log = await gateway.d1("SELECT actor, action FROM audit_log WHERE target = ? ORDER BY seq", data.hash);
  assert.deepEqual(log, ["create", "change", "delete"].map((what) => ({ actor: `key:${managerHash}`, action: `key.${what}` })));
  assert.equal((await gateway.d1("SELECT count(*) AS keys FROM api_keys WHERE account = ? AND deleted = 0", account))[0].keys, 2);
});

test("a management key calls no model, and an API key administers nothing", async () => {
  const { key, manager } = await administered();
  for (const [path, body] of [
    ["chat/completions", { model: "test/openai", messages: [{ role: "user", content: "Hello!" }] }],
    ["embeddings", { model: "test/openai", input: "Hello!" }],
  ]) {
    const { status, body: refused } = await ask(manager, "POST", path, body);
    assert.deepEqual([path, status, refused.error.metadata?.error_type ?? refused.error.type], [path, 403, "permission_denied"]);
  }
  for (const [method, path] of [["GET", "keys"], ["POST", "keys"], ["GET", "byok"]]) {
    const body = method === "POST" ? { name: "x" } : undefined;
    assert.equal((await ask(key, method, path, body)).status, 403, path);
    assert.equal((await ask(undefined, method, path, body)).status, 401, path);
  }
  const told = (await ask(manager, "GET", "key")).body.data;
  assert.deepEqual([told.is_management_key, told.is_provisioning_key, told.limit], [true, true, null]);
  assert.equal((await ask(manager, "GET", "credits")).body.data.total_credits, 5);
});

test("external users are registered, listed, switched off and on, also by the keys that are made for them", async () => {
  const [own, other] = [await administered(), await administered()];
  const on = (who, method, path = "", body = undefined) => ask(who.manager, method, `external-users${path}`, body);
  const names = async (query = "") => (await on(own, "GET", query)).body.data.map((each) => each.user);
  // A name is any text: slashes, blanks and signs within it stay.
  const odd = "team/ü & co+1%";
  const at = `/${encodeURIComponent(odd)}`;
  const made = await on(own, "POST", "", { user: odd });
  assert.deepEqual([made.status, made.body.data.user, made.body.data.is_active], [201, odd, true]);
  assert.deepEqual([(await on(own, "POST", "", { user: odd })).status, (await on(other, "POST", "", { user: odd })).status], [409, 201]);
  const key = { name: "k", external: { user: "employee_1" } };
  assert.equal((await ask(own.manager, "POST", "keys", key)).body.data.external_user, "employee_1");
  assert.equal((await ask(own.manager, "POST", "keys", key)).status, 201, "once registered they stay");
  assert.deepEqual(await names(), ["employee_1", odd]);
  assert.deepEqual([await names("?limit=1&offset=1"), await names(`?user=${encodeURIComponent(odd)}`)], [[odd], [odd]]);
  assert.deepEqual((await on(own, "GET", at)).body, made.body);

  assert.deepEqual([(await on(own, "DELETE", at)).status, (await on(own, "DELETE", at)).status], [204, 204]);
  assert.deepEqual([await names(), await names("?include_inactive=true")], [["employee_1"], ["employee_1", odd]]);
  assert.equal((await on(own, "GET", at)).body.data.is_active, false);
  assert.equal((await on(other, "GET", at)).body.data.is_active, true, "another account's is another");
  assert.equal((await on(own, "PATCH", at, { is_active: true })).body.data.is_active, true);
  assert.deepEqual(await names(), ["employee_1", odd]);

  for (const [method, path, body, status] of [
    ["GET", "/nobody", undefined, 404], ["PATCH", "/nobody", { is_active: true }, 404], ["DELETE", "/nobody", undefined, 404], ["POST", "", { user: " a" }, 400],
    ["POST", "", { user: "x".repeat(513) }, 400], ["POST", "", {}, 400], ["PATCH", at, { is_active: 1 }, 400], ["GET", "?limit=0", undefined, 400],
    ["GET", "?offset=9007199254740992", undefined, 400], ["GET", "?include_inactive=perhaps", undefined, 400],
  ]) {
    assert.equal((await on(own, method, path, body)).status, status, `${method} ${path}`);
  }
  assert.equal((await ask(own.key, "GET", "external-users")).status, 403);
  const deeds = await gateway.d1("SELECT action, detail FROM audit_log WHERE account = ? AND target = ? ORDER BY seq", own.account, odd);
  assert.deepEqual(deeds.map(({ action, detail }) => `${action} ${detail}`), [
    "external_user.create ", "external_user.change off", "external_user.change off", "external_user.change on",
  ]);
});

test("the keys of another account are not there", async () => {
  const [own, other] = [await administered(), await administered()];
  for (const [method, body] of [["GET"], ["PATCH", { disabled: true }], ["DELETE"]]) {
    const theirs = await ask(own.manager, method, `keys/${other.hash}`, body);
    const nobodys = await ask(own.manager, method, `keys/${"0".repeat(64)}`, body);
    assert.deepEqual([theirs.status, nobodys.status], [404, 404], method);
    assert.equal(theirs.body.error.message, nobodys.body.error.message.replace("0".repeat(64), other.hash));
  }
  assert.equal((await chat(gateway, other.key, { model: "test/openai" })).status, 200);
  const listed = (await ask(own.manager, "GET", "keys")).body.data.map((each) => each.hash);
  assert.ok(!listed.includes(other.hash) && !listed.includes(other.managerHash));
});

test("a management key mints no management key, takes no limit, and obeys at once when it is disabled", async () => {
  const { account, manager, managerHash } = await administered();
  const minted = await ask(manager, "POST", "keys", { name: "heir", is_management_key: true });
  assert.equal(minted.status, 403);
  const limited = await ask(manager, "PATCH", `keys/${managerHash}`, { limit: 5 });
  assert.deepEqual([limited.status, limited.body.error.param], [400, "limit"]);
  await gateway.operator.call("PATCH", `keys/${managerHash}`, { disabled: true });
  assert.equal((await ask(manager, "GET", "keys")).status, 401);
  const [row] = await gateway.d1("SELECT last_used_at FROM api_keys WHERE hash = ?", managerHash);
  assert.ok(row.last_used_at > 0);
  assert.equal((await gateway.operator.call("GET", `accounts/${account}/keys`)).data.length, 2);
});
