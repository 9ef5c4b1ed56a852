// What the gateway itself does to requests and answers: forms of answers, tools in words, files, prompts that are too long.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { after, before, beforeEach, test } from "node:test";
import { endpoint, model, testCatalog } from "./catalog.mjs";
import { callJson, chat, providerOf, settled, user } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

/** `test/plain` can do nothing but text, `test/forced` has tools but no schemas, `test/leaks` leaks markup, `test/small` has a small window. */
function catalog() {
  const rows = testCatalog();
  const at = (slug, supported, fields = {}) => {
    const { context_length = 1_000_000 } = fields;
    rows.models.push(model(slug, { context_length, input_modalities: ["text"] }));
    rows.endpoints.push(
      endpoint({
        model: slug, provider: "one-openai", dialect: "openai",
        fields: { supported_parameters: supported, input_modalities: ["text"], reasoning: undefined, ...fields },
      }),
    );
  };
  at("test/plain", ["temperature", "max_tokens", "stop"]);
  at("test/forced", ["max_tokens", "tools", "tool_choice"]);
  at("test/small", ["max_tokens"], { context_length: 4096, max_completion_tokens: 1000 });
  const [leaky] = rows.providers.filter((row) => row.includes(`slug = "one-openai"`));
  rows.providers.push(leaky.replaceAll("one-openai", "leaky").replace("quirks = [", `quirks = ["leaks_tool_markup", `));
  rows.models.push(model("test/leaks"));
  rows.endpoints.push(endpoint({ model: "test/leaks", provider: "leaky", dialect: "openai" }));
  return rows;
}

let gateway, key, account;
before(async () => {
  gateway = await startGateway({ catalog: catalog() });
  ({ key, account } = await gateway.createAccount());
});
after(() => gateway?.stop());
beforeEach(() => gateway.upstream.reset());

const told = { headers: { "x-openrouter-metadata": "enabled" } };
const ask = (body, options) => chat(gateway, key, body, options);
const requests = () => gateway.upstream.requests();
const sent = () => requests().at(-1).body;
/** The next answer of a provider: these words, or this behaviour. */
const says = (provider, words) =>
  gateway.upstream.script({ prefix: `/p/${provider}/`, times: 1, behaviour: typeof words === "string" ? { text: words } : words });
const pipeline = (answer) => (answer.chunks?.at(-1) ?? answer.body).openrouter_metadata?.pipeline ?? [];

const schema = { type: "object", properties: { age: { type: "integer" } }, required: ["age"], additionalProperties: false };
const response_format = { type: "json_schema", json_schema: { name: "person", schema } };

test("JSON that is nearly right is repaired, and the answer says so", async () => {
  const broken = "Here you are:\n```json\n{'age': 3, // years\n}\n```";
  says("one-openai", broken);
  const answer = await ask({ model: "test/openai", response_format }, told);
  assert.equal(answer.message.content, `{"age":3}`);
  assert.equal(answer.headers.get("x-patchbay-pipeline"), "response-healing");
  assert.deepEqual(pipeline(answer).map(({ type, data }) => [type, data.repairs.includes("code fence")]), [["response_healing", true]]);

  says("one-openai", broken);
  says("two-openai", broken);
  const off = await ask({ model: "test/openai", response_format, plugins: [{ id: "response-healing", enabled: false }] });
  assert.equal(off.message.content, broken, "healing is off: told, not changed");
  assert.equal(pipeline(off)[0].data.valid, false);
});

test("an answer that violates its schema is asked for elsewhere; where nobody does better it is told", async () => {
  says("one-openai", `{"age": "three"}`);
  says("two-openai", `{"age": 3}`);
  const better = await ask({ model: "test/openai", response_format });
  assert.deepEqual([better.message.content, better.provider], [`{"age": 3}`, "Test two-openai"]);
  assert.deepEqual(requests().map(providerOf), ["one-openai", "two-openai"]);

  says("one-openai", `{"age": "three"}`);
  says("two-openai", { faults: "fault-status-503" });
  const kept = await ask({ model: "test/openai", response_format });
  assert.deepEqual([kept.message.content, kept.provider], [`{"age": "three"}`, "Test one-openai"]);
  assert.equal(kept.headers.get("x-patchbay-pipeline"), "structured-output");
  assert.match(pipeline(kept)[0].summary, /expected integer, got string/);

  says("one-openai", `{"age": "three"}`);
  const streamed = await ask({ model: "test/openai", response_format, stream: true });
  assert.equal(streamed.message.content, `{"age": "three"}`);
  assert.equal(pipeline(streamed)[0].data.path, "/age");
  await settled(gateway, account);
});

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "in one piece";

  test(`a schema is asked for as a forced tool, whose arguments are the answer (${how})`, async () => {
    const answer = await ask({ model: "test/forced", response_format, stream });
    assert.deepEqual([sent().tool_choice?.function?.name, sent().response_format], ["person", undefined]);
    assert.equal(typeof JSON.parse(answer.message.content).age, "number");
    assert.equal(answer.finish, "stop");
    assert.equal(answer.message.tool_calls, undefined);
  });

  test(`a model without tools calls them all the same (${how})`, async () => {
    const tools = [
      { type: "function", function: { name: "get_weather", description: "The weather.", parameters: { type: "object", properties: { city: { type: "string" } } } } },
    ];
    const call = (city) => `<tool_call>\n{"name": "get_weather", "arguments": {"city": "${city}"}}\n</tool_call>`;
    says("one-openai", { text: `I look.\n${call("Rom")}\n${call("Kyiv")}`, faults: stream ? "fault-chunk-5" : undefined });
    const question = user("How is the weather?");
    const first = await ask({ model: "test/plain", tools, stream, messages: [question] }, told);
    assert.deepEqual([first.status, first.message.content, first.finish], [200, "I look.", "tool_calls"]);
    const calls = first.message.tool_calls;
    assert.deepEqual(calls.map(({ function: { name, arguments: args } }) => [name, JSON.parse(args).city]), [["get_weather", "Rom"], ["get_weather", "Kyiv"]]);
    assert.notEqual(calls[0].id, calls[1].id);
    assert.ok(!JSON.stringify(first.chunks ?? first.body).includes("<tool_call"), "no markup leaks");
    assert.equal(pipeline(first)[0].name, "tool-prompting");
    assert.equal(sent().tools, undefined);
    assert.match(JSON.stringify(sent().messages[0]), /get_weather.*<tool_call>/s);

    const results = calls.map(({ id }, at) => ({ role: "tool", tool_call_id: id, content: `${20 + at} degrees` }));
    const second = await ask({ model: "test/plain", tools, stream, messages: [question, first.message, ...results] });
    assert.deepEqual([second.status, second.finish], [200, "stop"]);
    const [, , assistant, results_] = sent().messages;
    assert.match(JSON.stringify(assistant.content), /I look.*Rom.*Kyiv/s);
    assert.deepEqual([results_.role, sent().messages.length], ["user", 4]);
    assert.match(JSON.stringify(results_.content), /20 degrees.*21 degrees/s);
  });

  test(`markup that a host leaks becomes the call that was meant (${how})`, async () => {
    says("leaky", { text: "[TOOL_CALLS]go[ARGS]{\"to\": \"Rom\"}", faults: stream ? "fault-onebyte" : undefined });
    const tools = [{ type: "function", function: { name: "go", parameters: { type: "object" } } }];
    const answer = await ask({ model: "test/leaks", tools, stream, messages: [user("Now.")] });
    assert.deepEqual([answer.message.content || null, answer.finish], [null, "tool_calls"]);
    assert.deepEqual(answer.message.tool_calls.map((call) => call.function), [{ name: "go", arguments: `{"to": "Rom"}` }]);
  });
}

test("a call that cannot be read is a failure, told as such", async () => {
  const tools = [{ type: "function", function: { name: "go" } }];
  for (const stream of [false, true]) {
    says("one-openai", "<tool_call>Perhaps later.</tool_call>");
    const answer = await ask({ model: "test/plain", tools, stream });
    assert.equal(answer.status, 502);
    assert.match(answer.error.message, /malformed_tool_call/);
  }
  await settled(gateway, account);
});

test("a client that speaks messages gets a prompted call as a tool_use block", async () => {
  says("one-openai", `<tool_call>{"name": "go", "arguments": {"to": "Rom"}}</tool_call>`);
  const tools = [{ name: "go", input_schema: { type: "object", properties: { to: { type: "string" } } } }];
  const { status, body } = await callJson(gateway, "messages", { key, body: { model: "test/plain", max_tokens: 100, tools, messages: [user("Go.")] } });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual([body.stop_reason, body.content.map(({ type, name, input }) => [type, name, input])], ["tool_use", [["tool_use", "go", { to: "Rom" }]]]);
});

/** A PDF document of one page with these words. */
function pdf(words, trailer = "") {
  const content = `BT /F1 12 Tf 72 720 Td (${words}) Tj ET`;
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>>>>>",
    "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    `<</Length ${content.length}>>\nstream\n${content}\nendstream`,
  ];
  const body = objects.map((object, at) => `${at + 1} 0 obj\n${object}\nendobj\n`).join("");
  return `%PDF-1.4\n${body}trailer\n<</Root 1 0 R${trailer}>>\n%%EOF`;
}

const withFile = (bytes, more) => {
  const file_data = `data:application/pdf;base64,${Buffer.from(bytes).toString("base64")}`;
  return { ...more, messages: [user([{ type: "text", text: "What is in it?" }, { type: "file", file: { filename: "a.pdf", file_data } }])] };
};

test("a PDF goes to the model that reads it, and is read for the others", async () => {
  const bytes = pdf("The code word is heron.");
  await ask(withFile(bytes, { model: "test/openai" }));
  assert.equal(sent().messages[0].content[1].type, "file", "native");

  for (const stream of [false, true]) {
    const answer = await ask(withFile(bytes, { model: "test/plain", stream }));
    assert.equal(answer.status, 200);
    assert.match(JSON.stringify(sent().messages), /a\.pdf.*The code word is heron\./s);
    const annotations = answer.chunks?.flatMap((chunk) => chunk.choices.flatMap(({ delta }) => delta.annotations ?? [])) ?? answer.message.annotations;
    assert.equal(annotations.length, 1);
    assert.match(annotations[0].file.content[0].text, /heron/);
    assert.match(answer.headers.get("x-patchbay-pipeline"), /file-parser/);
  }

  const named = await ask(withFile(bytes, { model: "test/openai", plugins: [{ id: "file-parser", pdf: { engine: "pdf-text" } }] }));
  assert.equal(named.status, 200);
  assert.match(JSON.stringify(sent().messages), /heron/);

  const locked = await ask(withFile(pdf("x", "/Encrypt 9 0 R"), { model: "test/plain" }));
  assert.equal(locked.status, 400);
  assert.match(locked.error.message, /encrypted/);
  const ocr = await ask(withFile(bytes, { model: "test/plain", plugins: [{ id: "file-parser", pdf: { engine: "mistral-ocr" } }] }));
  assert.equal(ocr.status, 400);
  assert.match(ocr.error.message, /not offered/);
  await settled(gateway, account);
});

test("a prompt that is too long for a small window loses its middle", async () => {
  const messages = Array.from({ length: 41 }, (_, at) => ({ role: at % 2 === 0 ? "user" : "assistant", content: `${at}: ${"word ".repeat(120)}` }));
  const answer = await ask({ model: "test/small", messages: [{ role: "system", content: "Be brief." }, ...messages] }, told);
  assert.equal(answer.status, 200);
  const kept = sent().messages.map(({ content }) => JSON.stringify(content).slice(1, 9));
  assert.deepEqual([kept[0], kept[1], kept.at(-1)], ["Be brief", "0: word ", "40: word"]);
  assert.ok(!kept.includes("20: word") && kept.length > 10, kept.join(", "));
  const [note] = pipeline(answer);
  assert.deepEqual([note.type, note.data.engine], ["context_compression", "middle-out"]);
  assert.ok(note.data.tokens_after <= 4096 && note.data.messages_removed > 0);

  const refused = await ask({ model: "test/small", messages, transforms: [] });
  assert.equal(refused.status, 404, "compression is off, and nobody takes so long a prompt");
});
