// The operator's command line: accounts, credits, corrections, keys, the books and the catalog of a running gateway. See `--help`.
import { randomUUID } from "node:crypto";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Operator } from "./lib/operator.mjs";
import { deleteAccount, exportAccount, health, providerKeys, reconcile, toolProviders } from "./lib/books.mjs";
import { devFile, local, readJson } from "./lib/project.mjs";
import { main, Stop } from "./lib/terminal.mjs";

const HELP = `npm run operator -- <command> [options]

  accounts                            list accounts
  accounts create <name>              open an account
  accounts show <account>             balance, holds, totals
  accounts export <account> [file]    everything kept about it, one JSON object per line; without a file to standard output
  accounts delete <account> --yes     end its keys, keep the sums of its ledger, erase all else; again, where it was cut off
  grant <account> <dollars>           add credits; --id makes a repeat harmless, --note says why, --expires ends them
  purchases <account>                 list what it bought
  refund <account> <purchase>         give back what is unused; --amount <dollars>, --even-if-used (also what is spent: the account may owe it)
                                      --id makes a repeat harmless
  coupons                             list coupons and how often each was used
  coupons create <name> <dollars>     make a code for credits; it is shown once; --uses <n>, --code <one of your own>
       --expires 2027-01-31T00:00:00Z ends the code, --credit-days <n> the credits that it gives
  coupons disable <coupon>
  entries <account>                   list the newest lines of its ledger; --limit <n>, --before <seq>
  correct <account> <generation> <dollars> --reason <why>
                                      what a generation should have cost; the difference is charged or given back, once per reason
  keys <account>                      list an account's keys
  keys create <account> <name>        make a key; it is shown once
       --limit <dollars> --reset daily|weekly|monthly --expires 2027-01-31T00:00:00Z
       --management: it administers the account by /api/v1/keys and the like, and calls no model
  keys show|disable|enable|delete <hash>
  keys limit <hash> <dollars|none>    change a key's limit; --reset as above
  members <account>                   list who is in an account
  members add <account> <email|user> --role member|admin|owner
  members role <account> <user> <role>
  members remove <account> <user>     their keys in the account end
  members invite <account> --role … --email <address> --expires 2027-01-31T00:00:00Z
                                      a link for one person, shown once; without an address for whoever opens it
  users                               list people; --email finds one
  users show|disable|enable <user>    who is disabled cannot sign in
  users operator <user> yes|no        whether a person may use the operator's routes
  login-link <email|user>             a link that signs a person in, once, within a quarter of an hour
  presets <account>                   list an account's presets
  presets save <account> <slug> <file.json>
                                      keep the configuration of an inference body; --prompt sets its instructions
  presets show|delete <account> <slug>
  byok <account>                      list the provider keys that an account brought
  byok add <account> <provider>       keep one; it is read from standard input, or --key-env <variable>
       --name <name> --fallback --required --models <slug,…> --keys <hash,…>
  byok show|disable|enable|delete <account> <id>
  byok rotate                         seal all anew under the BYOK_MASTER_KEY in force (the one before: BYOK_MASTER_KEY_PREVIOUS)
  reconcile [--account <account>]     recompute balances, counters and charges, match every settlement with its usage row; exit code 1
                                      where anything differs
  reconcile findings                  what is open; --all: also what was; --account
  audit                               who changed what: --account <account> --since 2026-11-01 --action keys. --limit <n>
  health                              D1, KV, objects, the catalog's age, the cron, what waits; exit code 1 where something is wrong
  providers [catalog.json]            which providers' keys are set, which are missing (never the keys)
  tools                               the providers of tools: whose keys are set, how many operations can be called with what is there
  tools import <url|file.json>        the operations of an OpenAPI document (JSON), or of an MCP server (--kind mcp), as tools for all accounts
       --slug <slug> --server <address> --include <name,…> --exclude <name,…> --secret <its key's secret> --price <dollars a call>
       --dry-run only tells what would come of it
  tools sources                       what was imported
  tools show <source>                 its operations, what changed since and waits, what was left out
  tools refresh <source> [file.json]  read it again; what changed stays off until it is accepted
  tools accept|enable|disable|delete <source>
  catalog                             the versions in force
  catalog publish [file]              publish .patchbay/catalog.json, or another snapshot

  --url <address>     the gateway (PATCHBAY_URL, else that of npm start)
  --token <token>     the operator's token (PATCHBAY_OPERATOR_TOKEN, else that of npm start)
  --json              print what the gateway answered
  --yes               really do what cannot be undone

Examples
  npm run operator -- accounts create "Ada & Co"
  npm run operator -- grant acc_… 25 --id invoice-7 --note "bank transfer"
  npm run operator -- keys create acc_… laptop --limit 10 --reset monthly
  npm run operator -- reconcile --json > books.json || mail -s "books differ" ops@example.com < books.json
  npm run operator -- accounts export acc_… export.jsonl && npm run operator -- accounts delete acc_… --yes`;

const OPTIONS = {
  url: { type: "string" },
  token: { type: "string" },
  id: { type: "string" },
  note: { type: "string" },
  reason: { type: "string" },
  before: { type: "string" },
  limit: { type: "string" },
  reset: { type: "string" },
  expires: { type: "string" },
  amount: { type: "string" },
  "even-if-used": { type: "boolean" },
  uses: { type: "string" },
  code: { type: "string" },
  "credit-days": { type: "string" },
  management: { type: "boolean" },
  role: { type: "string" },
  email: { type: "string" },
  prompt: { type: "string" },
  name: { type: "string" },
  "key-env": { type: "string" },
  kind: { type: "string" },
  slug: { type: "string" },
  server: { type: "string" },
  include: { type: "string" },
  exclude: { type: "string" },
  secret: { type: "string" },
  price: { type: "string" },
  "dry-run": { type: "boolean" },
  fallback: { type: "boolean" },
  required: { type: "boolean" },
  models: { type: "string" },
  keys: { type: "string" },
  account: { type: "string" },
  since: { type: "string" },
  action: { type: "string" },
  all: { type: "boolean" },
  yes: { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean" },
};

const segment = encodeURIComponent;
const byok = (account, ...id) => ["accounts", account, "byok", ...id].map(segment).join("/");

const source = (...id) => ["tools", "sources", ...id].map(segment).join("/");

const members = (account, ...user) => ["accounts", account, "members", ...user].map(segment).join("/");
/** A person by their address or their id. */
const whom = (word) => (word.includes("@") ? { email: word } : { user_id: word });

function answered(word) {
  if (word !== "yes" && word !== "no") throw new Stop(`Say yes or no, not ${word}.`);
  return word === "yes";
}

function required(role) {
  if (!role) throw new Stop("Which role? Name it with --role: member, admin or owner.");
  return role;
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined));

/** Each command: how many words it takes after its name, and what it asks of the gateway. */
const COMMANDS = {
  "accounts": [0, (to) => to.call("GET", "accounts")],
  "accounts create": [1, (to, [name]) => to.call("POST", "accounts", { name })],
  "accounts show": [1, (to, [id]) => to.call("GET", `accounts/${segment(id)}`)],
  "accounts export": [[1, 2], (to, [id, file]) => exportAccount(to, id, file ? createWriteStream(file) : process.stdout, file)],
  "accounts delete": [1, (to, [id], { yes }) => {
    if (!yes) throw new Stop(`Deleting ${id} cannot be undone.`, `Export it first (accounts export ${id} <file>), then say --yes.`);
    return deleteAccount(to, id);
  }],
  "reconcile": [0, (to, _, { account, json }) => reconcile(to, account, json ? () => {} : (line) => console.error(line))],
  "reconcile findings": [0, (to, _, { account, all }) => to.call("GET", `reconcile/findings?${query({ account, state: all ? "all" : "open" })}`)],
  "audit": [0, (to, _, { account, since, action, limit, before }) => to.call("GET", `audit?${query({ account, since, action, limit, before })}`)],
  "health": [0, health],
  "providers": [[0, 1], (to, [file = local("catalog.json")]) => providerKeys(to, JSON.parse(snapshot(file)))],
  "tools": [0, toolProviders],
  "grant": [2, (to, [id, amount], { id: grant = randomUUID(), note, expires }) =>
    to.call("POST", `accounts/${segment(id)}/grants`, { id: grant, amount_usd: amount, note, expires_at: expires })],
  "purchases": [1, (to, [id]) => to.call("GET", `accounts/${segment(id)}/credits/purchases`)],
  "refund": [2, (to, [account, purchase], { id = randomUUID(), amount, "even-if-used": used }) =>
    to.call("POST", `accounts/${segment(account)}/credits/purchases/${segment(purchase)}/refund`, { id, amount, even_if_used: used })],
  "coupons": [0, (to) => to.call("GET", "coupons")],
  "coupons list": [0, (to) => to.call("GET", "coupons")],
  "coupons create": [2, (to, [name, amount], { uses, code, expires, "credit-days": days }) =>
    to.call("POST", "coupons", {
      name, amount, code, expires_at: expires, max_uses: uses && Number(uses), credits_expire_days: days && Number(days),
    })],
  "coupons disable": [1, (to, [id]) => to.call("DELETE", `coupons/${segment(id)}`)],
  "entries": [1, (to, [id], { limit, before }) => to.call("GET", `accounts/${segment(id)}/entries?${query({ limit, before })}`)],
  "correct": [3, (to, [id, generation, cost], { reason }) => {
    if (!reason?.trim()) throw new Stop("A correction needs its --reason.", "With the generation it names the correction: a repeat changes nothing.");
    return to.call("POST", `accounts/${segment(id)}/corrections`, { generation_id: generation, cost_usd: cost, reason });
  }],
  "keys": [1, (to, [id]) => to.call("GET", `accounts/${segment(id)}/keys`)],
  "keys create": [2, (to, [id, name], { limit, reset, expires, management }) =>
    to.call("POST", `accounts/${segment(id)}/keys`, { name, limit, limit_reset: reset, expires_at: expires, is_management_key: management })],
  "keys show": [1, (to, [hash]) => to.call("GET", `keys/${segment(hash)}`)],
  "keys disable": [1, (to, [hash]) => to.call("PATCH", `keys/${segment(hash)}`, { disabled: true })],
  "keys enable": [1, (to, [hash]) => to.call("PATCH", `keys/${segment(hash)}`, { disabled: false })],
  "keys delete": [1, (to, [hash]) => to.call("DELETE", `keys/${segment(hash)}`)],
  "keys limit": [2, (to, [hash, limit], { reset }) =>
    to.call("PATCH", `keys/${segment(hash)}`, { limit: limit === "none" ? null : limit, limit_reset: reset })],
  "members": [1, (to, [account]) => to.call("GET", members(account))],
  "members add": [2, (to, [account, who], { role }) => to.call("POST", members(account), { ...whom(who), role: required(role) })],
  "members role": [3, (to, [account, user, role]) => to.call("PATCH", members(account, user), { role })],
  "members remove": [2, (to, [account, user]) => to.call("DELETE", members(account, user))],
  "members invite": [1, (to, [account], { role, email, expires }) =>
    to.call("POST", `accounts/${segment(account)}/invitations`, { role: required(role), email, expires_at: expires })],
  "users": [0, (to, _, { email }) => to.call("GET", email ? `users?${new URLSearchParams({ email })}` : "users")],
  "users show": [1, (to, [id]) => to.call("GET", `users/${segment(id)}`)],
  "users disable": [1, (to, [id]) => to.call("PATCH", `users/${segment(id)}`, { disabled: true })],
  "users enable": [1, (to, [id]) => to.call("PATCH", `users/${segment(id)}`, { disabled: false })],
  "users operator": [2, (to, [id, word]) => to.call("PATCH", `users/${segment(id)}`, { operator: answered(word) })],
  "login-link": [1, (to, [who]) => to.call("POST", "login-links", whom(who))],
  "presets": [1, (to, [id]) => to.call("GET", `accounts/${segment(id)}/presets`)],
  "presets save": [3, (to, [id, slug, file], { prompt }) =>
    to.call("POST", `accounts/${segment(id)}/presets`, { slug, config: preset(file), system_prompt: prompt })],
  "presets show": [2, (to, [id, slug]) => to.call("GET", `accounts/${segment(id)}/presets/${segment(slug)}`)],
  "presets delete": [2, (to, [id, slug]) => to.call("DELETE", `accounts/${segment(id)}/presets/${segment(slug)}`)],
  "byok": [1, (to, [account]) => to.call("GET", byok(account))],
  "byok add": [2, async (to, [account, provider], values) => to.call("POST", byok(account), await newByok(provider, values))],
  "byok show": [2, (to, [account, id]) => to.call("GET", byok(account, id))],
  "byok disable": [2, (to, [account, id]) => to.call("PATCH", byok(account, id), { disabled: true })],
  "byok enable": [2, (to, [account, id]) => to.call("PATCH", byok(account, id), { disabled: false })],
  "byok delete": [2, (to, [account, id]) => to.call("DELETE", byok(account, id))],
  "byok rotate": [0, (to) => to.rotateByok()],
  "tools import": [1, (to, [from], values) => to.call("POST", source(), newSource(from, values))],
  "tools sources": [0, (to) => to.call("GET", source())],
  "tools show": [1, (to, [id]) => to.call("GET", source(id))],
  "tools refresh": [[1, 2], (to, [id, file]) => to.call("POST", source(id, "refresh"), file && { document: documentIn(file) })],
  "tools accept": [1, (to, [id]) => to.call("PATCH", source(id), { accept: true })],
  "tools enable": [1, (to, [id]) => to.call("PATCH", source(id), { enabled: true })],
  "tools disable": [1, (to, [id]) => to.call("PATCH", source(id), { enabled: false })],
  "tools delete": [1, (to, [id]) => to.call("DELETE", source(id))],
  "catalog": [0, (to) => to.call("GET", "catalog")],
  "catalog publish": [[0, 1], (to, [file = local("catalog.json")]) => to.publishCatalog(snapshot(file))],
};

/** The secret comes from a variable or from standard input: what stands on a command line, others can read. */
async function newByok(provider, { "key-env": variable, name, fallback, required, models, keys }) {
  const key = variable ? process.env[variable] : await text(process.stdin);
  if (!key?.trim()) throw new Stop(variable ? `The variable ${variable} is not set.` : "There was no key on standard input.");
  return {
    provider,
    key: key.trim(),
    name,
    is_fallback: fallback,
    is_required: required,
    allowed_models: models?.split(","),
    allowed_api_key_hashes: keys?.split(","),
  };
}

function newSource(from, { kind, slug, server, include, exclude, secret, price, "dry-run": dry }) {
  if (price !== undefined && !(Number(price) >= 0)) throw new Stop(`A price is an amount of dollars, not ${price}.`);
  return {
    ...(/^https?:/.test(from) ? { url: from } : { document: documentIn(from) }),
    kind,
    slug,
    server,
    include: include?.split(","),
    exclude: exclude?.split(","),
    secret,
    price: price && Number(price),
    dry_run: dry,
  };
}

/** An OpenAPI document in a file. */
function documentIn(file) {
  if (!existsSync(file)) throw new Stop(`There is no ${file}.`, "Name a file with an OpenAPI document, or the address of one.");
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Stop(`${file} is no JSON.`, "A document in YAML has to be converted first.");
  }
}

function snapshot(file) {
  if (!existsSync(file)) {
    throw new Stop(`There is no ${file}.`, "Make it with: cargo run -p catalog-tool -- compile");
  }
  return readFileSync(file, "utf8");
}

function preset(file) {
  if (!existsSync(file)) throw new Stop(`There is no ${file}.`, 'It holds fields of a request body, such as {"model": "openai/gpt-5", "temperature": 0}.');
  return JSON.parse(readFileSync(file, "utf8"));
}

/** The longest command that the words begin with, and the words after it. */
function find(words) {
  for (const length of [2, 1]) {
    const [arity, run] = COMMANDS[words.slice(0, length).join(" ")] ?? [];
    const rest = words.slice(length);
    if (run && [arity].flat().includes(rest.length)) return { run, rest };
  }
  throw new Stop(words.length ? `Not a command: ${words.join(" ")}` : "Which command?", HELP);
}

/** Rows as a table, one object as lines; a new key stands apart because it is shown only now. */
function print({ data = {}, key, code, ...rest }) {
  if (Array.isArray(data)) {
    table(data);
  } else {
    for (const [name, value] of Object.entries({ ...data, ...rest })) console.log(`${name.padEnd(22)} ${shown(value)}`);
  }
  if (key) console.log(`\nkey (shown only now)  ${key}`);
  if (code) console.log(`\ncode (shown only now)  ${code}`);
}

const shown = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : `${value}`);

/** The columns that tell one row from another, as wide as their widest value. */
function table(rows) {
  if (rows.length === 0) return console.log("none");
  const all = ["seq", "at", "actor", "action", "part", "ok", "account", "target", "detail", "id", "kind", "subject", "expected", "found", "difference", "slug", "secret", "status", "callable", "operations", "pooling", "what", "entries", "matched", "pending", "rows", "differences", "first_seen_at", "closed_at", "amount", "fee", "total", "refunded", "disputed", "uses", "max_uses", "expires_at", "balance", "held", "hash", "provider", "email", "name", "account_role", "label", "disabled", "is_fallback", "is_required", "limit", "limit_remaining", "limit_reset", "usage", "created_at", "note"];
  const columns = all.filter((name) => rows.some((row) => name in row));
  const lines = [columns, ...rows.map((row) => columns.map((name) => shown(row[name])))];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at].length)));
  for (const line of lines) console.log(line.map((cell, at) => cell.padEnd(widths[at])).join("  ").trimEnd());
}

function parse() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new Stop(error.message, HELP);
  }
}

await main(async () => {
  const { values, positionals } = parse();
  if (values.help) return void console.log(HELP);
  const { run, rest } = find(positionals);
  const dev = readJson(devFile, {});
  const url = (values.url ?? process.env.PATCHBAY_URL ?? dev.base ?? "http://127.0.0.1:8787").replace(/\/+$/, "");
  const token = values.token ?? process.env.PATCHBAY_OPERATOR_TOKEN ?? dev.operatorToken;
  if (!token) throw new Stop("There is no operator's token.", "Set PATCHBAY_OPERATOR_TOKEN, or run npm start once.");
  const answer = await run(new Operator(url, token), rest, values);
  if (!answer) return 0;
  const { failed = false, ...told } = answer;
  if (values.json) console.log(JSON.stringify(told, null, 2));
  else print(told);
  return failed ? 1 : 0;
});
