// Tools of the catalog through the official SDKs, unmodified: functions as `/tools` exports them, calls run by `/tools/run`, results sent back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { startToolGateway } from "../e2e/tools.mjs";

const NAMES = "names=open_meteo/current,tavily/search,resend/send_email&strict=true";
const ARGS = { latitude: 52.52, longitude: 13.41, timezone: null };
const user = (content) => ({ role: "user", content });

let tooled, gateway, vendors, openai, anthropic;
before(async () => {
  tooled = await startToolGateway();
  ({ gateway, vendors } = tooled);
  const { key: apiKey } = await gateway.createAccount();
  openai = new OpenAI({ baseURL: `${gateway.base}/api/v1`, apiKey, maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: `${gateway.base}/api`, apiKey, maxRetries: 0 });
});
after(async () => {
  await tooled?.stop();
});

/** What the model calls next. */
const script = (dialect) =>
  upstreamScript(dialect, { text: "Let me look.", calls: [{ name: "open_meteo__current", args: ARGS }] });
const upstreamScript = (dialect, behaviour) => gateway.upstream.script({ prefix: `/p/one-${dialect}/`, times: 1, behaviour });

test("chat completions: strict functions pass the SDK's own check, and the loop closes", async () => {
  const { data: tools } = await openai.get(`/tools?format=openai&${NAMES}`);
  assert.ok(tools.every((tool) => tool.function.strict));
  script("openai");
  const messages = [user("How is the weather?")];
  // `parse` refuses tools that are not strict.
  const asked = await openai.chat.completions.parse({ model: "test/openai", messages, tools });
  assert.equal(asked.choices[0].message.tool_calls[0].function.name, "open_meteo__current");
  const ran = await openai.post("/tools/run", { body: asked });
  // What the SDK adds to the message is its own.
  const { parsed, tool_calls: [{ id, type, function: { name, arguments: args } }], ...message } = asked.choices[0].message;
  const answer = { ...message, tool_calls: [{ id, type, function: { name, arguments: args } }] };
  const last = await openai.chat.completions.create({ model: "test/openai", messages: [...messages, answer, ...ran.messages], tools });
  assert.match(ran.messages[0].content, /light rain/);
  assert.equal(last.choices[0].finish_reason, "stop");
});

test("Responses: the items go back as the next input", async () => {
  const { data: tools } = await openai.get(`/tools?format=openai-responses&${NAMES}`);
  script("openai");
  const input = [user("How is the weather?")];
  const asked = await openai.responses.create({ model: "test/openai", input, tools });
  const ran = await openai.post("/tools/run", { body: { output: asked.output } });
  const last = await openai.responses.create({ model: "test/openai", input: [...input, ...asked.output, ...ran.output], tools });
  assert.match(ran.output[0].output, /light rain/);
  assert.equal(last.status, "completed");
});

test("Messages: blocks of results", async () => {
  const { data: tools } = await openai.get(`/tools?format=anthropic&${NAMES}`);
  script("anthropic");
  const messages = [user("How is the weather?")];
  const asked = await anthropic.messages.create({ model: "test/anthropic", max_tokens: 500, messages, tools });
  const ran = await anthropic.post("/v1/tools/run", { body: asked });
  const last = await anthropic.messages.create({ model: "test/anthropic", max_tokens: 500, messages: [...messages, { role: "assistant", content: asked.content }, ...ran.messages], tools });
  assert.match(ran.messages[0].content[0].content, /light rain/);
  assert.equal(last.stop_reason, "end_turn");
});

test("a runner of functions works with the gateway as what runs them", async () => {
  const { data: tools } = await openai.get(`/tools?format=openai&${NAMES}`);
  const runnable = tools.map(({ function: { strict, ...own } }) => ({
    type: "function",
    function: { ...own, parse: JSON.parse, function: async (input) => (await openai.post("/tools/execute", { body: { tool: own.name, input } })).result },
  }));
  upstreamScript("openai", { calls: [{ name: "open_meteo__current", args: { latitude: 52.52, longitude: 13.41 } }] });
  const runner = openai.chat.completions.runTools({ model: "test/openai", messages: [user("How is the weather?")], tools: runnable });
  assert.ok((await runner.finalContent()).length > 0);
  assert.ok(runner.messages.some((message) => message.role === "tool" && message.content.includes("light rain")));
});
