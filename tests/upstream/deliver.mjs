// How do bytes leave, chunk by chunk, with the pauses, cuts and silences of a plan? Every wait ends when the client leaves.

import { setImmediate as nextTurn } from 'node:timers/promises';

/** One response on its way out; knows whether the client is still there, and tells the record. */
export class Delivery {
  #closed;
  #leave;
  isClosed = false;
  #ownEnd = false;

  constructor(res, recorder, entry) {
    this.res = res;
    this.recorder = recorder;
    this.entry = entry;
    this.#closed = new Promise((resolve) => (this.#leave = resolve));
    res.on('close', () => {
      this.isClosed = true;
      this.#leave();
      if (!this.#ownEnd) recorder.update(entry, { aborted: true, abortedAt: Date.now(), abortPhase: res.headersSent ? 'body' : 'headers' });
    });
    res.on('error', () => this.#leave());
  }

  /** Waits `ms`; false when the client left meanwhile. */
  async sleep(ms) {
    if (this.isClosed) return false;
    if (ms === 0) {
      await nextTurn();
    } else if (ms > 0) {
      let timer;
      await Promise.race([new Promise((resolve) => (timer = setTimeout(resolve, ms))), this.#closed]);
      clearTimeout(timer);
    }
    return !this.isClosed;
  }

  /** Waits for a promise; false when the client left first. */
  async until(promise) {
    await Promise.race([promise, this.#closed]);
    return !this.isClosed;
  }

  head(status, headers) {
    if (this.isClosed) return;
    this.res.writeHead(status, headers);
    this.res.flushHeaders();
    this.recorder.update(this.entry, { status });
  }

  /** A whole answer at once. */
  send(status, headers, body) {
    if (this.isClosed) return;
    this.#ownEnd = true;
    this.res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
    this.res.end(body);
    this.recorder.update(this.entry, { status, finished: true, bytesSent: Buffer.byteLength(body) });
  }

  async #write(bytes) {
    if (this.isClosed) return false;
    if (!this.res.write(bytes)) await this.until(new Promise((resolve) => this.res.once('drain', resolve)));
    this.entry.bytesSent += bytes.length;
    return !this.isClosed;
  }

  /**
   * Writes `chunks` ({bytes, pause, counts}), then `repeat` for ever if there is one, then ends as `after` says.
   * `cutBytes` and `endBytes` limit the bytes; `gate` is `{after, released}`: waits there after so many events.
   */
  async stream(chunks, { repeat, after = 'end', cutBytes, endBytes, gate } = {}) {
    const limit = Math.min(cutBytes ?? Infinity, endBytes ?? Infinity);
    for (const chunk of withRepeat(chunks, repeat)) {
      if (gate && this.entry.eventsSent >= gate.after && !(await this.until(gate.released))) return;
      if (!(await this.sleep(chunk.pause))) return;
      const room = limit - this.entry.bytesSent;
      if (chunk.bytes.length >= room) {
        if (room > 0) await this.#write(chunk.bytes.subarray(0, room));
        return this.#finish(cutBytes === limit ? 'cut' : 'end');
      }
      if (!(await this.#write(chunk.bytes))) return;
      this.entry.eventsSent += chunk.counts;
    }
    await this.#finish(after);
  }

  async #finish(how) {
    if (this.isClosed || how === 'stall') return;
    this.#ownEnd = true;
    if (how === 'cut') {
      await this.until(new Promise((resolve) => this.res.write('', resolve)));
      this.recorder.update(this.entry, { cut: true });
      this.res.socket?.destroy();
    } else {
      this.res.end();
      this.recorder.update(this.entry, { finished: true });
    }
  }

  /** Resets the connection before any byte. */
  reset() {
    this.#ownEnd = true;
    this.recorder.update(this.entry, { cut: true });
    this.res.socket?.resetAndDestroy();
  }
}

function* withRepeat(chunks, repeat) {
  yield* chunks;
  while (repeat) yield repeat;
}
