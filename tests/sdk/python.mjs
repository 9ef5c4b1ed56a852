// A Python of the tests' own, with the SDKs from PyPI: made once, made again when the requirements change. And how a file of tests in it runs.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { at, local } from "../../scripts/lib/project.mjs";
import { digest, isFresh, stamp } from "../../scripts/lib/stamps.mjs";

const REQUIREMENTS = "tests/sdk/requirements.txt";
/** What the SDK asks for. */
const OLDEST = [3, 10];

/** Runs a program to its end: `{ok, output}`. */
const run = (command, args) =>
  new Promise((done) => execFile(command, args, (error, stdout, stderr) => done({ ok: !error, output: stdout + stderr })));

/** `{python}`, or `{missing}` with what this machine lacks. An installation that fails is an error. Each name has an environment of its own. */
export async function ensurePython({ name = "python", requirements = REQUIREMENTS } = {}) {
  const folder = local(name);
  const own = join(folder, "bin", "python");
  const system = await findPython();
  if (!system) return { missing: `Python ${OLDEST.join(".")} or newer is not installed` };
  const inputs = digest([requirements], system.version);
  if (isFresh(name, inputs) && existsSync(own)) return { python: own };
  rmSync(folder, { recursive: true, force: true });
  const made = await makeEnvironment(system.command, folder);
  if (made.missing) return made;
  const pip = await run(own, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", at(requirements)]);
  if (!pip.ok) throw new Error(`pip could not install ${readFileSync(at(requirements), "utf8").trim()}:\n${pip.output}`);
  stamp(name, inputs);
  return { python: own };
}

/**
 * Runs a file that reports one line of JSON per test, each as a subtest. The file finds the gateway in its environment, beside what
 * `env` adds; `also` sees each line of a test that passed; `environment` is that of `ensurePython`. Returns what this machine lacks, if that is why nothing ran.
 */
export async function pythonTests(t, file, gateway, env = {}, also = () => {}, environment = {}) {
  const { python, missing } = await ensurePython(environment);
  if (missing) {
    t.skip(missing);
    return missing;
  }
  const accounts = { key: await gateway.createAccount(), poor: await gateway.createAccount({ usd: "0.000000001" }) };
  const child = spawn(python, [join(import.meta.dirname, file)], {
    env: {
      ...process.env,
      PATCHBAY_BASE: gateway.base,
      PATCHBAY_KEY: accounts.key.key,
      PATCHBAY_POOR_KEY: accounts.poor.key,
      PATCHBAY_OPERATOR_TOKEN: gateway.operator.token,
      PATCHBAY_UPSTREAM: gateway.upstream.url,
      NO_PROXY: "127.0.0.1",
      PYTHONDONTWRITEBYTECODE: "1",
      ...env,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  // Most files never read: what is written to one that has ended is nobody's loss.
  child.stdin.on("error", () => {});
  const exited = once(child, "exit");
  let ended = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const { name, error, end, ...rest } = JSON.parse(line);
    ended ||= end === true;
    if (!name) continue;
    await t.test(name, async () => {
      assert.equal(error, null, error);
      await also(rest);
    });
    // Whoever waits for what `also` looked at goes on.
    child.stdin.write("\n");
  }
  assert.deepEqual(await exited, [0, null]);
  assert.ok(ended, "the tests ran to their end");
  return undefined;
}

async function findPython() {
  for (const command of ["python3", "python"]) {
    const { ok, output } = await run(command, ["-c", "import sys; print(*sys.version_info[:3])"]);
    const version = output.trim();
    const [major, minor] = version.split(" ").map(Number);
    if (ok && (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]))) return { command, version };
  }
  return undefined;
}

/** Debian splits `venv`'s pip from Python: without it the system's own pip installs one. */
async function makeEnvironment(command, folder) {
  if ((await run(command, ["-m", "venv", folder])).ok) return {};
  rmSync(folder, { recursive: true, force: true });
  const bare = await run(command, ["-m", "venv", "--without-pip", folder]);
  const pip = await run(command, ["-m", "pip", "--version"]);
  if (!bare.ok || !pip.ok) return { missing: `Python has no pip here: ${(bare.ok ? pip : bare).output.trim().split("\n").at(-1)}` };
  const { ok, output } = await run(command, ["-m", "pip", "--python", join(folder, "bin", "python"), "install", "--quiet", "pip"]);
  if (!ok) throw new Error(`pip could not install itself into ${folder}:\n${output}`);
  return {};
}
