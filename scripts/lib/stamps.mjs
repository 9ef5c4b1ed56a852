// Skips work whose inputs have not changed: a stamp holds the digest of what went in and of what came out.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { at, local, readJson, writeJson } from "./project.mjs";

/** The digest of files and folders (given relative to the root) and of plain words. Missing paths count as missing. */
export function digest(paths, ...words) {
  const hash = createHash("sha256");
  for (const word of words) hash.update(`word ${word}\n`);
  const visit = (path) => {
    const full = at(path);
    if (!existsSync(full)) return void hash.update(`missing ${path}\n`);
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) visit(join(path, name));
    } else {
      hash.update(`file ${path}\n`).update(readFileSync(full)).update("\n");
    }
  };
  paths.forEach(visit);
  return hash.digest("hex");
}

const file = (name) => local("stamps", `${name}.json`);

/** True when `name` was made from these inputs and its outputs are as it left them. */
export function isFresh(name, inputs, outputs = []) {
  const stamp = readJson(file(name), {});
  return stamp.inputs === inputs && outputs.every((path) => existsSync(at(path))) && stamp.outputs === digest(outputs);
}

export const stamp = (name, inputs, outputs = []) => writeJson(file(name), { inputs, outputs: digest(outputs) });
