// `npm run test:agents`: coding agents, unmodified, against the Worker in real workerd. Not part of `npm test`: a gigabyte of downloads.
import process from "node:process";
import { ensureWorker } from "./lib/compiler.mjs";
import { endAll, exitOnInterrupt, run } from "./lib/processes.mjs";
import { ensureAgents, ensureNpm } from "./lib/setup.mjs";
import { main } from "./lib/terminal.mjs";

exitOnInterrupt();
await main(async () => {
  await ensureNpm();
  await ensureWorker(process.argv.includes("--release") ? "release" : "fast");
  await ensureAgents();
  const { ok } = await run(process.execPath, ["--test", "--test-reporter=spec", "tests/agents/agents.mjs"], { show: true });
  return ok ? 0 : 1;
}, endAll);
