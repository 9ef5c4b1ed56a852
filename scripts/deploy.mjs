// `npm run deploy`: checks, release build, migrations, wrangler deploy. With `--dry-run`, all that needs no account.
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { runParts, STATIC, summarise, wasmSize } from "./lib/checks.mjs";
import { ensureCatalog, ensureWorker } from "./lib/compiler.mjs";
import { Operator } from "./lib/operator.mjs";
import { endAll, exitOnInterrupt, mustRun } from "./lib/processes.mjs";
import { at, manifest } from "./lib/project.mjs";
import { bundle, ensureNpm, wranglerProgram } from "./lib/setup.mjs";
import { main, step, Stop } from "./lib/terminal.mjs";

const HELP = `npm run deploy [-- options]

  --dry-run       check, build and bundle; deploy nothing
  --skip-checks   straight to the build
  --help          this text`;

function options() {
  try {
    const { values } = parseArgs({
      options: { "dry-run": { type: "boolean" }, "skip-checks": { type: "boolean" }, help: { type: "boolean" } },
    });
    return values;
  } catch (error) {
    throw new Stop(error.message, HELP);
  }
}

const CATALOG = "dist/catalog.json";

/** The ids in `wrangler.toml` that stand for resources of an account that has none yet. */
const PLACEHOLDERS = [
  { text: 'id = "patchbay-kv"', create: "npx wrangler kv namespace create KV" },
  { text: 'database_id = "patchbay-db"', create: "npx wrangler d1 create patchbay" },
];

function requireResources() {
  const config = readFileSync(at("wrangler.toml"), "utf8");
  const missing = PLACEHOLDERS.filter(({ text }) => config.includes(text));
  if (missing.length === 0) return;
  throw new Stop(
    `wrangler.toml still has ${missing.map(({ text }) => text).join(" and ")}.`,
    `Run ${missing.map(({ create }) => `\`${create}\``).join(" and ")}, and put the id that it prints in its place.`,
  );
}

function requireBudget() {
  const [bytes, budget] = [wasmSize(), manifest.patchbay.wasmGzipBudget];
  if (bytes > budget) {
    throw new Stop(`The wasm has ${bytes} bytes compressed; the budget is ${budget}.`, "Make it smaller, or raise the budget in package.json.");
  }
  return `${(bytes / 1000).toFixed(0)} kB compressed, of ${(budget / 1000).toFixed(0)} kB`;
}

const wrangler = (args, problem) =>
  mustRun(
    process.execPath,
    [wranglerProgram, ...args],
    problem,
    "See above. Without a login: `npx wrangler login`, or set CLOUDFLARE_API_TOKEN.",
    { show: true, env: { CI: "1" } },
  );

/** Publishes what this deployment has the keys for, or says how to. */
async function publishCatalog(deployed) {
  const { output } = await wrangler(["secret", "list", "--format", "json"], "wrangler does not list the secrets.");
  const secrets = JSON.parse(output.slice(output.indexOf("["))).map(({ name }) => name);
  await ensureCatalog(CATALOG, secrets);
  const url = process.env.PATCHBAY_URL ?? /https:\/\/\S+\.workers\.dev/.exec(deployed)?.[0] ?? "<the Worker's URL>";
  const token = process.env.PATCHBAY_OPERATOR_TOKEN;
  if (token && url.startsWith("http")) {
    return step("publish catalog", async () => {
      await new Operator(url, token).publishCatalog(readFileSync(at(CATALOG), "utf8"));
      return "published";
    });
  }
  if (!secrets.includes("OPERATOR_TOKEN")) {
    console.log("\nThe Worker has no operator yet: npx wrangler secret put OPERATOR_TOKEN (24 characters or more)");
  }
  if (secrets.every((name) => !name.endsWith("_API_KEY"))) {
    console.log("Each provider needs its key: npx wrangler secret put OPENAI_API_KEY, and so on; then deploy again.");
  }
  console.log(`The catalog is compiled for the secrets that are set, but not published. To publish it:
  PATCHBAY_OPERATOR_TOKEN=… npm run operator -- catalog publish ${CATALOG} --url ${url}`);
}

async function deploy() {
  await step("D1 migrations", async () => {
    await wrangler(["d1", "migrations", "apply", "DB", "--remote"], "The migrations were not applied; nothing was deployed.");
    return "applied";
  });
  let deployed = "";
  await step("deploy", async () => {
    deployed = (await wrangler(["deploy"], "wrangler did not deploy.")).output;
    return "deployed";
  });
  await publishCatalog(deployed);
}

exitOnInterrupt();
await main(async () => {
  const values = options();
  if (values.help) return console.log(HELP);
  await ensureNpm();
  if (!values["dry-run"]) requireResources();
  if (!values["skip-checks"]) {
    const code = summarise(await runParts(STATIC));
    if (code !== 0) throw new Stop("The checks failed; nothing was deployed.");
  }
  await ensureWorker("release");
  await step("wasm size", async () => requireBudget());
  if (values["dry-run"]) {
    await ensureCatalog(CATALOG);
    console.log(/^Total Upload.*$/m.exec(await bundle())?.[0] ?? "");
    return console.log("Dry run: nothing was deployed.");
  }
  return deploy();
}, endAll);
