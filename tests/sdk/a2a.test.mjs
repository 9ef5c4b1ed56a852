// The official A2A SDK for JavaScript, unmodified: both bindings of 1.0, and 0.3 through its layer of compatibility.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client";
import { startToolGateway } from "../e2e/tools.mjs";

const SEARCH = { tool: "tavily/search", input: { query: "solar roof tiles", max_results: 2, topic: "news", include_domains: ["example.org"] } };
const MAIL = { tool: "resend/send_email", confirm: "writes", input: { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" } };
const COMPLETED = 3, INPUT_REQUIRED = 6;

let tooled, gateway, vendors, key;
before(async () => {
  tooled = await startToolGateway();
  ({ gateway, vendors } = tooled);
  ({ key } = await gateway.createAccount({ usd: "5" }));
});
after(() => tooled?.stop());

const fetchImpl = (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });
const message = (content, more = {}) => ({
  message: { messageId: randomUUID(), role: 1, parts: [{ content, metadata: {}, filename: "", mediaType: "" }], contextId: "", taskId: "", metadata: {}, extensions: [], referenceTaskIds: [], ...more },
});
const data = (value) => ({ $case: "data", value });

async function client(transport) {
  const transports = [transport === "rest" ? new RestTransportFactory({ fetchImpl }) : new JsonRpcTransportFactory({ fetchImpl })];
  const cardResolver = new DefaultAgentCardResolver({ fetchImpl });
  const preferredTransports = [transport === "rest" ? "HTTP+JSON" : "JSONRPC"];
  return new ClientFactory({ ...ClientFactoryOptions.default, transports, cardResolver, preferredTransports }).createFromUrl(gateway.base);
}

for (const transport of ["jsonrpc", "rest"]) {
  test(`1.0 over ${transport}: a task, its result, a confirmation, a stream, a list`, async () => {
    const own = await client(transport);
    const task = await own.sendMessage(message(data(SEARCH)));
    assert.equal(task.status.state, COMPLETED, JSON.stringify(task));
    const [part] = task.artifacts[0].parts;
    assert.equal(part.content.value.status, "succeeded");
    const waiting = await own.sendMessage(message(data(MAIL)));
    assert.equal(waiting.status.state, INPUT_REQUIRED);
    const done = await own.sendMessage(message({ $case: "text", value: "yes" }, { taskId: waiting.id, contextId: waiting.contextId }));
    assert.equal(done.status.state, COMPLETED);
    const kinds = [];
    for await (const event of own.sendMessageStream(message(data(SEARCH)))) kinds.push(event.payload?.$case ?? Object.keys(event)[0]);
    assert.deepEqual(kinds, ["task", "artifactUpdate", "statusUpdate"]);
    assert.equal((await own.getTask({ id: task.id, historyLength: 1, tenant: "" })).id, task.id);
    await assert.rejects(own.getTask({ id: "none", historyLength: 0, tenant: "" }), /none|not found/i);
  });
}
