// What the packages know of the API is what the API's document says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { generated } from "../../scripts/lib/clients.mjs";
import { at } from "../../scripts/lib/project.mjs";

const document = JSON.parse(readFileSync(at("openapi.json"), "utf8"));

test("the generated files are current", () => {
  for (const [path, text] of generated(document)) assert.equal(readFileSync(at(path), "utf8"), text, `${path} is old: npm run clients`);
});

test("every operation of an API key is in them, and none of administration", () => {
  const [[, operations]] = generated(document);
  const has = (id) => operations.includes(`\n  ${id}: [`);
  for (const id of ["postChatCompletions", "postMessages", "postResponses", "getModels", "getTools", "postToolsRun", "getKey"]) assert.ok(has(id), id);
  for (const id of ["postKeys", "getAdminAccounts", "postStripeWebhook"]) assert.ok(!has(id), id);
});

test("a changed document changes them", () => {
  const changed = structuredClone(document);
  delete changed.paths["/api/v1/models"].get;
  changed.components.schemas.ChatCompletion.properties.new_field = { type: ["string", "null"], enum: ["a", null] };
  const files = new Map(generated(changed));
  assert.doesNotMatch(files.get("clients/python/patchbay/operations.py"), /"getModels"/);
  assert.match(files.get("clients/python/patchbay/types.py"), /"new_field": "Literal\[\\"a\\", None\]"/);
  assert.match(files.get("clients/typescript/src/types.d.ts"), /new_field\?: "a" \| null/);
});
