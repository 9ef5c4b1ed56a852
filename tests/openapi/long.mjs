// `npm run fuzz:api [-- seconds]`: schemathesis for longer, from a seed of the day, over all operations of the built Worker.
import process from "node:process";
import { startGateway } from "../e2e/gateway.mjs";
import { callers, schemathesis, VARS } from "./schemathesis.mjs";

const seconds = Number(process.argv[2] ?? 600);
const seed = Math.floor(Date.now() / 86_400_000);
const gateway = await startGateway({ vars: VARS });
try {
  const who = await callers(gateway);
  console.log(`${seconds} s from seed ${seed}`);
  const options = ["--max-time", String(seconds), "--seed", String(seed), "--workers", "2", "--continue-on-failure", "--warnings", "off"];
  const { ok, output, missing } = await schemathesis(gateway, who, options);
  console.log(missing ?? output);
  process.exitCode = ok ? 0 : 1;
} finally {
  await gateway.stop();
}
