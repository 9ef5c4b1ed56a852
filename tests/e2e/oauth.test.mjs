// Apps get keys by OAuth with PKCE: a person consents on a page, a code becomes a key, once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { Browser, elements, formOf, peopleVars, person, pkce } from "./people.mjs";

let gateway, user, account;
before(async () => {
  gateway = await startGateway({ vars: peopleVars() });
  ({ account } = await gateway.createAccount({ name: "Ada & <Co>" }));
  await gateway.operator.call("POST", `accounts/${account}/members`, { email: "ada@example.com", role: "member" });
  user = await person(gateway, "ada@example.com");
});
after(() => gateway?.stop());

const CALLBACK = "https://app.example/callback?kept=1";

const authPath = (query) => `/auth?${new URLSearchParams(query)}`;

/** A code that the person granted, with what is needed to exchange it. */
async function granted(query = {}, changes = {}, browser = user) {
  const { verifier, challenge } = pkce();
  const page = await browser.open(authPath({ callback_url: CALLBACK, code_challenge: challenge, code_challenge_method: "S256", ...query }));
  assert.equal(page.status, 200, page.html);
  const answer = await browser.submit(page, { decision: "allow", ...changes });
  const code = answer.location ? new URL(answer.location).searchParams.get("code") : elements(answer.html).find(({ name }) => name === "code").text;
  return { page, answer, code, verifier };
}

const exchange = (body) => callJson(gateway, "auth/keys", { body });
const works = async (key) => (await chat(gateway, key, { model: "test/openai" })).status;

test("an app gets a key with the limit and the end that the person saw", async () => {
  const { page, answer, code, verifier } = await granted(
    { limit: "2.5", usage_limit_type: "weekly", expires_at: "2099-01-31T00:00:00Z", key_label: "An <App>", state: "s&t" },
  );
  const all = elements(page.html);
  const text = all.find(({ name }) => name === "main").text;
  for (const part of ["app.example asks for a key", "https://app.example", "ada@example.com", "An <App>", "2099-01-31"]) assert.ok(text.includes(part), part);
  const { fields } = formOf(page.html);
  assert.deepEqual([fields.limit, fields.usage_limit_type, fields.account], ["2.5", "weekly", account]);
  assert.ok(all.some(({ name, text: shown }) => name === "option" && shown === "Ada & <Co>"));
  assert.ok(all.every(({ name, attributes }) => name !== "script" && !Object.keys(attributes).some((each) => /^on|^src$/.test(each))));
  const policy = page.headers.get("content-security-policy");
  assert.match(policy, /form-action 'self' https:;.*frame-ancestors 'none'/);
  assert.equal(page.headers.get("x-frame-options"), "DENY");

  assert.equal(answer.status, 303);
  const to = new URL(answer.location);
  assert.deepEqual([to.origin + to.pathname, to.searchParams.get("kept"), to.searchParams.get("state")], ["https://app.example/callback", "1", "s&t"]);
  const { status, body } = await exchange({ code, code_verifier: verifier, code_challenge_method: "S256" });
  assert.deepEqual([status, Object.keys(body), body.user_id], [200, ["key", "user_id"], user.id]);
  assert.equal(await works(body.key), 200);
  const { data } = (await callJson(gateway, "key", { key: body.key })).body;
  assert.deepEqual([data.limit, data.limit_reset, data.expires_at.slice(0, 10), data.creator_user_id], [2.5, "weekly", "2099-01-31", user.id]);
  assert.equal(data.name, "An <App> (app.example)");
  const rows = JSON.stringify(await gateway.d1("SELECT * FROM app_codes"));
  assert.ok(!rows.includes(code) && !rows.includes(verifier));
});

test("a code works once: sent again it ends the key that it made", async () => {
  const { code, verifier } = await granted();
  const first = await exchange({ code, code_verifier: verifier });
  assert.equal(await works(first.body.key), 200);
  const again = await exchange({ code, code_verifier: verifier });
  assert.equal(again.status, 403);
  assert.equal(await works(first.body.key), 401);
  const forged = await exchange({ code: "A".repeat(43), code_verifier: verifier });
  assert.deepEqual([forged.status, forged.body.error.message], [403, again.body.error.message]);
});

test("of many exchanges at once none leaves a key behind", async () => {
  const { code, verifier } = await granted();
  const all = await Promise.all(Array.from({ length: 8 }, () => exchange({ code, code_verifier: verifier })));
  const keys = all.flatMap(({ status, body }) => (status === 200 ? [body.key] : []));
  assert.ok(keys.length <= 1);
  for (const key of keys) assert.equal(await works(key), 401);
  const alive = await gateway.d1("SELECT count(*) AS n FROM api_keys WHERE deleted = 0 AND hash IN (SELECT key_hash FROM app_codes WHERE revoked_at IS NOT NULL)");
  assert.equal(alive[0].n, 0);
});

test("only who asked can exchange, in time, and a wrong try ends nothing", async () => {
  const { code, verifier } = await granted();
  for (const body of [{ code }, { code, code_verifier: pkce().verifier }, { code, code_verifier: verifier, code_challenge_method: "plain" }]) {
    assert.equal((await exchange(body)).status, 403);
  }
  assert.deepEqual((await exchange({ code, code_verifier: verifier, code_challenge_method: "S512" })).status, 400);
  assert.equal((await callJson(gateway, "auth/keys")).status, 405);
  const { body } = await exchange({ code, code_verifier: verifier });
  assert.equal((await exchange({ code, code_verifier: pkce().verifier })).status, 403);
  assert.equal(await works(body.key), 200, "who cannot prove to be the app ends nobody's key");

  const late = await granted();
  await gateway.d1("UPDATE app_codes SET expires_at = 1 WHERE used_at IS NULL");
  assert.equal((await exchange({ code: late.code, code_verifier: late.verifier })).status, 403);

  const { verifier: plain } = pkce();
  const known = await granted({ code_challenge: plain, code_challenge_method: "plain" });
  assert.equal((await exchange({ code: known.code, code_verifier: plain, code_challenge_method: "plain" })).status, 200);
  const without = await granted({ code_challenge: "", code_challenge_method: "" });
  assert.equal((await exchange({ code: without.code })).status, 200);
});

test("without an address to call back the code is shown, and needs a challenge", async () => {
  assert.equal((await user.open("/auth")).status, 400);
  const { answer, code, verifier, page } = await granted({ callback_url: "" });
  assert.deepEqual([answer.status, answer.location], [200, undefined]);
  assert.match(page.headers.get("content-security-policy"), /form-action 'self';/);
  assert.equal((await exchange({ code, code_verifier: verifier })).status, 200);
});

test("the person changes the limit, chooses the account, or refuses", async () => {
  const other = (await gateway.createAccount()).account;
  const limited = await granted({}, { limit: "0.5", usage_limit_type: "daily" });
  const { body } = await exchange({ code: limited.code, code_verifier: limited.verifier });
  const { data } = (await callJson(gateway, "key", { key: body.key })).body;
  assert.deepEqual([data.limit, data.limit_reset], [0.5, "daily"]);

  const refused = await granted({ state: "x" }, { decision: "deny" });
  assert.equal(refused.answer.location, "https://app.example/callback?kept=1&error=access_denied&state=x");
  const { page } = await granted();
  assert.equal((await user.submit(page, { decision: "allow", account: other })).status, 400, "an account that they are not in");
  assert.equal((await user.submit(page, { decision: "allow", limit: "-1" })).status, 400);
  assert.equal((await user.submit(page, { decision: undefined })).location.includes("access_denied"), true, "nothing said is no consent");
});

test("nobody is sent to an address that is no app's, and nobody else presses the button", async () => {
  const { challenge } = pkce();
  for (const callback_url of [
    "http://app.example/", "javascript:alert(1)", "//evil.example", "https://app.example@evil.example/", "http://localhost@evil.example/",
    "http://127.0.0.1.evil.example/", "https://app.example/#x", "data:text/html,x", "ftp://localhost/", "not an address",
  ]) {
    const page = await user.open(authPath({ callback_url, code_challenge: challenge }), { follow: false });
    assert.deepEqual([callback_url, page.status, page.location], [callback_url, 400, undefined]);
  }
  for (const [callback_url, host] of [["http://localhost:51763/cb", "localhost:51763"], ["http://127.0.0.1:1/", "127.0.0.1:1"], ["http://[::1]:8080/x", "[::1]:8080"]]) {
    const page = await user.open(authPath({ callback_url }));
    assert.ok(page.html.includes(`${host} asks for a key`), host);
  }
  const { page } = await granted();
  const { action, fields } = formOf(page.html);
  const form = { ...fields, decision: "allow" };
  assert.equal((await user.open(action, { form: { ...form, csrf: "" } })).status, 403);
  assert.equal((await user.open(action, { form, headers: { origin: "https://app.example" } })).status, 403);
  assert.equal((await user.open(action, { form, headers: { "sec-fetch-site": "cross-site" } })).status, 403);
  assert.equal((await user.open(action, { form: { ...form, callback_url: "http://evil.example/" } })).status, 400);
  const stranger = await person(gateway, "eve@example.com");
  assert.equal((await stranger.open(action, { form })).status, 403, "with another's form");
  assert.equal((await new Browser(gateway).open(action, { form })).status, 403, "signed out");
  assert.equal((await stranger.open(authPath({ callback_url: CALLBACK }))).status, 403, "in no account");
});

test("who is not signed in signs in first and comes back", async () => {
  const { challenge } = pkce();
  const wanted = { callback_url: CALLBACK, code_challenge: challenge, code_challenge_method: "S256", limit: "3" };
  const page = await new Browser(gateway).open(authPath({ ...wanted, other: "x" }));
  const to = new URL(page.url);
  assert.equal(to.pathname, "/login");
  const back = new URL(to.searchParams.get("return_to"), gateway.base);
  assert.deepEqual([back.pathname, Object.fromEntries(back.searchParams)], ["/auth", wanted]);
  const forward = await user.open(page.url);
  assert.equal(forward.status, 200);
  assert.equal(formOf(forward.html).fields.limit, "3");
});

test("the key ends with the person's membership, also between code and key", async () => {
  const email = "leaving@example.com";
  const { data } = await gateway.operator.call("POST", `accounts/${account}/members`, { email, role: "member" });
  const leaving = await person(gateway, email);
  const [first, second] = [await granted({}, {}, leaving), await granted({}, {}, leaving)];
  const { body } = await exchange({ code: first.code, code_verifier: first.verifier });
  assert.equal(await works(body.key), 200);
  await gateway.operator.call("DELETE", `accounts/${account}/members/${data.id}`);
  assert.equal(await works(body.key), 401);
  assert.equal((await exchange({ code: second.code, code_verifier: second.verifier })).status, 403);
});

test("a key makes codes for apps, unless it has a limit, an end or a guardrail", async () => {
  const { key, account: own } = await gateway.createAccount();
  const { verifier, challenge } = pkce();
  const body = { callback_url: "https://app.example/cb", code_challenge: challenge, code_challenge_method: "S256", limit: 1, usage_limit_type: "daily", key_label: "By a key" };
  const make = (change = {}, secret = key) => callJson(gateway, "auth/keys/code", { key: secret, body: { ...body, ...change } });
  const made = await make();
  assert.equal(made.status, 200);
  assert.deepEqual(Object.keys(made.body.data), ["id", "app_id", "created_at"]);
  assert.ok(Number.isSafeInteger(made.body.data.app_id));
  assert.equal((await make()).status, 409, "the same challenge again");
  const exchanged = await exchange({ code: made.body.data.id, code_verifier: verifier });
  assert.equal(exchanged.body.user_id, null);
  const { data } = (await callJson(gateway, "key", { key: exchanged.body.key })).body;
  assert.deepEqual([data.name, data.limit, data.limit_reset], ["By a key", 1, "daily"]);
  for (const [change, param] of [
    [{ callback_url: "http://app.example/" }, "callback_url"],
    [{ code_challenge: "short" }, "code_challenge"],
    [{ code_challenge_method: "S512" }, "code_challenge_method"],
    [{ limit: -1 }, "limit"],
    [{ expires_at: "2020-01-01T00:00:00Z" }, "expires_at"],
    [{ usage_limit_type: "hourly" }, "body"],
    [{ color: "red" }, "body"],
  ]) {
    const refused = await make(change);
    assert.deepEqual([change, refused.status, refused.body.error.param], [change, 400, param]);
  }
  assert.equal((await callJson(gateway, "auth/keys/code", { body })).status, 401);
  const limited = await gateway.operator.call("POST", `accounts/${own}/keys`, { name: "limited", limit: "1" });
  assert.equal((await make({ code_challenge: pkce().challenge }, limited.key)).status, 403);
  const { key: guarded, data: { hash } } = await gateway.operator.call("POST", `accounts/${own}/keys`, { name: "guarded" });
  await gateway.d1("INSERT INTO guardrails (id, account, name, settings, created_at) VALUES ('g', ?, 'g', '{}', 0)", own);
  await gateway.d1("INSERT INTO guardrail_keys (key_hash, account, guardrail, id, assigned_by, created_at) VALUES (?, ?, 'g', 'a', 'x', 0)", hash, own);
  assert.equal((await make({ code_challenge: pkce().challenge }, guarded)).status, 403);
});
