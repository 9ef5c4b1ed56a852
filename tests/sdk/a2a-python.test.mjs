// The A2A SDKs of PyPI, unmodified: the one of both versions, and the last one that speaks 0.3 alone. Each has an environment of its own.
import { after, before, test } from "node:test";
import { startToolGateway } from "../e2e/tools.mjs";
import { pythonTests } from "./python.mjs";

let tooled;
before(async () => (tooled = await startToolGateway()));
after(() => tooled?.stop());

for (const [name, file, environment] of [
  ["a2a-sdk 1.3.0, 1.0 and 0.3", "a2a_sdk.py", { name: "python-a2a", requirements: "tests/sdk/a2a_requirements.txt" }],
  ["a2a-sdk 0.3.26", "a2a_v03_sdk.py", { name: "python-a2a-v03", requirements: "tests/sdk/a2a_v03_requirements.txt" }],
]) {
  test(name, (t) => pythonTests(t, file, tooled.gateway, { PATCHBAY_VENDORS: tooled.vendors.url }, undefined, environment));
}
