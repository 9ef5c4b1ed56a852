// A Node that is new enough for wrangler: the one that runs, or the one that the npm package `node` brings.
import { existsSync } from "node:fs";
import process from "node:process";
import { at } from "./project.mjs";
import { interrupted, run, start } from "./processes.mjs";
import { Stop } from "./terminal.mjs";

/** The oldest Node that wrangler starts with. */
const OLDEST = [22, 12];

const bundled = at("node_modules", "node", "bin", "node");

const isNewEnough = ([major, minor]) => major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
const runsNewEnough = () => isNewEnough(process.versions.node.split(".").map(Number));

/** Makes sure that a new enough Node exists; returns what to say of it. */
export async function ensureNode() {
  if (runsNewEnough()) return `${process.version} runs`;
  if (!existsSync(bundled)) {
    // npm asks before it runs install scripts; this one only links the binary for this machine.
    await run(process.execPath, ["installArchSpecificPackage.js"], { cwd: at("node_modules", "node") });
  }
  const { ok, output } = await run(bundled, ["--version"]);
  if (!ok) {
    throw new Stop(
      `Node ${process.version} is too old for wrangler and the npm package \`node\` did not install`,
      `Install Node ${OLDEST.join(".")} or newer, then run the command again.`,
    );
  }
  return `${output.trim()} from npm (${process.version} is too old for wrangler)`;
}

/**
 * Runs this script again under the new Node when this one is too old, and never returns then.
 * The child shares the terminal but has its own group: signals are passed on.
 */
export async function continueUnderNewNode() {
  if (runsNewEnough()) return;
  const child = start(bundled, process.argv.slice(1), { stdio: "inherit", env: { PATCHBAY_CONTINUED: "1" } });
  interrupted.then((signal) => child.kill(signal));
  const { code } = await child.ended;
  process.exit(code ?? 130);
}
