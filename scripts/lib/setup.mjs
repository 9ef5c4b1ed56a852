// What every command needs before it can begin. Each step says what it did, and is skipped when it is done already.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ensureNode, continueUnderNewNode } from "./node.mjs";
import { at, local, readJson, stateDir, writeJson } from "./project.mjs";
import { mustRun } from "./processes.mjs";
import { digest, isFresh, stamp } from "./stamps.mjs";
import { step } from "./terminal.mjs";

export const wranglerProgram = at("node_modules", "wrangler", "bin", "wrangler.js");

/** The npm packages and a Node that runs them. Never returns under an older Node: the script starts again. */
export async function ensureNpm() {
  if (process.env.PATCHBAY_CONTINUED) {
    // Said to this process alone: a command that it runs in turn says its own steps.
    delete process.env.PATCHBAY_CONTINUED;
    return;
  }
  await step("npm packages", () => ensurePackages("npm", "."), "installing …");
  await step("Node", ensureNode);
  await continueUnderNewNode();
}

/** The packages of one folder's `package.json`, remembered under a name. */
async function ensurePackages(name, folder) {
  const inputs = digest([join(folder, "package.json"), join(folder, "package-lock.json")]);
  const outputs = [join(folder, "node_modules", ".package-lock.json")];
  if (isFresh(name, inputs, outputs)) return "unchanged";
  // Not `npm ci`: it refuses a lock in which another platform's optional package is missing, as it is where the
  // registry at hand does not offer that platform.
  await mustRun(
    "npm",
    ["install", "--no-save", "--loglevel=error", "--prefix", at(folder)],
    "The npm packages did not install.",
    "See above; `npm install` has to work.",
    { log: local("logs", `${name}.log`) },
  );
  stamp(name, inputs, outputs);
  return "installed";
}

/** The clients that the tests run unmodified. Who only starts the gateway never waits for them. */
export async function ensureClients() {
  await step("test clients", () => ensurePackages("npm-clients", join("tests", "sdk")), "installing …");
  await step("driver of the browser", () => ensurePackages("npm-browser", join("tests", "browser")), "installing …");
  await step("readers of OpenAPI", () => ensurePackages("npm-openapi", join("tests", "openapi")), "installing …");
  await step("MCP suites", () => ensurePackages("npm-mcp", join("tests", "mcp")), "installing …");
}

/** The coding agents that `npm run test:agents` runs unmodified. */
export const ensureAgents = () => step("coding agents", () => ensurePackages("npm-agents", join("tests", "agents")), "installing, about a gigabyte …");

/** Brings the local database up to date. */
export async function ensureMigrations() {
  await step("D1 migrations", async () => {
    const inputs = digest(["migrations", "wrangler.toml"]);
    // Remembered in the state itself: another state needs them again.
    const done = join(stateDir, "migrations.json");
    if (readJson(done, {}).inputs === inputs) return "unchanged";
    const files = existsSync(at("migrations")) ? readdirSync(at("migrations")).filter((name) => name.endsWith(".sql")) : [];
    if (files.length === 0) return "none";
    await mustRun(
      process.execPath,
      [wranglerProgram, "d1", "migrations", "apply", "DB", "--local", "--persist-to", stateDir],
      "A D1 migration failed.",
      "Mend it, or start with `--reset` if a migration that was already applied has changed.",
      { env: { CI: "1" }, log: local("logs", "migrations.log") },
    );
    writeJson(done, { inputs });
    return `${files.length} applied`;
  }, "applying …");
}

/** Bundles the Worker as it would be deployed, without a network; returns wrangler's words. */
export async function bundle(dir = "dist") {
  const { output } = await mustRun(
    process.execPath,
    [wranglerProgram, "deploy", "--dry-run", "--outdir", dir],
    "wrangler cannot bundle the Worker.",
    "See above.",
    { log: local("logs", "bundle.log") },
  );
  return output;
}
