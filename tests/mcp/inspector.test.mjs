// MCP's inspector on the command line, strict: schemas that every vendor of models takes; and PyPI's client.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";
import { ensurePython } from "../sdk/python.mjs";
import { startTools } from "./server.mjs";

let gateway;
let key;
before(async () => {
  gateway = await startTools();
  ({ key } = await gateway.createAccount());
});
after(() => gateway?.stop());

const PROGRAM = join(import.meta.dirname, "node_modules", "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js");

/** Runs the inspector: `{code, output}`. */
const inspect = (era, ...options) =>
  new Promise((done) => {
    const args = [PROGRAM, "--cli", `${gateway.base}/mcp?tools=all`, "--transport", "http", "--protocol-era", era, "--header", `Authorization: Bearer ${key}`, ...options];
    const env = { ...process.env, NO_PROXY: "127.0.0.1" };
    execFile(process.execPath, args, { env, timeout: 60_000 }, (error, stdout, stderr) => done({ code: error?.code ?? 0, output: stdout + stderr }));
  });

for (const era of ["legacy", "modern"]) {
  test(`the inspector, ${era}: our list passes its strict checks, and it calls a tool`, async () => {
    const listed = await inspect(era, "--method", "tools/list", "--strict");
    assert.equal(listed.code, 0, listed.output);
    assert.match(listed.output, /demo__search/);
    const called = await inspect(era, "--method", "tools/call", "--tool-name", "demo__search", "--tool-arg", "query=lamp");
    assert.equal(called.code, 0, called.output);
    assert.match(called.output, /A lamp/);
  });
}

test("PyPI's client", async (t) => {
  const { python, missing } = await ensurePython({ name: "python-mcp", requirements: "tests/mcp/requirements.txt" });
  if (missing) return t.skip(missing);
  const env = { ...process.env, PATCHBAY_BASE: gateway.base, PATCHBAY_KEY: key, NO_PROXY: "127.0.0.1", PYTHONDONTWRITEBYTECODE: "1" };
  const child = spawn(python, [join(import.meta.dirname, "clients.py")], { env, stdio: ["ignore", "pipe", "inherit"] });
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
