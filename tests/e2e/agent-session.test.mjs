// One session as an agent lives it, told over each protocol with a client that knows nothing of us: it searches, is asked before it writes,
// retries, loops until it is stopped, runs a chain that fails half-way, and reads its bill. What it was told, what the books say and what the
// providers saw have to be the same.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connectMcp } from "../mcp/client.mjs";
import { INPUT_REQUIRED, REJECTED, connectA2a, data, dataOf, message, text } from "../sdk/a2a.mjs";
import { startVendors } from "../vendors/vendors.mjs";
import { callJson, nanos, settled } from "./client.mjs";
import { startToolGateway } from "./tools.mjs";

const FIND = { query: "solar roof tiles", max_results: 2, topic: "news", include_domains: ["example.org"] };
const MAIL = { from: "Ann <ann@example.org>", to: ["bob@example.com"], subject: "The roof", text: "It is done." };
const LAUNCH = { from: "Ann <ann@example.org>", to: "bob@example.com", owner: "acme", repo: "rocket", title: "Launch", channel: "C1" };
const ISSUE = { owner: "acme", repo: "rocket", title: "Bug", body: "It breaks", channel: "C1" };

/** A chain whose deeds can be taken back wholly, in part, and not at all, before its last step. */
const CHAIN = `
[[operation]]
name = "launch"
title = "Tell everybody of a launch"
description = "Schedules a reminder, opens an issue, writes a mail and posts in a channel."
category = "developer"
effect = "write"
price = { call = 0 }
price_source = "nothing of its own: its steps are charged"
recipients = ["/to"]
intents = ["tell everybody of the launch", "announce the release everywhere", "spread the news of our launch"]
input = '''{"type": "object", "additionalProperties": false, "required": ["from", "to", "owner", "repo", "title", "channel"], "properties": {
  "from": {"type": "string", "description": "Sender."}, "to": {"type": "string", "description": "Recipient."},
  "owner": {"type": "string", "description": "Owner of the repository."}, "repo": {"type": "string", "description": "Its name."},
  "title": {"type": "string", "description": "What is launched."}, "channel": {"type": "string", "description": "Channel of Slack."}}}'''
composite = '''{"steps": [
  {"id": "reminder", "tool": "resend/send_email", "input": {"from": "{/input/from}", "to": ["{/input/to}"], "subject": "Tomorrow: {/input/title}", "text": "Be there.", "scheduled_at": "2026-12-01T09:00:00Z"}},
  {"id": "issue", "tool": "github/create_issue", "input": {"owner": "{/input/owner}", "repo": "{/input/repo}", "title": "{/input/title}"}},
  {"id": "mail", "tool": "resend/send_email", "input": {"from": "{/input/from}", "to": ["{/input/to}"], "subject": "{/input/title}", "text": "{/steps/issue/result/url}"}},
  {"id": "post", "tool": "slack/post_message", "input": {"channel": "{/input/channel}", "text": "{/input/title}: {/steps/issue/result/url}"}}],
 "output": {"kind": "issue", "url": "{/steps/issue/result/url}"}}'''
`;

/** What takes a deed back, as the rows have it. */
const UNDO = { "resend/send_email": "resend/cancel_email", "github/create_issue": "github/update_issue" };

/** Which loops are stopped, and by which guard: the rule, the calls that an agent repeats, and how many of them go through. */
const LOOPS = [
  { guard: "repeats", rule: { tool: "tavily/search", repeats: { max: 2, within_s: 60, action: "refuse" } }, input: () => FIND, through: 1 },
  { guard: "calls_per_minute", rule: { tool: "open_meteo/current", calls_per_minute: 3 }, input: (n) => ({ latitude: 50 + n, longitude: 13 }), through: 3 },
];

const DECLINED = { status: "declined" };

/**
 * The protocols: `connect(gateway, key)` gives an agent with `find(words, word)`, the names of tools, and `run({tool, input, name}, person)`, an
 * envelope. `person` reads what is asked and says yes or no, in the protocol's own way.
 */
const PROTOCOLS = {
  REST: {
    surface: "rest",
    async connect(gateway, key) {
      return {
        find: async (words) => (await callJson(gateway, `tools?q=${encodeURIComponent(words)}`, { key })).body.data.map((tool) => tool.id),
        async run({ tool, input, name }, person) {
          const send = async (more) => {
            const headers = name ? { "idempotency-key": name } : {};
            return (await callJson(gateway, "tools/execute", { key, body: { tool, input, ...more }, headers })).body;
          };
          let answer = await send();
          while (answer.status === "confirmation_required") {
            if (!person(answer.confirmation.summary)) return DECLINED;
            answer = await send({ confirmation: answer.confirmation.token });
          }
          return answer;
        },
        close: async () => {},
      };
    },
  },
  ...Object.fromEntries(
    ["modern", "legacy"].map((era) => [
      `MCP, ${era}`,
      {
        surface: "mcp",
        async connect(gateway, key) {
          let asked = () => assert.fail("nobody is there to be asked");
          const answer = ({ params }) => (asked(params.message) ? { action: "accept", content: { confirm: true } } : { action: "decline" });
          const client = await connectMcp(gateway, key, { era, query: "?tools=meta", answer });
          return {
            async find(words) {
              const { structuredContent } = await client.call({ name: "search_tools", arguments: { query: words } });
              return structuredContent.tools.map((tool) => tool.name.replace("__", "/"));
            },
            async run({ tool, input, name }, person) {
              asked = person;
              const result = await client.call({ name: "execute_tool", arguments: { tool, input, ...(name && { idempotency_key: name }) } });
              if (result.structuredContent) return result.structuredContent;
              assert.ok(result.isError && /declined/.test(result.content[0].text), JSON.stringify(result));
              return DECLINED;
            },
            close: () => client.close(),
          };
        },
      },
    ]),
  ),
  ...Object.fromEntries(
    ["jsonrpc", "rest"].map((transport) => [
      `A2A, ${transport}`,
      {
        surface: "a2a",
        async connect(gateway, key) {
          const client = await connectA2a(gateway, key, transport);
          return {
            client,
            // Agents read each other's cards.
            async find(words, word) {
              const { skills } = await client.getAgentCard();
              return skills.filter((skill) => `${skill.name} ${skill.tags} ${skill.examples}`.toLowerCase().includes(word)).map((skill) => skill.id);
            },
            async run({ tool, input, name }, person) {
              let task = await client.sendMessage(message(data({ tool, input, ...(name && { idempotency_key: name }) })));
              while (task.status.state === INPUT_REQUIRED) {
                const [question] = task.status.message.parts;
                const answer = text(person(question.content.value) ? "yes" : "no");
                task = await client.sendMessage(message(answer, { taskId: task.id, contextId: task.contextId }));
              }
              if (task.status.state === REJECTED) return DECLINED;
              const said = dataOf(task.status.message?.parts);
              return dataOf(task.artifacts[0]?.parts) ?? { id: task.id, tool, status: said.outcome, error: said.error };
            },
            close: async () => {},
          };
        },
      },
    ]),
  ),
};

let tooled, gateway, vendors;
before(async () => {
  const probe = await startVendors();
  const { GITHUB_TOKEN, SLACK_BOT_TOKEN } = probe.secrets;
  await probe.close();
  tooled = await startToolGateway({
    vars: { GITHUB_TOKEN, SLACK_BOT_TOKEN },
    change: (rows) => ({ ...rows, composite: rows.composite + CHAIN }),
  });
  ({ gateway, vendors } = tooled);
});
after(() => tooled?.stop());

const deeds = () => vendors.effects().map((one) => `${one.slug}/${one.operation}`);

/** A key whose owner wants these things asked about, and `rule(confirm)`, by which they change their mind. */
async function customer(confirm) {
  const { key, account, hash } = await gateway.createAccount({ usd: "10" });
  const admin = (await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "admin", is_management_key: true })).key;
  const rule = async (wanted) => {
    const body = { confirm: wanted, rules: LOOPS.map((loop) => loop.rule) };
    const { status } = await callJson(gateway, `tools/guards?key_hash=${hash}`, { key: admin, method: "PUT", body });
    assert.equal(status, 200);
  };
  await rule(confirm);
  return { key, account, rule };
}

/** A person who gives these answers, and remembers what they were asked and what had been done by then. */
function person(...answers) {
  const one = (question) => {
    one.asked.push(question);
    one.seen.push(deeds().length);
    assert.ok(answers.length > 0, `asked once too often: ${question}`);
    return answers.shift();
  };
  return Object.assign(one, { asked: [], seen: [] });
}
const nobody = (question) => assert.fail(`nobody should be asked: ${question}`);

/** What an envelope says was done, in any order. */
function done(envelope) {
  const steps = (envelope.steps ?? [envelope]).filter((step) => step.status === "succeeded" && !/search|current/.test(step.tool));
  const { compensated = [], partially_compensated: partially = [] } = envelope.error?.details?.compensation ?? {};
  return [...steps.map((step) => step.tool), ...[...compensated, ...partially].map((deed) => UNDO[deed.tool])];
}

for (const [name, { surface, connect }] of Object.entries(PROTOCOLS)) {
  describe(name, () => {
    let agent;
    after(() => agent?.close());

    test("a session, from its first search to its bill", async () => {
      vendors.reset();
      const { key, account, rule } = await customer("writes");
      agent = await connect(gateway, key);
      const told = new Map();
      const run = async (tool, input, { by = nobody, as } = {}) => {
        const envelope = await agent.run({ tool, input, name: as }, by);
        // An execution that is told again is the same one; a chain that went on is told as a whole.
        if (envelope !== DECLINED && !envelope.replayed) told.set(envelope.id, envelope);
        return envelope;
      };

      // It searches for tools, and with one of them.
      assert.ok((await agent.find("send an email", "mail")).includes("resend/send_email"));
      assert.ok((await agent.find("search the web", "search")).includes("tavily/search"));
      const found = await run("tavily/search", FIND);
      assert.equal(found.status, "succeeded", JSON.stringify(found));
      assert.equal(found.result.items[0].title, "Roofs that make power");

      // A write is asked about. No is no; yes is good for this.
      const unwilling = person(false);
      assert.equal(await run("resend/send_email", { ...MAIL, subject: "Never" }, { by: unwilling, as: "never" }), DECLINED);
      const willing = person(true);
      const sent = await run("resend/send_email", MAIL, { by: willing, as: "roof" });
      assert.equal(sent.status, "succeeded", JSON.stringify(sent));
      for (const { asked, seen } of [unwilling, willing]) {
        assert.deepEqual([asked.length, seen], [1, [0]], "asked once, before anything was done");
        assert.match(asked[0], /bob@example\.com/);
      }
      assert.deepEqual(deeds(), ["resend/send_email"]);

      // It did not hear the answer, and tries again.
      const again = await run("resend/send_email", MAIL, { as: "roof" });
      assert.deepEqual([again.replayed, again.id, again.status], [true, sent.id, "succeeded"]);
      assert.deepEqual(deeds(), ["resend/send_email"]);

      // It loops, is stopped, and is told when to go on.
      for (const { guard, rule: { tool }, input, through } of LOOPS) {
        const before = vendors.requests().length;
        let went = 0, answer;
        for (; went <= through; went += 1) {
          answer = await run(tool, input(went));
          if (answer.error) break;
        }
        assert.equal(went, through, JSON.stringify(answer));
        assert.deepEqual([answer.status, answer.error.class, answer.error.details.guard], ["failed", "guard", guard]);
        assert.ok(answer.error.retry_after > 0 && answer.error.retry_after <= 60, JSON.stringify(answer.error));
        assert.equal(vendors.requests().length - before, through, "what is refused is not sent");
      }

      // The owner trusts it from now on; a chain fails at its last step.
      await rule("destructive");
      vendors.fault({ slug: "slack", operation: "post_message", fault: "error-0", times: 9 });
      const chain = await run("composite/launch", LAUNCH, { as: "launch" });
      assert.equal(chain.status, "partially_compensated", JSON.stringify(chain));
      assert.match(chain.error.message, /^Step post failed/);
      assert.deepEqual(chain.steps.map((step) => [step.id, step.status]), [["reminder", "succeeded"], ["issue", "succeeded"], ["mail", "succeeded"], ["post", "failed"]]);
      const { compensation } = chain.error.details;
      const lists = Object.fromEntries(Object.entries(compensation).map(([list, all]) => [list, all.map((deed) => deed.step)]));
      assert.deepEqual(lists, { compensated: ["reminder"], partially_compensated: ["issue"], not_compensatable: ["mail"] });
      assert.match(compensation.partially_compensated[0].note, /closed, not deleted/);
      const once = deeds();
      const second = await run("composite/launch", LAUNCH, { as: "launch" });
      assert.deepEqual([second.replayed, second.status, deeds()], [true, "partially_compensated", once]);
      const { body: kept } = await callJson(gateway, `tools/executions/${chain.id}`, { key });
      assert.deepEqual([kept.status, kept.error], [chain.status, chain.error], "it can be looked up afterwards");

      // The providers saw what was told, and nothing else.
      assert.deepEqual(deeds().sort(), [...told.values()].flatMap(done).sort());
      assert.equal(deeds().length, 6);

      // The bill: told, kept, booked and written down, all to the nano-dollar.
      const bill = [...told.values()].reduce((sum, { usage }) => sum + nanos(usage?.cost ?? 0), 0n);
      assert.equal(bill, 2n * 8_000_000n + 3n * 900_000n);
      const { balance } = await settled(gateway, account);
      assert.equal(nanos(10) - nanos(balance), bill);
      const { data: entries } = await gateway.operator.call("GET", `accounts/${account}/entries`);
      const charges = entries.filter((entry) => entry.amount < 0);
      assert.equal(-charges.reduce((sum, { amount }) => sum + nanos(amount), 0n), bill);
      const { body: executions } = await callJson(gateway, "tools/executions?limit=500", { key });
      assert.equal(executions.data.reduce((sum, { cost }) => sum + nanos(cost), 0n), bill);
      const rows = await gateway.d1("SELECT id, cost, surface FROM usage WHERE account = ?", account);
      assert.equal(rows.reduce((sum, { cost }) => sum + BigInt(cost), 0n), bill);
      const charged = (list) => list.map(({ id }) => id).sort();
      assert.deepEqual(charged(rows.filter(({ cost }) => cost > 0)), charged(executions.data.filter(({ cost }) => cost > 0)));
      assert.deepEqual([...new Set(rows.map((row) => row.surface))].sort(), ["composite", surface].sort());
      const { body: own } = await callJson(gateway, "key", { key });
      assert.equal(nanos(own.data.usage), bill);
    });

    for (const named of [true, false]) {
      test(`a chain that asks at each step does each once, ${named ? "under a name" : "under no name"}`, async () => {
        vendors.reset();
        const { key } = await customer("writes");
        const own = await connect(gateway, key);
        try {
          const willing = person(true, true);
          const opened = await own.run({ tool: "composite/issue_and_announce", input: ISSUE, name: named ? "announce" : undefined }, willing);
          assert.equal(opened.status, "succeeded", JSON.stringify(opened));
          assert.deepEqual(willing.seen, [0, 1]);
          assert.deepEqual(deeds(), ["github/create_issue", "slack/post_message"]);
          // What the gateway keeps of a chain is none of the agent's tasks.
          const { tasks } = (await own.client?.listTasks({ tenant: "", contextId: "", status: 0, pageToken: "" })) ?? {};
          if (own.client) assert.deepEqual(tasks.map((task) => task.status.state), [3]);
        } finally {
          await own.close();
        }
      });
    }
  });
}
