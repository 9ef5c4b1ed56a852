// What coding agents send, as `npm run test:agents` saw them do it, without the agents.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callJson, call, user } from "./client.mjs";
import { DIALECTS } from "./catalog.mjs";
import { startGateway } from "./gateway.mjs";

let gateway;
let key;
before(async () => {
  gateway = await startGateway();
  ({ key } = await gateway.createAccount());
});
after(() => gateway?.stop());

const text = (words) => ({ type: "input_text", text: words });
const message = (role, words) => ({ type: "message", id: `msg_${role}`, role, content: [text(words)] });
const place = { type: "object", properties: { target: { type: "string" } }, required: ["target"], additionalProperties: false };
const agentTool = (name) => ({ type: "function", name, description: `Does ${name}.`, strict: false, parameters: place });

/** A turn of Codex; the newest message of the user comes last. */
const turn = (model, words, more = []) => ({
  model,
  stream: false,
  input: [message("developer", "You work in a terminal."), message("user", "<environment_context></environment_context>"), message("user", words), ...more],
  tools: [
    agentTool("exec_command"),
    { type: "namespace", name: "multi_agent_v1", description: "Sub-agents.", tools: [agentTool("close_agent"), agentTool("spawn_agent")] },
    { type: "web_search", external_web_access: false },
  ],
  tool_choice: "auto",
  parallel_tool_calls: true,
  reasoning: { summary: "auto" },
  store: false,
  include: ["reasoning.encrypted_content"],
  prompt_cache_key: "01a1fd85-f254-7882-9540-455410310e11",
  client_metadata: { session_id: "01a1fd85", turn_id: "01a1fd86" },
});

describe("Codex", () => {
  for (const dialect of DIALECTS) {
    const model = `test/${dialect}`;

    test(`tools in a namespace are called there, ${dialect} upstream`, async (t) => {
      t.after(() => gateway.upstream.reset());
      gateway.upstream.script({ prefix: `/p/one-${dialect}`, times: 1, behaviour: { calls: [{ name: "multi_agent_v1__close_agent", args: { target: "a1" } }] } });
      const first = await callJson(gateway, "responses", { key, body: turn(model, "Close it.") });
      assert.equal(first.status, 200, JSON.stringify(first.body));
      const found = first.body.output.find(({ type }) => type === "function_call");
      assert.deepEqual([found.namespace, found.name, JSON.parse(found.arguments)], ["multi_agent_v1", "close_agent", { target: "a1" }]);

      const result = { type: "function_call_output", call_id: found.call_id, output: "closed" };
      const second = await callJson(gateway, "responses", { key, body: turn(model, "Close it.", [...first.body.output, result]) });
      assert.equal(second.status, 200, JSON.stringify(second.body));
      const told = JSON.stringify(gateway.upstream.requests().at(-1).body);
      assert.ok(told.includes("multi_agent_v1__close_agent") && told.includes("closed"), told);
    });

    test(`a stream tells the namespace from its first event on, ${dialect} upstream`, async (t) => {
      t.after(() => gateway.upstream.reset());
      gateway.upstream.script({ prefix: `/p/one-${dialect}`, times: 1, behaviour: { calls: [{ name: "multi_agent_v1__spawn_agent", args: { target: "a2" } }] } });
      const response = await call(gateway, "responses", { key, body: { ...turn(model, "Begin."), stream: true } });
      const events = (await response.text()).split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
      const items = events.filter(({ type, item }) => type.startsWith("response.output_item.") && item.type === "function_call");
      assert.deepEqual(items.map(({ type, item }) => [type, item.namespace, item.name]), [
        ["response.output_item.added", "multi_agent_v1", "spawn_agent"],
        ["response.output_item.done", "multi_agent_v1", "spawn_agent"],
      ]);
      assert.equal(events.at(-1).type, "response.completed");
    });
  }
});

describe("Claude Code", () => {
  const headers = () => ({
    authorization: `Bearer ${key}`,
    "anthropic-beta":
      "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,effort-2025-11-24",
    "user-agent": "claude-cli/2.1.197 (external, sdk-cli)",
    "x-app": "cli",
    "x-claude-code-session-id": "0caee36e-ed59-413c-b93c-7452ba66bd56",
  });

  for (const dialect of DIALECTS) {
    test(`a system message amid the conversation, thinking, effort and edits of the context, ${dialect} upstream`, async () => {
      const body = {
        model: `test/${dialect}`,
        max_tokens: 32_000,
        thinking: { type: "adaptive" },
        output_config: { effort: "high" },
        context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
        metadata: { user_id: JSON.stringify({ device_id: "f1f78afa", account_uuid: "", session_id: "0caee36e" }) },
        system: [{ type: "text", text: "You are an agent.", cache_control: { type: "ephemeral" } }],
        messages: [
          { role: "user", content: [{ type: "text", text: "say exactly: at work", cache_control: { type: "ephemeral" } }] },
          { role: "system", content: "Agents: none. Skills: none." },
        ],
        tools: [{ name: "Read", description: "Reads a file.", input_schema: place }],
      };
      const answer = await callJson(gateway, "messages?beta=true", { headers: headers(), body });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      assert.match(answer.body.content.find(({ type }) => type === "text")?.text ?? JSON.stringify(answer.body), /^at work/);
      const { body: told, headers: sent } = gateway.upstream.requests().at(-1);
      const all = JSON.stringify(told);
      assert.ok(all.includes("Agents: none."), "what the system says amid the conversation arrives");
      assert.ok(!all.includes("f1f78afa"), "who asks is not told");
      if (dialect === "anthropic") {
        assert.deepEqual(told.context_management, body.context_management);
        assert.match(sent["anthropic-beta"], /context-management-2025-06-27/);
        const plain = { ...headers(), "anthropic-beta": "effort-2025-11-24" };
        assert.equal((await callJson(gateway, "messages?beta=true", { headers: plain, body })).status, 200);
        assert.ok(!("context_management" in gateway.upstream.requests().at(-1).body), "it is sent to whoever was told to expect it");
      }
    });
  }

  test("tokens are counted under its headers", async () => {
    const body = { model: "test/openai", messages: [user("How long is this?")], tools: [{ name: "Read", input_schema: place }] };
    const { status, body: counted } = await callJson(gateway, "messages/count_tokens?beta=true", { headers: headers(), body });
    assert.equal(status, 200, JSON.stringify(counted));
    assert.ok(counted.input_tokens > 0);
  });
});
