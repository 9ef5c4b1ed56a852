// The Rust side of the set-up: a compiler, a sysroot that can build for wasm32, and the build itself.
// Which toolchain serves is decided by `xtask`; here is only how a missing one is installed.
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { at, local } from "./project.mjs";
import { mustRun, run } from "./processes.mjs";
import { digest, isFresh, stamp } from "./stamps.mjs";
import { step, Stop } from "./terminal.mjs";
import { isBuilt, workerInputs, WORKER_OUTPUTS } from "./worker.mjs";

/** rustup without a network may wait for long: after this the other way is tried. */
const RUSTUP_LIMIT_S = "180";

const DEBIAN = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "rustfmt-web"];

async function requireCargo() {
  const cargo = await run("cargo", ["--version"]);
  if (cargo.missing) {
    throw new Stop(
      "There is no Rust compiler here (`cargo` is not found).",
      "Install Rust with rustup (https://rustup.rs), open a new terminal and run the command again.",
    );
  }
  if (!cargo.ok) throw new Stop("`cargo --version` fails.", cargo.output.trim().split("\n").at(-1));
  if ((await run("cc", ["--version"])).missing && !(await installed(["gcc", "libc6-dev"]))) {
    throw new Stop("There is no C compiler here (`cc` is not found).", "Install gcc or clang and run the command again.");
  }
}

/** Installs Debian packages, without asking and without removing any; false where that is not possible. */
async function installed(packages) {
  const sudo = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const apt = [...sudo, "apt-get"];
  const install = [...apt, "install", "-y", "--no-install-recommends", "--no-remove", ...packages];
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const attempt = ([command, ...args]) => run(command, args, { env, log: local("logs", "apt.log") });
  if ((await attempt(install)).ok) return true;
  return (await attempt([...apt, "update"])).ok && (await attempt(install)).ok;
}

const askXtask = () => run("cargo", ["run", "-q", "-p", "xtask", "--", "toolchain"]);

async function byRustup() {
  const add = ["rustup", "component", "add", "rust-src", "clippy", "rustfmt"];
  const [command, ...args] = process.platform === "linux" ? ["timeout", RUSTUP_LIMIT_S, ...add] : add;
  return (await run(command, args, { log: local("logs", "rustup.log") })).ok;
}

async function byDebian() {
  if (!existsSync("/usr/bin/apt-get") || !(await installed(DEBIAN))) return false;
  // The linker has to be of the compiler's own LLVM.
  const { output } = await run("/usr/bin/rustc", ["-vV"]);
  const llvm = /LLVM version: (\d+)/.exec(output)?.[1];
  return llvm !== undefined && installed([`lld-${llvm}`]);
}

async function findOrInstall() {
  let found = await askXtask();
  if (found.ok) return found.output.trim();
  if (process.env.PATCHBAY_WASM_TOOLCHAIN) {
    throw new Stop("The toolchain named by the environment does not serve.", found.output.trim());
  }
  for (const way of [byRustup, byDebian]) {
    if (!(await way())) continue;
    found = await askXtask();
    if (found.ok) return `installed ${found.output.trim()}`;
  }
  throw new Stop(
    "No Rust toolchain here can build for wasm32, and neither rustup nor apt could install one.",
    "Run `rustup component add rust-src`, or on Debian as root `apt-get install " +
      `${DEBIAN.join(" ")} lld-22\`; then run the command again.`,
  );
}

/** Sees to a compiler that builds for wasm32, and to the build tool itself. */
export async function ensureToolchain() {
  await step("build tool", async () => {
    await requireCargo();
    await mustRun("cargo", ["build", "-q", "-p", "xtask"], "The build tool (xtask) does not compile.", "See above.", {
      log: local("logs", "xtask.log"),
    });
    return "compiled";
  }, "compiling (the first time takes about a minute) …");
  await step("wasm toolchain", findOrInstall, "looking …");
}

/** Builds the Worker into `pkg/` unless it is there, made from the same sources with the same profile. */
export async function ensureWorker(profile) {
  if (isBuilt(profile)) return step("Worker", async () => `unchanged (${profile})`);
  const inputs = workerInputs(profile);
  await ensureToolchain();
  await step("Worker", async () => {
    await mustRun(
      "cargo",
      ["run", "-q", "-p", "xtask", "--", "build", "--profile", profile],
      "The Worker does not build.",
      "Mend what the compiler says above and run the command again.",
      { log: local("logs", "worker.log") },
    );
    stamp("worker", inputs, WORKER_OUTPUTS);
    return `built (${profile})`;
  }, `building, profile ${profile} (the first time takes some minutes) …`);
}

/** Builds the Rust pass-through Worker that `npm run bench` measures against. */
export async function ensurePassThrough() {
  const out = ".patchbay/bench/passthrough-rs/pkg";
  const inputs = digest(["bench/passthrough-rs", "Cargo.lock", "xtask"], process.env.PATCHBAY_WASM_TOOLCHAIN ?? "");
  await step("pass-through", async () => {
    if (isFresh("passthrough", inputs, [out])) return "unchanged";
    await mustRun("cargo", ["run", "-q", "-p", "xtask", "--", "bench"], "The pass-through Worker does not build.", "See above.", {
      log: local("logs", "passthrough.log"),
    });
    stamp("passthrough", inputs, [out]);
    return "built";
  }, "building …");
}

/**
 * The catalog as one document, compiled from the files in `catalog/`. `have` names the variables that the deployment
 * has: providers that need others are left out. Without `have` all are in.
 */
export async function ensureCatalog(out, have) {
  const names = have && [...have].sort().join(",");
  const inputs = digest(["catalog", "src/catalog", "src/tools/catalog", "Cargo.lock"], out, names ?? "*");
  await step("catalog", async () => {
    if (isFresh("catalog", inputs, [out])) return "unchanged";
    mkdirSync(dirname(at(out)), { recursive: true });
    const { output } = await mustRun(
      "cargo",
      ["run", "-q", "-p", "catalog-tool", "--", "compile", "--out", out, ...(have ? ["--have", names] : [])],
      "The catalog does not compile.",
      "Mend the row named above and run the command again.",
      { log: local("logs", "catalog.log") },
    );
    stamp("catalog", inputs, [out]);
    return output.trim();
  }, "compiling …");
}
