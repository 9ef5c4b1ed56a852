// Drives Account objects without anything around them: hold and settle, as a request does. The objects are the gateway's own, with the
// rows counted that their SQL writes.
import { Account as Gateways } from "./entry.js";

/** The object's context whose SQL notes each cursor: what it has written is known once it was read. */
function counting(context, cursors) {
  const through = (target, own) =>
    new Proxy(target, {
      get(object, name) {
        if (name in own) return own[name];
        const value = Reflect.get(object, name, object);
        return typeof value === "function" ? value.bind(object) : value;
      },
    });
  const { sql } = context.storage;
  const exec = (...statement) => {
    const cursor = sql.exec(...statement);
    cursors.push(cursor);
    return cursor;
  };
  return through(context, { storage: through(context.storage, { sql: { exec } }) });
}

export class Account extends Gateways {
  #cursors = [];

  constructor(context, env) {
    super(context, env);
    Object.defineProperty(this, "ctx", { value: counting(context, this.#cursors) });
  }

  /** Rows written since the last time. */
  rowsWritten() {
    const sum = this.#cursors.reduce((total, cursor) => total + cursor.rowsWritten, 0);
    this.#cursors.length = 0;
    return sum;
  }
}

/** What a usual request's row says, in its usual length. */
const ROW = {
  request_id: "req-0123456789abcdef", created_at: 1_800_000_000_000, api_type: "completions", model: "openai/gpt-5", provider: "OpenAI", endpoint: "openai",
  streamed: true, upstream_id: "chatcmpl-0123456789", finish_reason: "stop", native_finish_reason: "stop", latency_ms: 400, generation_ms: 2000,
  usage: { prompt: 1200, completion: 300 }, origin: { user_agent: "bench" }, attempts: [{ provider: "openai", endpoint: "openai", status: 200, latency_ms: 400 }],
  charge: { total: 4500, lines: [{ what: "prompt", quantity: 1200, price: 1_250_000_000, per: 1_000_000 }, { what: "completion", quantity: 300, price: 10_000_000_000, per: 1_000_000 }] },
};

async function ask(stub, op, call) {
  const answer = JSON.parse(await stub.call(op, JSON.stringify(call)));
  if (!("ok" in answer)) throw new Error(`${op}: ${JSON.stringify(answer)}`);
  return answer.ok;
}

async function opened(env, account) {
  const stub = env.ACCOUNT.get(env.ACCOUNT.idFromName(account));
  await ask(stub, "open", { account });
  await ask(stub, "key_put", { hash: "k", name: "bench", label: "bench", created_at: 0 });
  await ask(stub, "grant", { id: crypto.randomUUID(), amount: 1_000_000_000_000 });
  await stub.rowsWritten();
  return stub;
}

export default {
  /** `{accounts, clients, requests}`: clients share the accounts evenly. Answers the milliseconds and the rows written. */
  async fetch(request, env) {
    const { accounts, clients, requests } = await request.json();
    const run = crypto.randomUUID();
    const stubs = await Promise.all(Array.from({ length: accounts }, (_, at) => opened(env, `${run}-${at}`)));
    let next = 0;
    const client = async (stub) => {
      for (let at = next++; at < requests; at = next++) {
        const id = `gen-${run}-${at}`;
        const held = await ask(stub, "hold", { id, key_hash: "k", amount: 5_000, ttl_ms: 60_000, row: ROW });
        if (!held.granted) throw new Error(JSON.stringify(held));
        await ask(stub, "settle", { id, amount: 4_500, row: ROW });
      }
    };
    const start = Date.now();
    await Promise.all(Array.from({ length: clients }, (_, at) => client(stubs[at % accounts])));
    const ms = Date.now() - start;
    const written = await Promise.all(stubs.map((stub) => stub.rowsWritten()));
    return Response.json({ ms, rows: written.reduce((sum, one) => sum + one, 0) });
  },
};
