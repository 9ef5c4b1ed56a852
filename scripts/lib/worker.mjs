// What the Worker in `pkg/` was made of.
import process from "node:process";
import { digest, isFresh } from "./stamps.mjs";

const INPUTS = ["Cargo.toml", "Cargo.lock", "src", "xtask"];
export const WORKER_OUTPUTS = ["pkg"];

export const workerInputs = (profile) => digest(INPUTS, profile, process.env.PATCHBAY_WASM_TOOLCHAIN ?? "");

/** Whether `pkg/` was built from the sources as they are, with this profile. */
export const isBuilt = (profile) => isFresh("worker", workerInputs(profile), WORKER_OUTPUTS);
