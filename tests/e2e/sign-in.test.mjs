// People sign in: with an OpenID provider, with GitHub, by the operator's link; and nobody signs in as somebody else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { Browser, elements, formOf, peopleVars, person, signingKey, startForge, startGitHub, startIssuer } from "./people.mjs";

let gateway, guarded, issuer, forge, github, vars;
const SESSION = "patchbay-session";

before(async () => {
  [issuer, forge, github] = await Promise.all([startIssuer(), startForge(), startGitHub()]);
  vars = peopleVars({
    OIDC_ISSUER: issuer.url,
    OIDC_NAME: "the <Issuer>",
    OIDC_CLIENT_ID: issuer.clientId,
    OIDC_CLIENT_SECRET: issuer.clientSecret,
    OIDC_2_ISSUER: forge.url,
    OIDC_2_CLIENT_ID: "patchbay",
    GITHUB_CLIENT_ID: github.clientId,
    GITHUB_CLIENT_SECRET: github.clientSecret,
    GITHUB_BASE_URL: github.url,
    GITHUB_API_URL: github.url,
    OPERATOR_EMAILS: "ops@example.com",
  });
  [gateway, guarded] = await Promise.all([startGateway({ vars }), startGateway({ vars: { ...vars, SIGN_UP: "invitation" } })]);
  issuer.serve(gateway);
});
after(() => Promise.all([gateway?.stop(), guarded?.stop(), issuer?.close(), forge?.close(), github?.close()]));

const visit = (at = gateway) => new Browser(at, [issuer.url, github.url]);
const me = async (browser) => (await browser.api("GET", "me")).body.data;

/** Signs in with the OpenID provider as this account. */
async function withOidc(account, browser = visit(), returnTo = "/login") {
  issuer.account = { email_verified: true, name: "", ...account };
  return { browser, page: await browser.open(`/login/oidc?return_to=${encodeURIComponent(returnTo)}`) };
}

async function withGitHub(user, emails, browser = visit()) {
  Object.assign(github, { user: { login: "octo", name: "Octo", ...user }, emails });
  return { browser, page: await browser.open("/login/github") };
}

/** An answer of the forge's to a sign-in that was begun: claims and how they are signed. */
async function forged(claims, how, browser = new Browser(gateway)) {
  const begun = await browser.open("/login/oidc-2", { follow: false });
  const asked = new URL(begun.location).searchParams;
  forge.token = forge.issue({ nonce: asked.get("nonce"), ...claims }, how);
  const page = await browser.open(`/login/oidc-2/callback?code=c&state=${asked.get("state")}`, { headers: { accept: "application/json" } });
  return { browser, page, asked, signedIn: browser.cookies.has(SESSION) };
}

test("the page of sign-in has every way, and runs and loads nothing", async () => {
  const page = await visit().open("/login?return_to=/auth?x=1");
  assert.equal(page.status, 200);
  const ways = elements(page.html).filter(({ name }) => name === "a");
  assert.deepEqual(ways.map(({ text }) => text), ["the <Issuer>", new URL(forge.url).host, "GitHub"].map((name) => `Continue with ${name}`));
  assert.equal(ways[0].attributes.href, "/login/oidc?return_to=%2Fauth%3Fx%3D1");
  assert.doesNotMatch(page.html, /<script|src=|url\(|@import|\son\w+=/i);
  const policy = page.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
  assert.equal(page.headers.get("access-control-allow-origin"), null);
});

test("a new person signs in with the OpenID provider, has an account, makes a key and signs out", async () => {
  const { browser, page } = await withOidc({ sub: "ada", email: "Ada@Example.com", name: "Ada Lovelace" });
  assert.deepEqual([page.status, new URL(page.url).pathname], [200, "/login"]);
  assert.match(page.html, /ada@example\.com/);
  assert.deepEqual([...browser.cookies.keys()], [SESSION], "the cookie of the way is gone");
  const told = await me(browser);
  assert.deepEqual([told.email, told.first_name, told.last_name, told.account.role, told.is_operator], ["ada@example.com", "Ada", "Lovelace", "owner", false]);

  await gateway.operator.call("POST", `accounts/${told.account.id}/grants`, { id: "g", amount_usd: "1" });
  const made = await browser.api("POST", "keys", { name: "mine" });
  assert.deepEqual([made.status, made.body.data.creator_user_id], [201, told.id]);
  assert.equal((await chat(gateway, made.body.key, { model: "test/openai" })).status, 200);

  const cookie = browser.cookies.get(SESSION);
  // Another site's form brings no cookie, and takes none away.
  const foreign = await visit().open("/logout", { form: {}, headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" } });
  assert.deepEqual([foreign.status, foreign.headers.get("set-cookie")], [403, null]);
  const out = await browser.submit(page);
  assert.deepEqual([out.status, browser.cookies.has(SESSION)], [200, false]);
  browser.cookies.set(SESSION, cookie);
  assert.equal((await browser.api("GET", "me")).status, 401, "the session is over, not only its cookie");

  // The same person comes back: no second account.
  const again = await withOidc({ sub: "ada", email: "ada@example.com", name: "Ada Lovelace" });
  assert.deepEqual((await me(again.browser)).account, told.account);
  const actions = await gateway.d1("SELECT action FROM audit_log WHERE actor = ? ORDER BY seq", `user:${told.id}`);
  assert.deepEqual(actions.map(({ action }) => action), ["user.create", "sign_in", "key.create", "sign_out", "sign_in"]);
});

test("the cookie is for this site, out of scripts' sight, and of https alone where there is https", async () => {
  const browser = visit();
  const begun = await browser.open("/login/oidc", { follow: false });
  assert.match(begun.headers.get("set-cookie"), /^patchbay-flow=[^;]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);
  assert.equal(begun.status, 303);
  const asked = new URL(begun.location).searchParams;
  assert.deepEqual([asked.get("code_challenge_method"), asked.get("scope")], ["S256", "openid email profile"]);
  assert.ok(asked.get("state").length === 43 && asked.get("nonce").length === 43 && asked.get("code_challenge").length === 43);
});

test("ES256 is read, and a key that the issuer rotated in is fetched once", async () => {
  const first = await forged({ sub: "rotated", email: "rotated@example.com", email_verified: true });
  assert.ok(first.signedIn, first.page.html);
  const before = forge.asked;
  forge.keys = [signingKey("second", "ES256")];
  const second = await forged({ sub: "rotated" });
  assert.ok(second.signedIn, second.page.html);
  assert.equal(forge.asked, before + 1);
  assert.deepEqual((await me(first.browser)).id, (await me(second.browser)).id);
  assert.ok((await forged({ sub: "rotated" })).signedIn);
  assert.equal(forge.asked, before + 1, "known from then on");
});

test("no forged token signs anybody in", async () => {
  forge.keys = [signingKey("true")];
  const stranger = signingKey("true");
  const secret = { algorithm: "HS256", jwk: { kid: "true" }, sign: () => "c2ln" };
  const past = Math.floor(Date.now() / 1000) - 3_600;
  for (const [what, claims, how] of [
    ["signed by another", {}, { key: stranger }],
    ["signed by a key that is not published", {}, { key: signingKey("unknown") }],
    ["not signed", {}, { head: { alg: "none" }, signature: "" }],
    ["signed with a shared secret", {}, { key: secret }],
    ["of another issuer", { iss: "https://id.example" }],
    ["for another client", { aud: "other" }],
    ["for several clients", { aud: ["patchbay", "other"] }],
    ["expired", { exp: past }],
    ["from the future", { iat: past + 7_200 }],
    ["for another question", { nonce: "x" }],
    ["of nobody", { sub: "" }],
    ["not a token", {}, { head: "x", signature: "!" }],
  ]) {
    const { signedIn, page } = await forged({ sub: "victim", ...claims }, how);
    assert.deepEqual([what, signedIn, page.status], [what, false, 502], page.html);
    assert.doesNotMatch(page.html, /signature|nonce|audience/i, "the details are in the log");
  }
  assert.equal((await gateway.d1("SELECT count(*) AS n FROM identities WHERE subject = 'victim'"))[0].n, 0);
  forge.status = 400;
  assert.equal((await forged({ sub: "victim" })).signedIn, false);
  forge.status = 200;
  assert.ok((await forged({ sub: "someone" })).signedIn, "the true one does");
});

test("an answer counts only in the browser that asked, for what it asked, and once", async () => {
  const begin = async () => {
    const browser = new Browser(gateway);
    const begun = await browser.open("/login/oidc-2", { follow: false });
    return { browser, asked: new URL(begun.location).searchParams };
  };
  const [one, other] = [await begin(), await begin()];
  forge.token = forge.issue({ sub: "state", nonce: one.asked.get("nonce") });
  const back = (browser, way, state) => browser.open(`/login/${way}/callback?code=c&state=${state}`);
  for (const [what, browser, way, state] of [
    ["another browser", other.browser, "oidc-2", one.asked.get("state")],
    ["a browser that never asked", new Browser(gateway), "oidc-2", one.asked.get("state")],
    ["no state", one.browser, "oidc-2", ""],
    ["a forged state", one.browser, "oidc-2", "A".repeat(43)],
    ["another way", one.browser, "oidc", one.asked.get("state")],
  ]) {
    const page = await back(browser, way, state);
    assert.deepEqual([what, page.status, browser.cookies.has(SESSION)], [what, 400, false]);
  }
  const tampered = one.browser.cookies.get("patchbay-flow");
  one.browser.cookies.set("patchbay-flow", `${tampered.slice(0, 5)}${tampered[5] === "A" ? "B" : "A"}${tampered.slice(6)}`);
  assert.equal((await back(one.browser, "oidc-2", one.asked.get("state"))).status, 400, "a forged cookie");
  one.browser.cookies.set("patchbay-flow", tampered);
  assert.equal((await back(one.browser, "oidc-2", one.asked.get("state"))).status, 200);
  assert.equal((await back(one.browser, "oidc-2", one.asked.get("state"))).status, 400, "a second time");
  // What the issuer refuses is told, and cannot write into the page.
  const refused = await begin();
  const page = await refused.browser.open(`/login/oidc-2/callback?error=<script>x</script>&state=${refused.asked.get("state")}`);
  assert.equal(page.status, 403);
  assert.ok(elements(page.html).every(({ name }) => name !== "script"));
  assert.match(page.html, /&lt;script&gt;/);
});

test("a sign-in begins a new session and ends the one before", async () => {
  const { browser } = await withOidc({ sub: "fixed", email: "fixed@example.com" });
  const planted = browser.cookies.get(SESSION);
  await withOidc({ sub: "fixed", email: "fixed@example.com" }, browser);
  assert.notEqual(browser.cookies.get(SESSION), planted);
  assert.equal((await browser.api("GET", "me")).status, 200);
  browser.cookies.set(SESSION, planted);
  assert.equal((await browser.api("GET", "me")).status, 401);
});

test("people are joined by an address that both sides verified, and by nothing else", async () => {
  const { browser } = await withOidc({ sub: "join", email: "join@example.com" });
  const { id } = await me(browser);
  const email = (address, flags = {}) => [{ email: address, primary: true, verified: true, visibility: null, ...flags }];
  const claimed = await withGitHub({ id: 10 }, email("join@example.com", { verified: false }));
  assert.notEqual((await me(claimed.browser)).id, id);
  assert.equal((await me(claimed.browser)).email, null);
  const second = await withGitHub({ id: 11 }, [...email("noreply@example.com", { primary: false }), ...email("Join@Example.com")]);
  assert.equal((await me(second.browser)).id, id);
  // GitHub's number is who it is, whatever the address becomes.
  const moved = await withGitHub({ id: 11, login: "renamed" }, email("elsewhere@example.com"));
  assert.deepEqual([(await me(moved.browser)).id, (await me(moved.browser)).email], [id, "elsewhere@example.com"]);
  const unverified = await withOidc({ sub: "thief", email: "elsewhere@example.com", email_verified: false });
  assert.notEqual((await me(unverified.browser)).id, id);
});

test("nobody is led to another site after signing in", async () => {
  for (const to of ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example", "\\evil"]) {
    const { page } = await withOidc({ sub: "led", email: "led@example.com" }, visit(), to);
    assert.equal(page.url, `${gateway.base}/login`, to);
  }
  const { page, browser } = await withOidc({ sub: "led", email: "led@example.com" }, visit(), "/login?x=1");
  assert.equal(page.url, `${gateway.base}/login?x=1`);
  const onward = await browser.open("/login?return_to=//evil.example", { follow: false });
  assert.deepEqual([onward.status, onward.location], [200, undefined]);
});

test("a link of the operator's signs in once, in its browser, and looking does not use it up", async () => {
  const link = async (email) => (await gateway.operator.call("POST", "login-links", { email })).data;
  const { url, user_id } = await link("linked@example.com");
  const browser = visit();
  await new Browser(gateway).open(url);
  const page = await browser.open(url);
  assert.match(page.html, /linked@example\.com/);
  assert.equal(browser.cookies.has(SESSION), false);

  const { action, fields } = formOf(page.html);
  const elsewhere = visit();
  assert.equal((await elsewhere.open(action, { form: fields })).status, 403, "another browser's form");
  assert.equal((await browser.open(action, { form: { ...fields, csrf: "A".repeat(43) } })).status, 403);
  assert.equal((await browser.open(action, { form: fields, headers: { origin: "https://evil.example" } })).status, 403, "another site's form");
  assert.equal((await browser.submit(page)).status, 200);
  assert.equal((await me(browser)).id, user_id);
  assert.equal((await me(browser)).account, null, "the operator's people come without an account");

  const late = (await link("linked@example.com")).url;
  const prepared = visit();
  const form = await prepared.open(late);
  await gateway.d1("UPDATE login_links SET expires_at = 1 WHERE used_at IS NULL");
  for (const gone of [url, late, `${gateway.base}/login/link?token=${"A".repeat(43)}`, `${gateway.base}/login/link`]) {
    assert.equal((await visit().open(gone)).status, 404, gone);
  }
  assert.equal((await prepared.submit(form)).status, 404);
  const [{ kept }] = await gateway.d1("SELECT group_concat(hash) AS kept FROM login_links");
  assert.ok(!kept.includes(new URL(url).searchParams.get("token")), "no link is kept as it is");
});

test("a change by cookie takes the session's token and comes from this site", async () => {
  const browser = await person(gateway, "csrf@example.com");
  await gateway.operator.call("POST", `accounts/${(await gateway.createAccount()).account}/members`, { email: "csrf@example.com", role: "owner" });
  const other = await person(gateway, "other@example.com");
  const { csrf_token: foreign } = await me(other);
  const make = (headers) => browser.api("POST", "keys", { name: "x" }, headers);
  assert.equal((await make({})).status, 201);
  for (const headers of [{ "x-csrf-token": "" }, { "x-csrf-token": foreign }, { origin: "https://evil.example" }, { "sec-fetch-site": "cross-site" }, { origin: "null" }]) {
    assert.deepEqual([headers, (await make(headers)).status], [headers, 403]);
  }
  assert.equal((await make({ origin: gateway.base, "sec-fetch-site": "same-origin" })).status, 201);
  const read = await browser.api("GET", "keys", undefined, { origin: "https://evil.example" });
  assert.equal(read.headers.get("access-control-allow-credentials"), null);
  // Where a key is sent the cookie does not count.
  const { key } = await gateway.createAccount();
  assert.equal((await make({ authorization: `Bearer ${key}` })).status, 403);
  const forgedCookie = new Browser(gateway);
  for (const value of ["x", "x.y", `${browser.cookies.get(SESSION)}A`, `A${browser.cookies.get(SESSION)}`]) {
    forgedCookie.cookies.set(SESSION, value);
    assert.equal((await forgedCookie.api("GET", "me")).status, 401, value);
  }
});

test("sessions are listed, ended one by one, elsewhere and everywhere", async () => {
  const [one, two] = [await person(gateway, "many@example.com"), await person(gateway, "many@example.com")];
  const listed = (await one.api("GET", "me/sessions")).body;
  assert.deepEqual([listed.total_count, listed.data.filter((each) => each.is_current).length], [2, 1]);
  const stranger = await person(gateway, "stranger@example.com");
  const theirs = listed.data.find((each) => !each.is_current).id;
  assert.equal((await stranger.api("DELETE", `me/sessions/${theirs}`)).status, 404, "another's session");
  assert.equal((await one.api("DELETE", `me/sessions/${theirs}`)).status, 200);
  assert.deepEqual([(await two.api("GET", "me")).status, (await one.api("GET", "me")).status], [401, 200]);
  const three = await person(gateway, "many@example.com");
  assert.equal((await one.api("DELETE", "me/sessions")).status, 200);
  assert.deepEqual([(await one.api("GET", "me")).status, (await three.api("GET", "me")).status], [401, 401]);
});

test("new people come by invitation where the operator says so", async () => {
  issuer.serve(guarded);
  const refused = await withOidc({ sub: "g1", email: "g1@example.com" }, visit(guarded));
  assert.deepEqual([refused.page.status, refused.browser.cookies.has(SESSION)], [403, false]);
  assert.match(refused.page.html, /invitation/);
  assert.equal((await guarded.d1("SELECT count(*) AS n FROM users"))[0].n, 0);

  const { account } = await guarded.createAccount({ name: "The team" });
  const invite = (body) => guarded.operator.call("POST", `accounts/${account}/invitations`, { role: "member", ...body });
  const open = await invite({});
  const browser = visit(guarded);
  const asked = await browser.open(open.url);
  assert.match(asked.url, /\/login\?return_to=%2Finvite/);
  const joined = await withOidc({ sub: "g1", email: "g1@example.com" }, browser, new URL(open.url).pathname + new URL(open.url).search);
  assert.match(joined.page.html, /Join The team/);
  assert.equal((await browser.submit(joined.page)).status, 200);
  assert.deepEqual((await me(browser)).account, { id: account, name: "The team", role: "member" });

  // By address: the invitation is for whoever proves to have it.
  await invite({ email: "G2@example.com" });
  assert.equal((await withOidc({ sub: "g2", email: "g2@example.com", email_verified: false }, visit(guarded))).page.status, 403);
  assert.equal((await withOidc({ sub: "g2", email: "g2@example.com" }, visit(guarded))).page.status, 200);
  assert.equal((await withOidc({ sub: "ops", email: "ops@example.com" }, visit(guarded))).page.status, 200, "the operator needs none");
  assert.equal((await browser.api("POST", "me/accounts", { name: "more" })).status, 403);
  issuer.serve(gateway);
});

test("where sign-up is closed nobody comes in but those whom the operator made, whatever they were sent", async () => {
  const closed = await startGateway({ vars: { ...vars, SIGN_UP: "closed" } });
  try {
    issuer.serve(closed);
    const { account } = await closed.createAccount({ name: "The team" });
    await closed.operator.call("POST", `accounts/${account}/invitations`, { role: "member", email: "c1@example.com" });
    const refused = await withOidc({ sub: "c1", email: "c1@example.com" }, visit(closed));
    assert.deepEqual([refused.page.status, refused.browser.cookies.has(SESSION)], [403, false]);
    assert.match(refused.page.html, /Ask the operator/);
    assert.equal((await closed.d1("SELECT count(*) AS n FROM users"))[0].n, 0);
    await closed.operator.call("POST", `accounts/${account}/members`, { email: "c2@example.com", role: "member" });
    const known = await withOidc({ sub: "c2", email: "c2@example.com" }, visit(closed));
    assert.deepEqual([known.page.status, (await me(known.browser)).account.id], [200, account]);
    assert.equal((await withOidc({ sub: "ops", email: "ops@example.com" }, visit(closed))).page.status, 200, "the operator comes in");
  } finally {
    await closed.stop();
    issuer.serve(gateway);
  }
});

test("a person who is the operator may use the operator's routes, and nobody else", async () => {
  const [ops, user] = [await person(gateway, "ops@example.com"), await person(gateway, "user@example.com")];
  assert.deepEqual([(await ops.api("GET", "admin/accounts")).status, (await user.api("GET", "admin/accounts")).status], [200, 403]);
  const made = await ops.api("POST", "admin/accounts", { name: "by a person" });
  assert.equal(made.status, 201);
  const [row] = await gateway.d1("SELECT actor FROM audit_log WHERE action = 'account.create' AND target = ?", made.body.data.id);
  assert.equal(row.actor, `user:${ops.id}`);
  assert.equal((await ops.api("POST", "admin/accounts", { name: "x" }, { "x-csrf-token": "" })).status, 403);

  // A person who is the operator is named, not their office.
  const account = made.body.data.id;
  const coupon = await ops.api("POST", "admin/coupons", { name: "welcome", amount: "1" });
  assert.equal(coupon.status, 201);
  for (const [method, path, body] of [
    ["PUT", `admin/accounts/${account}/limits`, { requests_per_minute: 60 }],
    ["PUT", `admin/accounts/${account}/credits/settings`, {}],
    ["POST", `admin/accounts/${account}/credits/redeem`, { code: coupon.body.code }],
    ["DELETE", `admin/coupons/${coupon.body.data.id}`],
  ]) {
    const done = await ops.api(method, path, body);
    assert.ok(done.status < 300, `${method} ${path} ${done.status}`);
  }
  const actors = await gateway.d1("SELECT DISTINCT actor FROM audit_log WHERE action LIKE 'coupon.%' OR (account = ? AND action IN ('limits.put', 'credits.settings', 'credits.redeem'))", account);
  assert.deepEqual(actors, [{ actor: `user:${ops.id}` }]);

  const set = (change) => gateway.operator.call("PATCH", `users/${user.id}`, change);
  assert.equal((await set({ operator: true })).data.operator, true);
  assert.equal((await user.api("GET", "admin/accounts")).status, 200);
  await set({ operator: false });
  assert.equal((await user.api("GET", "admin/accounts")).status, 403);
  await set({ disabled: true });
  assert.equal((await user.api("GET", "me")).status, 401);
  await assert.rejects(person(gateway, "user@example.com"));
  const found = await gateway.operator.call("GET", "users?email=USER@example.com");
  assert.deepEqual([found.total_count, found.data[0].disabled], [1, true]);
});

test("a refusal is a page for a browser and JSON for a program", async () => {
  const page = await visit().open("/login/nowhere");
  assert.deepEqual([page.status, page.headers.get("content-type")], [404, "text/html; charset=utf-8"]);
  elements(page.html);
  const program = await callJson(gateway, "/login/nowhere");
  assert.deepEqual([program.status, program.body.error.metadata.error_type], [404, "not_found"]);
  assert.equal((await callJson(gateway, "/login", { method: "POST", body: {} })).status, 405);
  for (const path of ["me", "me/accounts", "me/sessions"]) assert.equal((await callJson(gateway, path)).status, 401, path);
});
