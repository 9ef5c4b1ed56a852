// `npm start`: from a clean clone to a gateway that answers. See `--help`.
import { randomBytes } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ensureCatalog, ensureWorker } from "./lib/compiler.mjs";
import { Operator } from "./lib/operator.mjs";
import { endAll, interrupted, start, tail } from "./lib/processes.mjs";
import { at, devFile, devVarsFile, local, readJson, stateDir, writeJson } from "./lib/project.mjs";
import { ensureMigrations, ensureNpm, wranglerProgram } from "./lib/setup.mjs";
import { digest } from "./lib/stamps.mjs";
import { main, step, Stop } from "./lib/terminal.mjs";

const HELP = `npm start [-- options]

  --port N   where the gateway listens on this machine (8787)
  --reset    forget the local database, objects, account and key first
  --release  serve the build that would be deployed, not that of the edit loop
  --help     this text

  PATCHBAY_STATE names another folder for the local database, objects, account and key,
  PATCHBAY_DEV_VARS another file than .dev.vars for variables and secrets.`;

const IP = "127.0.0.1";
const READY_LIMIT_MS = 60_000;
const GRANT_USD = "5";
const catalogFile = ".patchbay/catalog.json";

function options() {
  try {
    const { values } = parseArgs({
      options: { port: { type: "string", default: "8787" }, reset: { type: "boolean" }, release: { type: "boolean" }, help: { type: "boolean" } },
    });
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`--port ${values.port} is no port`);
    return { ...values, port };
  } catch (error) {
    throw new Stop(error.message, HELP);
  }
}

function requireFreePort(port) {
  return new Promise((done, refuse) => {
    const probe = createServer();
    probe.once("error", (error) => {
      const why = error.code === "EADDRINUSE" ? "is in use" : `cannot be used (${error.code})`;
      refuse(new Stop(`Port ${port} ${why}.`, `End what listens there, or choose another: npm start -- --port ${port + 1}`));
    });
    probe.listen(port, IP, () => probe.close(done));
  });
}

/** The program that answers for the models named `demo/…`; it says on which port it listens. */
async function startUpstream() {
  const child = start(process.execPath, [at("tests", "upstream", "main.mjs"), "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout });
  const firstLine = new Promise((done) => lines.once("line", done));
  const line = await Promise.race([firstLine, child.ended]);
  if (typeof line !== "string") throw new Stop("The local upstream (tests/upstream/main.mjs) did not start.", "See above.");
  const { port } = JSON.parse(line);
  return { child, port };
}

/** Starts `wrangler dev`; what it says goes to a log, and to the terminal from `show()` on. */
function startWrangler(port, vars) {
  const args = [wranglerProgram, "dev", "--local", "--ip", IP, "--port", `${port}`, "--inspector-port", "0"];
  if (existsSync(devVarsFile)) args.push("--env-file", devVarsFile);
  args.push("--persist-to", stateDir, "--show-interactive-dev-session=false");
  for (const [name, value] of Object.entries(vars)) args.push("--var", `${name}:${value}`);
  const child = start(process.execPath, args);
  mkdirSync(local("logs"), { recursive: true });
  const log = createWriteStream(local("logs", "wrangler.log"));
  const wrangler = { child, output: "", shown: false, show: () => (wrangler.shown = true) };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk) => {
      log.write(chunk);
      if (wrangler.shown) process.stdout.write(chunk);
      else wrangler.output += chunk;
    });
  }
  return wrangler;
}

async function waitUntilHealthy(base, wrangler) {
  let ended = false;
  wrangler.child.ended.then(() => (ended = true));
  const deadline = Date.now() + READY_LIMIT_MS;
  while (!ended && Date.now() < deadline) {
    const answer = await fetch(`${base}/health`, { signal: AbortSignal.timeout(5000) }).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  console.error(`\n${tail(wrangler.output, 25)}`);
  throw new Stop(
    ended ? "wrangler dev ended before the Worker answered." : `The Worker did not answer within ${READY_LIMIT_MS / 1000} s.`,
    "See above, or .patchbay/logs/wrangler.log.",
  );
}

async function publishCatalog(operator, dev) {
  await step("publish catalog", async () => {
    const hash = digest([catalogFile]);
    if (dev.catalog === hash) return "unchanged";
    await operator.publishCatalog(readFileSync(at(catalogFile), "utf8"));
    dev.catalog = hash;
    writeJson(devFile, dev);
    return "published";
  });
}

const answers = async (base, key) =>
  (await fetch(`${base}/api/v1/key`, { headers: { authorization: `Bearer ${key}` } })).ok;

async function ensureAccount(base, operator, dev) {
  await step("account and key", async () => {
    if (dev.key && (await answers(base, dev.key))) return "unchanged";
    Object.assign(dev, await operator.createAccount("local development", GRANT_USD));
    writeJson(devFile, dev);
    return `created with ${GRANT_USD} dollars`;
  });
}

/** The model for the example: one that needs no provider's key. */
async function demoModel(base) {
  const { data } = await (await fetch(`${base}/api/v1/models`)).json();
  return data.find((model) => model.id.startsWith("demo/")).id;
}

/** The names, never the values, of what `.dev.vars` brings. */
function secretNames() {
  if (!existsSync(devVarsFile)) return [];
  const lines = readFileSync(devVarsFile, "utf8").split("\n");
  return lines.map((line) => /^\s*([A-Za-z_]\w*)\s*=\s*\S/.exec(line)?.[1]).filter(Boolean);
}

/** What the Worker is told of the demo: where its upstream listens, and the key that it asks for. */
const demoVariables = (port) => ({ DEMO_UPSTREAM: `http://${IP}:${port}`, DEMO_UPSTREAM_KEY: "demo-key" });

async function welcome(base, dev, since) {
  const body = JSON.stringify({ model: await demoModel(base), messages: [{ role: "user", content: "Hello!" }] });
  const names = secretNames();
  console.log(`
Patchbay is ready after ${((Date.now() - since) / 1000).toFixed(1)} s. Ctrl-C ends it.

  base URL   ${base}/api/v1
  key        ${dev.key}
  providers  ${names.length ? `.dev.vars brings ${names.join(", ")}` : "models named demo/… answer from this machine; put provider keys into .dev.vars for real ones"}

curl ${base}/api/v1/chat/completions -H 'Authorization: Bearer ${dev.key}' -H 'Content-Type: application/json' -d '${body}'
`);
}

async function serve({ port }, since) {
  const base = `http://${IP}:${port}`;
  const dev = { ...readJson(devFile, {}), base };
  dev.operatorToken ??= randomBytes(32).toString("hex");
  dev.byokMasterKey ??= randomBytes(32).toString("base64");
  dev.sessionSecret ??= randomBytes(32).toString("base64");
  writeJson(devFile, dev);
  let upstream, wrangler;
  await step("local upstream", async () => {
    upstream = await startUpstream();
    return `listens on port ${upstream.port}`;
  });
  await step("wrangler dev", async () => {
    wrangler = startWrangler(port, {
      OPERATOR_TOKEN: dev.operatorToken,
      // Secrets of the developer's own, from .dev.vars, are left in force.
      ...(!secretNames().includes("BYOK_MASTER_KEY") && { BYOK_MASTER_KEY: dev.byokMasterKey }),
      ...(!secretNames().includes("SESSION_SECRET") && { SESSION_SECRET: dev.sessionSecret }),
      ...demoVariables(upstream.port),
    });
    await waitUntilHealthy(base, wrangler);
    return `listens on port ${port}`;
  }, "starting …");
  const operator = new Operator(base, dev.operatorToken);
  await publishCatalog(operator, dev);
  await ensureAccount(base, operator, dev);
  await welcome(base, dev, since);
  wrangler.show();
  const ended = (name) => () => {
    throw new Stop(`${name} ended by itself.`, "See .patchbay/logs/wrangler.log.");
  };
  await Promise.race([
    wrangler.child.ended.then(ended("wrangler dev")),
    upstream.child.ended.then(ended("The local upstream")),
  ]);
}

await main(async () => {
  const since = Date.now();
  const chosen = options();
  if (chosen.help) return console.log(HELP);
  const work = async () => {
    await requireFreePort(chosen.port);
    await ensureNpm();
    // What is remembered of the state goes with it.
    if (chosen.reset) rmSync(stateDir, { recursive: true, force: true });
    await ensureWorker(chosen.release ? "release" : "fast");
    await ensureCatalog(catalogFile, [...secretNames(), ...Object.keys(demoVariables())]);
    await ensureMigrations();
    await serve(chosen, since);
  };
  await Promise.race([work(), interrupted]);
}, endAll);
