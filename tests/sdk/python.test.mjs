// Runs the tests of the official Python SDKs and reports each as a test of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { startGateway } from "../e2e/gateway.mjs";
import { ensurePython } from "./python.mjs";

const SDKS = { openai: "sdk.py", anthropic: "anthropic_sdk.py" };

for (const [sdk, file] of Object.entries(SDKS)) {
  test(`the official Python SDK ${sdk}`, async (t) => {
    const { python, missing } = await ensurePython();
    if (missing) return t.skip(missing);
    const gateway = await startGateway();
    t.after(() => gateway.stop());
    const [{ key }, { key: poor }] = [await gateway.createAccount(), await gateway.createAccount({ usd: "0.000000001" })];
    const child = spawn(python, [join(import.meta.dirname, file)], {
      env: {
        ...process.env,
        PATCHBAY_BASE: gateway.base,
        PATCHBAY_KEY: key,
        PATCHBAY_POOR_KEY: poor,
        PATCHBAY_UPSTREAM: gateway.upstream.url,
        NO_PROXY: "127.0.0.1",
        PYTHONDONTWRITEBYTECODE: "1",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    let ended = false;
    for await (const line of createInterface({ input: child.stdout })) {
      const { name, error, end } = JSON.parse(line);
      ended ||= end === true;
      if (name) await t.test(name, () => assert.equal(error, null, error));
    }
    assert.deepEqual(await exited, [0, null]);
    assert.ok(ended, "the tests ran to their end");
  });
}
