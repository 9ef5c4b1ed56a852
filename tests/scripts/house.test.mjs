// The house rules are worth only what they refuse: each rule is shown a tree that breaks it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dependencies, violations } from "../../scripts/lib/house.mjs";

const tree = (files) => new Map(Object.entries(files));
const refuses = (files, pattern) => {
  const found = violations(tree(files));
  assert.equal(found.length, 1, `one violation, not ${JSON.stringify(found)}`);
  assert.match(found[0], pattern);
};
const accepts = (files) => assert.deepEqual(violations(tree(files)), []);

test("only the edge names the platform", () => {
  refuses({ "src/api/mod.rs": "//! Routes.\nuse worker::Request;\n" }, /src\/api\/mod\.rs:2: names use worker/);
  refuses({ "src/api/mod.rs": "//! Routes.\nfn f(x: &wasm_bindgen::JsValue) {}\n" }, /names wasm_bindgen/);
  accepts({ "src/edge/mod.rs": "//! Platform.\nuse worker::Request;\n", "src/lib.rs": "//! Contents.\nuse worker::event;\n" });
});

test("words in comments and strings are not names", () => {
  accepts({ "src/api/mod.rs": '//! Routes.\n// a worker::Request elsewhere\nconst A: &str = "use worker::x"; // js_sys\nconst B: char = \'"\';\n' });
});

test("JSON is read in one place", () => {
  refuses({ "src/api/mod.rs": "//! A.\nfn f() { serde_json::from_value(x) }\n" }, /src\/api\/mod\.rs:2: JSON is read by crate::json/);
  accepts({ "src/json.rs": "//! J.\nfn f() { serde_json::from_str(x) }\n", "src/a_tests.rs": "//! T.\nfn f() { serde_json::from_str(x) }\n" });
});

test("a module says its purpose and stays short", () => {
  refuses({ "src/api/mod.rs": "use std::fmt;\n" }, /opens with \/\/!/);
  refuses({ "src/api/mod.rs": `//! Routes.\n${"\n".repeat(900)}` }, /lines, more than 800/);
});

test("folders have no cycles, however the reference is spelt", () => {
  refuses(
    { "src/api/mod.rs": "//! A.\nuse crate::relay::Run;\n", "src/relay/mod.rs": "//! R.\nmod x;\n", "src/relay/x.rs": "//! X.\nuse super::super::api;\n" },
    /cycle between folders: api → relay \(src\/api\/mod\.rs:2\), relay → api \(src\/relay\/x\.rs:2\)/,
  );
  refuses(
    { "src/a.rs": "//! A.\nuse crate::{b::{self, X}, c};\n", "src/b.rs": "//! B.\n", "src/c.rs": "//! C.\nfn f() { crate::a::g() }\n" },
    /a → c .*c → a/,
  );
});

test("a test module may look wherever it likes", () => {
  accepts({
    "src/a.rs": "//! A.\nuse crate::b::X;\n",
    "src/b.rs": "//! B.\n#[cfg(test)]\nmod tests {\n    use crate::a::Y;\n    fn f() { {} }\n}\n",
  });
});

test("nobody but lib.rs knows the edge, and chat knows no dialect", () => {
  refuses({ "src/api/mod.rs": "//! A.\nuse crate::edge::Kv;\n", "src/edge/mod.rs": "//! E.\n" }, /api knows edge/);
  refuses({ "src/chat/mod.rs": "//! C.\nuse crate::dialects::D;\n", "src/dialects/mod.rs": "//! D.\n" }, /chat knows a dialect/);
});

test("the edges name one place each", () => {
  const edges = dependencies(tree({ "src/a.rs": "//! A.\nuse crate::b::X;\nuse crate::b::Y;\n", "src/b.rs": "//! B.\n" }));
  assert.deepEqual([...edges.get("a")], [["b", "src/a.rs:2"]]);
});

test("no file names a path of one machine or a registry", () => {
  refuses({ "README.md": `see /${"home"}/someone/x\n` }, /README\.md:1: names/);
  accepts({ "README.md": "see https://example.com/work/x and ./home/x\n" });
  refuses({ "package-lock.json": '"resolved": "https://example.com/x.tgz"' }, /registry/);
});

/** A tree in which every known mistake is either cited by a test or listed, but for what `list` and `test` add. */
function pitfalls({ omit = [], list = [], test: cited = [] }) {
  const id = (n) => `P${String(n).padStart(2, "0")}`;
  const own = Array.from({ length: 137 }, (_, at) => id(at + 2)).filter((each) => !omit.includes(each));
  return tree({
    "tests/pitfalls.md": ["| id | why |", "|---|---|", ...list.map(([each, why]) => `| ${each} | ${why} |`)].join("\n"),
    "tests/all.rs": `//! All.\n// ${[...own, ...cited].join(" ")}\n`,
    "src/a.rs": `//! A. ${omit.join(" ")}\n#[cfg(test)]\nmod tests {\n    // ${"P" + "01"}\n}\n`,
  });
}

test("a known mistake has a test or a reason, never both, and no other ids exist", () => {
  const one = "P" + "07";
  const refusesList = (given, pattern) => {
    const found = violations(pitfalls(given));
    assert.equal(found.length, 1, JSON.stringify(found));
    assert.match(found[0], pattern);
  };
  assert.deepEqual(violations(pitfalls({})), []);
  assert.deepEqual(violations(pitfalls({ omit: [one], list: [[one, "surface not built"]] })), []);
  // Named in a module, but in none of its tests.
  refusesList({ omit: [one] }, /neither a test nor a reason/);
  refusesList({ list: [[one, "surface not built"]] }, /pitfalls\.md:3: P\d+ is cited by tests\/all\.rs: drop the line/);
  refusesList({ omit: [one], list: [[one, ""]] }, /no reason/);
  refusesList({ omit: [one], list: [[one, "not built"], [one, "not built"]] }, /twice/);
  refusesList({ list: [["P" + "139", "no such"]] }, /does not exist/);
  refusesList({ test: ["P" + "200"] }, /tests\/all\.rs: cites P\d+, which does not exist/);
});
