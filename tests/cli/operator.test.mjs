// `npm run operator`: accounts, credits, keys and the catalog of a running gateway, as its operator types them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { at } from "../../scripts/lib/project.mjs";
import { chat, settled } from "../e2e/client.mjs";
import { compile, testCatalog } from "../e2e/catalog.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { Browser, peopleVars } from "../e2e/people.mjs";

let gateway;
before(async () => (gateway = await startGateway({ vars: peopleVars() })));
after(() => gateway?.stop());

/** Runs the command line: `{code, out, err}`. */
function run(args, env = {}) {
  const environment = { ...process.env, PATCHBAY_URL: gateway.base, PATCHBAY_OPERATOR_TOKEN: gateway.operator.token, ...env };
  return new Promise((done) => {
    execFile(process.execPath, [at("scripts", "patchbay.mjs"), ...args], { env: environment }, (error, out, err) =>
      done({ code: error?.code ?? 0, out, err }),
    );
  });
}

/** A command that succeeds, its answer as JSON. */
async function answer(...args) {
  const { code, out, err } = await run([...args, "--json"]);
  assert.equal(code, 0, err);
  assert.equal(err, "");
  return JSON.parse(out);
}

/** A command that fails: one clear line, no stack, exit code 1. */
async function refusal(args, env) {
  const { code, out, err } = await run(args, env);
  assert.equal(code, 1, out + err);
  assert.equal(out, "");
  const [line, ...rest] = err.trim().split("\n");
  assert.match(line, /^error: \S/);
  assert.doesNotMatch(err, /^\s+at .*:\d+:\d+/m, "a stack");
  return { line, rest: rest.join("\n") };
}

const account = async (name) => (await answer("accounts", "create", name)).data.id;

test("an account from its opening to its list", async () => {
  const made = (await answer("accounts", "create", "Ada & Co")).data;
  assert.match(made.id, /^acc_\w+$/);
  assert.equal(made.name, "Ada & Co");
  const listed = (await answer("accounts")).data;
  assert.ok(listed.some(({ id, name }) => id === made.id && name === "Ada & Co"));
  const shown = (await answer("accounts", "show", made.id)).data;
  assert.deepEqual([shown.balance, shown.held, shown.available, shown.open_holds], [0, 0, 0, 0]);
});

test("a grant repeated under its id is one grant", async () => {
  const id = await account("granted");
  for (let repeat = 0; repeat < 3; repeat++) {
    const { data } = await answer("grant", id, "2.5", "--id", "invoice-7", "--note", "paid");
    assert.deepEqual(data, { id: "invoice-7", amount: 2.5, balance: 2.5 });
  }
  await answer("grant", id, "0.000000001");
  await answer("grant", id, "0.000000001");
  const { balance, total_credits: total } = (await answer("accounts", "show", id)).data;
  assert.deepEqual([balance, total], [2.500000002, 2.500000002]);
  const { line } = await refusal(["grant", id, "9", "--id", "invoice-7"]);
  assert.match(line, /409 .*invoice-7|409 .*used before/);
  assert.equal((await answer("accounts", "show", id)).data.balance, 2.500000002);
});

// P38
test("a generation's cost is corrected once per reason, and its account's entries tell it", async () => {
  const { account: id, key } = await gateway.createAccount({ usd: "5" });
  const { id: generation, usage } = await chat(gateway, key, { model: "test/openai" });
  const { data } = await answer("correct", id, generation, "0.000000007", "--reason", "wrong price");
  assert.deepEqual([data.generation_id, data.cost_before, data.cost], [generation, usage.cost, 0.000000007]);
  assert.deepEqual((await answer("correct", id, generation, "0.000000007", "--reason", "wrong price")).data, data);
  const entries = (await answer("entries", id)).data;
  assert.deepEqual(entries.map(({ kind, note }) => [kind, note]), [["correction", "wrong price"], ["settle", null], ["grant", null]]);
  assert.equal(entries[0].balance, data.balance);
  const { out } = await run(["entries", id, "--limit", "1"]);
  assert.match(out, /correction/);
  assert.doesNotMatch(out, /settle/);
  assert.match((await refusal(["correct", id, generation, "1"])).line, /--reason/);
  assert.match((await refusal(["correct", id, generation, "1", "--reason", "wrong price"])).line, /409/);
  assert.match((await refusal(["correct", id, "gen-none", "1", "--reason", "x"])).line, /404/);
});

describe("keys", () => {
  test("made, shown once, listed, limited", async () => {
    const id = await account("keys");
    const { data, key } = await answer("keys", "create", id, "laptop", "--limit", "1.25", "--reset", "monthly", "--expires", "2099-01-31T00:00:00Z");
    assert.match(key, /^sk-pb-v1-[0-9a-f]{64}$/);
    assert.deepEqual([data.name, data.limit, data.limit_remaining, data.limit_reset, data.disabled], ["laptop", 1.25, 1.25, "monthly", false]);
    assert.match(data.expires_at, /^2099-01-31T00:00:00/);
    const { out } = await run(["keys", id]);
    assert.match(out, /laptop/);
    assert.ok(!out.includes(key), "the secret is shown only once");
    assert.equal((await answer("keys", id)).data[0].hash, data.hash);
    const limited = (await answer("keys", "limit", data.hash, "3", "--reset", "daily")).data;
    assert.deepEqual([limited.limit, limited.limit_reset], [3, "daily"]);
    assert.equal((await answer("keys", "limit", data.hash, "none")).data.limit, null);
    assert.equal((await answer("keys", "show", data.hash)).data.limit, null);
  });

  test("a disabled key is refused on its next request, an enabled one serves again, a deleted one never", async () => {
    const id = await account("switched");
    await answer("grant", id, "1");
    const { key, data } = await answer("keys", "create", id, "switched");
    const ask = async (stream) => (await chat(gateway, key, { model: "test/openai", stream })).status;
    assert.deepEqual([await ask(false), await ask(true)], [200, 200]);
    assert.equal((await answer("keys", "disable", data.hash)).data.disabled, true);
    assert.deepEqual([await ask(false), await ask(true)], [401, 401]);
    assert.equal((await answer("keys", "enable", data.hash)).data.disabled, false);
    assert.deepEqual([await ask(false), await ask(true)], [200, 200]);
    await answer("keys", "delete", data.hash);
    assert.deepEqual([await ask(false), await ask(true)], [401, 401]);
    assert.deepEqual((await answer("keys", id)).data, []);
    const { line } = await refusal(["keys", "enable", data.hash]);
    assert.match(line, /404/);
  });

  test("a key that has spent its limit is refused", async () => {
    const id = await account("limited");
    await answer("grant", id, "1");
    const { key, data } = await answer("keys", "create", id, "poor", "--limit", "0.000001");
    const ask = () => chat(gateway, key, { model: "test/openai", max_tokens: 100 });
    assert.equal((await ask()).status, 402);
    await answer("keys", "limit", data.hash, "0.5");
    assert.equal((await ask()).status, 200);
  });
});

test("people: put into an account, let in by a link, changed, removed", async () => {
  const id = await account("people");
  const { data } = await answer("members", "add", id, "Ada@Example.com", "--role", "owner");
  assert.deepEqual([data.email, data.account_role], ["ada@example.com", "owner"]);
  assert.match((await refusal(["members", "add", id, "bob@example.com"])).line, /--role/);
  const bob = (await answer("members", "add", id, "bob@example.com", "--role", "member")).data;
  assert.equal((await answer("members", "role", id, bob.id, "admin")).data.account_role, "admin");
  const { out } = await run(["members", id]);
  assert.match(out, /ada@example\.com .*owner/);
  assert.match((await refusal(["members", "remove", id, data.id])).line, /409/);
  assert.deepEqual(await answer("members", "remove", id, bob.id), { deleted: true });

  const invited = await answer("members", "invite", id, "--role", "admin", "--email", "carol@example.com");
  assert.match(invited.url, /\/invite\?token=/);
  const { url } = (await answer("login-link", "ada@example.com")).data;
  const browser = new Browser(gateway);
  assert.equal((await browser.submit(await browser.open(url))).status, 200);
  assert.equal((await browser.api("GET", "me")).body.data.account.id, id);

  assert.equal((await answer("users", "--email", "ada@example.com")).data[0].id, data.id);
  assert.equal((await answer("users", "operator", data.id, "yes")).data.operator, true);
  assert.equal((await browser.api("GET", "admin/accounts")).status, 200);
  assert.match((await refusal(["users", "operator", data.id, "maybe"])).line, /yes or no/);
  assert.equal((await answer("users", "disable", data.id)).data.disabled, true);
  assert.equal((await browser.api("GET", "me")).status, 401);
  assert.deepEqual((await answer("users", "show", data.id)).data.accounts.map((each) => each.role), ["owner"]);
});

test("the catalog: the version in force, and another one", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "patchbay-cli-"));
  t.after(() => rm(folder, { recursive: true }));
  const { data } = await answer("catalog");
  assert.ok(data.version);
  const wrong = join(folder, "wrong.json");
  writeFileSync(wrong, `{"version":"x"}`);
  assert.match((await refusal(["catalog", "publish", wrong])).line, /400/);
  assert.match((await refusal(["catalog", "publish", join(folder, "none.json")])).line, /There is no .*none\.json/);
  assert.equal((await answer("catalog")).data.version, data.version);
});

describe("the books", () => {
  test("reconcile says that all agrees, and with an exit code what does not", async () => {
    const { account: id, key } = await gateway.createAccount({ usd: "5" });
    const { id: generation } = await chat(gateway, key, { model: "test/openai" });
    await settled(gateway, id);
    const clean = await answer("reconcile", "--account", id);
    assert.deepEqual([clean.data[0].matched, clean.data[0].differences, clean.findings], [1, 0, undefined]);
    await gateway.d1("UPDATE usage SET cost = cost + 1 WHERE id = ?", generation);
    const { code, out } = await run(["reconcile", "--account", id, "--json"]);
    assert.equal(code, 1);
    const { findings } = JSON.parse(out);
    assert.deepEqual(findings.map(({ kind, difference }) => [kind, difference]).sort(), [["charge_total", "0.000000001"], ["row_cost", "0.000000001"]]);
    const told = await run(["reconcile", "--account", id]);
    assert.match(told.err, new RegExp(`${id}: row_cost: ${generation}: expected `));
    assert.match((await run(["reconcile", "findings", "--account", id])).out, /row_cost/);
    await gateway.d1("UPDATE usage SET cost = cost - 1 WHERE id = ?", generation);
    assert.equal((await run(["reconcile", "--account", id])).code, 0);
    assert.equal((await run(["reconcile", "findings", "--account", id])).out, "none\n");
    assert.match((await run(["reconcile", "findings", "--all", "--account", id])).out, /row_cost/);
    assert.match((await refusal(["reconcile", "--account", "acc_nobody"])).line, /404 .*acc_nobody/);
  });

  test("the audit log tells who did what", async () => {
    const id = await account("audited");
    await answer("grant", id, "1", "--note", "first");
    const { data } = await answer("audit", "--account", id);
    assert.deepEqual(data.map(({ actor, action }) => [actor, action]), [["operator", "grant"], ["operator", "account.create"]]);
    assert.equal((await answer("audit", "--account", id, "--action", "account.")).data.length, 1);
    assert.equal((await answer("audit", "--account", id, "--since", "2999-01-01")).data.length, 0);
    assert.match((await refusal(["audit", "--since", "yesterday"])).line, /400 .*since/);
    assert.match((await run(["audit", "--account", id])).out, /^seq +at +actor +action/m);
  });

  test("health has every part, and fails where one is not well", async () => {
    await gateway.scheduled();
    const { data } = await answer("health");
    assert.deepEqual(data.map(({ part, ok }) => [part, ok]).sort(), ["accounts", "books", "catalog", "cron", "d1", "kv"].map((part) => [part, true]));
    await gateway.d1("UPDATE cron_runs SET ended_at = 1");
    const { code, out } = await run(["health"]);
    assert.equal(code, 1);
    assert.match(out, /^cron +false/m);
    await gateway.scheduled();
  });

  test("providers' keys: which are set, never the keys", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "patchbay-cli-"));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, "catalog.json");
    writeFileSync(file, await compile(testCatalog()));
    const { data } = await answer("providers", file);
    const of = Object.fromEntries(data.map(({ slug, secret, status }) => [slug, [secret, status]]));
    assert.deepEqual([of["one-openai"], of.spare], [["TEST_UPSTREAM_KEY", "set"], ["SPARE_KEY", "missing"]]);
    assert.ok(!(await run(["providers", file])).out.includes("test-key"));
  });

  test("an account's data: exported into a file, deleted only when it is meant", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "patchbay-cli-"));
    t.after(() => rm(folder, { recursive: true }));
    const { account: id, key } = await gateway.createAccount({ usd: "5", name: "to be forgotten" });
    const { id: generation } = await chat(gateway, key, { model: "test/openai" });
    await settled(gateway, id);
    const file = join(folder, "export.jsonl");
    const { data } = await answer("accounts", "export", id, file);
    const lines = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(lines.length, data.lines);
    assert.ok(lines.some(({ table, row }) => table === "usage" && row.id === generation));
    const plain = await run(["accounts", "export", id]);
    assert.equal(plain.out.trim().split("\n").length, lines.length + 1, "the same on standard output, and the log of the first export");
    const { line, rest } = await refusal(["accounts", "delete", id]);
    assert.match(line + rest, /cannot be undone.*--yes/s);
    assert.equal((await answer("accounts", "delete", id, "--yes")).data.done, true);
    assert.equal((await answer("accounts", "delete", id, "--yes")).data.done, true);
    assert.equal((await chat(gateway, key, { model: "test/openai" })).status, 401);
    assert.ok(!(await run(["accounts"])).out.includes(id));
  });
});

test("for people: lines and tables", async () => {
  const id = await account("for people");
  assert.match((await run(["accounts", "show", id])).out, /^balance +0$/m);
  assert.match((await run(["accounts"])).out, /^id +name +created_at$/m);
  assert.equal((await run(["keys", id])).out, "none\n");
  assert.match((await run(["keys", "create", id, "first"])).out, /^key \(shown only now\)  sk-pb-v1-[0-9a-f]{64}$/m);
  assert.match((await run(["--help"])).out, /keys create <account> <name>/);
});

describe("what goes wrong is one clear line", () => {
  test("words that are no command show the commands", async () => {
    const { line, rest } = await refusal(["frobnicate"]);
    assert.equal(line, "error: Not a command: frobnicate");
    assert.match(rest, /accounts create <name>/);
    assert.match((await refusal(["grant", "acc_x"])).line, /Not a command: grant acc_x/);
    assert.match((await refusal([])).line, /Which command/);
    assert.match((await refusal(["accounts", "--frobnicate"])).line, /Unknown option '--frobnicate'/);
  });

  test("an account or a key that does not exist", async () => {
    assert.match((await refusal(["accounts", "show", "acc_nobody"])).line, /404 .*acc_nobody/);
    assert.match((await refusal(["grant", "acc_nobody", "1"])).line, /404/);
    assert.match((await refusal(["keys", "create", "acc_nobody", "x"])).line, /404/);
    assert.match((await refusal(["keys", "show", "0".repeat(64)])).line, /404/);
  });

  test("amounts that are none", async () => {
    const id = await account("amounts");
    for (const wrong of ["five", "", "1.0000000001", "1e3x", "99999999999"]) {
      assert.match((await refusal(["grant", id, wrong])).line, /400 .*amount_usd/, wrong);
    }
    assert.match((await refusal(["keys", "create", id, "x", "--limit", "much"])).line, /400 .*limit/);
    assert.match((await refusal(["keys", "create", id, "x", "--reset", "hourly"])).line, /400 .*(reset|hourly)/);
    assert.match((await refusal(["keys", "create", id, "x", "--expires", "tomorrow"])).line, /400 .*(expires|tomorrow)/);
    assert.deepEqual((await answer("keys", id)).data, []);
  });

  test("the wrong token, no token, no gateway", async () => {
    assert.match((await refusal(["accounts"], { PATCHBAY_OPERATOR_TOKEN: "wrong" })).line, /401/);
    assert.match((await refusal(["accounts"], { PATCHBAY_URL: "http://127.0.0.1:9" })).line, /cannot be reached/);
  });
});

describe("coupons and purchases", () => {
  test("a coupon's code is shown once, its uses are counted, and it can be disabled", async () => {
    const { out } = await run(["coupons", "create", "launch", "2.5", "--uses", "3", "--credit-days", "30", "--expires", "2099-01-31T00:00:00Z"]);
    const [, code] = /^code \(shown only now\) {2}(\S+)$/m.exec(out);
    const { account } = await gateway.createAccount({ usd: "1" });
    const redeemed = await gateway.operator.call("POST", `accounts/${account}/credits/redeem`, { code });
    assert.equal(redeemed.data.balance, 3.5);
    const [coupon] = (await answer("coupons")).data;
    assert.deepEqual([coupon.name, coupon.amount, coupon.uses, coupon.max_uses, coupon.credits_expire_days], ["launch", 2.5, 1, 3, 30]);
    assert.ok(!JSON.stringify(coupon).includes(code));
    await answer("coupons", "disable", coupon.id);
    assert.equal((await answer("coupons", "list")).data[0].disabled, true);
    await refusal(["coupons", "create", "less", "0"]);
  });

  test("a grant may end; purchases are listed, and refunds name what is not configured", async () => {
    const { account } = await gateway.createAccount({ usd: "1" });
    assert.equal((await answer("grant", account, "1", "--expires", "2099-01-31T00:00:00Z")).data.balance, 2);
    assert.deepEqual((await answer("purchases", account)).data, []);
    await refusal(["refund", account, "pur_none"]);
  });
});
