// What was used: rows over the cron's sums to /activity and /analytics, as JSON and CSV, of one account and no other.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, callJson, chat, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const DAY = 86_400_000;
let gateway;
after(() => gateway?.stop());

async function administered() {
  const made = await gateway.createAccount();
  const body = { name: "manager", is_management_key: true };
  return { ...made, manager: (await gateway.operator.call("POST", `accounts/${made.account}/keys`, body)).key };
}
const ask = (key, method, path, body, headers) => callJson(gateway, path, { key, method, body, headers });
const query = async (key, body) => {
  const { status, body: told } = await ask(key, "POST", "analytics/query", body);
  assert.equal(status, 200, JSON.stringify(told));
  return told.data;
};
/** As if everything had happened so many days ago; the sums are made anew. */
async function age(account, days) {
  await gateway.d1("UPDATE usage SET created_at = created_at - ? WHERE account = ?", days * DAY, account);
}

let own, other, answers, total;
before(async () => {
  gateway = await startGateway();
  [own, other] = [await administered(), await administered()];
  gateway.upstream.script({ prefix: "/p/one-openai/", times: null, behaviour: "usage-in1000-out50-read200" });
  const headers = { "http-referer": "https://www.app.example/chat", "x-title": "The App" };
  answers = [];
  for (const [index, more] of [{}, { user: "alice" }, { user: "=cmd()" }, { stream: true, session_id: "s" }].entries()) {
    answers.push(await chat(gateway, own.key, { model: "test/openai", messages: [user(`Hi ${index}`)], ...more }, { headers }));
  }
  answers.push(await chat(gateway, own.key, { model: "test/gemini" }));
  total = answers.reduce((sum, answer) => sum + nanos(answer.usage.cost), 0n);
  await chat(gateway, other.key, { model: "test/openai" });
  await settled(gateway, own.account);
  await settled(gateway, other.account);
  await age(own.account, 2);
  // An outage, then twice: nothing is lost, nothing counts twice.
  for (const cron of ["d1", "* * * * *", "* * * * *"]) await gateway.scheduled(cron);
});

test("activity tells the completed days by endpoint, exactly, also as CSV", async () => {
  const { status, body } = await ask(own.manager, "GET", "activity");
  assert.equal(status, 200);
  assert.equal(body.data.length, 2);
  const [row] = body.data.filter(({ model }) => model === "test/openai");
  const day = new Date(Date.now() - 2 * DAY).toISOString().slice(0, 10);
  assert.deepEqual(
    [row.date, row.model_permaslug, row.endpoint_id, row.provider_name, row.requests, row.prompt_tokens, row.completion_tokens, row.cached_tokens],
    [day, "test/openai", "one-openai", "Test one-openai", 4, 4000, 200, 800],
  );
  assert.equal(body.data.reduce((sum, { usage }) => sum + nanos(usage), 0n), total);
  for (const [path, rows] of [
    [`activity?date=${day}`, 2],
    [`activity?api_key_hash=${own.hash}`, 2],
    [`activity?api_key_hash=${"0".repeat(64)}`, 0],
    ["activity?user_id=nobody", 0],
    ["activity?group_by=workspace", 2],
  ]) {
    assert.equal((await ask(own.manager, "GET", path)).body.data.length, rows, path);
  }
  for (const [path, code] of [["activity?date=2020-01-01", 400], ["activity?date=today", 400], ["activity?group_by=key", 400], ["activity?workspace_id=x", 404], ["activity?format=pdf", 400]]) {
    assert.equal((await ask(own.manager, "GET", path)).status, code, path);
  }
  const csv = await call(gateway, "activity", { key: own.manager, headers: { accept: "text/csv" } });
  assert.equal(csv.headers.get("content-type"), "text/csv; charset=utf-8");
  const lines = (await csv.text()).trim().split("\r\n");
  assert.deepEqual([lines.length, lines[0].split(",").slice(0, 3)], [3, ["date", "model", "model_permaslug"]]);
});

test("analytics answers by what is asked, out of sums or requests", async () => {
  const meta = (await ask(own.manager, "GET", "analytics/meta")).body.data;
  const names = (list) => list.map(({ name }) => name);
  assert.ok(["requests", "usage", "tokens_total"].every((name) => names(meta.metrics).includes(name)));
  const dimensions = names(meta.dimensions);
  // Every metric by every dimension is a question that can be put.
  for (const dimension of dimensions) {
    const { data } = await query(own.manager, { metrics: names(meta.metrics).slice(0, 20), dimensions: [dimension] });
    assert.equal(data.reduce((sum, row) => sum + row.requests, 0), 5, dimension);
  }
  const byModel = await query(own.manager, { metrics: ["usage", "requests"], dimensions: ["model"], order_by: { field: "model", direction: "asc" } });
  assert.deepEqual(byModel.data.map(({ model, requests }) => [model, requests]), [["test/gemini", 1], ["test/openai", 4]]);
  assert.equal(byModel.data.reduce((sum, { usage }) => sum + nanos(usage), 0n), total);
  assert.deepEqual([byModel.metadata.source, byModel.metadata.truncated, byModel.metadata.row_count], ["hours", false, 2]);
  const byApp = await query(own.manager, { metrics: ["requests"], dimensions: ["app"], granularity: "day" });
  assert.deepEqual(byApp.data.map(({ app, requests }) => [app, requests]), [["app.example", 4], [null, 1]]);
  const byUser = await query(own.manager, { metrics: ["requests"], dimensions: ["external_user"] });
  assert.deepEqual(byUser.data.map((row) => row.external_user).sort(), ["=cmd()", "alice"]);
  assert.equal(byUser.metadata.source, "external_user_days");
  const streamed = await query(own.manager, { metrics: ["requests", "sessions"], filters: [{ field: "streamed", operator: "eq", value: true }] });
  assert.deepEqual([streamed.data, streamed.metadata.source], [[{ requests: 1, sessions: 1 }], "requests"]);
  const csv = await call(gateway, "analytics/query?format=csv", { key: own.manager, body: { metrics: ["requests"], dimensions: ["external_user"], order_by: { field: "external_user", direction: "asc" } } });
  assert.equal(await csv.text(), 'external_user,requests\r\n"\'=cmd()",1\r\nalice,1\r\n');
});

test("an account sees its own usage, and wrong questions are refused", async () => {
  const theirs = await query(other.manager, { metrics: ["requests"] });
  assert.equal(theirs.data[0].requests, 1);
  const filtered = await query(other.manager, { metrics: ["requests"], filters: [{ field: "api_key_id", operator: "eq", value: own.hash }] });
  assert.equal(filtered.data[0].requests, 0);
  for (const [body, param] of [
    [{ metrics: ["requests) FROM usage --"] }, "metrics.0"],
    [{ metrics: ["requests"], dimensions: ["account"] }, "dimensions.0"],
    [{ metrics: ["requests"], classifier_filters: {} }, "body"],
  ]) {
    const { status, body: told } = await ask(own.manager, "POST", "analytics/query", body);
    assert.deepEqual([status, told.error.param ?? told.error.metadata?.param], [400, param]);
  }
  for (const [method, path] of [["GET", "activity"], ["GET", "analytics/meta"], ["POST", "analytics/query"]]) {
    assert.equal((await ask(own.key, method, path, method === "POST" ? {} : undefined)).status, 403, path);
    assert.equal((await ask(undefined, method, path, method === "POST" ? {} : undefined)).status, 401, path);
  }
});

test("a correction changes the sums once", async () => {
  const before = (await query(own.manager, { metrics: ["usage"] })).data[0].usage;
  const id = answers[0].id;
  await gateway.operator.call("POST", `accounts/${own.account}/corrections`, { generation_id: id, cost_usd: "0", reason: "a wrong price" });
  for (let n = 0; n < 2; n += 1) await gateway.scheduled();
  const after = (await query(own.manager, { metrics: ["usage"] })).data[0].usage;
  assert.equal(nanos(before) - nanos(after), nanos(answers[0].usage.cost));
  const raw = (await query(own.manager, { metrics: ["usage"], filters: [{ field: "status", operator: "eq", value: "settled" }] })).data[0].usage;
  assert.equal(raw, after);
});
