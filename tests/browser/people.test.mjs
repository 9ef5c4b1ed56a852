// People in a real browser: they sign in, give an app a key or refuse it, and sign out; and what other sites try does not work.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callJson, chat, eventually } from "../e2e/client.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { peopleVars, pkce, startIssuer } from "../e2e/people.mjs";
import { look, program, startBrowser, visitor } from "./chromium.mjs";
import { startApp, startTls } from "./sites.mjs";

const HOSTILE = '"><script>owned=1</script><img src=x onerror=owned=1>';
const MODEL = { model: "test/openai" };

describe("in a browser", { skip: !program && "there is no chromium on this machine" }, () => {
  let browser, front, app, issuer, gateway, plain;
  before(async () => {
    // One by one: what was started is known, and ended, where the next does not start.
    browser = await startBrowser();
    front = await startTls();
    app = await startApp();
    issuer = await startIssuer({ host: "localhost" });
    issuer.asks = true;
    const vars = peopleVars({
      PUBLIC_URL: front.url,
      SIGN_UP: "invitation",
      OIDC_ISSUER: issuer.url,
      OIDC_NAME: "Example Accounts",
      OIDC_CLIENT_ID: issuer.clientId,
      OIDC_CLIENT_SECRET: issuer.clientSecret,
    });
    gateway = await startGateway({ vars });
    plain = await startGateway({ vars: peopleVars() });
    front.to = gateway.port;
    issuer.serve({ base: front.url });
  });
  after(async () => {
    await browser?.close();
    await Promise.all([gateway, plain].map((each) => each?.stop()));
    await Promise.all([front, app, issuer].map((each) => each?.close()));
  });

  const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
  const heading = (page) => page.getByRole("heading", { level: 1 }).innerText();
  const at = (page) => new URL(page.url());

  /** The gateway's address to which the app sends people. */
  function wish(query = {}) {
    const { verifier, challenge } = pkce();
    const asked = { callback_url: `${app.url}/back?own=1`, code_challenge: challenge, code_challenge_method: "S256", state: "s&t", ...query };
    return { verifier, url: `${front.url}/auth?${new URLSearchParams(asked)}` };
  }

  /** Goes there as people do: by the link on the app's own page. */
  async function connect(page, url) {
    await page.goto(`${app.url}/start?to=${encodeURIComponent(url)}`);
    await page.getByRole("link", { name: "Connect" }).click();
  }

  /** Somebody in these accounts, not signed in yet. */
  async function member(email, ...names) {
    const accounts = [];
    for (const name of names) {
      const { account } = await gateway.createAccount({ name });
      await gateway.operator.call("POST", `accounts/${account}/members`, { email, role: "member" });
      accounts.push(account);
    }
    return accounts;
  }

  async function signedIn(email, who, from = gateway) {
    const { data } = await from.operator.call("POST", "login-links", { email });
    await who.page.goto(data.url);
    await press(who.page, "Sign in");
    assert.equal(await heading(who.page), "You are signed in");
  }

  const exchanged = (code, verifier) => callJson(gateway, "auth/keys", { body: { code, code_verifier: verifier, code_challenge_method: "S256" } });

  test("by the operator's link somebody signs in, chooses who pays, gives an app a key, refuses another, and signs out", async () => {
    const [, team] = await member("ada@example.com", "Ada's own", "The <Team> & Co");
    const who = await visitor(browser);
    const { page, context } = who;
    const { data } = await gateway.operator.call("POST", "login-links", { email: "ada@example.com" });
    await page.goto(data.url);
    assert.match(await page.getByRole("main").innerText(), /ada@example\.com/);
    await look(page, "link");
    await press(page, "Sign in");
    assert.deepEqual([at(page).href, await heading(page)], [`${front.url}/login`, "You are signed in"]);
    await look(page, "signed-in");

    const [cookie, ...others] = await context.cookies(front.url);
    assert.deepEqual(others, [], "the cookie of the form is gone");
    const { name, domain, path, httpOnly, secure, sameSite, expires } = cookie;
    assert.deepEqual({ name, domain, path, httpOnly, secure, sameSite }, { name: "__Host-patchbay-session", domain: "127.0.0.1", path: "/", httpOnly: true, secure: true, sameSite: "Lax" });
    assert.ok(expires > Date.now() / 1000 + 3600, "it outlives the window");
    assert.equal(await page.evaluate(() => document.cookie), "", "no script would see it");

    const first = wish({ key_label: "My editor", limit: "2.5", usage_limit_type: "weekly", expires_at: "2099-01-31T00:00:00Z" });
    await connect(page, first.url);
    const text = await page.getByRole("main").innerText();
    for (const part of ["ada@example.com", app.url, "My editor", "2099-01-31"]) assert.ok(text.includes(part), part);
    await look(page, "consent");
    await page.getByLabel("Account that pays").selectOption({ label: "The <Team> & Co" });
    await page.getByLabel(/Spending limit/).fill("0.75");
    await page.getByLabel(/The limit holds/).selectOption({ label: "per day" });
    await press(page, "Allow");
    const back = at(page);
    assert.deepEqual([back.origin + back.pathname, back.searchParams.get("own"), back.searchParams.get("state")], [`${app.url}/back`, "1", "s&t"]);
    const request = app.got.find((each) => each.path === "/back");
    assert.equal(request.headers.referer, undefined, "the app is told no address of the gateway's");
    const { status, body } = await exchanged(back.searchParams.get("code"), first.verifier);
    assert.equal(status, 200);
    assert.equal((await chat(gateway, body.key, MODEL)).status, 200);
    const { data: made } = (await callJson(gateway, "key", { key: body.key })).body;
    assert.deepEqual([made.limit, made.limit_reset, made.creator_user_id], [0.75, "daily", data.user_id]);
    const rows = await gateway.d1("SELECT account FROM api_keys WHERE hash = (SELECT key_hash FROM app_codes WHERE used_at IS NOT NULL)");
    assert.deepEqual(rows, [{ account: team }], "who was chosen pays");
    assert.equal((await exchanged(back.searchParams.get("code"), first.verifier)).status, 403, "once");

    await connect(page, wish().url);
    await press(page, "Refuse");
    assert.deepEqual([...at(page).searchParams].sort(), [["error", "access_denied"], ["own", "1"], ["state", "s&t"]]);

    await connect(page, wish({ callback_url: "" }).url);
    await press(page, "Allow");
    assert.equal(await heading(page), "Your code");
    await look(page, "code");

    await page.goto(`${front.url}/login`);
    await press(page, "Sign out");
    assert.match(await heading(page), /^Sign in/);
    assert.deepEqual(await context.cookies(front.url), []);
    await page.goBack();
    assert.doesNotMatch(await page.content(), /ada@example\.com/, "nothing of them stays in the window");
    await connect(page, first.url);
    assert.equal(at(page).pathname, "/login");

    assert.deepEqual(who.problems, []);
    const origins = new Set(who.asked.map((url) => new URL(url).origin));
    assert.deepEqual([...origins].sort(), [app.url, front.url].sort(), "nothing is loaded from elsewhere");
    await context.close();
  });

  test("who comes from an app signs in at the OpenID provider of another site, and is back at what the app asked", async () => {
    const [account] = await member("bob@example.com", "Bob");
    issuer.account = { sub: "bob", email: "bob@example.com", email_verified: true, name: "Bob" };
    const who = await visitor(browser);
    const { page, context } = who;
    const { verifier, url } = wish({ key_label: HOSTILE });
    await connect(page, url);
    assert.equal(at(page).pathname, "/login");
    await look(page, "sign-in");
    await page.getByRole("link", { name: "Continue with Example Accounts" }).click();
    assert.equal(at(page).origin, issuer.url);
    const flow = await context.cookies(front.url);
    assert.deepEqual(flow.map(({ name, httpOnly, secure, sameSite }) => ({ name, httpOnly, secure, sameSite })), [{ name: "__Host-patchbay-flow", httpOnly: true, secure: true, sameSite: "Lax" }]);
    await press(page, "Let me in");
    assert.deepEqual([at(page).origin, at(page).pathname], [front.url, "/auth"]);
    assert.deepEqual((await context.cookies(front.url)).map(({ name }) => name), ["__Host-patchbay-session"], "the way's cookie is gone");
    const text = await page.getByRole("main").innerText();
    assert.ok(text.includes("bob@example.com") && text.includes(HOSTILE), "a name is words, whatever it says");
    await look(page, "consent-hostile");
    assert.equal(await page.evaluate(() => window.owned), undefined);
    await press(page, "Allow");
    const { status, body } = await exchanged(at(page).searchParams.get("code"), verifier);
    assert.deepEqual([status, (await chat(gateway, body.key, MODEL)).status], [200, 200]);
    const keys = await gateway.d1("SELECT account FROM api_keys WHERE name LIKE '%onerror%'");
    assert.deepEqual(keys, [{ account }]);
    assert.deepEqual(who.problems, []);
    await context.close();
  });

  test("an app that sends people on to another origin of its own is reached", async () => {
    await member("cy@example.com", "Cy");
    const who = await visitor(browser);
    await signedIn("cy@example.com", who);
    const { verifier, url } = wish({ callback_url: `${app.url}/moved` });
    await connect(who.page, url);
    await press(who.page, "Allow");
    await eventually(() => at(who.page).href, (href) => href.startsWith(`${app.elsewhere}/landed`), { what: "the app" });
    assert.equal((await exchanged(at(who.page).searchParams.get("code"), verifier)).status, 200);
    assert.deepEqual(who.problems, []);
    await who.context.close();
  });

  test("an invitation is accepted by whom it is for, and refusals say what to do", async () => {
    const { account } = await gateway.createAccount({ name: "Guests" });
    const invite = (email) => gateway.operator.call("POST", `accounts/${account}/invitations`, { email, role: "admin" });
    const { url } = await invite("dee@example.com");
    const who = await visitor(browser);
    const { page } = who;
    issuer.account = { sub: "dee", email: "dee@example.com", email_verified: true, name: "Dee" };
    await page.goto(url);
    await page.getByRole("link", { name: "Continue with Example Accounts" }).click();
    await press(page, "Let me in");
    assert.equal(await heading(page), "Join Guests");
    await look(page, "invitation");
    await press(page, "Join");
    assert.match(await page.getByRole("main").innerText(), /Guests/);
    assert.deepEqual(who.problems, []);

    await page.goto((await invite("somebody@example.com")).url);
    assert.equal(await heading(page), "Not for you");
    await look(page, "not-invited");
    await page.goto(url);
    assert.match(await page.getByRole("alert").innerText(), /accepted already/);
    await look(page, "refusal");
    await who.context.close();

    const stranger = await visitor(browser);
    issuer.account = { sub: "eve", email: "eve@example.com", email_verified: true, name: "Eve" };
    await stranger.page.goto(`${front.url}/login`);
    await stranger.page.getByRole("link", { name: "Continue with Example Accounts" }).click();
    await press(stranger.page, "Let me in");
    assert.match(await stranger.page.getByRole("alert").innerText(), /invitation/);
    assert.deepEqual((await stranger.context.cookies(front.url)).filter(({ name }) => name.endsWith("session")), []);
    await stranger.context.close();
  });

  test("the browser itself refuses scripts, loads and foreign forms on every page, and shows none in a frame", async () => {
    await member("flo@example.com", "Flo");
    const who = await visitor(browser);
    const { page } = who;
    const pages = [`${front.url}/login`, wish({ callback_url: "" }).url, `${front.url}/login/nowhere`];
    await signedIn("flo@example.com", who);
    for (const url of pages) {
      await page.goto(url);
      await page.evaluate(() => {
        window.refused = [];
        document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.effectiveDirective));
        const add = (name, fields) => document.body.append(Object.assign(document.createElement(name), fields));
        add("script", { textContent: "window.owned = 1" });
        add("script", { src: "/health" });
        add("img", { src: "/health" });
        add("style", { textContent: "body { display: none }" });
        add("div", { innerHTML: "<b onclick='window.owned = 1' style='color: red'>x</b>" });
        add("iframe", { src: "/health" });
        document.querySelector("b").click();
        fetch("/health").catch(() => {});
        add("form", { action: "https://evil.example/", method: "post", id: "evil" });
        document.getElementById("evil").submit();
      });
      const expected = ["connect-src", "form-action", "frame-src", "img-src", "script-src-attr", "script-src-elem", "style-src-attr", "style-src-elem"];
      await eventually(() => page.evaluate(() => [...new Set(window.refused)].sort()), (seen) => expected.every((each) => seen.includes(each)), { what: `all of ${expected} at ${url}` });
      assert.equal(await page.evaluate(() => window.owned), undefined);
      assert.equal(page.url(), url);
      who.problems.length = 0;
      await page.goto(`${app.url}/frame?of=${encodeURIComponent(url)}`);
      await eventually(() => who.problems, (seen) => seen.some((text) => /frame-ancestors|in a frame/.test(text)), { what: "a refusal to show it in a frame" });
      for (const frame of page.frames()) assert.doesNotMatch(await frame.content(), /Patchbay/);
    }
    await who.context.close();
  });

  test("another site's button presses none of ours", async () => {
    await member("gus@example.com", "Gus");
    const who = await visitor(browser);
    const { page } = who;
    await signedIn("gus@example.com", who);
    const count = async () => (await gateway.d1("SELECT count(*) AS n FROM app_codes"))[0].n;
    const before = await count();
    const asked = new URL(wish().url).searchParams;
    await page.goto(`${app.url}/forge?${new URLSearchParams({ ...Object.fromEntries(asked), decision: "allow", to: `${front.url}/auth` })}`);
    const [answer] = await Promise.all([page.waitForNavigation(), press(page, "Win a prize")]);
    assert.deepEqual([answer.status(), await count()], [403, before]);
    await page.goto(`${app.url}/forge?to=${encodeURIComponent(`${front.url}/logout`)}`);
    await press(page, "Win a prize");
    await page.goto(`${front.url}/login`);
    assert.equal(await heading(page), "You are signed in", "nobody is signed out from elsewhere");
    await who.context.close();
  });

  test("without TLS it works on one's own machine", async () => {
    const { account } = await plain.createAccount({ name: "Local" });
    await plain.operator.call("POST", `accounts/${account}/members`, { email: "me@example.com", role: "owner" });
    const who = await visitor(browser);
    await signedIn("me@example.com", who, plain);
    const [{ name, httpOnly, secure, sameSite }] = await who.context.cookies(plain.base);
    assert.deepEqual({ name, httpOnly, secure, sameSite }, { name: "patchbay-session", httpOnly: true, secure: false, sameSite: "Lax" });
    await press(who.page, "Sign out");
    await look(who.page, "no-way-in");
    assert.deepEqual([await who.context.cookies(plain.base), who.problems], [[], []]);
    await who.context.close();
  });
});
