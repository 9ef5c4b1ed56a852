// `npm run clients`: writes what the client packages know of the API, out of openapi.json. `--check` only says whether that is current.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { generated } from "./lib/clients.mjs";
import { at } from "./lib/project.mjs";

const document = JSON.parse(readFileSync(at("openapi.json"), "utf8"));
const isCheck = process.argv.includes("--check");
const old = [];
for (const [path, text] of generated(document)) {
  let kept;
  try {
    kept = readFileSync(at(path), "utf8");
  } catch {
    kept = undefined;
  }
  if (kept === text) continue;
  old.push(path);
  if (!isCheck) writeFileSync(at(path), text);
}
console.log(old.length === 0 ? "The clients are current" : `${isCheck ? "Old: npm run clients" : "Written"}: ${old.join(", ")}`);
process.exitCode = isCheck && old.length > 0 ? 1 : 0;
