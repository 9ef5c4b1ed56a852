// A chain whose isolate dies in the midst, and whose caller never comes back: the account's object has it carried on to its end.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { callJson, eventually } from "./client.mjs";
import { startGateway } from "./gateway.mjs";
import { rows } from "./tools.mjs";
import { testCatalog } from "./catalog.mjs";
import { startVendors } from "../vendors/vendors.mjs";

const ISSUE = { owner: "acme", repo: "rocket", title: "Bug", body: "It breaks", channel: "C1" };

test("SIGKILL in the midst of a chain: nobody asks again, and what was done is taken back all the same, once", async () => {
  const vendors = await startVendors();
  const persist = mkdtempSync(join(tmpdir(), "patchbay-chains-"));
  const { GITHUB_TOKEN, SLACK_BOT_TOKEN } = vendors.secrets;
  // How long an execution under way may take: then nobody waits for it any more.
  const vars = { TOOLS_ORIGIN: vendors.url, TOOLS_SINGLE_TENANT: "on", GITHUB_TOKEN, SLACK_BOT_TOKEN, HOLD_LIFETIME_MS: "2000" };
  const effects = (operation) => vendors.effects().filter((one) => one.operation === operation).length;
  let gateway = await startGateway({ catalog: { ...testCatalog(), tools: rows() }, vars, persist });
  try {
    const { key } = await gateway.createAccount({ usd: "10" });
    vendors.fault({ slug: "slack", operation: "post_message", fault: "hang-before" });
    const body = { tool: "composite/issue_and_announce", input: ISSUE };
    const begun = callJson(gateway, "tools/execute", { key, body, headers: { "idempotency-key": "left-1" } }).catch(() => undefined);
    await eventually(
      () => vendors.requests("slack").length,
      (count) => count === 1,
      { what: "the step that hangs" },
    );
    assert.deepEqual([effects("create_issue"), effects("update_issue")], [1, 0]);
    await gateway.kill();
    await begun;
    gateway = await startGateway({ vars, persist });
    await eventually(
      () => effects("update_issue"),
      (count) => count > 0,
      { within: 40_000, what: "the alarm that takes the issue back" },
    );
    // Whoever asks after all is told how it ended.
    const told = await eventually(
      () => callJson(gateway, "tools/execute", { key, body, headers: { "idempotency-key": "left-1" } }),
      (answer) => answer.status !== 409,
      { what: "the chain's end" },
    );
    assert.equal(told.body.replayed, true, JSON.stringify(told.body));
    assert.equal(told.body.status, "partially_compensated");
    const { compensation } = told.body.error.details;
    assert.deepEqual(compensation.partially_compensated.map((one) => one.step), ["issue"]);
    assert.deepEqual(compensation.outcome_unknown.map((one) => one.step), ["post"]);
    assert.deepEqual([effects("create_issue"), effects("update_issue"), effects("post_message")], [1, 1, 0]);
  } finally {
    await gateway?.stop().catch(() => {});
    await vendors.close();
    rmSync(persist, { recursive: true, force: true });
  }
});
