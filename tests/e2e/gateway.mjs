// Starts the built Worker in real workerd for a test, with storage, an upstream and a catalog of its own.
//
// The Worker has to be built (`npm run build`). Requests go over plain sockets, so both the Worker and the upstream see who
// leaves and when.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Operator } from "../../scripts/lib/operator.mjs";
import { at, root } from "../../scripts/lib/project.mjs";
import { startUpstream } from "../upstream/upstream.mjs";
import { compile, testCatalog } from "./catalog.mjs";

const OPERATOR_TOKEN = "operator-token-of-the-tests";
const START_LIMIT_MS = 60_000;

/** The Worker's process: `{port, ask, end}`. */
async function host(options) {
  assert.ok(existsSync(at("pkg", "index.js")), "the Worker is not built: npm run build");
  const child = fork(join(import.meta.dirname, "host.mjs"), [JSON.stringify(options)], {
    // A group of its own: a kill reaches workerd too.
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const log = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => log.push(text));
  const exited = new Promise((done) => child.once("exit", () => done()));
  const waiting = new Map();
  let next = 0;
  const ready = new Promise((done) => {
    child.on("message", ({ ready: isReady, port, id, value, error }) => {
      if (isReady) return done(port);
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      return error === undefined ? resolve(value) : reject(new Error(error));
    });
  });
  const port = await Promise.race([ready, exited, sleep(START_LIMIT_MS, undefined, { ref: false })]);
  if (port === undefined) throw new Error(`workerd did not start:\n${log.join("")}`);
  return {
    port,
    log: () => log.join(""),
    ask: (op, rest = {}) =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        child.send({ id, op, ...rest });
      }),
    /** In order: the runtime stops, then its process. */
    async end() {
      if (child.connected) child.disconnect();
      await exited;
    },
    /** At once, with everything it runs, as a power cut would. */
    async kill() {
      process.kill(-child.pid, "SIGKILL");
      await exited;
    },
  };
}

/**
 * Starts a gateway. Options: `vars` (more variables of the deployment), `catalog` (rows instead of `testCatalog()`; `null`
 * publishes none), `persist` (a folder that outlives the gateway: the next one started on it finds everything there),
 * `upstream` (one that runs already, for the next gateway after a kill), `ai` (the address of what serves the binding `AI`), `main` (another
 * main module of the Worker) and `port`.
 */
export async function startGateway({ vars = {}, catalog = testCatalog(), persist, upstream, ai, main, port = 0 } = {}) {
  const folder = persist ?? mkdtempSync(join(tmpdir(), "patchbay-e2e-"));
  const isNew = !existsSync(join(folder, "state"));
  const ownUpstream = upstream === undefined;
  upstream ??= await startUpstream({ eventDelayMs: 0 });
  const variables = {
    FAULT_INJECTION: "on",
    // Endpoints are judged afresh by each request, so that one test's faults do not change the next one's order.
    FAULTS: "forget-endpoints",
    // Tests say who is asked: the cheapest, as long as nothing else is named.
    DEFAULT_PROVIDER_SORT: "price",
    OPERATOR_TOKEN,
    TEST_UPSTREAM: upstream.url,
    TEST_UPSTREAM_KEY: "test-key",
    DEMO_UPSTREAM: upstream.url,
    DEMO_UPSTREAM_KEY: "demo-key",
    ...vars,
  };
  const worker = await host({ root, port, vars: variables, persist: folder, ai, main });
  const base = `http://127.0.0.1:${worker.port}`;
  const operator = new Operator(base, OPERATOR_TOKEN);
  try {
    if (isNew) {
      await worker.ask("migrate");
      if (catalog) await operator.publishCatalog(await compile(catalog));
    }
  } catch (error) {
    await worker.kill();
    throw error;
  }
  const tidy = async () => {
    if (ownUpstream) await upstream.close();
    if (persist === undefined) rmSync(folder, { recursive: true, force: true });
  };
  let accounts = 0;
  return {
    base,
    port: worker.port,
    operator,
    upstream,
    log: worker.log,
    /** Rows of D1. */
    d1: (sql, ...params) => worker.ask("d1", { sql, params }),
    /** A value in KV, or null. */
    kv: (key) => worker.ask("kv", { key }),
    /** Runs the cron; `cron` may name faults instead of a time. */
    scheduled: (cron = "* * * * *") => worker.ask("scheduled", { cron }),
    /** The isolate forgets how endpoints did. */
    forgetEndpoints: () => fetch(`${base}/health`, { headers: { "x-patchbay-fault": "forget-endpoints" } }),
    /** An account with money and a key: `{account, key, hash}`. */
    createAccount: ({ usd = "5", name = `account ${++accounts}` } = {}) => operator.createAccount(name, usd),
    /** What the operator sees of an account. */
    account: async (id) => (await operator.call("GET", `accounts/${id}`)).data,
    async stop() {
      await worker.end();
      await tidy();
    },
    /** SIGKILL to workerd. The upstream and the storage stay where they were given. */
    async kill() {
      await worker.kill();
      await tidy();
    },
  };
}
