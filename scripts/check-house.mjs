// `node scripts/check-house.mjs`: holds the tracked tree against the house rules.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { violations } from "./lib/house.mjs";
import { at, root } from "./lib/project.mjs";

/** Data that is imported, not written here. */
const FOREIGN = /^(?:catalog\/(?!tool\/)|tests\/.*\/(?:snapshots|data)\/)/;
const TEXT = /\.(?:rs|mjs|js|ts|json|toml|md|sql|html|css|sh|ya?ml|py)$|^\.ci\/|^\.npmrc$/;

const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" });
const paths = listed.split("\n").filter((path) => TEXT.test(path) && !FOREIGN.test(path) && existsSync(at(path)));
const files = new Map(paths.map((path) => [path, readFileSync(at(path), "utf8")]));
const found = violations(files);
for (const line of found) console.error(line);
console.log(`${files.size} files, ${found.length} against the house rules`);
process.exitCode = found.length === 0 ? 0 : 1;
