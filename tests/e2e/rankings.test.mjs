// Public rankings: only what enough accounts used, without a key, out of what the cron published.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call, callJson, chat, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const DAY = 86_400_000;
/** Accounts that must have used something (`usage::rankings::MIN_ACCOUNTS`). */
const THRESHOLD = 5;
let gateway, keys;
before(async () => {
  gateway = await startGateway();
  gateway.upstream.script({ prefix: "/p/one-", times: null, behaviour: "usage-in1000-out50" });
  keys = [];
  for (let n = 0; n < THRESHOLD; n += 1) {
    const { key, account } = await gateway.createAccount();
    keys.push({ key, account });
    const headers = { "http-referer": "https://app.example", "x-title": "The App" };
    await chat(gateway, key, { model: "test/openai" }, { headers });
    // One account too few.
    if (n > 0) await chat(gateway, key, { model: "test/gemini" }, { headers: { "http-referer": "https://few.example" } });
  }
  for (const { account } of keys) await settled(gateway, account);
  await gateway.d1("UPDATE usage SET created_at = created_at - ?", DAY);
  await gateway.scheduled();
});
after(() => gateway?.stop());

test("models and apps of enough accounts are ranked, the others are not there", async () => {
  for (const period of ["day", "week", "month"]) {
    const { status, body } = await callJson(gateway, `rankings?period=${period}`);
    assert.equal(status, 200);
    assert.deepEqual(body.data.models.map(({ rank, model, total_tokens: tokens, total_requests: requests }) => [rank, model, tokens, requests]), [[1, "test/openai", "5250", 5]]);
    assert.deepEqual(body.data.apps.map(({ app, app_name: name }) => [app, name]), [["app.example", "The App"]]);
    assert.equal(body.meta.period, period);
    const text = JSON.stringify(body);
    for (const { account } of keys) assert.ok(!text.includes(account));
  }
  assert.equal((await callJson(gateway, "rankings/models")).body.data.length, 1);
  assert.equal((await callJson(gateway, "rankings/apps")).body.data[0].rank, 1);
  assert.equal((await callJson(gateway, "rankings/apps?period=year")).status, 400);
  assert.equal((await call(gateway, "rankings/accounts")).status, 404);
});

test("the datasets take a key and fixed windows", async () => {
  const [{ key }] = keys;
  const yesterday = new Date(Date.now() - DAY).toISOString().slice(0, 10);
  const daily = await callJson(gateway, "datasets/rankings-daily", { key });
  assert.deepEqual(daily.body.data, [{ date: yesterday, model_permaslug: "test/openai", total_tokens: "5250" }]);
  assert.equal((await callJson(gateway, `datasets/rankings-daily?end_date=2020-01-01`, { key })).body.data.length, 0);
  assert.equal((await callJson(gateway, "datasets/rankings-daily?start_date=soon", { key })).status, 400);
  const apps = await callJson(gateway, "datasets/app-rankings?limit=1", { key });
  const [app] = apps.body.data;
  assert.ok(Number.isInteger(app.app_id) && app.total_tokens === "5250");
  for (const query of ["start_date=2020-01-01", "start_date=", "sort=trending", "limit=0", "offset=-1"]) {
    assert.equal((await callJson(gateway, `datasets/app-rankings?${query}`, { key })).status, 400, query);
  }
  for (const path of ["datasets/rankings-daily", "datasets/app-rankings"]) {
    assert.equal((await callJson(gateway, path)).status, 401);
  }
});
