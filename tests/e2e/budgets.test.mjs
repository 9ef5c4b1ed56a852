// Budgets that an account gives itself, and what requests in flight may hold.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat, eventually, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway({ vars: { IN_FLIGHT_PERCENT: "50", IN_FLIGHT_OFF_FROM_USD: "4" } })));
after(() => gateway?.stop());

async function account(usd = "5") {
  const made = await gateway.createAccount({ usd });
  const manager = await gateway.operator.call("POST", `accounts/${made.account}/keys`, { name: "manager", is_management_key: true });
  return { ...made, manager: manager.key };
}

const ask = (key, method, path, body) => callJson(gateway, path, { key, method, body });
const param = ({ error }) => error.metadata?.param ?? error.param;

test("budgets are set, told, narrowed strictly and deleted", async () => {
  const { manager, key, account: id } = await account();
  const put = (period, body, base = "budgets") => ask(manager, "PUT", `${base}/${period}`, body);
  const monthly = await put("monthly", { limit_usd: 100, include_byok_in_budgets: true });
  assert.equal(monthly.status, 200, JSON.stringify(monthly.body));
  const { data } = monthly.body;
  assert.deepEqual([data.reset_interval, data.limit_usd, data.spend_usd, data.remaining_usd, data.include_byok_in_budgets], ["monthly", 100, 0, 100, true]);
  assert.equal(new Date(data.resets_at).getUTCDate(), 1);
  for (const [period, limit_usd] of [["weekly", 100], ["daily", 101], ["lifetime", 100], ["lifetime", 99.999999999]]) {
    const refused = await put(period, { limit_usd });
    assert.deepEqual([refused.status, param(refused.body)], [400, "limit_usd"], period);
  }
  for (const limit_usd of [-1, "0.0000000001", 1e12, "much", null, {}]) {
    const refused = await put("daily", { limit_usd });
    assert.deepEqual([refused.status, param(refused.body)], [400, "limit_usd"], String(limit_usd));
  }
  assert.equal((await put("yearly", { limit_usd: 1 })).status, 400);
  assert.equal((await put("daily", { limit_usd: 1, more: 2 })).status, 400);
  // The reference's own path is the same thing.
  assert.equal((await put("lifetime", { limit_usd: 500 }, "workspaces/default/budgets")).status, 200);
  assert.equal((await put("daily", { limit_usd: 2 }, `workspaces/${id}/budgets`)).status, 200);
  const listed = await ask(manager, "GET", "budgets");
  assert.deepEqual([listed.body.total_count, listed.body.data.map((each) => each.limit_usd)], [3, [2, 100, 500]]);
  const told = (await ask(key, "GET", "key")).body.data;
  assert.deepEqual(told.budgets.map(({ scope, limit_usd }) => [scope, limit_usd]), [["workspace", 2], ["workspace", 100], ["workspace", 500]]);
  assert.equal(told.effective_budget.limit_usd, 2);
  assert.deepEqual((await ask(manager, "DELETE", "budgets/daily")).body, { deleted: true });
  assert.equal((await ask(manager, "DELETE", "budgets/daily")).status, 404);
  assert.equal((await ask(manager, "GET", "budgets/daily")).status, 404);
  const log = await gateway.d1("SELECT action, target FROM audit_log WHERE account = ? AND action LIKE 'budget.%' ORDER BY seq", id);
  assert.deepEqual(log.map(({ action, target }) => `${action} ${target}`), ["budget.put monthly", "budget.put lifetime", "budget.put daily", "budget.delete daily"]);
});

test("another account's budgets are not there, and an API key sets none", async () => {
  const [one, two] = [await account(), await account()];
  await ask(one.manager, "PUT", "budgets/monthly", { limit_usd: 1 });
  assert.deepEqual((await ask(two.manager, "GET", "budgets")).body.data, []);
  const foreign = await ask(two.manager, "GET", `workspaces/${one.account}/budgets`);
  const none = await ask(two.manager, "GET", "workspaces/acc_nobody/budgets");
  assert.deepEqual([foreign.status, none.status], [404, 404]);
  assert.equal(foreign.body.error.message.replace(one.account, "X"), none.body.error.message.replace("acc_nobody", "X"));
  for (const method of ["PUT", "DELETE"]) {
    const body = method === "PUT" ? { limit_usd: 9 } : undefined;
    assert.equal((await ask(two.manager, method, `workspaces/${one.account}/budgets/monthly`, body)).status, 404);
    assert.equal((await ask(one.key, method, "budgets/monthly", body)).status, 403);
  }
  assert.equal((await ask(one.manager, "GET", "budgets/monthly")).body.data.limit_usd, 1);
});

test("a request beyond a budget is refused with its name, on every surface", async () => {
  const { key, manager, account: id } = await account();
  const first = await chat(gateway, key, { model: "test/openai", max_tokens: 100 });
  await settled(gateway, id);
  const spent = nanos(first.usage.cost);
  const limit = String(Number(spent + 1n) / 1e9);
  await ask(manager, "PUT", "budgets/monthly", { limit_usd: limit });
  const told = (await ask(manager, "GET", "budgets/monthly")).body.data;
  assert.equal(nanos(told.spend_usd), spent);
  for (const [path, body] of [
    ["chat/completions", { messages: [{ role: "user", content: "Hello!" }] }],
    ["messages", { max_tokens: 50, messages: [{ role: "user", content: "Hello!" }] }],
    ["responses", { input: "Hello!", stream: true }],
  ]) {
    const refused = await ask(key, "POST", path, { model: "test/openai", max_tokens: 100, ...body });
    assert.equal(refused.status, 403, path);
    const text = JSON.stringify(refused.body);
    assert.match(text, /Workspace monthly budget of \$0\.\d+ would be exceeded/);
    assert.match(text, /permission_denied/);
  }
  const { body } = await ask(key, "POST", "chat/completions", { model: "test/openai", messages: [{ role: "user", content: "Hello!" }] });
  const { budget } = body.error.metadata;
  assert.deepEqual([budget.scope, budget.reset_interval, nanos(Number(budget.spend_usd)), budget.guardrail_id], ["workspace", "monthly", spent, null]);
  await ask(manager, "PUT", "budgets/monthly", { limit_usd: 5 });
  assert.equal((await chat(gateway, key, { model: "test/openai", max_tokens: 100 })).status, 200);
});

test("requests in flight hold a part of a small balance, and a refusal explains it", async () => {
  const { key, account: id } = await account("0.01");
  // 450 tokens of the dearer provider may cost 0.0045 and their prompt a little: one fits into half of the balance.
  const send = () => chat(gateway, key, { model: "test/openai", max_tokens: 450 });
  const heavy = await chat(gateway, key, { model: "test/openai", max_tokens: 800 });
  assert.deepEqual([heavy.status, heavy.error.metadata.reason], [402, "weight_exceeds_budget"], JSON.stringify(heavy));
  gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: "fault-gate-headers" });
  const before = gateway.upstream.requests().length;
  const held = send();
  await eventually(async () => (await gateway.account(id)).open_holds, (open) => open === 1);
  await eventually(() => gateway.upstream.requests().length > before);
  const refused = await send();
  assert.deepEqual(
    [refused.status, refused.error.metadata.reason, refused.error.metadata.limit_source],
    [402, "in_flight_budget_exhausted", "openrouter_in_flight_budget"],
  );
  assert.equal(refused.headers.get("retry-after"), "5");
  gateway.upstream.release();
  assert.equal((await held).status, 200);
  assert.equal((await send()).status, 200);
});
