// The benchmark: every subject in one run, in turns, so that the noise of the machine hits all alike. See `README.md`.
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { createRequire } from "node:module";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { endAll, exitOnInterrupt, start } from "../scripts/lib/processes.mjs";
import { at, local } from "../scripts/lib/project.mjs";
import { main, Stop } from "../scripts/lib/terminal.mjs";
import { failover } from "./lib/failover.mjs";
import { once } from "./lib/load.mjs";
import { objects } from "./lib/objects.mjs";
import { measure, MEASURES } from "./lib/measures.mjs";
import { peakMegabytes } from "./lib/process.mjs";
import { flaw, formats, kinds } from "./lib/requests.mjs";
import { spread, summary, table } from "./lib/stats.mjs";
import { startSubjects } from "./lib/subjects.mjs";

const HELP = `npm run bench [-- options]

  --rounds N      how often everything is measured (5)
  --only TEXT     only measures, formats and subjects whose names hold it; may be repeated; "objects": Account objects alone
  --quick         a smoke run: one round, few requests
  --help          this text`;

/** A disk may take tens of milliseconds for each request. */
const DISK_REQUESTS = 100;

const BASE = { passThrough: "js", rust: "rust", reading: "js-reading", gateway: "patchbay" };

function options() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: "string", default: "5" },
        only: { type: "string", multiple: true, default: [] },
        quick: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    const rounds = values.quick ? 1 : Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds} is no count`);
    return { ...values, rounds };
  } catch (error) {
    throw new Stop(error.message, HELP);
  }
}

async function startUpstream() {
  const child = start(process.execPath, [at("tests", "upstream", "main.mjs")], { stdio: ["ignore", "pipe", "inherit"] });
  // Miniflare ends the process by itself on a signal, and nothing else would end this one then.
  process.once("exit", () => child.kill());
  const firstLine = new Promise((done) => createInterface({ input: child.stdout }).once("line", done));
  const line = await Promise.race([firstLine, child.ended]);
  if (typeof line !== "string") throw new Stop("The local upstream did not start.", "See above.");
  return `http://127.0.0.1:${JSON.parse(line).port}`;
}

/** Every subject gives the right answer before any is measured. */
async function check(subjects) {
  for (const subject of subjects) {
    for (const format of formats) {
      for (const kind of kinds) {
        const wrong = flaw(kind, await once(subject.port, subject.request(format, kind, "Hello")));
        if (wrong) throw new Stop(`${subject.name} answers ${format} ${kind} wrongly.`, wrong);
      }
    }
  }
}

/** Rotates, so that no subject always follows the same other one. */
const rotated = (list, by) => list.map((_, index) => list[(index + by) % list.length]);

/** figures[measure][format][figure][subject] = one value a round. */
async function rounds(subjects, measures, chosenFormats, { rounds, quick }) {
  const figures = {};
  for (let round = -1; round < rounds; round++) {
    // The round before the first warms everything up and counts for nothing.
    const warming = round < 0;
    if (warming && quick) continue;
    process.stdout.write(warming ? "warming up" : `, round ${round + 1}`);
    for (const [index, one] of measures.entries()) {
      const count = quick ? one.quick : (warming && one.warm) || one.count;
      for (const format of chosenFormats) {
        for (const subject of rotated(subjects, Math.max(round, 0) + index)) {
          if (subject.smallOnly && !one.small) continue;
          const seen = await measure(subject, format, { ...one, count: subject.smallOnly ? Math.min(count, DISK_REQUESTS) : count });
          if (warming) continue;
          const of = ((figures[one.name] ??= {})[format] ??= {});
          for (const [name, value] of Object.entries(seen)) ((of[name] ??= {})[subject.name] ??= []).push(value);
        }
      }
    }
  }
  console.log("\n");
  return figures;
}

/** The ratio of two subjects, taken within each round: what disturbs a round disturbs both. */
const ratio = (values, of, to) =>
  values[of] && values[to] ? spread(summary(values[of].map((value, round) => value / values[to][round]))) : "–";

function report(figures, names) {
  const rows = [["measure", "upstream", "figure", ...names, "gateway ÷ Rust", "gateway ÷ reading", "gateway ÷ JS"]];
  for (const [measure, byFormat] of Object.entries(figures)) {
    for (const [format, byFigure] of Object.entries(byFormat)) {
      for (const [figure, values] of Object.entries(byFigure)) {
        const ratios = [BASE.rust, BASE.reading, BASE.passThrough].map((base) => ratio(values, BASE.gateway, base));
        rows.push([measure, format, figure, ...names.map((name) => (values[name] ? spread(summary(values[name])) : "–")), ...ratios]);
      }
    }
  }
  return table(rows);
}

/** Account objects alone. */
async function measureObjects({ rounds, quick }) {
  const ledgers = await objects(undefined, rounds, quick);
  for (const { name, perSecond, cpuMicroseconds, rowsWritten } of ledgers) {
    const [rate, cpu] = [perSecond, cpuMicroseconds].map((values) => spread(summary(values)));
    console.log(`\nledger, ${name}: ${rate} requests (hold and settle) a second, ${cpu} µs of processor time and ${rowsWritten.toFixed(2)} rows written each`);
  }
  return ledgers;
}

function keep(chosen, outcome) {
  const workerd = createRequire(import.meta.url)("workerd/package.json").version;
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, workerd };
  const all = { at: new Date().toISOString(), machine, rounds: chosen.rounds, quick: chosen.quick === true, ...outcome };
  mkdirSync(local(), { recursive: true });
  writeFileSync(local("bench.json"), `${JSON.stringify(all, null, 2)}\n`);
  console.log("all values: .patchbay/bench.json");
}

exitOnInterrupt();
await main(async () => {
  const chosen = options();
  if (chosen.help) return console.log(HELP);
  // They need no upstream and no other subject.
  if (chosen.only.length > 0 && chosen.only.every((only) => only === "objects")) return keep(chosen, { ledgers: await measureObjects(chosen) });
  const has = (list) => {
    const named = list.filter((name) => chosen.only.some((only) => name.includes(only)));
    return named.length ? (name) => named.includes(name) : () => true;
  };
  const upstream = await startUpstream();
  const { subjects: all, commits, close } = await startSubjects(upstream);
  try {
    await check(all);
    const isChosen = has(all.map(({ name }) => name));
    const subjects = all.filter(({ name }) => isChosen(name));
    const measures = MEASURES.filter(({ name }) => has(MEASURES.map((one) => one.name))(name));
    const figures = await rounds(subjects, measures, formats.filter(has(formats)), chosen);
    console.log(report(figures, subjects.map(({ name }) => name)));
    const gateway = subjects.find(({ name }) => name === BASE.gateway);
    const over = gateway && (await failover(gateway, upstream, chosen.quick ? 10 : 100));
    if (over) {
      const [direct, failedOver, refused, added] = [over.direct, over.failedOver, over.refused, over.added].map((ms) => ms.toFixed(2));
      console.log(`\nfailing over: ${failedOver} ms, served at once ${direct} ms, the refused call ${refused} ms: adds ${added} ms (median of ${over.requests})`);
    }
    const ledgers = chosen.only.length === 0 || chosen.only.includes("objects") ? await measureObjects(chosen) : [];
    const peaks = Object.fromEntries(subjects.map(({ name, pid }) => [name, peakMegabytes(pid)]));
    console.log(`\npeak memory, MB: ${Object.entries(peaks).map(([name, mb]) => `${name} ${mb.toFixed(0)}`).join(", ")}`);
    const waits = Object.entries(commits).map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`);
    console.log(`a commit waits for its device: ${waits.join(", ")}`);
    keep(chosen, { commitMs: commits, figures, failover: over, ledgers, peakMegabytes: peaks });
  } finally {
    await close();
  }
}, endAll);
