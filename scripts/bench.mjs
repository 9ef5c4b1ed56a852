// `npm run bench`: sets up, builds releases of the gateway and of the yardstick, and hands over to bench/main.mjs with all arguments.
import process from "node:process";
import { ensureCatalog, ensurePassThrough, ensureWorker } from "./lib/compiler.mjs";
import { endAll, exitOnInterrupt, start } from "./lib/processes.mjs";
import { at } from "./lib/project.mjs";
import { bundle, ensureNpm } from "./lib/setup.mjs";
import { main, step } from "./lib/terminal.mjs";

exitOnInterrupt();
await main(async () => {
  await ensureNpm();
  await ensureWorker("release");
  await ensurePassThrough();
  await ensureCatalog(".patchbay/catalog.json", ["DEMO_UPSTREAM", "DEMO_UPSTREAM_KEY"]);
  await step("bundle", async () => {
    await bundle();
    return "dist/";
  });
  const child = start(process.execPath, [at("bench", "main.mjs"), ...process.argv.slice(2)], { stdio: "inherit" });
  const { code } = await child.ended;
  return code ?? 1;
}, endAll);
