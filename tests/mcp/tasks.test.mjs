// Calls that take long, as tasks of the modern era: for clients that declare the extension, and for no others. By hand, as no client of npm
// speaks it yet.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../e2e/client.mjs";
import { startTools } from "./server.mjs";

const VERSION = "2026-07-28";
const EXTENSION = "io.modelcontextprotocol/tasks";
const TASKS = { extensions: { [EXTENSION]: {} } };

let gateway, key, other;
before(async () => {
  gateway = await startTools();
  ({ key } = await gateway.createAccount());
  ({ key: other } = await gateway.createAccount());
});
after(() => gateway?.stop());

async function ask(method, params = {}, { as = key, can = TASKS, headers = {} } = {}) {
  const named = params.name ?? params.taskId;
  const _meta = { "io.modelcontextprotocol/protocolVersion": VERSION, "io.modelcontextprotocol/clientCapabilities": can };
  const response = await fetch(`${gateway.base}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${as}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": VERSION,
      "mcp-method": method,
      ...(named && { "mcp-name": named }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } }),
  });
  return response.json();
}
const call = (name, args = {}, options) => ask("tools/call", { name, arguments: args }, options);

test("the extension is declared, and a call that is soon done is answered as ever", async () => {
  const { result: told } = await ask("server/discover");
  assert.deepEqual([told.capabilities.extensions, told.capabilities.tasks], [{ [EXTENSION]: {} }, undefined]);
  const { result } = await call("demo__search", { query: "lamp" });
  assert.deepEqual([result.resultType, result.taskId, result.structuredContent.result.items[0].title], ["complete", undefined, "A lamp"]);
});

test("one that takes long is a task, found at once, and at its end tells what the call would have", async () => {
  const before = gateway.vendor.calls.length;
  const { result: made } = await call("demo__slow_search");
  assert.deepEqual([made.resultType, made.status], ["task", "working"], JSON.stringify(made));
  for (const field of ["createdAt", "lastUpdatedAt"]) assert.match(made[field], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
  assert.ok(Number.isInteger(made.ttlMs) && Number.isInteger(made.pollIntervalMs));
  for (const field of ["task", "result", "error", "requestState", "inputRequests"]) assert.equal(made[field], undefined, field);
  const look = async () => (await ask("tasks/get", { taskId: made.taskId })).result;
  const first = await look();
  assert.deepEqual([first.resultType, first.taskId], ["complete", made.taskId]);
  // Nobody can take back what is on its way: that is heard, and it goes on.
  assert.equal((await ask("tasks/cancel", { taskId: made.taskId })).result.resultType, "complete");
  const done = await eventually(look, (task) => task.status !== "working" && task, { what: "the end of the task" });
  assert.equal(done.status, "completed", JSON.stringify(done));
  const { result } = done;
  assert.deepEqual([result.isError, result.structuredContent.result.found, result.structuredContent.id], [false, true, made.taskId]);
  assert.equal(gateway.vendor.calls.length, before + 1);
  for (const method of ["tasks/cancel", "tasks/update"]) {
    const { result: heard } = await ask(method, { taskId: made.taskId, ...(method === "tasks/update" && { inputResponses: {} }) });
    assert.deepEqual([heard.resultType, heard.taskId], ["complete", undefined], method);
  }
});

test("a call that has to be confirmed is no task before it was", async () => {
  const can = { ...TASKS, elicitation: { form: {} } };
  const { result: asked } = await call("demo__throw_away", { thing: "clock" }, { can });
  assert.deepEqual([asked.resultType, asked.taskId], ["input_required", undefined]);
  const inputResponses = { confirm: { action: "accept", content: { confirm: true } } };
  const params = { name: "demo__throw_away", arguments: { thing: "clock" }, inputResponses, requestState: asked.requestState };
  const { result: done } = await ask("tools/call", params, { can });
  assert.deepEqual([done.resultType, done.isError], ["complete", false], JSON.stringify(done));
});

test("who does not declare it gets results alone, and may not ask for tasks", async () => {
  const { result } = await call("demo__slow_search", {}, { can: {} });
  assert.deepEqual([result.resultType, result.taskId, result.structuredContent.result.found], ["complete", undefined, true]);
  for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
    const { error } = await ask(method, { taskId: result.structuredContent.id }, { can: {} });
    assert.deepEqual([error.code, error.data.requiredCapabilities], [-32021, { extensions: { [EXTENSION]: {} } }], method);
  }
});

test("what is not there, another's, gone from the protocol, or named otherwise in a header is refused", async () => {
  const { result } = await call("demo__search", { query: "lamp" });
  const taskId = result.structuredContent.id;
  assert.equal((await ask("tasks/get", { taskId })).result.status, "completed", "any execution of the key can be asked for");
  for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
    assert.equal((await ask(method, { taskId: "exec-none" })).error.code, -32602, method);
    assert.equal((await ask(method, { taskId }, { as: other })).error.code, -32602, method);
    assert.equal((await ask(method, {})).error.code, -32602, method);
    assert.equal((await ask(method, { taskId }, { headers: { "mcp-name": "exec-other" } })).error.code, -32020, method);
  }
  for (const method of ["tasks/list", "tasks/result"]) assert.equal((await ask(method, { taskId })).error.code, -32601, method);
});
