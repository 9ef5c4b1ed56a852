// Members of accounts: who may do what, invitations, and what becomes of the keys of who leaves.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { Browser, peopleVars, person } from "./people.mjs";

let gateway;
before(async () => (gateway = await startGateway({ vars: peopleVars() })));
after(() => gateway?.stop());

let count = 0;

/** An account with an owner, an admin and a member, each signed in. */
async function team() {
  const made = await gateway.createAccount();
  const people = {};
  for (const role of ["owner", "admin", "member"]) {
    const email = `${role}${(count += 1)}@example.com`;
    await gateway.operator.call("POST", `accounts/${made.account}/members`, { email, role });
    people[role] = await person(gateway, email);
  }
  return { ...made, ...people };
}

const status = async (who, method, path, body) => (await who.api(method, path, body)).status;
const error = (answer) => [answer.status, answer.body.error?.param];

test("members are listed in the reference's words, with our roles beside them", async () => {
  const { owner, admin, member, account } = await team();
  const listed = (await member.api("GET", "organization/members")).body;
  assert.equal(listed.total_count, 3);
  assert.deepEqual(
    listed.data.map((each) => [each.id, each.email, each.role, each.account_role]),
    [[owner, "org:admin", "owner"], [admin, "org:admin", "admin"], [member, "org:member", "member"]].map(([who, ...roles]) => [who.id, who.email, ...roles]),
  );
  for (const field of ["first_name", "last_name"]) assert.ok(field in listed.data[0]);
  const page = (await owner.api("GET", "organization/members?offset=1&limit=1")).body;
  assert.deepEqual([page.data.map((each) => each.id), page.total_count], [[admin.id], 3]);
  assert.deepEqual(error(await owner.api("GET", "organization/members?offset=x")), [400, "offset"]);
  const manager = await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "m", is_management_key: true });
  const byKey = await callJson(gateway, "organization/members", { key: manager.key });
  assert.deepEqual(byKey.body, listed);
});

test("each role may do what it may", async () => {
  const { owner, admin, member, key } = await team();
  const change = (who, whom, role) => status(who, "PATCH", `organization/members/${whom.id}`, { role });
  assert.equal(await change(member, member, "admin"), 403);
  assert.equal(await status(member, "DELETE", `organization/members/${admin.id}`), 403);
  assert.equal(await status(member, "POST", "organization/invitations", { role: "member" }), 403);
  assert.equal(await change(admin, admin, "owner"), 403, "nobody makes themselves owner");
  assert.equal(await change(admin, owner, "member"), 403);
  assert.equal(await status(admin, "DELETE", `organization/members/${owner.id}`), 403);
  assert.equal(await status(admin, "POST", "organization/invitations", { role: "owner" }), 403);
  assert.equal(await change(admin, member, "org:admin"), 200);
  assert.equal(await change(admin, member, "member"), 200);
  assert.deepEqual(error(await owner.api("PATCH", `organization/members/${member.id}`, { role: "boss" })), [400, "role"]);
  assert.equal(await change(owner, admin, "owner"), 200);
  assert.equal((await callJson(gateway, "organization/members", { key })).status, 403, "a key that calls models administers nothing");
  assert.equal((await callJson(gateway, "organization/members")).status, 401);
});

test("the last owner cannot go, be removed or step down", async () => {
  const { owner, admin, account } = await team();
  const own = `organization/members/${owner.id}`;
  assert.equal(await status(owner, "PATCH", own, { role: "member" }), 409);
  assert.equal(await status(owner, "DELETE", own), 409);
  assert.equal(await status(owner, "DELETE", `me/accounts/${account}`), 409);
  assert.equal(await status(owner, "PATCH", `organization/members/${admin.id}`, { role: "owner" }), 200);
  // Both at once: one stays.
  const left = await Promise.all([status(owner, "DELETE", own), status(admin, "DELETE", `organization/members/${admin.id}`)]);
  assert.deepEqual(left.sort(), [200, 409]);
});

test("who is removed is out at once, and their keys stop at the next request", async () => {
  const { owner, member, key } = await team();
  const made = await member.api("POST", "keys", { name: "theirs" });
  assert.equal(made.status, 201);
  const ask = (secret) => chat(gateway, secret, { model: "test/openai" });
  assert.equal((await ask(made.body.key)).status, 200);
  assert.deepEqual((await owner.api("DELETE", `organization/members/${member.id}`)).body, { deleted: true });
  assert.equal((await ask(made.body.key)).status, 401);
  assert.equal((await ask(key)).status, 200, "the account's own keys stay");
  assert.equal(await status(member, "GET", "organization/members"), 403, "in no account any more");
  assert.equal((await member.api("GET", "me")).body.data.account, null);
  assert.equal(await status(owner, "DELETE", `organization/members/${member.id}`), 404);
  const rows = await gateway.d1("SELECT action FROM audit_log WHERE target IN (?, ?) ORDER BY seq", member.id, made.body.data.hash);
  assert.deepEqual(rows.map(({ action }) => action).slice(-3), ["key.create", "member.remove", "key.delete"]);
});

test("the keys of who is switched off are refused at the next request, and work again afterwards", async () => {
  const { owner, member, admin } = await team();
  const theirs = (await member.api("POST", "keys", { name: "theirs" })).body;
  const off = (await member.api("POST", "keys", { name: "off" })).body;
  await member.api("PATCH", `keys/${off.data.hash}`, { disabled: true });
  const manages = (await owner.api("POST", "keys", { name: "m", is_management_key: true, creator_user_id: member.id })).body.key;
  const ask = async ({ key }) => (await chat(gateway, key, { model: "test/openai" })).status;
  const manage = async () => (await callJson(gateway, "keys", { key: manages })).status;
  const set = (disabled) => gateway.operator.call("PATCH", `users/${member.id}`, { disabled });
  assert.deepEqual([await ask(theirs), await ask(off), await manage()], [200, 401, 200]);
  await set(true);
  assert.deepEqual([await ask(theirs), await ask(off), await manage()], [401, 401, 401]);
  // Who administers the account changes such a key without switching it on.
  assert.equal(await status(admin, "PATCH", `keys/${theirs.data.hash}`, { name: "renamed" }), 200);
  assert.equal(await ask(theirs), 401);
  await set(false);
  assert.deepEqual([await ask(theirs), await ask(off), await manage()], [200, 401, 200]);
});

test("a removal that an outage cut off is ended by sending it again", async () => {
  const { account, member } = await team();
  const made = await member.api("POST", "keys", { name: "theirs" });
  await gateway.d1("DELETE FROM members WHERE account = ? AND user = ?", account, member.id);
  const removed = await gateway.operator.call("DELETE", `accounts/${account}/members/${member.id}`);
  assert.deepEqual(removed, { deleted: true });
  assert.equal((await chat(gateway, made.body.key, { model: "test/openai" })).status, 401);
});

test("members have keys of their own; who administers the account has all", async () => {
  const { owner, member, admin, hash, account } = await team();
  const own = (await member.api("POST", "keys", { name: "own" })).body.data;
  assert.equal(own.creator_user_id, member.id);
  assert.deepEqual((await member.api("GET", "keys")).body.data.map((each) => each.hash), [own.hash]);
  assert.equal((await admin.api("GET", "keys")).body.data.length, 2);
  for (const [method, body] of [["GET"], ["PATCH", { disabled: true }], ["DELETE"]]) {
    const theirs = await member.api(method, `keys/${hash}`, body);
    const nobodys = await member.api(method, `keys/${"0".repeat(64)}`, body);
    assert.deepEqual([theirs.status, theirs.body.error.message], [404, nobodys.body.error.message.replace("0".repeat(64), hash)]);
  }
  assert.equal(await status(member, "PATCH", `keys/${own.hash}`, { name: "renamed" }), 200);
  const make = (who, body) => who.api("POST", "keys", { name: "x", ...body });
  assert.deepEqual(error(await make(member, { creator_user_id: owner.id })), [400, "creator_user_id"]);
  assert.deepEqual(error(await make(member, { creator_user_id: null })), [400, "creator_user_id"]);
  assert.equal(await status(member, "POST", "keys", { name: "x", is_management_key: true }), 403);
  assert.deepEqual((await make(admin, {})).body.data.creator_user_id, admin.id);
  assert.deepEqual((await make(admin, { creator_user_id: member.id })).body.data.creator_user_id, member.id);
  assert.deepEqual((await make(admin, { creator_user_id: null })).body.data.creator_user_id, null);
  const stranger = await team();
  for (const id of [stranger.owner.id, "user_nobody", 7]) {
    const refused = await make(admin, { creator_user_id: id });
    assert.equal(refused.status, 400, id);
    if (id !== 7) assert.equal(refused.body.error.param, "creator_user_id");
  }
  await assert.rejects(gateway.operator.call("POST", `accounts/${account}/keys`, { name: "x", creator_user_id: stranger.owner.id }), /creator_user_id/);
});

test("a person's management key may do no more than they may", async () => {
  const { owner, admin } = await team();
  const made = await owner.api("POST", "keys", { name: "m", is_management_key: true, creator_user_id: admin.id });
  assert.equal(made.status, 201);
  const list = async () => (await callJson(gateway, "organization/invitations", { key: made.body.key })).status;
  assert.equal(await list(), 200);
  await owner.api("PATCH", `organization/members/${admin.id}`, { role: "member" });
  assert.equal(await list(), 403);
  await owner.api("DELETE", `organization/members/${admin.id}`);
  assert.equal(await list(), 401);
});

test("an invitation lets one person in, once, in time, and only whom it is for", async () => {
  const { owner, account } = await team();
  const invite = async (body) => (await owner.api("POST", "organization/invitations", { role: "member", ...body })).body;
  const accept = (who, token) => who.api("POST", "invitations/accept", { token });
  const [one, two] = [await person(gateway, "one@example.com"), await person(gateway, "two@example.com")];

  const open = await invite({ role: "admin" });
  assert.equal(open.data.invited_by, `user:${owner.id}`);
  assert.deepEqual((await owner.api("GET", "organization/invitations")).body.data.map((each) => each.id), [open.data.id]);
  const both = await Promise.all([accept(one, open.token), accept(two, open.token)]);
  assert.deepEqual(both.map((each) => each.status).sort(), [200, 404]);
  const [winner, loser] = both[0].status === 200 ? [one, two] : [two, one];
  assert.deepEqual((await winner.api("GET", "me")).body.data.account.role, "admin");
  assert.equal((await owner.api("GET", "organization/invitations")).body.total_count, 0);

  const bound = await invite({ email: "third@example.com" });
  const [gone, forged] = [await accept(loser, open.token), await accept(loser, "A".repeat(43))];
  assert.deepEqual([gone.status, forged.status, (await accept(loser, bound.token)).status], [404, 404, 404]);
  assert.equal(gone.body.error.message, forged.body.error.message);
  assert.match((await loser.open(bound.url)).html, /another address/);
  const third = await person(gateway, "third@example.com");
  const joined = await third.submit(await third.open(bound.url));
  assert.equal(joined.status, 200);
  assert.equal((await third.api("GET", "me")).body.data.account.id, account);

  const back = await invite({});
  assert.equal(await status(owner, "DELETE", `organization/invitations/${back.data.id}`), 200);
  assert.equal((await accept(loser, back.token)).status, 404);
  const late = await invite({});
  await gateway.d1("UPDATE invitations SET expires_at = 1 WHERE id = ?", late.data.id);
  assert.equal((await accept(loser, late.token)).status, 404);
  assert.equal((await accept(winner, (await invite({ role: "owner" })).token)).status, 409, "in it already");
  for (const body of [{ expires_at: "2020-01-01T00:00:00Z" }, { expires_at: "2099-01-01T00:00:00Z" }]) {
    assert.deepEqual(error(await owner.api("POST", "organization/invitations", { role: "member", ...body })), [400, "expires_at"]);
  }
  assert.deepEqual(error(await owner.api("POST", "organization/invitations", { role: "member", email: "no address" })), [400, "email"]);
  const kept = JSON.stringify(await gateway.d1("SELECT * FROM invitations"));
  for (const { token } of [open, bound, late]) assert.ok(!kept.includes(token));
});

test("what belongs to another account is not there", async () => {
  const [own, other] = [await team(), await team()];
  const invitation = (await other.owner.api("POST", "organization/invitations", { role: "member" })).body.data;
  for (const [method, path, body] of [
    ["GET", `organization/members/${other.member.id}`],
    ["PATCH", `organization/members/${other.member.id}`, { role: "member" }],
    ["DELETE", `organization/members/${other.member.id}`],
    ["DELETE", `organization/invitations/${invitation.id}`],
    ["DELETE", `me/accounts/${other.account}`],
    ["GET", `keys/${other.hash}`],
  ]) {
    const id = path.split("/").at(-1);
    const [theirs, nobodys] = [await own.owner.api(method, path, body), await own.owner.api(method, path.replace(id, `x${id.slice(1)}`), body)];
    assert.deepEqual([path, theirs.status], [path, 404]);
    assert.equal(theirs.body.error.message.replace(id, ""), nobodys.body.error.message.replace(`x${id.slice(1)}`, ""));
  }
  const switched = await own.owner.api("PATCH", "me", { account_id: other.account });
  assert.equal(switched.status, 404);
  assert.equal((await other.owner.api("GET", "organization/members")).body.total_count, 3);
});

test("a person works in one of their accounts at a time, opens another and leaves it", async () => {
  const { member, account } = await team();
  const opened = (await member.api("POST", "me/accounts", { name: "My own" })).body.data;
  assert.equal(opened.role, "owner");
  const accounts = (await member.api("GET", "me/accounts")).body;
  assert.deepEqual(accounts.data.map((each) => [each.id, each.role, each.is_current]), [[account, "member", true], [opened.id, "owner", false]]);
  assert.equal(await status(member, "POST", "organization/invitations", { role: "member" }), 403);
  const now = (await member.api("PATCH", "me", { account_id: opened.id, name: "Mem Ber" })).body.data;
  assert.deepEqual([now.account.id, now.account.role, now.last_name], [opened.id, "owner", "Ber"]);
  assert.equal(await status(member, "POST", "organization/invitations", { role: "member" }), 201);
  assert.deepEqual((await member.api("GET", "keys")).body.data, []);
  assert.equal((await member.api("GET", "credits")).body.data.total_credits, 0);
  assert.deepEqual((await member.api("DELETE", `me/accounts/${account}`)).body, { deleted: true });
  assert.equal((await member.api("GET", "me/accounts")).body.total_count, 1);
  assert.deepEqual(error(await member.api("PATCH", "me", { nickname: "x" })), [400, "body"]);
});

test("the operator puts people in and takes them out", async () => {
  const { account } = await gateway.createAccount();
  const call = (method, path, body) => gateway.operator.call(method, `accounts/${account}/${path}`, body);
  const { data } = await call("POST", "members", { email: "New@Example.com", role: "owner" });
  assert.deepEqual([data.email, data.account_role], ["new@example.com", "owner"]);
  await assert.rejects(call("POST", "members", { user_id: data.id, role: "member" }), /409/);
  await assert.rejects(call("POST", "members", { user_id: "user_nobody", role: "member" }), /404/);
  await assert.rejects(call("POST", "members", { role: "member" }), /400 email/);
  await assert.rejects(gateway.operator.call("GET", "accounts/acc_nobody/members"), /404/);
  assert.equal((await call("PATCH", `members/${data.id}`, { role: "owner" })).data.account_role, "owner");
  await assert.rejects(call("DELETE", `members/${data.id}`), /409/);
  const invited = await call("POST", "invitations", { role: "owner" });
  assert.equal(invited.data.invited_by, "operator");
  assert.equal((await new Browser(gateway).open(invited.url)).status, 200);
});
