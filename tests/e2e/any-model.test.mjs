// A provider of which the catalog lists no models (`any/*`, as OpenRouter's row is): its own ids behind its slug, its own bill as the
// price, with the operator's key or an account's.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { endpoint, model, provider } from "./catalog.mjs";
import { callJson, chat, generation, nanos, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const OPERATOR_TOKEN = "operator-token-of-the-tests";

const any = (slug) =>
  endpoint({
    model: `${slug}/*`,
    provider: slug,
    dialect: "openai",
    fields: { upstream_model_id: "*", prices: { prompt: 5_000_000_000, completion: 25_000_000_000, stated: true } },
  });
const catalog = {
  providers: [provider({ slug: "any", dialect: "openai" }), provider({ slug: "theirs", dialect: "openai", secret: "NOT_SET" })],
  models: [model("any/*"), model("theirs/*")],
  endpoints: [any("any"), any("theirs")],
  aliases: [],
};

let gateway, owner;
before(async () => {
  gateway = await startGateway({ vars: { BYOK_MASTER_KEY: randomBytes(32).toString("base64") }, catalog });
  owner = await gateway.createAccount();
});
after(() => gateway?.stop());

const ask = (model, { as = owner, ...more } = {}) => chat(gateway, as.key, { model, messages: [user("Hi")], ...more });

for (const stream of [false, true]) {
  test(`${stream ? "streamed" : "in one piece"}: any id is passed on, and what its provider charged is the price`, async () => {
    const account = await gateway.createAccount();
    gateway.upstream.script({ prefix: "/p/any/", times: 1, behaviour: "usage-in100-out10-nanodollars148561" });
    const answer = await ask("Any/some-author/new-model-9:free", { as: account, stream });
    assert.equal(answer.status, 200, JSON.stringify(answer.error));
    const [call] = gateway.upstream.requests().slice(-1);
    assert.equal(call.body.model, "some-author/new-model-9:free");
    assert.equal(nanos(answer.usage.cost), 148_561n);
    const { balance } = await settled(gateway, account.account);
    assert.equal(nanos(5) - nanos(balance), 148_561n);
    const row = await generation(gateway, account.key, answer.id);
    assert.equal(nanos(row.total_cost), 148_561n);
  });
}

test("an account's own key reaches what the operator has no key for", async () => {
  const mine = await gateway.createAccount();
  const refused = await ask("theirs/some-author/model", { as: mine });
  assert.ok(refused.status >= 400, `${refused.status}`);
  const path = `admin/accounts/${mine.account}/byok`;
  const brought = await callJson(gateway, path, { method: "POST", key: OPERATOR_TOKEN, body: { provider: "theirs", key: "sk-their-own-key" } });
  assert.equal(brought.status, 201, JSON.stringify(brought.body));
  const answer = await ask("theirs/some-author/model", { as: mine });
  assert.equal(answer.status, 200, JSON.stringify(answer.error));
  const [call] = gateway.upstream.requests().slice(-1);
  assert.deepEqual([call.body.model, call.headers.authorization], ["some-author/model", "Bearer sk-their-own-key"]);
});

test("the list shows no model of it, and an unknown name is told where to look", async () => {
  const { body } = await callJson(gateway, "models", { key: owner.key });
  assert.deepEqual(body.data, []);
  for (const name of ["some-author/model", "any/model"]) {
    const { status, error } = await ask(name);
    assert.deepEqual([status, error.metadata.code], [400, "model_not_found"], JSON.stringify(error));
  }
  assert.match((await ask("some-author/model")).error.message, /any\/some-author\/model/);
});
