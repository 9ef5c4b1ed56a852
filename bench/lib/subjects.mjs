// What is measured: each subject a Worker in a workerd process of its own, on a direct socket, with what it needs behind it.
import { createHash } from "node:crypto";
import { closeSync, existsSync, fdatasyncSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import { Operator } from "../../scripts/lib/operator.mjs";
import { at, local } from "../../scripts/lib/project.mjs";
import { Stop } from "../../scripts/lib/terminal.mjs";
import { kinds, nativeRequest, patchbayRequest } from "./requests.mjs";
import { children } from "./process.mjs";
import { median } from "./stats.mjs";

/** The date of `wrangler.toml`, for every subject. */
const compatibilityDate = /compatibility_date = "([^"]+)"/.exec(readFileSync(at("wrangler.toml"), "utf8"))[1];

const TYPES = { js: "ESModule", mjs: "ESModule", wasm: "CompiledWasm" };

/** Every module below a folder, by its path in the Worker. */
function modulesOf(folder, prefix = "") {
  const files = readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
  const known = files.filter((name) => TYPES[name.split(".").at(-1)]);
  return known.map((name) => module(join(folder, name), join(prefix, relative(folder, join(folder, name)))));
}

const module = (file, path) => ({ type: TYPES[path.split(".").at(-1)], path, contents: readFileSync(file) });

/** Starts one Worker; the process that is new afterwards is its own. */
async function start(name, modules, options, state) {
  const before = new Set(children("workerd"));
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      log: new Log(LogLevel.ERROR),
      cf: false,
      ...(state && { resourcePersistencePath: state }),
      workers: [
        {
          name,
          modulesRoot: "/",
          modules: modules.map((one) => ({ ...one, path: join("/", one.path) })),
          compatibilityDate,
          unsafeDirectSockets: [{ host: "127.0.0.1", port: 0, proxy: false }],
          ...options,
        },
      ],
    }),
  );
  await miniflare.ready;
  const pid = children("workerd").find((one) => !before.has(one));
  if (!pid) throw new Stop("The process of a Worker was not found.", "The benchmark reads /proc: it runs on Linux.");
  const port = Number((await miniflare.unsafeGetDirectURL(name)).port);
  return { name, pid, port, miniflare, close: () => miniflare.dispose() };
}

async function passThrough(name, modules, upstream) {
  const subject = await start(name, modules, { bindings: { UPSTREAM: upstream } });
  return { ...subject, request: nativeRequest };
}

/** The bench models: the demo models, answered by the upstream's prebuilt answers. */
function catalog() {
  const document = JSON.parse(readFileSync(local("catalog.json"), "utf8"));
  const copies = [["openai", "demo/chat"], ["anthropic", "demo/claude"]].flatMap(([format, slug]) =>
    kinds.map((kind) => ({ like: slug, slug: `bench/${format}-${kind}`, answers: `bench-${kind}` })),
  );
  // Two endpoints, of which the first refuses: what failing over costs.
  copies.push({ like: "demo/chat", slug: "bench/openai-failing", answers: "bench-json", fails: true });
  const order = (a, b) => (a.slug < b.slug ? -1 : 1);
  copies.sort(order);
  const models = copies.map(({ like, slug }) => {
    const model = document.models.find((one) => one.slug === like);
    return { ...model, slug, canonical_slug: slug, context_length: 10_000_000 };
  });
  const endpoints = copies.flatMap(({ like, slug, answers, fails }) => {
    const found = document.endpoints.find((one) => one.model === like);
    const endpoint = { ...found, model: slug, upstream_model_id: answers, context_length: 10_000_000 };
    return fails ? [endpoint, { ...endpoint, tag: `${endpoint.tag}/fails`, upstream_model_id: "fault-status-503" }] : [endpoint];
  });
  const providers = document.providers.filter(({ slug }) => endpoints.some((one) => one.provider === slug));
  // The version of a snapshot is the hash of its content (`src/catalog/publish.rs`).
  const content = JSON.stringify([providers, models, endpoints, {}, {}]);
  const version = createHash("sha256").update(content).digest("hex").slice(0, 16);
  return JSON.stringify({ version, providers, models, endpoints, aliases: {} });
}

async function migrate(miniflare) {
  const database = await miniflare.getD1Database("DB");
  for (const name of readdirSync(at("migrations")).sort()) {
    const text = readFileSync(at("migrations", name), "utf8").replaceAll(/^--.*$/gm, "");
    const statements = text.split(/;\s*$/m).map((statement) => statement.trim()).filter(Boolean);
    await database.batch(statements.map((statement) => database.prepare(statement)));
  }
}

/** The gateway as it is deployed, with its stores on disk, and an account that can pay. */
export async function patchbay(name, upstream, state, dist = at("dist")) {
  const token = "operator-of-the-benchmark";
  const subject = await start(name, modulesOf(dist).sort(mainFirst), {
    bindings: { DEMO_UPSTREAM: upstream, DEMO_UPSTREAM_KEY: "demo-key", OPERATOR_TOKEN: token },
    kvNamespaces: { KV: "patchbay-kv" },
    d1Databases: { DB: "patchbay-db" },
    durableObjects: { ACCOUNT: { className: "Account", useSQLite: true } },
  }, state);
  await migrate(subject.miniflare);
  const operator = new Operator(`http://127.0.0.1:${subject.port}`, token);
  await operator.publishCatalog(catalog());
  const { key, account } = await operator.createAccount("bench", "1000000");
  return { ...subject, account, key, request: (format, kind, text) => patchbayRequest(format, kind, text, key) };
}

/** The gateway's modules behind another main module, with the gateway's stores. */
export async function startWorker(name, modules, folder = `${memory}-${name}`) {
  const subject = await start(name, [...modules, ...modulesOf(at("dist"))], {
    kvNamespaces: { KV: `${name}-kv` },
    d1Databases: { DB: `${name}-db` },
    durableObjects: { ACCOUNT: { className: "Account", useSQLite: true } },
  }, folder);
  await migrate(subject.miniflare);
  const close = async () => {
    await subject.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...subject, close };
}

/** A bundle's main module is the one that is no wasm; Miniflare takes the first as main. */
const mainFirst = (a, b) => Number(b.path.endsWith("entry.js")) - Number(a.path.endsWith("entry.js"));

/** Where stores live whose device costs nothing; the system's folder for temporary files where there is no such thing. */
const memory = join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), `patchbay-bench-${process.pid}`);
const disk = local("bench", "state");

/** Milliseconds that a store's commit waits for its device: the median of some small synchronous writes. */
function commitMs(folder) {
  mkdirSync(folder, { recursive: true });
  const file = openSync(join(folder, "probe"), "w");
  const times = Array.from({ length: 25 }, () => {
    const start = performance.now();
    writeSync(file, Buffer.alloc(4096));
    fdatasyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  return median(times);
}

/** Starts them all, in the order of the tables. The gateway stands twice: its stores in memory, and on this machine's disk. */
export async function startSubjects(upstream) {
  const clear = () => [memory, disk].forEach((folder) => rmSync(folder, { recursive: true, force: true }));
  clear();
  const worker = (file) => [module(at("bench", "workers", file), file)];
  const rust = [...worker("rust.mjs"), ...modulesOf(local("bench", "passthrough-rs", "pkg"), "pkg")];
  const subjects = [
    await passThrough("js", worker("passthrough.mjs"), upstream),
    await passThrough("rust", rust, upstream),
    await passThrough("js-reading", worker("reading.mjs"), upstream),
    await patchbay("patchbay", upstream, memory),
    { ...(await patchbay("patchbay-disk", upstream, disk)), smallOnly: true },
  ];
  const commits = { "patchbay": commitMs(memory), "patchbay-disk": commitMs(disk) };
  const close = async () => {
    await Promise.all(subjects.map((subject) => subject.close()));
    clear();
  };
  return { subjects, commits, close };
}
