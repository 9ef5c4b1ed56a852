// Runs the tests of the official Python SDKs and reports each as a test of its own.
import { test } from "node:test";
import { operationsCatalog } from "../e2e/catalog.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { vectorOf } from "../upstream/formats/operations.mjs";
import { pythonTests } from "./python.mjs";

for (const [sdk, file] of Object.entries({ openai: "sdk.py", anthropic: "anthropic_sdk.py" })) {
  test(`the official Python SDK ${sdk}`, async (t) => {
    const gateway = await startGateway();
    t.after(() => gateway.stop());
    await pythonTests(t, file, gateway);
  });
}

test("the official Python SDK openai, beside conversations", async (t) => {
  const gateway = await startGateway({ catalog: operationsCatalog() });
  t.after(() => gateway.stop());
  const vectors = Object.fromEntries(["one", "two"].map((text) => [text, vectorOf(text)]));
  await pythonTests(t, "operations_sdk.py", gateway, { VECTORS: JSON.stringify(vectors) });
});
