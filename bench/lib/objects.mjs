// How many requests a second one account's object takes, and many of them: hold and settle, by RPC from a Worker in the same process.
import { readFileSync } from "node:fs";
import { at } from "../../scripts/lib/project.mjs";
import { cpuSeconds } from "./process.mjs";
import { startWorker } from "./subjects.mjs";

/** How many accounts, how many clients. */
const LOADS = [
  { name: "one account, one client", accounts: 1, clients: 1 },
  { name: "one account, 32 clients", accounts: 1, clients: 32 },
  { name: "32 accounts, 32 clients", accounts: 32, clients: 32 },
];

/** Rows of figures: requests (a hold and a settlement) per second in each round, microseconds of processor time and rows written of each. */
export async function objects(state, rounds, quick) {
  const driver = { type: "ESModule", path: "objects.mjs", contents: readFileSync(at("bench", "workers", "objects.mjs")) };
  const worker = await startWorker("objects", [driver], state);
  try {
    const rows = [];
    for (const { name, accounts, clients } of LOADS) {
      const run = async (requests) => {
        const answer = await fetch(`http://127.0.0.1:${worker.port}`, { method: "POST", body: JSON.stringify({ accounts, clients, requests }) });
        if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
        return answer.json();
      };
      await run(quick ? 20 : 500);
      const requests = quick ? 100 : 5_000;
      const [perSecond, cpuMicroseconds] = [[], []];
      let rowsWritten;
      for (let round = 0; round < rounds; round++) {
        const before = cpuSeconds(worker.pid);
        const { ms, rows: written } = await run(requests);
        cpuMicroseconds.push(((cpuSeconds(worker.pid) - before) * 1e6) / requests);
        perSecond.push(Math.round((requests * 1_000) / ms));
        rowsWritten = written / requests;
      }
      rows.push({ name, perSecond, cpuMicroseconds, rowsWritten });
    }
    return rows;
  } finally {
    await worker.close();
  }
}
