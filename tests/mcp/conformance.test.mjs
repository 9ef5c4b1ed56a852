// The official conformance suites of MCP, stable and newest line, unmodified, against the built Worker: every scenario for servers that they score.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { startFixtures } from "./server.mjs";

let gateway;
before(async () => (gateway = await startFixtures()));
after(() => gateway?.stop());

/** Runs one suite to its end: `{ok, output, checks}`, the checks with their scenario. */
async function suite(line, options) {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-mcp-"));
  try {
    const program = join(import.meta.dirname, "node_modules", `conformance-${line}`, "dist", "index.js");
    const args = [program, "server", "--url", `${gateway.base}/mcp`, "-o", folder, ...options];
    const { ok, output } = await new Promise((done) => {
      const env = { ...process.env, NO_PROXY: "127.0.0.1", NO_COLOR: "1" };
      execFile(process.execPath, args, { cwd: folder, env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => done({ ok: !error, output: stdout + stderr }));
    });
    const checks = readdirSync(folder, { recursive: true })
      .filter((name) => name.endsWith("checks.json"))
      .flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")).map((check) => ({ ...check, scenario: name.split(/[\\/]/)[0] })));
    return { ok, output, checks };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const told = (checks) => checks.map(({ scenario, id, status, errorMessage }) => `${scenario} ${id} ${status}: ${errorMessage ?? ""}`).join("\n");

/** Each suite with the number of checks that passed when it was last looked at: fewer means that something was not asked. */
const SUITES = [
  { name: "0.1.16, active", line: "stable", options: ["--suite", "active"], least: 39 },
  { name: "0.2.0-alpha.12, requirements of 2025-11-25", line: "next", options: ["--requirements", "2025-11-25"], least: 78 },
  { name: "0.2.0-alpha.12, requirements of 2026-07-28", line: "next", options: ["--requirements", "2026-07-28"], least: 164 },
];

for (const { name, line, options, least } of SUITES) {
  test(`the conformance suite ${name}: every scored scenario passes`, async () => {
    assert.ok(existsSync(join(import.meta.dirname, "node_modules")), "the suites are not installed: npm ci in tests/mcp");
    const { ok, output, checks } = await suite(line, options);
    assert.ok(ok, `${output.slice(-8_000)}\n${told(checks.filter(({ status }) => status === "FAILURE" || status === "WARNING"))}`);
    const passed = checks.filter(({ status }) => status === "SUCCESS").length;
    assert.ok(passed >= least, `${passed} checks passed\n${output.slice(-4_000)}`);
  });
}
