// The operator's HTTP routes, as the scripts use them.
import { Stop } from "./terminal.mjs";

/** Calls routes under `/api/v1/admin` of a running Worker. */
export class Operator {
  constructor(base, token) {
    this.base = base;
    this.token = token;
  }

  async #post(path, body) {
    const response = await fetch(`${this.base}/api/v1/admin/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Stop(`The Worker refused ${path}: ${response.status} ${text.slice(0, 300)}`);
    }
    return JSON.parse(text);
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
