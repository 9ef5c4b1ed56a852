// Tools whose providers want tokens, in real workerd, against an office that issues tokens, checks them and takes them back; and jobs there
// that nobody asks about again.
import assert from "node:assert/strict";
import { randomBytes, verify } from "node:crypto";
import { createServer } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { testCatalog } from "./catalog.mjs";
import { callJson, eventually, nanos, settled } from "./client.mjs";
import { serviceAccount } from "./cloud.mjs";
import { startGateway } from "./gateway.mjs";

const LOOK = 2_000_003n, WRITE = 1_000_001n, PRINT = 5_000_007n;
const SCOPE = "https://office.example/auth/desk";
const ACCOUNT = serviceAccount("desk");

/** Each scheme: its row, the operator's secret, and whether what comes to the office for a token is good. */
const SCHEMES = {
  crm: {
    auth: `{ kind = "oauth_client_credentials", token_url = "\${OFFICE}/token", scope = "read write" }`,
    secret: "crm-client:crm-secret-0123456",
    proves: (form) =>
      form.grant_type === "client_credentials" && form.client_id === "crm-client" && form.client_secret === "crm-secret-0123456" && form.scope === "read write",
  },
  letters: {
    auth: `{ kind = "oauth_refresh", token_url = "\${OFFICE}/token" }`,
    secret: "letters-client:letters-secret-0123:refresh-token-0123",
    proves: (form) => form.grant_type === "refresh_token" && form.client_id === "letters-client" && form.client_secret === "letters-secret-0123" && form.refresh_token === "refresh-token-0123",
  },
  sheets: {
    auth: `{ kind = "signed_jwt", token_url = "\${OFFICE}/token", scope = "${SCOPE}" }`,
    secret: ACCOUNT.json,
    proves(form, address) {
      if (form.grant_type !== "urn:ietf:params:oauth:grant-type:jwt-bearer") return false;
      const [header, claims, signature] = form.assertion.split(".");
      const { iss, scope, aud } = JSON.parse(Buffer.from(claims, "base64url"));
      const isSigned = verify("sha256", Buffer.from(`${header}.${claims}`), ACCOUNT.publicKey, Buffer.from(signature, "base64url"));
      return isSigned && iss === ACCOUNT.email && scope === SCOPE && aud === address;
    },
  },
};
/** A key that an account brings. */
const OWN = { secret: "own-client:own-secret-0123456", proves: (form) => form.client_id === "own-client" && form.client_secret === "own-secret-0123456" };

const operation = (name, effect, price, more = "") => `[[operation]]
name = "${name}"
title = "Office ${name}"
description = "Lets the office ${name}."
effect = "${effect}"
retry = "${effect === "read" ? "safe" : "none"}"
price = { call = ${price} }
price_source = "of these tests"
input = '''{"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"], "additionalProperties": false}'''
intents = ["${name} at the office", "let the office ${name}", "office, please ${name}"]
[operation.request]
method = "${effect === "read" ? "GET" : "POST"}"
path = "/${name}"
${more}
`;

const row = (slug) => `slug = "${slug}"
name = "Office ${slug}"
website = "https://office.example"
docs = "https://office.example/docs"
category = "sales"
base_url = "\${OFFICE}/${slug}"
secret = "${slug.toUpperCase()}_KEY"
auth = ${SCHEMES[slug].auth}

${operation("look", "read", LOOK)}
${operation("write", "write", WRITE)}
${operation("print", "write", PRINT, `[operation.response]
job = { id = "/job", status = "/status", done = ["done"], failed = ["failed"], every_ms = 200, max_ms = 600, poll = { path = "/jobs/{id}" } }`)}
`;

/** The office: `issued` are the tokens, `deeds` what was written or printed, `asked` how often a job was asked about. */
async function startOffice() {
  const office = { issued: [], seen: [], deeds: [], asked: 0, isPrinted: false, refuses: undefined };
  const good = new Map();
  const json = (response, status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  const server = createServer(async (request, response) => {
    let raw = "";
    for await (const piece of request) raw += piece;
    const { pathname, searchParams } = new URL(request.url, "http://office");
    if (pathname === "/token") {
      const form = Object.fromEntries(new URLSearchParams(raw));
      if (office.refuses) return json(response, office.refuses, { error: "invalid_grant", error_description: `no ${JSON.stringify(form)}` });
      const [who] = Object.entries({ ...SCHEMES, own: OWN }).find(([, scheme]) => scheme.proves(form, `${office.url}/token`)) ?? [];
      if (!who) return json(response, 401, { error: "invalid_client" });
      const token = `token-${randomBytes(12).toString("hex")}`;
      office.issued.push({ who, token });
      good.set(token, who);
      return json(response, 200, { access_token: token, expires_in: 3600, token_type: "Bearer" });
    }
    const [, slug, ...rest] = pathname.split("/");
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1];
    const who = good.get(token);
    office.seen.push({ slug, what: rest.join("/"), who });
    if (who !== slug && who !== "own") return json(response, 401, { error: `${token} is not good for ${slug}` });
    if (rest[0] === "jobs") {
      office.asked += 1;
      return json(response, 200, { job: rest[1], status: office.isPrinted ? "done" : "printing", pages: 3 });
    }
    const what = request.method === "GET" ? searchParams.get("what") : JSON.parse(raw).what;
    if (rest[0] !== "look") office.deeds.push({ slug, deed: rest[0], what });
    if (rest[0] === "print") return json(response, 200, { job: `job-${office.deeds.length}`, status: "printing" });
    return json(response, 200, { what, by: who, heard: request.headers.authorization });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  office.url = `http://127.0.0.1:${server.address().port}`;
  office.takeBack = () => good.clear();
  office.close = () => new Promise((done) => server.close(done).closeAllConnections());
  return office;
}

let office, gateway;
before(async () => {
  office = await startOffice();
  const slugs = Object.keys(SCHEMES);
  gateway = await startGateway({
    catalog: { ...testCatalog(), tools: Object.fromEntries(slugs.map((slug) => [slug, row(slug)])) },
    vars: {
      OFFICE: office.url,
      BYOK_MASTER_KEY: randomBytes(32).toString("base64"),
      // A job is asked about when nobody has for so long.
      HOLD_LIFETIME_MS: "3000",
      ...Object.fromEntries(slugs.map((slug) => [`${slug.toUpperCase()}_KEY`, SCHEMES[slug].secret])),
    },
  });
});
after(async () => {
  await gateway?.stop();
  await office?.close();
});
beforeEach(() => Object.assign(office, { issued: [], seen: [], deeds: [], asked: 0, isPrinted: false, refuses: undefined }));

const execute = async (key, tool, what) => (await callJson(gateway, "tools/execute", { key, body: { tool, input: { what } } })).body;
const balance = async (account) => nanos((await settled(gateway, account)).balance);

for (const [slug, { secret }] of Object.entries(SCHEMES)) {
  describe(slug, () => {
    /** What nobody may read: the secret, its parts, and every token. */
    const isClean = (answer) => {
      const told = JSON.stringify(answer);
      const parts = slug === "sheets" ? [JSON.parse(secret).private_key.slice(40, 90)] : secret.split(":").slice(1);
      for (const hidden of [...parts, ...office.issued.map(({ token }) => token)]) assert.ok(!told.includes(hidden), told);
    };

    test("one token serves many calls, and stands in no answer", async () => {
      const { key, account } = await gateway.createAccount();
      const start = await balance(account);
      for (const what of ["one", "two", "three"]) {
        const answer = await execute(key, `${slug}/look`, what);
        assert.deepEqual([answer.status, answer.data?.what, answer.data?.by], ["succeeded", what, slug], JSON.stringify(answer));
        isClean(answer);
      }
      assert.deepEqual(office.issued.map(({ who }) => who), [slug]);
      assert.equal(start - (await balance(account)), 3n * LOOK);
    });

    test("one that was taken back is replaced, and what it was refused for is done once", async () => {
      const { key } = await gateway.createAccount();
      await execute(key, `${slug}/look`, "first");
      office.takeBack();
      const answer = await execute(key, `${slug}/write`, "a line");
      assert.equal(answer.status, "succeeded", JSON.stringify(answer));
      assert.deepEqual(office.deeds, [{ slug, deed: "write", what: "a line" }]);
      assert.deepEqual(office.seen.slice(-2).map(({ who }) => who), [undefined, slug]);
      isClean(answer);
    });

    test("without one nothing is done and nothing charged, until there is one again", async () => {
      const { key, account } = await gateway.createAccount();
      const start = await balance(account);
      office.takeBack();
      office.refuses = 400;
      const refused = await execute(key, `${slug}/write`, "a line");
      assert.deepEqual([refused.status, refused.error.class], ["failed", "auth"], JSON.stringify(refused));
      assert.match(refused.error.message, /refused the operator's key/);
      isClean(refused);
      assert.deepEqual([office.deeds, await balance(account)], [[], start]);
      office.refuses = undefined;
      assert.equal((await execute(key, `${slug}/write`, "a line")).status, "succeeded");
      assert.equal(office.deeds.length, 1);
    });
  });
}

test("a client's own id and secret get a token of their own", async () => {
  const { key, account } = await gateway.createAccount();
  const { key: other } = await gateway.createAccount();
  await gateway.operator.call("POST", `accounts/${account}/byok`, { provider: "crm", key: OWN.secret });
  const start = await balance(account);
  const answer = await execute(key, "crm/look", "mine");
  assert.deepEqual([answer.status, answer.data.by, answer.usage.byok], ["succeeded", "own", true], JSON.stringify(answer));
  assert.equal(await balance(account), start);
  assert.equal((await execute(other, "crm/look", "theirs")).data.by, "crm");
  // One that is no good is told so by nobody but its owner's provider: the operator's serves, and is charged.
  const malformed = await gateway.createAccount();
  await gateway.operator.call("POST", `accounts/${malformed.account}/byok`, { provider: "crm", key: "neither-id-nor-secret" });
  const served = await execute(malformed.key, "crm/look", "x");
  assert.deepEqual([served.status, served.data.by, served.usage.byok, nanos(served.usage.cost)], ["succeeded", "crm", false, LOOK], JSON.stringify(served));
});

describe("a job that nobody asks about again", () => {
  const rpc = async (key, method, params) => (await callJson(gateway, "/a2a", { key, body: { jsonrpc: "2.0", id: 1, method, params } })).body.result;
  const message = (what) => ({ messageId: `m-${what}`, role: "ROLE_USER", parts: [{ data: { tool: "crm/print", input: { what } } }] });

  /** How each protocol begins one and leaves, and what it finds later. */
  const WAYS = {
    async rest(key) {
      const answer = await execute(key, "crm/print", "poster");
      assert.equal(answer.status, "running", JSON.stringify(answer));
      return async () => {
        const { body } = await callJson(gateway, `tools/executions/${answer.id}`, { key });
        return [body.status, nanos(body.usage.cost), body.data?.pages];
      };
    },
    async a2a(key) {
      const { task } = await rpc(key, "SendMessage", { message: message("leaflet") });
      assert.equal(task.status.state, "TASK_STATE_WORKING", JSON.stringify(task));
      return async () => {
        const seen = await rpc(key, "GetTask", { id: task.id });
        const envelope = seen.artifacts[0].parts[0].data;
        assert.equal(seen.status.state, "TASK_STATE_COMPLETED");
        return [envelope.status, nanos(envelope.usage.cost), envelope.data?.pages];
      };
    },
  };
  for (const [name, begin] of Object.entries(WAYS)) {
    test(`is asked about by its account, and charged at its end: ${name}`, async () => {
      const { key, account } = await gateway.createAccount();
      const start = await balance(account);
      const found = await begin(key);
      office.isPrinted = true;
      const asked = office.asked;
      await eventually(
        async () => start - nanos((await gateway.account(account)).balance),
        (charged) => charged === PRINT,
        { within: 20_000, what: "the charge of the job" },
      );
      assert.equal(office.asked, asked + 1);
      assert.deepEqual(await found(), ["succeeded", PRINT, 3]);
      assert.equal(office.asked, asked + 1, "who looks afterwards is told what is kept");
      assert.equal(office.deeds.length, 1);
      await settled(gateway, account);
      const [{ cost, rows }] = await gateway.d1("SELECT sum(cost) AS cost, count(*) AS rows FROM usage WHERE account = ?", account);
      assert.deepEqual([BigInt(cost ?? 0), rows], [PRINT, 1]);
    });
  }
});
