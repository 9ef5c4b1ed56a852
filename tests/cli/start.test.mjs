// `npm start` as its user meets it, in a state of its own: the first start, Ctrl-C, the second start, `--reset`.
// Nothing is installed or built here: the Worker is the one that the other tests run on.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { at, root } from "../../scripts/lib/project.mjs";
import { isBuilt } from "../../scripts/lib/worker.mjs";
import { call, callJson, eventually } from "../e2e/client.mjs";

const READY_LIMIT_MS = 180_000;
const END_LIMIT_MS = 15_000;
const profile = ["release", "fast"].find(isBuilt);

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** The variables of the developer whose state this is; without the file there are none, whatever `.dev.vars` holds. */
const varsOf = (state) => join(state, "dev.vars");

/** `npm start` in a process group of its own, as a terminal gives it; resolves when it says that it is ready. */
async function npmStart(state, port, ...options) {
  const args = ["start", "--", "--port", `${port}`, ...(profile === "release" ? ["--release"] : []), ...options];
  const child = spawn("npm", args, { cwd: root, detached: true, env: { ...process.env, PATCHBAY_STATE: state, PATCHBAY_DEV_VARS: varsOf(state) }, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const ready = eventually(() => /Patchbay is ready after (\S+) s[^]*\ncurl .*\n/.exec(said), undefined, {
    within: READY_LIMIT_MS,
    what: "the line that says that it is ready",
  });
  const gone = exited.then(([code]) => assert.fail(`npm start ended with ${code}:\n${said}`));
  const found = await Promise.race([ready, gone]);
  gone.catch(() => {});
  const word = (pattern) => pattern.exec(said)[1];
  return {
    said,
    seconds: Number(found[1]),
    base: word(/base URL +(\S+)/).replace(/\/api\/v1$/, ""),
    key: word(/key +(sk-pb-v1-[0-9a-f]{64})/),
    curl: word(/^(curl .*)$/m),
    /** Ctrl-C, and what is left running afterwards. */
    async interrupt() {
      const all = family(child.pid);
      assert.ok(all.length >= 5, `npm, the script, the upstream, wrangler and workerd: ${all}`);
      process.kill(-child.pid, "SIGINT");
      await exited;
      const left = () => processes().filter(([own]) => all.includes(own));
      await eventually(left, (some) => some.length === 0, { within: END_LIMIT_MS, what: "the end of every process" });
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      process.kill(-child.pid, "SIGTERM");
      await exited;
    },
  };
}

/** Each process that runs: `[pid, parent]`. A bare Linux has no `ps`, and macOS has no `/proc`. */
function processes() {
  const rows = existsSync("/proc/self/stat") ? linuxProcesses() : otherProcesses();
  return rows.filter(([, state]) => !state.startsWith("Z")).map(([own, , parent]) => [Number(own), Number(parent)]);
}

function linuxProcesses() {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      // The second field, the program's name in brackets, may hold anything.
      const [, own, state, parent] = /^(\d+) \([^]*\) (\w) (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8"));
      return [[own, state, parent]];
    } catch (error) {
      if (["ENOENT", "ESRCH"].includes(error.code)) return [];
      throw error;
    }
  });
}

const otherProcesses = () =>
  execFileSync("ps", ["-A", "-o", "pid=,stat=,ppid="], { encoding: "utf8" }).trim().split("\n").map((line) => line.trim().split(/\s+/));

/** A process and all below it. */
function family(pid) {
  const running = processes();
  const below = (one) => [one, ...running.filter(([, parent]) => parent === one).flatMap(([own]) => below(own))];
  return below(pid);
}

const run = (command, args, env) =>
  new Promise((done) =>
    execFile(command, args, { env: { ...process.env, ...env } }, (error, out, err) => done({ code: error?.code ?? 0, out, err })),
  );

const keyIsKnown = async (base, key) => (await call({ base }, "key", { key })).status === 200;

test("npm start", { skip: !profile && "the Worker in pkg/ is not of these sources: npm run build" }, async (t) => {
  const state = mkdtempSync(join(tmpdir(), "patchbay-start-"));
  t.after(() => rmSync(state, { recursive: true, force: true }));
  let running;
  t.after(() => running?.kill());
  const port = await freePort();
  let key;

  await t.test("the first start tells where it is and the key", async () => {
    running = await npmStart(state, port);
    ({ key } = running);
    assert.equal(running.base, `http://127.0.0.1:${port}`);
    assert.match(running.said, /account and key +created with 5 dollars/);
    assert.ok(await keyIsKnown(running.base, key));
  });

  await t.test("its curl line works when pasted", async (t) => {
    if ((await run("curl", ["--version"])).code !== 0) return t.skip("curl is not installed");
    const { code, out, err } = await run("sh", ["-c", running.curl]);
    assert.equal(code, 0, err);
    const answer = JSON.parse(out);
    assert.match(answer.model, /^demo\//);
    assert.match(answer.choices[0].message.content, /demo/);
    assert.ok(answer.usage.cost > 0);
  });

  await t.test("the operator's command line finds it by itself", async () => {
    const args = [at("scripts", "patchbay.mjs"), "accounts", "--json"];
    const { code, out, err } = await run(process.execPath, args, { PATCHBAY_STATE: state });
    assert.equal(code, 0, err);
    assert.deepEqual(JSON.parse(out).data.map(({ name }) => name), ["local development"]);
  });

  await t.test("a second one on the same port is told so", async () => {
    const { code, err } = await run(process.execPath, [at("scripts", "start.mjs"), "--port", `${port}`], { PATCHBAY_STATE: state });
    assert.equal(code, 1);
    assert.match(err, new RegExp(`error: Port ${port} is in use`));
  });

  await t.test("Ctrl-C leaves no process and frees the port", async () => {
    await running.interrupt();
    await assert.rejects(fetch(running.base));
  });

  await t.test("the second start skips what is done and knows the account", async (t) => {
    running = await npmStart(state, port);
    t.diagnostic(`ready after ${running.seconds} s`);
    assert.equal(running.key, key);
    for (const name of ["npm packages", "Worker", "catalog", "D1 migrations", "publish catalog", "account and key"]) {
      assert.match(running.said, new RegExp(`^ +${name} +unchanged`, "m"));
    }
    assert.ok(await keyIsKnown(running.base, key));
    await running.interrupt();
  });

  await t.test("--reset forgets the account and its key", async () => {
    running = await npmStart(state, port, "--reset");
    assert.notEqual(running.key, key);
    assert.ok(!(await keyIsKnown(running.base, key)));
    assert.ok(await keyIsKnown(running.base, running.key));
    assert.match(running.said, /put provider keys into \.dev\.vars/);
    await running.interrupt();
  });

  await t.test("a provider's key among the variables brings its models, and is never told", async () => {
    const secret = "sk-of-nobody-0123456789";
    writeFileSync(varsOf(state), `# of this test\nOPENAI_API_KEY=${secret}\nMISTRAL_API_KEY=\n`);
    running = await npmStart(state, port);
    assert.match(running.said, /providers +\.dev\.vars brings OPENAI_API_KEY$/m);
    assert.ok(!running.said.includes(secret));
    const { base, key } = running;
    const { body: models } = await callJson({ base }, "models");
    const model = models.data.find(({ id }) => id.startsWith("openai/"))?.id;
    assert.ok(model, "models of OpenAI");
    assert.ok(models.data.some(({ id }) => id.startsWith("demo/")), "the demo's models stay");
    const body = { model, messages: [{ role: "user", content: "?" }] };
    const { body: route } = await callJson({ base }, "route", { key, body });
    assert.ok(JSON.stringify(route.data).includes('"OpenAI"'), JSON.stringify(route));
    await running.interrupt();
  });
});
