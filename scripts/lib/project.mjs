// Where things are, and what `package.json` says of them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";

export const root = resolve(import.meta.dirname, "../..");
export const at = (...parts) => join(root, ...parts);

/** Everything that a run leaves behind and git does not see. */
export const local = (...parts) => at(".patchbay", ...parts);

/** The local database and objects, and the account and key that `npm start` made in them; gone together with `--reset`. */
export const stateDir = process.env.PATCHBAY_STATE ? resolve(process.env.PATCHBAY_STATE) : local("state");
/** The developer's variables and secrets, as wrangler reads them. */
export const devVarsFile = process.env.PATCHBAY_DEV_VARS ? resolve(process.env.PATCHBAY_DEV_VARS) : at(".dev.vars");
export const devFile = join(stateDir, "dev.json");

export const manifest = JSON.parse(readFileSync(at("package.json"), "utf8"));

export const readJson = (path, otherwise) => {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return otherwise;
    throw error;
  }
};

export function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
}
