// The API's document is valid OpenAPI, and what real clients send is what it says.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { at } from "../../scripts/lib/project.mjs";
import { document, operations, wrongAnswer, wrongRequest } from "./checker.mjs";

test("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 1)?.slice(0, 2_000));
  assert.equal(validator.version, "3.1");
});

test("operations have names of their own, examples that fit, and tell of their errors", () => {
  const names = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(names).size, names.length);
  for (const { method, path, operation } of operations) {
    for (const media of Object.values(operation.requestBody?.content ?? {})) {
      if (!media.example) continue;
      const type = media.schema.$ref?.split("/").at(-1);
      if (type) assert.equal(wrongRequest(type, media.example), undefined, `${method} ${path}`);
    }
    const named = path.match(/\{([^}]+)\}/g) ?? [];
    const told = (operation.parameters ?? []).filter((one) => one.in === "path").map((one) => `{${one.name}}`);
    assert.deepEqual(told.sort(), named.sort(), `${method} ${path}`);
    if (operation.security.length > 0) assert.ok(operation.responses[401], `${method} ${path}`);
  }
});

test("an answer with a field that the document lacks, or a status that it does not name, is found", () => {
  const url = "/api/v1/credits";
  assert.equal(wrongAnswer("GET", url, 200, { data: { total_credits: 1.5, total_usage: 0 } }), undefined);
  assert.match(wrongAnswer("GET", url, 200, { data: { total_credits: 1.5 } }), /total_usage/);
  assert.match(wrongAnswer("GET", url, 200, { data: { total_credits: 1.5, total_usage: 0, more: 1 } }), /more/);
  assert.match(wrongAnswer("GET", url, 418, {}), /418/);
});

const shared = process.env.PATCHBAY_SHARED ?? at("..", "shared");
const fixtures = join(shared, "fixtures");

/** The type of a recorded request, by the API that it was sent to. */
const TYPES = { "openai.chat": "ChatRequest", "openrouter.chat": "ChatRequest", "openai.responses": "ResponsesRequest", "anthropic.messages": "MessagesRequest", "openai.embeddings": "EmbeddingsRequest" };

/** Why the gateway refuses what a provider took. */
function refusal({ tools = [], store, previous_response_id: previous, conversation, prompt, input }) {
  const foreign = tools.find(({ type }) => ["mcp", "code_interpreter", "file_search", "tool_search"].includes(type));
  if (foreign) return `it runs no ${foreign.type}`;
  if (store || previous || conversation || (prompt && !input)) return "it stores nothing";
  return undefined;
}

test("requests that were recorded are what the document says", { skip: !existsSync(fixtures) && "no recorded exchanges here" }, () => {
  const index = readFileSync(join(fixtures, "index.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const counts = {};
  const wrong = [];
  for (const { provider, case: name, api, request, http_status: status } of index) {
    const type = TYPES[api];
    const file = join(fixtures, provider, name, "request.json");
    if (!type || !request || status !== 200 || !existsSync(file)) continue;
    const sent = JSON.parse(readFileSync(file, "utf8"));
    const body = sent.body ?? sent;
    if (typeof body !== "object" || (type === "ResponsesRequest" && refusal(body))) continue;
    counts[type] = (counts[type] ?? 0) + 1;
    const fault = wrongRequest(type, body);
    if (fault) wrong.push(`${provider}/${name}: ${fault}`);
  }
  for (const type of ["ChatRequest", "ResponsesRequest", "MessagesRequest"]) assert.ok(counts[type] > 20, `${type}: ${counts[type]}`);
  assert.equal(wrong.length, 0, `${wrong.length} of ${JSON.stringify(counts)}\n${wrong.slice(0, 12).join("\n")}`);
});
