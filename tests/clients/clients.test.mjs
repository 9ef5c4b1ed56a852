// The client packages, as somebody would use them, against the Worker: models, streams, tools, confirmations, errors, retries.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { AuthenticationError, ConnectionError, InvalidRequestError, NotFoundError, Patchbay, ServerError } from "../../clients/typescript/src/index.js";
import { at } from "../../scripts/lib/project.mjs";
import { startToolGateway } from "../e2e/tools.mjs";

const MAIL = { from: "a@mail.example", to: ["b@mail.example"], subject: "Hello", text: "Hi" };
const PLACE = { latitude: 52.52, longitude: 13.41 };

let tooled, gateway, vendors, key, patchbay, shaky;
before(async () => {
  tooled = await startToolGateway();
  ({ gateway, vendors } = tooled);
  ({ key } = await gateway.createAccount({ usd: "10" }));
  shaky = await startShaky();
  patchbay = new Patchbay({ baseURL: `${gateway.base}/api/v1`, apiKey: key });
});
after(async () => {
  await tooled?.stop();
  await shaky?.close();
});

/** Passes requests on to the gateway; those whose turn it is meet a fault instead, before or after the gateway did its work. */
async function startShaky() {
  const faults = [];
  const seen = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const fault = faults.shift();
    seen.push(request.headers["idempotency-key"]);
    if (fault === 503) return response.writeHead(503, { "retry-after": "0" }).end('{"error":{"message":"busy"}}');
    const headers = { ...request.headers };
    delete headers.host;
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const answer = await fetch(gateway.base + request.url, { method: request.method, headers, body });
    const text = await answer.text();
    if (fault === "reset") return request.socket.destroy();
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" }).end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    script: (...list) => (faults.push(...list), (seen.length = 0)),
    seen,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

describe("the package for JavaScript", () => {
  test("asks models, in one piece and as a stream", async () => {
    const answer = await patchbay.chat.completions.create({ model: "test/openai", messages: [{ role: "user", content: "Hello" }] });
    assert.ok(answer.choices[0].message.content.length > 0);
    let words = "";
    for await (const chunk of patchbay.chat.completions.create({ model: "test/openai", messages: [{ role: "user", content: "Hello" }], stream: true })) {
      words += chunk.choices[0]?.delta.content ?? "";
    }
    assert.equal(words, answer.choices[0].message.content);
    const events = [];
    for await (const event of patchbay.messages.create({ model: "test/anthropic", max_tokens: 100, messages: [{ role: "user", content: "Hello" }], stream: true })) events.push(event.type);
    assert.deepEqual([events[0], events.at(-1)], ["message_start", "message_stop"]);
    const { data } = await patchbay.models.list();
    assert.ok(data.some((model) => model.id === "test/openai"));
    assert.equal((await patchbay.models.get("test/openai")).data.id, "test/openai");
  });

  test("finds and runs tools, and asks before what has to be confirmed", async () => {
    const { data } = await patchbay.tools.list({ category: "weather", limit: 3 });
    assert.ok(data.length > 0);
    assert.equal((await patchbay.tools.get("tavily/search")).data.id, "tavily/search");
    const envelope = await patchbay.tools.execute({ tool: "open_meteo/current", input: PLACE });
    assert.equal(envelope.result.conditions, "light rain");
    const asked = await patchbay.tools.execute({ tool: "resend/send_email", input: MAIL, confirm: "writes" });
    assert.equal(asked.status, "confirmation_required");
    const no = await patchbay.tools.execute({ tool: "resend/send_email", input: MAIL, confirm: "writes" }, { onConfirm: () => false });
    assert.equal(no.status, "confirmation_required");
    const yes = await patchbay.tools.execute({ tool: "resend/send_email", input: MAIL, confirm: "writes" }, { onConfirm: ({ summary }) => summary.length > 0 });
    assert.equal(yes.status, "succeeded", JSON.stringify(yes));
  });

  test("runs the calls of a model's answer", async () => {
    gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: { calls: [{ name: "open_meteo__current", args: PLACE }] } });
    const { data: tools } = await patchbay.tools.list({ format: "openai", names: "open_meteo/current", strict: true });
    const messages = [{ role: "user", content: "How is the weather?" }];
    const asked = await patchbay.chat.completions.create({ model: "test/openai", messages, tools });
    const ran = await patchbay.tools.run(asked);
    assert.equal(ran.messages.length, 1);
    const last = await patchbay.chat.completions.create({ model: "test/openai", messages: [...messages, asked.choices[0].message, ...ran.messages], tools });
    assert.equal(last.choices[0].finish_reason, "stop");
  });

  test("throws errors of their kind", async () => {
    const stranger = new Patchbay({ baseURL: gateway.base, apiKey: "sk-pb-v1-nobody", maxRetries: 0 });
    await assert.rejects(stranger.call("getKey"), (error) => error instanceof AuthenticationError && error.status === 401);
    await assert.rejects(patchbay.chat.completions.create({ model: "no/such", messages: [{ role: "user", content: "x" }] }), (error) => error.status >= 400 && error.requestId !== undefined);
    await assert.rejects(patchbay.tools.execute({ tool: "no/such", input: {} }), (error) => error instanceof NotFoundError && error.code === "tool_not_found");
    await assert.rejects(patchbay.tools.execute({ tool: "tavily/search", input: {} }), (error) => error instanceof InvalidRequestError && error.body.status === "failed");
    await assert.rejects(new Patchbay({ baseURL: "http://127.0.0.1:9", maxRetries: 0 }).call("getModels"), ConnectionError);
    await assert.rejects(patchbay.call("noSuchOperation"), TypeError);
  });

  test("sends a request again where that is safe, and a tool runs once", async () => {
    const other = new Patchbay({ baseURL: shaky.url, apiKey: key });
    shaky.script(503);
    assert.ok((await other.models.list()).data.length > 0);
    const start = vendors.requests("resend").length;
    // The first time the mail is sent, and the answer is lost.
    shaky.script("reset");
    const sent = await other.tools.execute({ tool: "resend/send_email", input: { ...MAIL, subject: "Once" } });
    assert.deepEqual([sent.status, sent.replayed], ["succeeded", true]);
    assert.equal(vendors.requests("resend").length, start + 1);
    assert.equal(new Set(shaky.seen).size, 1);
    shaky.script("reset");
    await assert.rejects(other.chat.completions.create({ model: "test/openai", messages: [{ role: "user", content: "x" }] }), ConnectionError);
    shaky.script(503, 503, 503);
    await assert.rejects(other.models.list(), ServerError);
  });
});

test("the package for Python does the same", async (t) => {
  const python = await new Promise((done) => execFile("python3", ["-c", "import sys; assert sys.version_info >= (3, 10)"], (error) => done(error ? undefined : "python3")));
  if (!python) return t.skip("Python 3.10 or newer is not installed");
  const child = spawn(python, [join(import.meta.dirname, "client.py")], {
    env: { ...process.env, PYTHONPATH: at("clients/python"), PYTHONDONTWRITEBYTECODE: "1", PATCHBAY_BASE_URL: gateway.base, PATCHBAY_API_KEY: key, SHAKY: shaky.url, NO_PROXY: "127.0.0.1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => {});
  const exited = once(child, "exit");
  let ended = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const { name, error, script, end } = JSON.parse(line);
    ended ||= end === true;
    if (script) {
      // What has to be set up here is said first, and waited for.
      if (script.faults) shaky.script(...script.faults);
      if (script.calls) gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: { calls: script.calls } });
      child.stdin.write(`${vendors.requests("resend").length}\n`);
    } else if (name) {
      await t.test(name, () => assert.equal(error, null, error));
    }
  }
  assert.deepEqual(await exited, [0, null]);
  assert.ok(ended, "the tests ran to their end");
});
