// What did the upstream receive, and how far did it get with each answer? Bounded, in the order of arrival.

import { createHash } from 'node:crypto';

const MOST_ENTRIES = 2000;
const LARGEST_BODY = 256 * 1024;
const MOST_BYTES = 32 * 1024 * 1024;

export class Recorder {
  entries = [];
  #bytes = 0;
  #waiting = new Set();
  #next = 1;

  /** Opens the entry of a request; `update` fills it in as things happen. */
  open(fields) {
    const entry = {
      seq: this.#next++,
      at: Date.now(),
      body: null,
      bodyBytes: 0,
      status: null,
      eventsSent: 0,
      bytesSent: 0,
      finished: false,
      aborted: false,
      ...fields,
    };
    this.entries.push(entry);
    while (this.entries.length > MOST_ENTRIES || this.#bytes > MOST_BYTES) this.#bytes -= this.entries.shift().kept ?? 0;
    return entry;
  }

  update(entry, fields) {
    Object.assign(entry, fields);
    for (const waiter of this.#waiting) waiter();
  }

  /** Keeps the body where it is small enough, else its digest. */
  body(entry, bytes, parsed) {
    const small = bytes.length <= LARGEST_BODY;
    const kept = small ? bytes.length : 0;
    this.#bytes += kept;
    const shape = small ? { body: parsed ?? bytes.toString('utf8') } : { bodySha256: createHash('sha256').update(bytes).digest('hex') };
    this.update(entry, { ...shape, bodyBytes: bytes.length, kept });
  }

  /** Forgets an entry that is not worth keeping. */
  discard(entry) {
    const at = this.entries.lastIndexOf(entry);
    if (at >= 0) this.entries.splice(at, 1);
  }

  list({ prefix, model, since } = {}) {
    return this.entries.filter(
      (entry) => (!prefix || entry.path.startsWith(prefix)) && (!model || entry.model === model) && (!since || entry.seq > Number(since)),
    );
  }

  clear() {
    this.entries = [];
    this.#bytes = 0;
  }

  /** Resolves with the first entry that `matches`, now or later. */
  waitFor(matches, timeoutMs = 5000) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.entries.find(matches);
        if (!found) return false;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(found);
        return true;
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`no such request within ${timeoutMs} ms; recorded: ${JSON.stringify(this.entries.map(({ path, model, finished, aborted }) => ({ path, model, finished, aborted })))}`));
      }, timeoutMs);
      this.#waiting.add(look);
      look();
    });
  }
}
