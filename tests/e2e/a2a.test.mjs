// Tools as tasks in real workerd, over both bindings and in both versions: cards, messages, confirmation, streams, lists, errors.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startToolGateway } from "./tools.mjs";

let tooled, gateway, vendors, key, other;
before(async () => {
  tooled = await startToolGateway();
  ({ gateway, vendors } = tooled);
  ({ key } = await gateway.createAccount({ usd: "10" }));
  ({ key: other } = await gateway.createAccount({ usd: "1" }));
});
after(() => tooled?.stop());

const SEARCH = { tool: "tavily/search", input: { query: "solar roof tiles", max_results: 2, topic: "news", include_domains: ["example.org"] } };
const MAIL = { tool: "resend/send_email", confirm: "writes", input: { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" } };
let count = 0;
const said = (part, more = {}) => ({ messageId: `m-${++count}`, role: "ROLE_USER", parts: [part], ...more });

async function post(path, body, { as = key, headers = {} } = {}) {
  const response = await fetch(`${gateway.base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(as && { authorization: `Bearer ${as}` }), ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}
async function rpc(method, params, options) {
  const { status, text } = await post("/a2a", { jsonrpc: "2.0", id: 7, method, params }, options);
  return { status, ...JSON.parse(text) };
}
const events = (text) => text.split("\n\n").filter(Boolean).map((frame) => JSON.parse(frame.replace(/^data: /, "")));

test("the public card says where and how; the extended one what the key may call", async () => {
  for (const path of ["/.well-known/agent-card.json", "/.well-known/agent.json"]) {
    const response = await fetch(`${gateway.base}${path}`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("cache-control"), /max-age/);
    const card = await response.json();
    assert.deepEqual(card.supportedInterfaces.map((one) => [one.protocolBinding, one.protocolVersion]), [["JSONRPC", "1.0"], ["HTTP+JSON", "1.0"], ["JSONRPC", "0.3"]]);
    assert.equal(card.supportedInterfaces[0].url, card.url);
    assert.ok(card.skills.some((skill) => skill.id === "search"));
  }
  // Who says which version it reads gets that one's form alone.
  const strict = await (await fetch(`${gateway.base}/.well-known/agent-card.json`, { headers: { "a2a-version": "1.0" } })).json();
  assert.deepEqual(strict.securitySchemes, { key: { httpAuthSecurityScheme: { scheme: "Bearer", description: "A key of this gateway" } } });
  assert.deepEqual([strict.url, strict.protocolVersion, strict.security], [undefined, undefined, undefined]);
  const { result } = await rpc("GetExtendedAgentCard", {});
  assert.ok(result.skills.some((skill) => skill.id === "resend/send_email"));
  assert.ok(!result.skills.some((skill) => skill.id.startsWith("exa/")), "what has no key is not told");
  const nobody = await post("/a2a", { jsonrpc: "2.0", id: 1, method: "GetExtendedAgentCard" }, { as: null });
  assert.deepEqual([nobody.status, nobody.headers.get("www-authenticate")], [401, "Bearer"]);
});

test("a message is a task with its result as an artifact, and is carried out once", async () => {
  vendors.reset();
  const message = said({ data: SEARCH, mediaType: "application/json" });
  const { result } = await rpc("SendMessage", { message });
  assert.equal(result.task.status.state, "TASK_STATE_COMPLETED", JSON.stringify(result));
  const envelope = result.task.artifacts[0].parts[0].data;
  assert.deepEqual([envelope.tool, envelope.status, envelope.usage.cost], ["tavily/search", "succeeded", 0.008]);
  const again = await rpc("SendMessage", { message });
  assert.deepEqual(again.result.task, result.task);
  assert.equal(vendors.requests("tavily").length, 1);
  const { result: seen } = await rpc("GetTask", { id: result.task.id, historyLength: 0 });
  assert.deepEqual([seen.artifacts, seen.history], [result.task.artifacts, undefined]);
  const hidden = await rpc("GetTask", { id: result.task.id }, { as: other });
  assert.deepEqual([hidden.error.code, hidden.error.data[0].reason], [-32001, "TASK_NOT_FOUND"]);
  const list = await rpc("ListTasks", { contextId: result.task.contextId });
  assert.deepEqual([list.result.tasks.map((one) => one.id), list.result.totalSize, list.result.nextPageToken], [[result.task.id], 1, ""]);
  assert.equal(list.result.tasks[0].artifacts, undefined);
});

test("what must be confirmed waits for the client, and yes sends it once, no never", async () => {
  vendors.reset();
  const { result: { task } } = await rpc("SendMessage", { message: said({ data: MAIL }) });
  assert.equal(task.status.state, "TASK_STATE_INPUT_REQUIRED", JSON.stringify(task));
  assert.match(task.status.message.parts[0].text, /b@mail\.example/);
  const perhaps = await rpc("SendMessage", { message: said({ text: "perhaps" }, { taskId: task.id }) });
  assert.equal(perhaps.error.code, -32602);
  const yes = said({ text: "Yes." }, { taskId: task.id });
  const { result: { task: done } } = await rpc("SendMessage", { message: yes });
  assert.equal(done.status.state, "TASK_STATE_COMPLETED", JSON.stringify(done));
  assert.equal(done.id, task.id);
  const over = await rpc("SendMessage", { message: said({ text: "yes" }, { taskId: task.id }) });
  assert.equal(over.error.data[0].reason, "UNSUPPORTED_OPERATION");
  const { result: { task: second } } = await rpc("SendMessage", { message: said({ data: MAIL }) });
  const { result: { task: refused } } = await rpc("SendMessage", { message: said({ data: { confirm: false } }, { taskId: second.id }) });
  assert.equal(refused.status.state, "TASK_STATE_REJECTED");
  const { result: { task: third } } = await rpc("SendMessage", { message: said({ data: { ...MAIL, input: { ...MAIL.input, subject: "Third" } } }) });
  assert.equal((await rpc("CancelTask", { id: third.id })).result.status.state, "TASK_STATE_CANCELED");
  assert.equal((await rpc("CancelTask", { id: third.id })).error.data[0].reason, "TASK_NOT_CANCELABLE");
  assert.equal(vendors.effects().filter((one) => one.operation === "send_email").length, 1);
});

test("a stream tells the task, its artifacts and its end; a client that does not wait asks for it later", async () => {
  const { text } = await post("/a2a", { jsonrpc: "2.0", id: "s", method: "SendStreamingMessage", params: { message: said({ data: SEARCH }) } });
  const told = events(text).map((event) => event.result);
  assert.deepEqual(told.map((one) => Object.keys(one)[0]), ["task", "artifactUpdate", "statusUpdate"]);
  assert.equal(told.at(-1).statusUpdate.status.state, "TASK_STATE_COMPLETED");
  const { result: { task } } = await rpc("SendMessage", { message: said({ data: SEARCH }), configuration: { returnImmediately: true } });
  assert.equal(task.status.state, "TASK_STATE_WORKING");
  const { text: rest } = await post(`/a2a/tasks/${task.id}:subscribe`, "");
  const end = rest.includes("statusUpdate") ? events(rest).at(-1).statusUpdate : (await rpc("GetTask", { id: task.id })).result;
  assert.equal(end.status.state, "TASK_STATE_COMPLETED", rest);
});

test("0.3 has the same tasks in its own words", async () => {
  const message = { kind: "message", messageId: `m-${++count}`, role: "user", parts: [{ kind: "data", data: SEARCH }] };
  const { result } = await rpc("message/send", { message });
  assert.deepEqual([result.kind, result.status.state, result.artifacts[0].parts[0].kind], ["task", "completed", "data"]);
  assert.equal((await rpc("tasks/get", { id: result.id })).result.status.state, "completed");
  const { text } = await post("/a2a", { jsonrpc: "2.0", id: 1, method: "message/stream", params: { message: { ...message, messageId: `m-${++count}` } } });
  const told = events(text).map((event) => event.result);
  assert.deepEqual(told.map((one) => one.kind), ["task", "artifact-update", "status-update"]);
  assert.equal(told.at(-1).final, true);
});

test("the binding of HTTP and JSON: paths, media types, errors as google.rpc.Status", async () => {
  const { status, headers, text } = await post("/a2a/message:send", { message: said({ data: SEARCH }) }, { headers: { accept: "application/a2a+json", "a2a-version": "1.0" } });
  assert.deepEqual([status, headers.get("content-type")], [200, "application/a2a+json"]);
  const { task } = JSON.parse(text);
  // Fields may be called as the definitions call them.
  const { messageId: message_id, ...rest } = said({ data: SEARCH, media_type: "application/json" });
  const named = await post("/a2a/message:send", { message: { message_id, ...rest } });
  assert.equal(JSON.parse(named.text).task.status.state, "TASK_STATE_COMPLETED", named.text);
  const got = await fetch(`${gateway.base}/a2a/tasks/${task.id}?historyLength=1`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await got.json()).id, task.id);
  const missing = await fetch(`${gateway.base}/a2a/tasks/none`, { headers: { authorization: `Bearer ${key}` } });
  const { error } = await missing.json();
  assert.deepEqual([missing.status, error.code, error.status, error.details[0].reason], [404, 404, "NOT_FOUND", "TASK_NOT_FOUND"]);
  const version = await post("/a2a/message:send", { message: said({ data: SEARCH }) }, { headers: { "a2a-version": "9.9" } });
  assert.equal(JSON.parse(version.text).error.details[0].reason, "VERSION_NOT_SUPPORTED");
  const push = await post(`/a2a/tasks/${task.id}/pushNotificationConfigs`, {});
  assert.equal(JSON.parse(push.text).error.details[0].reason, "PUSH_NOTIFICATION_NOT_SUPPORTED");
});

test("what is wrong is told with its path, and text is an intent", async () => {
  for (const [body, code] of [["{", -32700], [{ jsonrpc: "2.0", id: 1, method: "Nothing" }, -32601], [{ jsonrpc: "1.0", id: 1, method: "GetTask" }, -32600], [{ jsonrpc: "2.0", id: 1, method: "SendMessage", params: {} }, -32602]]) {
    const { text } = await post("/a2a", body);
    assert.equal(JSON.parse(text).error.code, code, text);
  }
  const unknown = await rpc("SendMessage", { message: said({ data: { tool: "nobody/nothing", input: {} } }) });
  assert.equal(unknown.result.task.status.state, "TASK_STATE_FAILED");
  const intent = await rpc("SendMessage", { message: said({ data: { intent: "what is the current weather there", input: { latitude: 52.52, longitude: 13.41 } } }) });
  assert.equal(intent.result.task.status.state, "TASK_STATE_COMPLETED", JSON.stringify(intent));
  const envelope = intent.result.task.artifacts[0].parts[0].data;
  assert.deepEqual([envelope.status, envelope.routing.intent.tool], ["succeeded", "weather_current"]);
});

test("words that suit no tool are asked about, and the same task goes on with better ones", async () => {
  const { result: { task } } = await rpc("SendMessage", { message: said({ text: "Hm?" }) });
  assert.equal(task.status.state, "TASK_STATE_INPUT_REQUIRED", JSON.stringify(task));
  const [{ text }, { data }] = task.status.message.parts;
  assert.match(text, /other words/);
  assert.ok(data.routing.intent && data.error.code === "tool_not_found", JSON.stringify(data));
  const { result: { task: again } } = await rpc("SendMessage", { message: said({ text: "Hm, hm?" }, { taskId: task.id }) });
  assert.deepEqual([again.id, again.status.state], [task.id, "TASK_STATE_INPUT_REQUIRED"]);
  const { result: { task: done } } = await rpc("SendMessage", { message: said({ data: SEARCH }, { taskId: task.id }) });
  assert.deepEqual([done.id, done.status.state, done.history.length], [task.id, "TASK_STATE_COMPLETED", 3], JSON.stringify(done));
  const { result: { task: other } } = await rpc("SendMessage", { message: said({ text: "Hm?" }) });
  assert.equal((await rpc("CancelTask", { id: other.id })).result.status.state, "TASK_STATE_CANCELED");
});
