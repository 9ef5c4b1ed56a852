// What was asked and answered: kept only where the account wants it, sealed, for its own key and its administrators.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { call, callJson, chat, eventually, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
before(async () => (gateway = await startGateway({ vars: { BYOK_MASTER_KEY: randomBytes(32).toString("base64") } })));
after(() => gateway?.stop());

/** An account with two API keys and a management key. */
async function administered() {
  const made = await gateway.createAccount();
  const mint = (body) => gateway.operator.call("POST", `accounts/${made.account}/keys`, body);
  const manager = await mint({ name: "manager", is_management_key: true });
  const other = await mint({ name: "other" });
  return { ...made, manager: manager.key, other: other.key };
}
const ask = (key, method, path, body) => callJson(gateway, path, { key, method, body });
const read = (key, id) => ask(key, "GET", `generation/content?id=${id}`);
const kept = (key, id) => eventually(() => read(key, id), ({ status, body }) => status === 200 && body.data, { what: `the content of ${id}` });
const turnOn = async (manager, more = {}) => {
  const body = { is_observability_io_logging_enabled: true, ...more };
  const { status, body: told } = await ask(manager, "PATCH", "workspaces/default", body);
  assert.equal(status, 200, JSON.stringify(told));
  return told.data;
};

test("nothing is kept until an administrator wants it; then every surface is, streamed or not", async () => {
  const { key, manager, other } = await administered();
  const before = await chat(gateway, key, { model: "test/openai" });
  const settings = (await ask(manager, "GET", "account/settings")).body.data;
  assert.deepEqual(
    [settings.is_observability_io_logging_enabled, settings.io_logging_sampling_rate, settings.io_logging_api_key_ids, settings.io_logging_retention_days],
    [false, 1, null, 90],
  );
  await turnOn(manager);
  gateway.upstream.script({ prefix: "/p/one-", times: null, behaviour: { text: "Kept words" } });
  const question = "What is kept? \u00e9\u4e16";
  const asks = [
    ["chat/completions", { model: "test/openai", messages: [user(question)] }],
    ["chat/completions", { model: "test/anthropic", stream: true, messages: [user(question)] }],
    ["messages", { model: "test/anthropic", max_tokens: 100, messages: [user(question)] }],
    ["messages", { model: "test/gemini", max_tokens: 100, stream: true, messages: [user(question)] }],
    ["responses", { model: "test/openai", input: question }],
    ["responses", { model: "test/openai", stream: true, input: question }],
    ["completions", { model: "test/openai", prompt: question }],
  ];
  for (const [path, body] of asks) {
    const response = await call(gateway, path, { key, body });
    assert.equal(response.status, 200, path);
    await response.text();
    const content = await kept(key, response.headers.get("x-generation-id"));
    const last = content.input.messages.at(-1);
    assert.deepEqual([path, last.role, last.content, content.output.completion], [path, "user", question, "Kept words"]);
    assert.deepEqual([content.error, content.input_truncated, content.output_truncated], [null, false, false]);
  }
  const id = (await chat(gateway, key, { model: "test/openai" })).id;
  await kept(key, id);
  // The account's administrators read everything, another key of it nothing.
  assert.equal((await read(manager, id)).status, 200);
  assert.equal((await read(other, id)).status, 404);
  assert.equal((await read(key, before.id)).status, 404);
  const [row] = await gateway.d1("SELECT sealed FROM contents WHERE generation = ?", id);
  assert.ok(!/Hello|Kept/.test(row.sealed));
});

test("another account's content is not there, in the words of what does not exist", async () => {
  const [own, other] = [await administered(), await administered()];
  await turnOn(other.manager);
  const { id } = await chat(gateway, other.key, { model: "test/openai" });
  await kept(other.key, id);
  for (const key of [own.key, own.manager]) {
    const [theirs, nobodys] = [await read(key, id), await read(key, "gen-0-none")];
    assert.deepEqual([theirs.status, nobodys.status], [404, 404]);
    assert.equal(theirs.body.error.message, nobodys.body.error.message.replace("gen-0-none", id));
  }
  assert.equal((await read(undefined, id)).status, 401);
  assert.equal((await read(own.key, "")).status, 400);
});

test("failures are kept with their errors, operations with their texts, media by type and size", async () => {
  const { key, manager } = await administered();
  await turnOn(manager);
  gateway.upstream.reset();
  gateway.upstream.script({ prefix: "/p/", times: null, behaviour: "fault-status-503" });
  const failed = await chat(gateway, key, { model: "test/openai" });
  assert.equal(failed.status, 503, JSON.stringify(failed));
  const error = (await kept(key, failed.headers.get("x-generation-id"))).error;
  assert.deepEqual([error.status, error.previous_errors.length], [503, 2]);
  gateway.upstream.reset();
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==" } };
  const seen = await chat(gateway, key, { model: "test/openai", messages: [{ role: "user", content: [{ type: "text", text: "Look" }, image] }] });
  const { input } = await kept(key, seen.id);
  assert.deepEqual(input.messages[0].content[1], { media_type: "image/png", bytes: 70, type: "image" });
  assert.ok(!JSON.stringify(input).includes("iVBOR"));
});

test("settings are refused with the field that is wrong, and belong to administrators", async () => {
  const { key, manager, hash } = await administered();
  for (const [body, param] of [
    [{ io_logging_sampling_rate: 1.5 }, "io_logging_sampling_rate"],
    [{ io_logging_sampling_rate: -0.1 }, "io_logging_sampling_rate"],
    [{ io_logging_retention_days: 0 }, "io_logging_retention_days"],
    [{ io_logging_api_key_ids: [] }, "io_logging_api_key_ids"],
    [{ io_logging_api_key_ids: [hash, "0".repeat(64)] }, "io_logging_api_key_ids.1"],
    [{ nonsense: 1 }, "body"],
  ]) {
    const { status, body: told } = await ask(manager, "PATCH", "account/settings", body);
    assert.deepEqual([status, told.error.param ?? told.error.metadata?.param], [400, param], JSON.stringify(body));
  }
  assert.equal((await ask(key, "PATCH", "workspaces/default", {})).status, 403);
  assert.equal((await ask(manager, "GET", "workspaces/other")).status, 404);
  assert.equal((await ask(manager, "GET", "workspaces")).body.total_count, 1);
  const told = await turnOn(manager, { io_logging_sampling_rate: 0.25, io_logging_api_key_ids: [hash], io_logging_retention_days: 7 });
  assert.deepEqual([told.io_logging_sampling_rate, told.io_logging_api_key_ids, told.io_logging_retention_days], [0.25, [hash], 7]);
});
