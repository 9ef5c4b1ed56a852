// The summary counts what the test runners say; a runner that dies without a word still fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countCargoTests, countNodeTests, sizeFault } from "../../scripts/lib/checks.mjs";

const counts = ({ passed, failed, skipped }) => [passed, failed, skipped];

test("cargo's results add up over its binaries", () => {
  const output = `running 3 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
`;
  assert.deepEqual(counts(countCargoTests(output, false)), [6, 2, 1]);
});

test("tests that do not compile are one failure", () => {
  assert.deepEqual(counts(countCargoTests("error: could not compile", false)), [0, 1, 0]);
});

test("node's totals are read, and what was cancelled failed", () => {
  const tap = "# tests 9\n# suites 0\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 2\n# todo 0\n";
  assert.deepEqual(counts(countNodeTests(tap, false)), [5, 2, 2]);
});

test("a node run without totals failed", () => {
  assert.deepEqual(counts(countNodeTests("TAP version 13\n", false)), [0, 1, 0]);
});

test("the size keeps its budget, and the README tells the truth of both", () => {
  const readme = "The Worker is 900 kB (gzip, release build);\nthe budget is 1000 kB.";
  assert.equal(sizeFault(880_000, 1_000_000, readme), undefined);
  assert.match(sizeFault(1_000_001, 1_000_000, readme), /more than the budget/);
  assert.match(sizeFault(700_000, 1_000_000, readme), /says 900 kB where the build has 700 kB/);
  assert.match(sizeFault(880_000, 2_000_000, readme), /budget is 1000 kB; package\.json says 2000 kB/);
  assert.match(sizeFault(880_000, 1_000_000, "small"), /does not state/);
});
