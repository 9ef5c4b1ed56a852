// How a client that knows only the address of /mcp gets a key: what MCP's clients do by themselves, step by step, with a person who allows it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { startGateway } from "../e2e/gateway.mjs";
import { peopleVars, person } from "../e2e/people.mjs";

let gateway;
before(async () => (gateway = await startGateway({ vars: peopleVars(), catalog: null })));
after(() => gateway?.stop());

const json = async (url, options) => {
  const response = await fetch(url, options);
  return { status: response.status, headers: response.headers, body: await response.json() };
};
const post = (path, body, type = "application/json") => json(`${gateway.base}${path}`, { method: "POST", headers: { "content-type": type }, body });
const form = (fields) => new URLSearchParams(fields).toString();
const CALLBACK = "http://127.0.0.1:33418/callback";

async function discovered() {
  const refused = await json(`${gateway.base}/mcp`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(refused.status, 401);
  const [, address] = /resource_metadata="([^"]+)"/.exec(refused.headers.get("www-authenticate"));
  const resource = (await json(address)).body;
  assert.equal(resource.resource, `${gateway.base}/mcp`);
  const [issuer] = resource.authorization_servers;
  const server = (await json(`${issuer}/.well-known/oauth-authorization-server`)).body;
  assert.equal(server.issuer, issuer);
  assert.deepEqual(server.code_challenge_methods_supported, ["S256"]);
  return server;
}

test("a client registers, a person allows it, and the code becomes a key that opens /mcp", async () => {
  const server = await discovered();
  const client = await json(server.registration_endpoint, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: "Editor", redirect_uris: ["http://127.0.0.1:1/callback"], token_endpoint_auth_method: "none" }),
  });
  assert.equal(client.status, 201);
  const verifier = randomBytes(32).toString("base64url");
  const query = form({
    response_type: "code",
    client_id: client.body.client_id,
    // Another port than the one that was registered: it was taken.
    redirect_uri: CALLBACK,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    state: "the state",
    scope: "tools",
    resource: `${gateway.base}/mcp`,
  });
  const browser = await person(gateway, "ann@example.com");
  await browser.api("POST", "me/accounts", { name: "Ann" });
  const asked = await browser.open(`${new URL(server.authorization_endpoint).pathname}?${query}`);
  assert.equal(new URL(asked.url).pathname, "/auth");
  assert.match(asked.html, /127\.0\.0\.1:33418/);
  const answer = await browser.submit(asked, { decision: "allow" });
  const back = new URL(answer.location);
  assert.equal(`${back.origin}${back.pathname}`, CALLBACK);
  assert.equal(back.searchParams.get("state"), "the state");
  assert.equal(back.searchParams.get("iss"), gateway.base);
  const exchange = { grant_type: "authorization_code", code: back.searchParams.get("code"), client_id: client.body.client_id, redirect_uri: CALLBACK };
  const wrong = await post("/oauth/token", form({ ...exchange, code_verifier: "x".repeat(43) }), "application/x-www-form-urlencoded");
  assert.deepEqual([wrong.status, wrong.body.error], [400, "invalid_grant"]);
  const granted = await post("/oauth/token", form({ ...exchange, code_verifier: verifier }), "application/x-www-form-urlencoded");
  assert.equal(granted.status, 200, JSON.stringify(granted.body));
  assert.equal(granted.headers.get("cache-control"), "no-store");
  assert.match(granted.body.access_token, /^sk-pb-v1-/);

  const ping = await json(`${gateway.base}/mcp`, {
    method: "POST",
    headers: { authorization: `Bearer ${granted.body.access_token}`, "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  });
  assert.deepEqual([ping.status, ping.body.result], [200, {}]);
  // Sent again the code ends the key.
  const again = await post("/oauth/token", form({ ...exchange, code_verifier: verifier }), "application/x-www-form-urlencoded");
  assert.deepEqual([again.status, again.body.error], [400, "invalid_grant"]);
});

test("nobody is sent to an address that the client did not register, and what is wrong is told to the client", async () => {
  const { body: client } = await post("/oauth/register", JSON.stringify({ redirect_uris: ["https://app.example/cb"] }));
  const ask = (more) => {
    const query = form({ response_type: "code", client_id: client.client_id, redirect_uri: "https://app.example/cb", code_challenge: "c".repeat(43), code_challenge_method: "S256", ...more });
    return fetch(`${gateway.base}/oauth/authorize?${query}`, { redirect: "manual" });
  };
  for (const more of [{ redirect_uri: "https://evil.example/cb" }, { client_id: "x" }, { client_id: `${client.client_id}x` }]) {
    const refused = await ask(more);
    assert.deepEqual([refused.status, refused.headers.get("location")], [400, null], JSON.stringify(more));
  }
  for (const [more, error] of [
    [{ response_type: "token" }, "unsupported_response_type"],
    [{ code_challenge_method: "plain" }, "invalid_request"],
    [{ resource: "https://other.example/mcp" }, "invalid_target"],
  ]) {
    const refused = await ask({ ...more, state: "s" });
    const back = new URL(refused.headers.get("location"));
    assert.deepEqual([back.origin, back.searchParams.get("error"), back.searchParams.get("state")], ["https://app.example", error, "s"]);
  }
  for (const redirect_uris of [undefined, [], ["http://app.example/cb"], ["javascript://x"], ["https://a@app.example/"]]) {
    const refused = await post("/oauth/register", JSON.stringify({ redirect_uris }));
    assert.equal(refused.status, 400, JSON.stringify(redirect_uris));
  }
});

test("a gateway where nobody can sign in names no authorization server", async () => {
  const bare = await startGateway({ catalog: null });
  try {
    const { body } = await json(`${bare.base}/.well-known/oauth-protected-resource`);
    assert.deepEqual([body.resource, body.authorization_servers], [`${bare.base}/mcp`, undefined]);
  } finally {
    await bare.stop();
  }
});
