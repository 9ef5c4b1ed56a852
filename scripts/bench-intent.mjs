// How long choosing a tool by intent takes in wasm: `npm run bench:intent`. Builds bench/intent and runs it in Node, whose engine is workerd's.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";

execFileSync("cargo", ["run", "--quiet", "--package", "xtask", "--", "bench-intent"], { stdio: "inherit" });
const bytes = await readFile(new URL("../.patchbay/bench/intent.wasm", import.meta.url));
const { instance } = await WebAssembly.instantiate(bytes, {});
const { prepare, run } = instance.exports;

const TOOLS = 500;
const REQUESTS = 2_000;
for (const intents of [0, 1_000]) {
  let began = performance.now();
  prepare(TOOLS, intents);
  const read = performance.now() - began;
  run(500);
  began = performance.now();
  run(REQUESTS);
  const each = (performance.now() - began) / REQUESTS;
  console.log(`${TOOLS} tools, ${intents} remembered intents: ${each.toFixed(3)} ms a request, read in ${read.toFixed(0)} ms`);
}
