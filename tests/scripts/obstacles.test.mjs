// What stands in a new user's way is told in one clear line with what to do, without a stack.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { test } from "node:test";

const root = resolve(import.meta.dirname, "../..");

/** Runs a script of the project; resolves to its exit code and all that it wrote. */
function script(name, args, env = {}) {
  const child = spawn(process.execPath, [join(root, "scripts", name), ...args], { env: { ...process.env, ...env } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk) => (said += chunk));
  return new Promise((done) => child.once("close", (code) => done({ code, said })));
}

function isPlain({ code, said }) {
  assert.equal(code, 1, said);
  assert.doesNotMatch(said, /^\s+at .*:\d+:\d+/m, "a stack");
}

test("a busy port", async (t) => {
  const other = createServer();
  await new Promise((done) => other.listen(0, "127.0.0.1", done));
  t.after(() => other.close());
  const { port } = other.address();
  const result = await script("start.mjs", ["--port", `${port}`]);
  isPlain(result);
  assert.match(result.said, new RegExp(`error: Port ${port} is in use\\.\\n.*npm start -- --port`));
});

test("an unknown option shows the known ones", async () => {
  for (const name of ["start.mjs", "test.mjs", "deploy.mjs"]) {
    const result = await script(name, ["--frobnicate"]);
    isPlain(result);
    assert.match(result.said, /error: Unknown option '--frobnicate'[\s\S]*--help/);
  }
});

test("a missing compiler", async (t) => {
  const bin = mkdtempSync(join(tmpdir(), "patchbay-bin-"));
  t.after(() => rmSync(bin, { recursive: true }));
  symlinkSync(process.execPath, join(bin, "node"));
  // The named toolchain makes the build stale, whatever was built before.
  const env = { PATH: bin, PATCHBAY_CONTINUED: "1", PATCHBAY_WASM_TOOLCHAIN: "/nowhere" };
  const result = await script("build.mjs", [], env);
  isPlain(result);
  assert.match(result.said, /error: There is no Rust compiler here.*\n.*Install Rust/);
});

test("a toolchain that does not serve", async () => {
  const env = { PATCHBAY_CONTINUED: "1", PATCHBAY_WASM_TOOLCHAIN: "/nowhere" };
  const result = await script("build.mjs", [], env);
  isPlain(result);
  assert.match(result.said, /error: The toolchain named by the environment does not serve\.\n.*\/nowhere has no cargo/);
});

/** A sysroot that looks as if it could build, whose cargo says what a compiler says and fails. */
function brokenToolchain(dir) {
  const facts = "release: 1.999.0\\nhost: nowhere\\nLLVM version: 99.0";
  const files = {
    "bin/rustc": `printf '${facts}\\n'`,
    "bin/cargo": "echo 'error[E0999]: the house is on fire' >&2; exit 101",
    "lib/rustlib/src/rust/library/Cargo.lock": "",
    "lib/rustlib/nowhere/bin/rust-lld": "",
  };
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  }
}

test("a build that fails", { skip: process.platform === "win32" && "the broken compiler is a shell script" }, async (t) => {
  const sysroot = mkdtempSync(join(tmpdir(), "patchbay-sysroot-"));
  const target = mkdtempSync(join(tmpdir(), "patchbay-target-"));
  t.after(() => [sysroot, target].forEach((dir) => rmSync(dir, { recursive: true })));
  brokenToolchain(sysroot);
  // The build tool as it is, and a folder of its own for what it makes: another compiler empties that of the last one.
  symlinkSync(resolve(root, process.env.CARGO_TARGET_DIR ?? "target", "debug"), join(target, "debug"));
  const result = await script("build.mjs", [], { PATCHBAY_CONTINUED: "1", PATCHBAY_WASM_TOOLCHAIN: sysroot, CARGO_TARGET_DIR: target });
  isPlain(result);
  assert.match(result.said, /the house is on fire[\s\S]*error: The Worker does not build\.\n.*run the command again/);
});

const hasPlaceholders = readFileSync(join(root, "wrangler.toml"), "utf8").includes('id = "patchbay-kv"');

test("a deployment without resources of its own", { skip: !hasPlaceholders && "wrangler.toml names real ones" }, async () => {
  const result = await script("deploy.mjs", ["--skip-checks"], { PATCHBAY_CONTINUED: "1" });
  isPlain(result);
  assert.match(result.said, /wrangler\.toml still has .*patchbay-kv[\s\S]*kv namespace create/);
});
