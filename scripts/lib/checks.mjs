// The checks, each a part with its counts. A part that cannot begin because an earlier one failed is skipped and says so.
import { readFileSync } from "node:fs";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { ensureToolchain, ensureWorker } from "./compiler.mjs";
import { at, local, manifest } from "./project.mjs";
import { run } from "./processes.mjs";
import { bundle, ensureClients } from "./setup.mjs";
import { Stop } from "./terminal.mjs";

const count = (passed, failed, skipped = 0, note = "") => ({ passed, failed, skipped, note });
const verdict = (ok, note) => (ok ? count(1, 0, 0, note) : count(0, 1, 0, note));

async function command(program, args) {
  return verdict((await run(program, args, { show: true })).ok);
}

/** A test that hangs ends the run rather than the patience of whoever waits for it. */
const NODE_TEST_LIMIT_MS = 600_000;

/** Adds up cargo's "test result" lines; one binary that does not compile or crashes is a failure of its own. */
export function countCargoTests(output, ok) {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const [, p, f, i] of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    passed += Number(p);
    failed += Number(f);
    skipped += Number(i);
  }
  return count(passed, failed === 0 && !ok ? 1 : failed, skipped);
}

/** Reads the totals at the end of a TAP report. A run that was cut short is a failure of its own. */
export function countNodeTests(tap, ok) {
  const total = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(tap)?.[1] ?? 0);
  const failed = total("fail") + total("cancelled");
  return count(total("pass"), failed === 0 && !ok ? 1 : failed, total("skipped") + total("todo"));
}

async function cargoTests() {
  const { ok, output } = await run("cargo", ["test", "--workspace", "--no-fail-fast"], { show: true });
  return countCargoTests(output, ok);
}

async function nodeTests() {
  await ensureClients();
  const report = local("logs", "node-tests.tap");
  const reporters = ["spec", "tap"].flatMap((name, i) => [
    `--test-reporter=${name}`,
    `--test-reporter-destination=${i === 0 ? "stdout" : report}`,
  ]);
  const { ok } = await run(process.execPath, ["--test", `--test-timeout=${NODE_TEST_LIMIT_MS}`, ...reporters, "tests/**/*.test.mjs"], { show: true });
  return countNodeTests(readFileSync(report, "utf8"), ok);
}

async function build(profile) {
  await ensureWorker(profile);
  await bundle();
  return verdict(true, profile);
}

/** The size that counts for a Worker: compressed. */
export const wasmSize = () => gzipSync(readFileSync(at("pkg", "index_bg.wasm"))).length;

/** How far the README may be from the truth before it has to be written anew. */
const STATED_WITHIN = 0.1;

/** What is wrong with the size, or with what the README says of it and of the budget; undefined when all is well. */
export function sizeFault(bytes, budget, readme) {
  const kb = (n) => `${Math.round(n / 1000)} kB`;
  if (bytes > budget) return `${kb(bytes)} gzip, more than the budget of ${kb(budget)}`;
  const stated = /(\d+) kB \(gzip, release build\).*?(\d+) kB/s.exec(readme);
  if (!stated) return "the README does not state the size and the budget";
  const [size, limit] = [Number(stated[1]) * 1000, Number(stated[2]) * 1000];
  if (limit !== budget) return `the README says that the budget is ${kb(limit)}; package.json says ${kb(budget)}`;
  if (Math.abs(size - bytes) > bytes * STATED_WITHIN) return `the README says ${kb(size)} where the build has ${kb(bytes)}`;
  return undefined;
}

function size() {
  const [bytes, budget] = [wasmSize(), manifest.patchbay.wasmGzipBudget];
  const fault = sizeFault(bytes, budget, readFileSync(at("README.md"), "utf8"));
  const note = fault ?? `${(bytes / 1000).toFixed(0)} kB gzip of ${(budget / 1000).toFixed(0)} kB`;
  console.log(note);
  return verdict(!fault, note);
}

/** What needs no Worker. */
export const STATIC = [
  { name: "format", run: () => command("cargo", ["fmt", "--all", "--check"]) },
  { name: "house rules", run: () => command(process.execPath, ["scripts/check-house.mjs"]) },
  { name: "clippy", run: () => command("cargo", ["clippy", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"]) },
  {
    name: "clippy wasm",
    run: async () => {
      await ensureToolchain();
      return command("cargo", ["run", "-q", "-p", "xtask", "--", "clippy"]);
    },
  },
  { name: "cargo test", run: cargoTests },
];

/** The Worker and what runs on it; the size is that of a release. */
export const built = (profile) => [
  { name: "build", run: () => build(profile) },
  ...(profile === "release" ? [{ name: "size", needs: "build", run: size }] : []),
  { name: "node tests", needs: "build", run: nodeTests },
  // The benchmark reads CPU time and memory of processes from /proc.
  ...(profile === "release" && process.platform === "linux"
    ? [{ name: "bench", needs: "build", run: () => command(process.execPath, ["scripts/bench.mjs", "--quick"]) }]
    : []),
];

/** Runs the parts in turn; returns their results, each with its time. */
export async function runParts(parts) {
  const results = [];
  for (const part of parts) {
    console.log(`\n── ${part.name}`);
    const start = Date.now();
    const lacking = part.needs && results.find(({ name, failed }) => name === part.needs && failed > 0);
    const result = lacking ? count(0, 0, 1, `needs ${part.needs}`) : await attempt(part);
    results.push({ name: part.name, ...result, seconds: (Date.now() - start) / 1000 });
  }
  return results;
}

async function attempt(part) {
  try {
    return await part.run();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`\nerror: ${error.message}`);
    return verdict(false, error.message.split("\n")[0]);
  }
}

/** Prints one line per part and the line that ends every run; returns the exit code. */
export function summarise(results) {
  const total = (field) => results.reduce((sum, result) => sum + result[field], 0);
  console.log("\nSummary");
  for (const { name, passed, failed, skipped, note, seconds } of results) {
    const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`;
    console.log(`  ${failed ? "✗" : "✓"} ${name.padEnd(12)} ${counts.padEnd(36)} ${seconds.toFixed(1).padStart(6)} s  ${note}`.trimEnd());
  }
  console.log(`\n${total("passed")} passed, ${total("failed")} failed, ${total("skipped")} skipped`);
  return total("failed") === 0 ? 0 : 1;
}
