// The house rules that no compiler knows: who may name the platform, who may depend on whom, how files open and how
// long they may be, which known mistakes have a test. Pure: source texts in, violations out.
import { LIST, pitfallViolations } from "./pitfalls.mjs";
import { productiveCode, withoutCommentsAndStrings } from "./rust.mjs";

/** The crates of the platform, and who alone may name them. */
const PLATFORM = /\b(?:js_sys|web_sys|wasm_bindgen|wasm_bindgen_futures)\b|\bworker\s*::|\buse\s+worker\b|\bextern\s+crate\s+worker\b/;
const mayNamePlatform = (path) => path === "src/lib.rs" || path.startsWith("src/edge/");

/** Reading JSON by any other way than `src/json.rs` compiles every type that is read once more. */
const OTHER_READING = /\bserde_json\s*::\s*from_(?:str|slice|value|reader)\b/;

const MAX_LINES = 800;

// Written in pieces so that this file keeps its own rule.
const MACHINE_PATH = new RegExp(`(?<![\\w.:/-])/(?:${["home", "Users", "root", "work"].join("|")})/[\\w.-]+`);

const isTestFile = (path) => /(?:^|\/)(?:tests?\/|tests?\.rs$)/.test(path.replace(/^src\//, "")) || /_tests?\.rs$/.test(path);
const lineOf = (text, index) => text.slice(0, index).split("\n").length;

/** The names right behind `prefix::`, whether single or in braces. */
function namesAt(code, start) {
  if (code[start] !== "{") return [/^\w+/.exec(code.slice(start))?.[0]].filter(Boolean);
  const names = [];
  let depth = 0;
  let expecting = false;
  for (let i = start; i < code.length; i += 1) {
    if (code[i] === "{") {
      depth += 1;
      expecting = depth === 1;
    } else if (code[i] === "}") {
      if ((depth -= 1) === 0) break;
    } else if (code[i] === "," && depth === 1) {
      expecting = true;
    } else if (expecting && /\w/.test(code[i])) {
      names.push(/^\w+/.exec(code.slice(i))[0]);
      expecting = false;
    }
  }
  return names;
}

/** Which top-level modules of `src/` a file refers to: `[{ to, line }]`. */
function references(path, code) {
  const parts = path.replace(/^src\//, "").replace(/\.rs$/, "").split("/");
  if (parts.at(-1) === "mod") parts.pop();
  const found = [];
  for (const match of code.matchAll(/\bcrate\s*::\s*/g)) {
    for (const to of namesAt(code, match.index + match[0].length)) found.push({ to, line: lineOf(code, match.index) });
  }
  for (const match of code.matchAll(/\b(?:super\s*::\s*)+/g)) {
    if (match[0].match(/super/g).length !== parts.length) continue;
    for (const to of namesAt(code, match.index + match[0].length)) found.push({ to, line: lineOf(code, match.index) });
  }
  return found;
}

/** Edges between the top-level modules: Map from → Map to → "path:line" of one reference. */
export function dependencies(files) {
  const nameOf = (path) => path.split("/")[1].replace(/\.rs$/, "");
  const sources = [...files].filter(([path]) => /^src\/.+\.rs$/.test(path) && path !== "src/lib.rs" && !isTestFile(path));
  const modules = new Set(sources.map(([path]) => nameOf(path)));
  const edges = new Map([...modules].map((name) => [name, new Map()]));
  for (const [path, source] of sources) {
    const code = productiveCode(source);
    for (const { to, line } of references(path, code)) {
      const from = nameOf(path);
      if (to !== from && modules.has(to) && !edges.get(from).has(to)) edges.get(from).set(to, `${path}:${line}`);
    }
  }
  return edges;
}

/** The first cycle, as the list of its modules, or undefined. */
function findCycle(edges) {
  const done = new Set();
  const visit = (name, trail) => {
    const seen = trail.indexOf(name);
    if (seen >= 0) return trail.slice(seen);
    if (done.has(name)) return undefined;
    for (const next of edges.get(name).keys()) {
      const cycle = visit(next, [...trail, name]);
      if (cycle) return cycle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of edges.keys()) {
    const cycle = visit(name, []);
    if (cycle) return cycle;
  }
  return undefined;
}

function checkRustFile(path, source) {
  const violations = [];
  if (!source.startsWith("//!")) violations.push(`${path}:1: a module opens with //! and its purpose`);
  const lines = source.split("\n").length;
  if (lines > MAX_LINES) violations.push(`${path}: ${lines} lines, more than ${MAX_LINES}`);
  if (path.startsWith("src/") && !mayNamePlatform(path)) {
    const code = withoutCommentsAndStrings(source);
    const named = PLATFORM.exec(code);
    if (named) {
      violations.push(`${path}:${lineOf(code, named.index)}: names ${named[0].trim()}, which only src/edge/ and lib.rs may`);
    }
  }
  if (path.startsWith("src/") && path !== "src/json.rs" && !isTestFile(path)) {
    const code = productiveCode(source);
    const named = OTHER_READING.exec(code);
    if (named) violations.push(`${path}:${lineOf(code, named.index)}: JSON is read by crate::json`);
  }
  return violations;
}

function checkGraph(files) {
  const edges = dependencies(files);
  const violations = [];
  for (const [from, targets] of edges) {
    const place = targets.get("edge");
    if (place) violations.push(`${place}: ${from} knows edge, which only lib.rs may`);
    if (from === "chat" && targets.has("dialects")) {
      violations.push(`${targets.get("dialects")}: chat knows a dialect; dialects know chat`);
    }
  }
  const cycle = findCycle(edges);
  if (cycle) {
    const steps = cycle.map((from, i) => {
      const to = cycle[(i + 1) % cycle.length];
      return `${from} → ${to} (${edges.get(from).get(to)})`;
    });
    violations.push(`cycle between folders: ${steps.join(", ")}`);
  }
  return violations;
}

/** Every violation in the tree, given as a Map of path → text. */
export function violations(files) {
  const found = [];
  for (const [path, text] of files) {
    if (path.endsWith(".rs")) found.push(...checkRustFile(path, text));
    const machine = MACHINE_PATH.exec(text);
    if (machine) found.push(`${path}:${lineOf(text, machine.index)}: names ${machine[0]}, a path of one machine`);
    if (path === "package-lock.json" && text.includes('"resolved": "http')) {
      found.push(`${path}: names the registry that served it; .npmrc says not to`);
    }
  }
  if (files.has(LIST)) found.push(...pitfallViolations(files));
  return [...found, ...checkGraph(files)];
}
