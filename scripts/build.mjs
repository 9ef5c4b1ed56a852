// `npm run build [-- --release]`: compiles the Worker into pkg/.
import process from "node:process";
import { ensureWorker } from "./lib/compiler.mjs";
import { endAll, exitOnInterrupt } from "./lib/processes.mjs";
import { ensureNpm } from "./lib/setup.mjs";
import { main } from "./lib/terminal.mjs";

exitOnInterrupt();
await main(async () => {
  await ensureNpm();
  await ensureWorker(process.argv.includes("--release") ? "release" : "fast");
}, endAll);
