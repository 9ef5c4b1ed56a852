// `npm run bench`: sets up, builds a release and hands over to bench/main.mjs with all arguments.
import process from "node:process";
import { ensureWorker } from "./lib/compiler.mjs";
import { endAll, exitOnInterrupt, start } from "./lib/processes.mjs";
import { at } from "./lib/project.mjs";
import { bundle, ensureNpm } from "./lib/setup.mjs";
import { main, step } from "./lib/terminal.mjs";

exitOnInterrupt();
await main(async () => {
  await ensureNpm();
  await ensureWorker("release");
  await step("bundle", async () => {
    await bundle();
    return "dist/";
  });
  const child = start(process.execPath, [at("bench", "main.mjs"), ...process.argv.slice(2)], { stdio: "inherit" });
  const { code } = await child.ended;
  return code ?? 1;
}, endAll);
