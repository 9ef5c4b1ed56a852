// `npm run soak [-- minutes]`: the crash test again and again with new seeds, ten minutes unless told otherwise.
import process from "node:process";
import { crashRun } from "./run.mjs";

const ROUNDS = 20;
const minutes = Number(process.argv[2] ?? 10);
if (!(minutes > 0)) {
  console.error("error: npm run soak -- <minutes>");
  process.exit(1);
}
const end = Date.now() + minutes * 60_000;
for (let seed = Number(process.env.PATCHBAY_SEED ?? Date.now() % 2 ** 32); Date.now() < end; seed++) {
  console.log(`PATCHBAY_SEED=${seed}`);
  const { requests, ...result } = await crashRun({ seed, rounds: ROUNDS, say: (line) => console.log(`  ${line}`) });
  console.log(`  ${requests.length} requests: ${JSON.stringify(result)}`);
}
