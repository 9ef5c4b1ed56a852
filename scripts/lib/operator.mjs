// The operator's HTTP routes, as the scripts use them.
import { Stop } from "./terminal.mjs";

/** The message of an error answer, after the field that it is about; or its first line where it is no JSON. */
function reason(text) {
  try {
    const { message, param } = JSON.parse(text).error;
    return param ? `${param}: ${message}` : message;
  } catch {
    return text.split("\n")[0].slice(0, 300);
  }
}

/** Calls routes under `/api/v1/admin` of a running Worker. */
export class Operator {
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  /** Calls one route; what the Worker refuses is said in its own words, unless its status is one of those that the caller reads. */
  async call(method, path, body, read = []) {
    const url = `${this.base}/api/v1/admin/${path}`;
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    }).catch((error) => {
      throw new Stop(`${this.base} cannot be reached (${error.cause?.code ?? error.message}).`, "Is it running? Name another with --url.");
    });
    const text = await response.text();
    if (!response.ok && !read.includes(response.status)) throw new Stop(`${method} ${path}: ${response.status} ${reason(text)}`);
    return JSON.parse(text);
  }

  #post(path, body) {
    return this.call("POST", path, body);
  }

  /** Seals all secrets of accounts under the master key in force, batch by batch; returns the sums. */
  async rotateByok() {
    const sum = { sealed_anew: 0, unreadable: [] };
    for (let after = ""; after !== null; ) {
      const { data } = await this.#post("byok/rotate", { after });
      sum.master = data.master;
      sum.left = data.left ?? sum.left;
      sum.sealed_anew += data.sealed_anew;
      sum.unreadable.push(...data.unreadable);
      after = data.after;
    }
    return { data: { ...sum, unreadable: sum.unreadable.join(" ") || "none" } };
  }

  publishCatalog(json) {
    return this.#post("catalog", json);
  }

  /** An account with money and one key; returns the account's id, the key and its hash. */
  async createAccount(name, amountUsd) {
    const account = (await this.#post("accounts", { name })).data.id;
    const path = `accounts/${encodeURIComponent(account)}`;
    await this.#post(`${path}/grants`, { id: `first-${account}`, amount_usd: amountUsd });
    const { data, key } = await this.#post(`${path}/keys`, { name });
    return { account, key, hash: data.hash };
  }
}
