// Each acknowledged request has exactly one settlement and one usage row, whenever the runtime dies (design §5.2).
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { MODELS } from "./client.mjs";
import { crashRun } from "./run.mjs";

const ROUNDS = 8;

test("SIGKILL at random moments under load", async (t) => {
  const seed = Number(process.env.PATCHBAY_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`PATCHBAY_SEED=${seed}`);
  const { requests, ...result } = await crashRun({ seed, rounds: ROUNDS, say: (line) => t.diagnostic(line) });
  t.diagnostic(JSON.stringify(result));
  // The run would prove nothing if it had not met these.
  assert.ok(result.cut > 0, "no request was cut");
  assert.ok(result.expired > 0, "no hold was left to its alarm");
  for (const model of MODELS) {
    for (const stream of [true, false]) {
      const whole = requests.filter((each) => each.fate === "whole" && each.model === model && each.stream === stream);
      assert.ok(whole.length > 0, `no whole answer of ${model}, ${stream ? "streamed" : "in one piece"}`);
    }
  }
});
