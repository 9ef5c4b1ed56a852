// The operator's commands that take more than one call: reconciling, exporting, deleting, health, provider keys.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

const segment = encodeURIComponent;
/** How long a deletion waits for an account to come to rest, in milliseconds. */
const PATIENCE_MS = 120_000;

/** Walks over one account's books, or all; told are each account's counts, and what is open. */
export async function reconcile(to, only, say) {
  const accounts = only ? [{ id: only }] : (await to.call("GET", "accounts")).data;
  const data = [];
  const findings = [];
  for (const { id } of accounts) {
    const walked = await walk(to, id);
    data.push(walked);
    if (walked.differences === 0) continue;
    const open = (await to.call("GET", `reconcile/findings?account=${segment(id)}`)).data;
    findings.push(...open);
    for (const { kind, subject, expected, found, difference } of open) {
      say(`${id}: ${kind}: ${subject}: expected ${expected}, found ${found}${difference === null ? "" : ` (${difference})`}`);
    }
  }
  const failed = data.some(({ differences }) => differences > 0);
  return { data, findings: findings.length > 0 ? findings : undefined, failed };
}

async function walk(to, account) {
  for (let restart = true; ; restart = false) {
    const { data } = await to.call("POST", "reconcile", { account, restart });
    if (data.done) return data;
    // Another run, the cron's perhaps, has the walk: it is read on from there.
    if (data.yielded) await sleep(200);
  }
}

/** Everything kept about an account as lines of JSON. */
export async function exportAccount(to, account, out, file) {
  let lines = 0;
  for (let after = ""; after !== null; ) {
    const { data, next } = await to.call("GET", `accounts/${segment(account)}/export?after=${segment(after)}`);
    for (const line of data) if (!out.write(`${JSON.stringify(line)}\n`)) await once(out, "drain");
    lines += data.length;
    after = next;
  }
  if (!file) return undefined;
  out.end();
  await once(out, "finish");
  return { data: { account, file, lines } };
}

/** Deletes an account to the end, or says what it still waits for. */
export async function deleteAccount(to, account) {
  const deleted = {};
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const { data } = await to.call("DELETE", `accounts/${segment(account)}`);
    for (const [table, rows] of Object.entries(data.deleted)) deleted[table] = (deleted[table] ?? 0) + rows;
    if (data.done) return { data: { id: account, done: true, deleted } };
    if (data.waits_for && Date.now() > deadline) return { data: { ...data, deleted, next: "the same command again, in some minutes" }, failed: true };
    if (data.waits_for) await sleep(500);
  }
}

/** Each part and whether it is well. */
export async function health(to) {
  const { data } = await to.call("GET", "health", undefined, [503]);
  const rows = Object.entries(data.parts).map(([part, { ok, ...detail }]) => ({ part, ok, detail }));
  return { data: rows, failed: !data.ok };
}

/** The providers of a catalog: which secret each takes, and whether it is set. */
export async function providerKeys(to, { providers }) {
  const { data } = await to.call("POST", "providers", { providers });
  const secrets = new Map(providers.map(({ slug, secret }) => [slug, secret]));
  const status = ({ key, reachable }) => (key ? "set" : reachable ? "missing" : "missing, and so are variables of its address");
  return { data: data.map((row) => ({ slug: row.slug, secret: secrets.get(row.slug) ?? null, status: status(row) })) };
}

/** The providers of tools: which secret each takes, whether it is set, and what works without it. */
export async function toolProviders(to) {
  const { data } = await to.call("GET", "tools");
  const status = ({ key, callable, operations }) =>
    key ? "set" : callable === operations ? "works without" : callable ? "missing; a part works without" : "missing";
  return { data: data.map((row) => ({ slug: row.slug, secret: row.secret, status: status(row), callable: row.callable, operations: row.operations, pooling: row.pooling })) };
}
