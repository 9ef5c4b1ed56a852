// `npm test`: every check, on a clean clone too, ending with one summary. See `--help`.
import { parseArgs } from "node:util";
import { built, runParts, STATIC, summarise } from "./lib/checks.mjs";
import { endAll, exitOnInterrupt } from "./lib/processes.mjs";
import { ensureNpm } from "./lib/setup.mjs";
import { main, Stop } from "./lib/terminal.mjs";

const HELP = `npm test [-- options]

  --fast         build with the profile of the edit loop; the size is not checked then
  --only PART    one part, with what it needs; may be repeated
  --help         this text`;

function options() {
  try {
    const { values } = parseArgs({
      options: { fast: { type: "boolean" }, only: { type: "string", multiple: true }, help: { type: "boolean" } },
    });
    return values;
  } catch (error) {
    throw new Stop(error.message, HELP);
  }
}

function chosen({ fast, only }) {
  const parts = [...STATIC, ...built(fast ? "fast" : "release")];
  if (!only) return parts;
  const wanted = only.map((name) => {
    const part = parts.find((part) => part.name === name);
    if (!part) throw new Stop(`There is no part named ${name}.`, `Parts: ${parts.map((part) => part.name).join(", ")}`);
    return part;
  });
  return parts.filter((part) => wanted.some((one) => one === part || one.needs === part.name));
}

exitOnInterrupt();
await main(async () => {
  const values = options();
  if (values.help) return console.log(HELP);
  const parts = chosen(values);
  await ensureNpm();
  return summarise(await runParts(parts));
}, endAll);
