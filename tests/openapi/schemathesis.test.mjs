// The Worker answers as its document says, whatever is sent: schemathesis over all operations, from a fixed seed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startGateway } from "../e2e/gateway.mjs";
import { callers, schemathesis, VARS } from "./schemathesis.mjs";

let gateway;
before(async () => (gateway = await startGateway({ vars: VARS })));
after(() => gateway?.stop());

test("no request of schemathesis finds an answer that the document does not allow", async (t) => {
  const who = await callers(gateway);
  const { ok, output, missing } = await schemathesis(gateway, who, [
    ...["--phases", "examples,coverage,fuzzing"],
    ...["--max-examples", "8", "--seed", "7", "--workers", "2"],
    ...["--continue-on-failure", "--no-shrink", "--warnings", "off"],
  ]);
  if (missing) return t.skip(missing);
  assert.ok(ok, output.slice(-20_000));
  assert.match(output, /\d+ generated|passed/);
});
