// What the tests of both SDKs ask with: a model for each dialect, tools, a schema.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const { models: MODELS, tools, schema } = JSON.parse(readFileSync(join(import.meta.dirname, "cases.json"), "utf8"));
