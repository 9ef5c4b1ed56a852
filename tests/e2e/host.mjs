// The process that runs the Worker for a test: the miniflare and workerd that wrangler ships, on a socket of their own, with
// the bindings of wrangler.toml. Started by gateway.mjs, which talks to it over the IPC channel; it ends with its parent.
// Not `wrangler dev`: its proxy sees a client leave later, and importing wrangler alone costs more than all of this.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

const { root, port, vars, persist, ai, main = "entry.mjs" } = JSON.parse(process.argv[2]);
const require = createRequire(join(root, "package.json"));
// miniflare is wrangler's dependency, not ours: the one that wrangler itself would load is meant.
const { Miniflare, convertV4MiniflareOptions, Log, LogLevel } = createRequire(require.resolve("wrangler"))("miniflare");

/** What the tests need of wrangler.toml: its plain `key = "value"` lines, by the table they stand in. */
function wranglerToml() {
  const tables = { "": [{}] };
  let table = tables[""];
  for (const line of readFileSync(join(root, "wrangler.toml"), "utf8").split("\n")) {
    const [, header] = /^\[\[?([\w.]+)\]\]?$/.exec(line) ?? [];
    if (header) (table = tables[header] ??= []).push({});
    const [, key, value] = /^(\w+) = "(.*)"$/.exec(line) ?? [];
    if (key) table.at(-1)[key] = value;
  }
  return tables;
}

/** The main module, the entry module and what the build put beside it, as they are before bundling. */
function modules() {
  const built = readdirSync(join(root, "pkg"), { recursive: true }).map((name) => join("pkg", name));
  const kinds = { js: "ESModule", mjs: "ESModule", wasm: "CompiledWasm" };
  return [...new Set([main, "entry.mjs", ...built])].flatMap((name) => {
    const type = kinds[name.split(".").at(-1)];
    return type ? [{ type, path: join(root, name) }] : [];
  });
}

function options(config) {
  const named = (rows, name, value) => Object.fromEntries(rows.map((row) => [row[name], value(row)]));
  return convertV4MiniflareOptions({
    name: "patchbay",
    modules: modules(),
    modulesRoot: root,
    compatibilityDate: config[""][0].compatibility_date,
    kvNamespaces: named(config.kv_namespaces, "binding", (row) => row.id),
    d1Databases: named(config.d1_databases, "binding", (row) => row.database_id),
    durableObjects: named(config["durable_objects.bindings"], "name", (row) => ({ className: row.class_name, useSQLite: true })),
    bindings: vars,
    // The runtime's own class of the binding; its calls go to a server of the test's.
    ...(ai && { ai: { binding: "AI", remoteProxyConnectionString: new URL(ai) } }),
    host: "127.0.0.1",
    port,
    cf: false,
    log: new Log(LogLevel.WARN),
    resourcePersistencePath: join(persist, "state"),
    resourceTmpPath: join(persist, "tmp"),
  });
}

async function migrate(database) {
  const folder = join(root, "migrations");
  for (const name of readdirSync(folder).filter((each) => each.endsWith(".sql")).sort()) {
    const sql = readFileSync(join(folder, name), "utf8").replaceAll(/^--.*$/gm, "");
    const statements = sql.split(/;\s*$/m).filter((each) => each.trim());
    await database.batch(statements.map((statement) => database.prepare(statement)));
  }
}

const miniflare = new Miniflare(options(wranglerToml()));
const url = await miniflare.ready;
const database = await miniflare.getD1Database("DB");

const operations = {
  migrate: () => migrate(database),
  kv: async ({ key }) => (await miniflare.getKVNamespace("KV")).get(key),
  scheduled: async ({ cron }) => (await miniflare.getWorker()).scheduled({ cron, scheduledTime: new Date() }),
  d1: async ({ sql, params }) => (await database.prepare(sql).bind(...params).all()).results,
  kv: async ({ key }) => (await miniflare.getKVNamespace("KV")).get(key),
};

process.on("message", async ({ id, op, ...rest }) => {
  try {
    process.send({ id, value: (await operations[op](rest)) ?? null });
  } catch (error) {
    process.send({ id, error: error.message });
  }
});
process.on("disconnect", async () => {
  await miniflare.dispose();
  process.exit();
});
process.send({ ready: true, port: Number(url.port) });
