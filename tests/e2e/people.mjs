// People for tests: a browser that keeps cookies and reads forms, and issuers that say who they are.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign as signBytes } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

/** Variables with which people can sign in; more of them as the test needs. */
export const peopleVars = (more = {}) => ({ SESSION_SECRET: "the-secret-that-signs-the-cookies-of-tests", SIGN_UP: "open", ...more });

const unescaped = (text) =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&");

const attributes = (text) => Object.fromEntries([...text.matchAll(/([\w-]+)(?:="([^"]*)")?/g)].map(([, name, value = ""]) => [name, unescaped(value)]));

/** The elements of a page, in order: `{name, attributes, text}`; fails where tags do not match. */
export function elements(html) {
  assert.ok(html.startsWith("<!doctype html>"), html.slice(0, 80));
  const VOID = ["meta", "input", "br", "hr", "link", "img"];
  const found = [];
  const open = [];
  for (const [, closing, name, rest, text] of html.slice("<!doctype html>".length).matchAll(/<(\/?)([a-z][a-z0-9]*)([^<>]*)>([^<]*)/g)) {
    if (closing) {
      const last = open.pop();
      assert.equal(last?.name, name, `</${name}> closes <${last?.name}>`);
      if (open.length) open.at(-1).text += last.text + unescaped(text);
    } else {
      const element = { name, attributes: attributes(rest), text: VOID.includes(name) ? "" : unescaped(text) };
      found.push(element);
      if (VOID.includes(name)) open.at(-1).text += unescaped(text);
      else open.push(element);
    }
  }
  assert.deepEqual(open.map(({ name }) => name), [], "every tag is closed");
  return found;
}

/** The one form of a page as it would be sent: `{action, fields}`. */
export function formOf(html) {
  const all = elements(html);
  const forms = all.filter(({ name }) => name === "form");
  assert.equal(forms.length, 1, "a page has one form");
  assert.equal(forms[0].attributes.method, "post");
  const fields = {};
  let select;
  for (const { name, attributes } of all) {
    if (name === "input") fields[attributes.name] = attributes.value ?? "";
    if (name === "select") select = attributes.name;
    if (name === "option" && (!(select in fields) || "selected" in attributes)) fields[select] = attributes.value;
  }
  return { action: forms[0].attributes.action, fields };
}

/** A browser: cookies per origin, redirects followed as far as `knows` says. */
export class Browser {
  #jar = new Map();

  constructor(gateway, knows = []) {
    this.gateway = gateway;
    this.knows = [gateway.base, ...knows];
  }

  /** The cookies of the gateway: name → value. */
  get cookies() {
    return this.#of(this.gateway.base);
  }

  #of(origin) {
    if (!this.#jar.has(origin)) this.#jar.set(origin, new Map());
    return this.#jar.get(origin);
  }

  async #send(url, init) {
    const { origin } = new URL(url);
    const cookies = this.#of(origin);
    const headers = { accept: "text/html,*/*;q=0.8", ...init.headers };
    if (cookies.size) headers.cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value, rest] = /^([^=]+)=([^;]*)(.*)$/.exec(cookie);
      if (/max-age=0\b|expires=Thu, 01 Jan 1970/i.test(rest) || value === "") cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  }

  /**
   * Opens an address, or sends a form to it: `{status, url, html, headers, location}`. A redirect to where nobody is known ends
   * the way; `location` says where it would lead. `follow: false` ends it at the first answer.
   */
  async open(path, { form, headers = {}, follow = true } = {}) {
    let url = new URL(path, this.gateway.base).href;
    let init = { method: "GET", headers };
    if (form) {
      const own = { "content-type": "application/x-www-form-urlencoded", origin: this.gateway.base, "sec-fetch-site": "same-origin" };
      init = { method: "POST", body: new URLSearchParams(form).toString(), headers: { ...own, ...headers } };
    }
    for (let hops = 0; hops < 15; hops += 1) {
      const response = await this.#send(url, init);
      const location = response.headers.get("location");
      const next = location && new URL(location, url);
      if (!next || !follow || !this.knows.includes(next.origin)) {
        return { status: response.status, url, headers: response.headers, html: await response.text(), location: location ?? undefined };
      }
      url = next.href;
      init = { method: "GET", headers };
    }
    throw new Error(`too many redirects, the last one to ${url}`);
  }

  /** Sends the form of a page, with changes. */
  submit(page, changes = {}, options = {}) {
    const { action, fields } = formOf(page.html);
    const form = Object.fromEntries(Object.entries({ ...fields, ...changes }).filter(([, value]) => value !== undefined));
    return this.open(action, { ...options, form });
  }

  /** A route of the API by cookie, with the session's token: `{status, body}`. */
  async api(method, path, body, headers = {}) {
    if (method !== "GET") this.csrf ??= (await this.api("GET", "me")).body.data?.csrf_token;
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(`${this.gateway.base}/api/v1/${path}`, {
      method,
      headers: {
        ...(cookie && { cookie }),
        ...(method !== "GET" && { "x-csrf-token": this.csrf ?? "", "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  }
}

/** Somebody who came by the operator's link: a browser that is signed in, with `id` and `email`. */
export async function person(gateway, email) {
  const { data } = await gateway.operator.call("POST", "login-links", { email });
  const browser = new Browser(gateway);
  const page = await browser.open(data.url);
  const done = await browser.submit(page);
  assert.equal(done.status, 200, done.html);
  return Object.assign(browser, { id: data.user_id, email });
}

function listen(handler, host = "127.0.0.1") {
  return new Promise((done) => {
    const server = createServer(handler).listen(0, "127.0.0.1", () =>
      done({
        url: `http://${host}:${server.address().port}`,
        close: () => {
          server.closeAllConnections();
          return new Promise((closed) => server.close(closed));
        },
      }),
    );
  });
}

const read = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
};

/**
 * The OpenID provider of the package `oidc-provider`, which lets whoever asks in as `issuer.account`; with `issuer.asks` it shows a
 * page with a button before. It begins to answer for a gateway with `serve(gateway)`.
 */
export async function startIssuer({ host } = {}) {
  const require = createRequire(join(import.meta.dirname, "..", "sdk", "package.json"));
  const { default: Provider } = await import(require.resolve("oidc-provider"));
  let answer = (_, response) => response.writeHead(503).end();
  const server = await listen((request, response) => answer(request, response), host);
  const issuer = { ...server, account: { sub: "1", email: "one@example.com", email_verified: true, name: "One" }, clientId: "patchbay", clientSecret: "secret of tests" };
  issuer.serve = (gateway) => {
    const accounts = new Map();
    const provider = new Provider(server.url, {
      clients: [{ client_id: issuer.clientId, client_secret: issuer.clientSecret, redirect_uris: [`${gateway.base}/login/oidc/callback`] }],
      claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
      cookies: { keys: ["cookies of tests"] },
      pkce: { required: () => true },
      features: { devInteractions: { enabled: false } },
      interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
      findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...accounts.get(id) }) }),
      async loadExistingGrant({ oidc }) {
        const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
        grant.addOIDCScope("openid email profile");
        await grant.save();
        return grant;
      },
      ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    });
    const answered = provider.callback();
    answer = async (request, response) => {
      if (!request.url.startsWith("/interaction/")) return answered(request, response);
      if (issuer.asks && request.method === "GET") {
        response.writeHead(200, { "content-type": "text/html" });
        return response.end(`<!doctype html><title>Issuer</title><link rel="icon" href="data:,"><form method="post"><button>Let me in</button></form>`);
      }
      accounts.set(issuer.account.sub, { ...issuer.account });
      await provider.interactionFinished(request, response, { login: { accountId: issuer.account.sub, remember: false } }, { mergeWithLastSubmission: false });
    };
  };
  return issuer;
}

const base64url = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A key pair of an issuer: `{jwk, sign}`. */
export function signingKey(kid, algorithm = "RS256") {
  const { publicKey, privateKey } = algorithm === "RS256" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    algorithm,
    jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: algorithm },
    sign: (text) => signBytes("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url"),
  };
}

/**
 * An issuer that says whatever the test wants: `keys` are the ones that it publishes, `token({nonce})` the ID token that the next
 * code brings. Counts how often its keys were asked for.
 */
export async function startForge() {
  const forge = { keys: [signingKey("first")], asked: 0, userinfo: undefined, status: 200 };
  const json = (response, value, status = 200) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  const server = await listen(async (request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    if (path === "/.well-known/openid-configuration") {
      return json(response, {
        issuer: forge.url,
        authorization_endpoint: `${forge.url}/authorize`,
        token_endpoint: `${forge.url}/token`,
        jwks_uri: `${forge.url}/keys`,
        ...(forge.userinfo && { userinfo_endpoint: `${forge.url}/userinfo` }),
      });
    }
    if (path === "/keys") {
      forge.asked += 1;
      return json(response, { keys: forge.keys.map(({ jwk }) => jwk) });
    }
    if (path === "/userinfo") return json(response, forge.userinfo);
    forge.exchange = { body: new URLSearchParams(await read(request)), authorization: request.headers.authorization };
    return json(response, forge.status === 200 ? { access_token: "a", token_type: "Bearer", id_token: forge.token } : { error: "invalid_grant" }, forge.status);
  });
  Object.assign(forge, server);
  /** An ID token of this issuer's, with what is changed of it. */
  forge.issue = (claims, { head = {}, key = forge.keys[0], signature } = {}) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: forge.url, aud: "patchbay", sub: "7", iat: now, exp: now + 60, ...claims };
    const text = `${base64url({ alg: key.algorithm, kid: key.jwk.kid, ...head })}.${base64url(all)}`;
    return `${text}.${signature ?? key.sign(text)}`;
  };
  return forge;
}

/** A stand-in for GitHub with its real addresses, statuses and words: `user` and `emails` say who comes. */
export async function startGitHub() {
  const github = { user: { id: 1, login: "octo", name: "Octo" }, emails: [], clientId: "Iv1.tests", clientSecret: "github secret" };
  const codes = new Map();
  const json = (response, value, status = 200) => response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(value));
  const server = await listen(async (request, response) => {
    const url = new URL(request.url, "http://x");
    const get = (name) => url.searchParams.get(name);
    if (url.pathname === "/login/oauth/authorize") {
      assert.deepEqual([get("client_id"), get("scope"), get("code_challenge_method")], [github.clientId, "read:user user:email", "S256"]);
      const code = randomBytes(10).toString("hex");
      codes.set(code, { challenge: get("code_challenge"), redirect: get("redirect_uri") });
      const to = new URL(get("redirect_uri"));
      to.searchParams.set("code", code);
      to.searchParams.set("state", get("state"));
      return response.writeHead(302, { location: to.href }).end();
    }
    if (url.pathname === "/login/oauth/access_token") {
      const form = new URLSearchParams(await read(request));
      const known = codes.get(form.get("code"));
      codes.delete(form.get("code"));
      const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
      assert.equal(request.headers.accept, "application/json");
      if (form.get("client_secret") !== github.clientSecret) return json(response, { error: "incorrect_client_credentials" });
      if (known?.challenge !== challenge || known.redirect !== form.get("redirect_uri")) return json(response, { error: "bad_verification_code" });
      return json(response, { access_token: "gho_test", token_type: "bearer", scope: "read:user,user:email" });
    }
    // The API refuses who does not say who they are.
    if (!request.headers["user-agent"]) return json(response, { message: "Request forbidden by administrative rules." }, 403);
    if (request.headers.authorization !== "Bearer gho_test") return json(response, { message: "Bad credentials" }, 401);
    if (url.pathname === "/user") return json(response, github.user);
    if (url.pathname === "/user/emails") return json(response, github.emails);
    return json(response, { message: "Not Found" }, 404);
  });
  return Object.assign(github, server);
}

/** A verifier and its S256 challenge. */
export function pkce() {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}
