// The record of a generation in full: who, what, how its cost came about; and what its user says of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { callJson, chat, generation, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway()));
after(() => gateway?.stop());
const ask = (key, method, path, body) => callJson(gateway, path, { key, method, body });

test("a generation tells its app, end user, media, tier and kind, and explains its cost to the nano-dollar", async () => {
  const { key, account, hash } = await gateway.createAccount();
  gateway.upstream.script({ prefix: "/p/one-openai/", times: null, behaviour: "usage-in1000-out50-read200" });
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==" } };
  const headers = { "http-referer": "https://www.App.example/x", "x-title": "The App" };
  const messages = [{ role: "user", content: [{ type: "text", text: "Look" }, image] }];
  const answer = await chat(gateway, key, { model: "test/openai", messages, user: "alice", session_id: "s" }, { headers });
  const record = await generation(gateway, key, answer.id);
  const { app_id, app_title, external_user, session_id, api_type, surface, api_key_id, data_region, num_media_prompt, num_input_audio_prompt, workspace_id } = record;
  assert.deepEqual(
    { app_id, app_title, external_user, session_id, api_type, surface, api_key_id, data_region, num_media_prompt, num_input_audio_prompt, workspace_id },
    {
      app_id: "app.example", app_title: "The App", external_user: "alice", session_id: "s", api_type: "completions", surface: "chat.completions",
      api_key_id: hash, data_region: "global", num_media_prompt: 1, num_input_audio_prompt: 0, workspace_id: "default",
    },
  );
  for (const field of ["router", "preset_id", "moderation_latency", "web_search_engine", "service_tier", "response_cache_source_id", "upstream_inference_cost", "is_byok", "provider_responses", "tokens_prompt", "native_tokens_cached"]) {
    assert.ok(field in record, field);
  }
  const explained = record.cost_explained;
  assert.equal(Number(explained.cost_usd), record.total_cost);
  // Anybody can do the arithmetic again.
  const parts = explained.lines.map((line) => (line.quantity * Number(line.price_usd)) / line.per);
  const sum = parts.reduce((total, part) => total + part, 0);
  assert.ok(Math.abs(sum - Number(explained.sum_usd)) < 1e-12 && explained.is_exact);
  assert.ok(Math.abs(Number(explained.sum_usd) + Number(explained.rounding_usd) - Number(explained.total_usd)) < 1e-12);
  assert.match(explained.lines[0].text, /^\d+ × \$[\d.]+ \/ 1000000 = \$[\d.]+$/);
  await settled(gateway, account);
});

test("a key that is for an end user attributes requests that name none", async () => {
  const { account } = await gateway.createAccount();
  const made = await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "bob's", external: { user: "bob" } });
  assert.equal(made.data.external_user, "bob");
  const [silent, named] = [await chat(gateway, made.key, { model: "test/openai" }), await chat(gateway, made.key, { model: "test/openai", user: "carol", messages: [user("x")] })];
  assert.equal((await generation(gateway, made.key, silent.id)).external_user, "bob");
  assert.equal((await generation(gateway, made.key, named.id)).external_user, "carol");
  const wrong = await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "x", external: { user: " " } }).catch((error) => error);
  assert.match(String(wrong.message ?? JSON.stringify(wrong)), /external\.user|1 to 256/);
});

test("feedback is taken once, for one's own generations", async () => {
  const [own, other] = [await gateway.createAccount(), await gateway.createAccount()];
  const { id } = await chat(gateway, own.key, { model: "test/openai" });
  await generation(gateway, own.key, id);
  const give = (key, body) => ask(key, "POST", "generation/feedback", body);
  const body = { generation_id: id, category: "incorrect_response", comment: "no" };
  assert.equal((await give(undefined, body)).status, 401);
  const [theirs, nobodys] = [await give(other.key, body), await give(other.key, { ...body, generation_id: "gen-0-none" })];
  assert.deepEqual([theirs.status, nobodys.status], [404, 404]);
  assert.equal(theirs.body.error.message, nobodys.body.error.message.replace("gen-0-none", id));
  for (const [change, param] of [[{ category: "rude" }, "category"], [{ comment: "x".repeat(2_001) }, "comment"]]) {
    const refused = await give(own.key, { ...body, ...change });
    assert.deepEqual([refused.status, refused.body.error.param ?? refused.body.error.metadata?.param], [400, param]);
  }
  assert.deepEqual((await give(own.key, body)).body, { data: { success: true } });
  assert.equal((await give(own.key, { ...body, category: "other" })).status, 409);
});
