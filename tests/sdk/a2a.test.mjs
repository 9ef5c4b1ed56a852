// The official A2A SDK for JavaScript, unmodified: both bindings of 1.0. Those of Python, and 0.3, are in a2a-python.test.mjs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMPLETED, INPUT_REQUIRED, connectA2a, data, message, text } from "./a2a.mjs";
import { startToolGateway } from "../e2e/tools.mjs";

const SEARCH = { tool: "tavily/search", input: { query: "solar roof tiles", max_results: 2, topic: "news", include_domains: ["example.org"] } };
const MAIL = { tool: "resend/send_email", confirm: "writes", input: { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" } };

let tooled, gateway, vendors, key;
before(async () => {
  tooled = await startToolGateway();
  ({ gateway, vendors } = tooled);
  ({ key } = await gateway.createAccount({ usd: "5" }));
});
after(() => tooled?.stop());

for (const transport of ["jsonrpc", "rest"]) {
  test(`1.0 over ${transport}: a task, its result, a confirmation, a stream, a list`, async () => {
    const own = await connectA2a(gateway, key, transport);
    const task = await own.sendMessage(message(data(SEARCH)));
    assert.equal(task.status.state, COMPLETED, JSON.stringify(task));
    const [part] = task.artifacts[0].parts;
    assert.equal(part.content.value.status, "succeeded");
    const waiting = await own.sendMessage(message(data(MAIL)));
    assert.equal(waiting.status.state, INPUT_REQUIRED);
    const done = await own.sendMessage(message(text("yes"), { taskId: waiting.id, contextId: waiting.contextId }));
    assert.equal(done.status.state, COMPLETED);
    const kinds = [];
    for await (const event of own.sendMessageStream(message(data(SEARCH)))) kinds.push(event.payload?.$case ?? Object.keys(event)[0]);
    assert.deepEqual(kinds, ["task", "artifactUpdate", "statusUpdate"]);
    assert.equal((await own.getTask({ id: task.id, historyLength: 1, tenant: "" })).id, task.id);
    await assert.rejects(own.getTask({ id: "none", historyLength: 0, tenant: "" }), /none|not found/i);
  });
}
