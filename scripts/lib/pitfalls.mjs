// The known mistakes of gateways (P01 to P138): each is cited by a test, or tests/pitfalls.md says why none can show it yet.
// Pure: source texts in, violations out.
import { testRanges } from "./rust.mjs";

/** The list of the ids that no test cites, each with its reason. */
export const LIST = "tests/pitfalls.md";

const LAST = 138;
const ID = /\bP\d{2,3}\b/g;
const ENTRY = /^\| *(P\d+) *\| *(.*?) *\|$/;
const known = (id) => /^P(?:0[1-9]|[1-9]\d|1\d\d)$/.test(id) && Number(id.slice(1)) <= LAST;

/** What of a file is a test; the rest may name ids too, but shows nothing. */
function testText(path, source) {
  if (!/\.(?:rs|mjs|py)$/.test(path)) return "";
  if (/(?:^|\/)tests\//.test(path) || /(?:^|\/|_)tests\.rs$/.test(path)) return source;
  if (!path.endsWith(".rs")) return "";
  return testRanges(source).map(([start, end]) => source.slice(start, end)).join("\n");
}

/** Map of id → the first test file that cites it. */
export function citations(files) {
  const cited = new Map();
  for (const [path, source] of files) {
    for (const [id] of testText(path, source).matchAll(ID)) if (!cited.has(id)) cited.set(id, path);
  }
  return cited;
}

/** Every id without a test or a reason, with both, or that does not exist. */
export function pitfallViolations(files) {
  const found = [];
  const cited = citations(files);
  for (const [id, path] of cited) if (!known(id)) found.push(`${path}: cites ${id}, which does not exist`);
  const listed = new Set();
  for (const [at, line] of (files.get(LIST) ?? "").split("\n").entries()) {
    const [, id, reason] = ENTRY.exec(line) ?? [];
    if (!id) continue;
    const place = `${LIST}:${at + 1}: ${id}`;
    if (!known(id)) found.push(`${place} does not exist`);
    else if (listed.has(id)) found.push(`${place} is listed twice`);
    else if (!reason) found.push(`${place} has no reason`);
    else if (cited.has(id)) found.push(`${place} is cited by ${cited.get(id)}: drop the line`);
    listed.add(id);
  }
  for (let n = 1; n <= LAST; n += 1) {
    const id = `P${String(n).padStart(2, "0")}`;
    if (!cited.has(id) && !listed.has(id)) found.push(`${LIST}: ${id} has neither a test nor a reason`);
  }
  return found;
}
