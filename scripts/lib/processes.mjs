// Child processes: each in a group of its own, each ended with the program that started it.
import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import process from "node:process";
import { at, root } from "./project.mjs";
import { Stop } from "./terminal.mjs";

/** How long a child may take to end by itself before it is killed. */
const GRACE_MS = 4000;

const live = new Set();
let ending = false;

/** The environment of every child: our own tools first, and a wrangler that stays quiet and offline. */
export function environment(extra = {}) {
  return {
    ...process.env,
    PATH: [at("node_modules", ".bin"), process.env.PATH].join(delimiter),
    WRANGLER_SEND_METRICS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    ...extra,
  };
}

/** Starts a program in its own process group; its end is `child.ended`, a promise of its exit code. */
export function start(command, args, { env = {}, stdio = ["ignore", "pipe", "pipe"], cwd = root } = {}) {
  if (ending) throw new Stop("The program is ending.");
  const child = spawn(command, args, { cwd, env: environment(env), stdio, detached: true });
  live.add(child);
  child.ended = new Promise((done) => {
    child.once("error", (error) => done({ code: null, error }));
    child.once("exit", (code, signal) => done({ code, signal }));
  });
  child.ended.then(() => live.delete(child));
  return child;
}

/** Runs a program to its end and keeps what it wrote; `log` also writes it to a file, `show` to the terminal. */
export async function run(command, args, { log, show = false, ...options } = {}) {
  const child = start(command, args, options);
  let output = "";
  let file;
  if (log) {
    mkdirSync(dirname(log), { recursive: true });
    file = createWriteStream(log);
  }
  const take = (chunk) => {
    output += chunk;
    file?.write(chunk);
    if (show) process.stdout.write(chunk);
  };
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", take);
  const closed = new Promise((done) => child.once("close", done));
  const { code, error } = await child.ended;
  if (!error) await closed;
  file?.end();
  return { ok: code === 0, code, output, missing: error?.code === "ENOENT" };
}

/** Like `run`, but a failure shows the end of what was written and stops with one clear line. */
export async function mustRun(command, args, problem, remedy, options) {
  const result = await run(command, args, options);
  if (!result.ok) {
    if (!options?.show) console.error(`\n${tail(result.output, 40)}`);
    throw new Stop(problem, remedy);
  }
  return result;
}

export const tail = (text, lines) => text.trimEnd().split("\n").slice(-lines).join("\n");

const signalGroup = (child, signal) => {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
};

/** Ends a child and all that it started. */
export async function end(child) {
  if (child.pid === undefined) return;
  signalGroup(child, "SIGTERM");
  const timer = setTimeout(() => signalGroup(child, "SIGKILL"), GRACE_MS);
  await child.ended;
  clearTimeout(timer);
  // The leader is gone; whatever is left of its group goes too.
  signalGroup(child, "SIGKILL");
}

/** Ends every child; none starts after that. */
export const endAll = () => {
  ending = true;
  return Promise.all([...live].map(end));
};

/** Ctrl-C, and the ways in which npm and a closing terminal say the same. Resolves at the first of them. */
export const interrupted = new Promise((done) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => done(signal));
});

/** For scripts that run to an end by themselves: an interrupt ends the children, then the script. */
export function exitOnInterrupt() {
  interrupted.then(async () => {
    await endAll();
    process.exit(130);
  });
}
