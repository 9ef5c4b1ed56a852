// The load: keep-alive connections on raw sockets, one request at a time each, and as little work per answer as will do.
// Answers are framed by content-length or chunks; whoever closes a connection early is an error.
import { connect } from "node:net";
import { performance } from "node:perf_hooks";

const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");
const TIMEOUT_MS = 30_000;

/** The bytes of a POST. */
export function post(path, headers, body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const lines = Object.entries({ host: "bench", "content-type": "application/json", ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

/** Reads one answer out of what arrives; `take` returns true when it is whole. */
class Answer {
  status = 0;
  bytes = 0;
  firstAt = 0;
  parts = [];
  #held = Buffer.alloc(0);
  #chunked = false;
  /** Bytes of body (or of the chunk in hand, with its line end) still to come; -1: a head or a chunk's size is next. */
  #left = -1;

  take(data) {
    let rest = this.#held.length ? Buffer.concat([this.#held, data]) : data;
    this.#held = rest.subarray(0, 0);
    if (this.status === 0) {
      const end = rest.indexOf(HEAD_END);
      if (end < 0) return this.#hold(rest);
      this.#head(rest.subarray(0, end).toString("latin1").toLowerCase());
      rest = rest.subarray(end + 4);
    }
    return this.#chunked ? this.#chunks(rest) : this.#plain(rest);
  }

  #hold(rest) {
    this.#held = rest;
    return false;
  }

  #head(text) {
    this.status = Number(text.slice(9, 12));
    this.#chunked = text.includes("\r\ntransfer-encoding: chunked");
    if (!this.#chunked) this.#left = Number(/\r\ncontent-length: *(\d+)/.exec(text)?.[1] ?? 0);
  }

  #plain(rest) {
    this.#keep(rest);
    this.#left -= rest.length;
    return this.#left <= 0;
  }

  #chunks(rest) {
    while (rest.length > 0) {
      if (this.#left < 0) {
        const end = rest.indexOf(LINE_END);
        if (end < 0) return this.#hold(rest);
        const size = Number.parseInt(rest.subarray(0, end).toString("latin1"), 16);
        rest = rest.subarray(end + 2);
        if (size === 0) return true;
        this.#left = size + 2;
      }
      const piece = rest.subarray(0, this.#left);
      this.#keep(piece.subarray(0, Math.max(0, Math.min(piece.length, this.#left - 2))));
      this.#left -= piece.length;
      rest = rest.subarray(piece.length);
      if (this.#left === 0) this.#left = -1;
    }
    return false;
  }

  #keep(body) {
    if (body.length === 0) return;
    if (this.bytes === 0) this.firstAt = performance.now();
    this.bytes += body.length;
    this.parts.push(body);
  }

  text() {
    return Buffer.concat(this.parts).toString("utf8");
  }
}

/** One connection. */
class Connection {
  #socket;
  #answer;
  #done;

  constructor(port) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setTimeout(TIMEOUT_MS, () => this.#fail(new Error("no answer within 30 s")));
    this.#socket.on("data", (data) => {
      if (!this.#answer.take(data)) return;
      const { resolve } = this.#done;
      this.#done = undefined;
      resolve(this.#answer);
    });
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the connection was closed early")));
  }

  #fail(error) {
    this.#done?.reject(error);
    this.#done = undefined;
    this.#socket.destroy();
  }

  async request(bytes) {
    this.#answer = new Answer();
    const done = Promise.withResolvers();
    this.#done = done;
    const start = performance.now();
    this.#socket.write(bytes);
    const answer = await done.promise;
    const end = performance.now();
    if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.text().slice(0, 300)}`);
    return { answer, firstMs: answer.firstAt - start, totalMs: end - start };
  }

  close() {
    this.#done = undefined;
    this.#socket.destroy();
  }
}

/** One request; its body as text. */
export async function once(port, bytes) {
  const connection = new Connection(port);
  try {
    const { answer } = await connection.request(bytes);
    return answer.text();
  } finally {
    connection.close();
  }
}

/** `count` requests from `clients` clients, each on a connection of its own: times of each and of all. */
export async function load(port, bytes, { clients, count }) {
  const connections = Array.from({ length: clients }, () => new Connection(port));
  const times = { firstMs: [], totalMs: [] };
  let left = count;
  const client = async (connection) => {
    while (left-- > 0) {
      const { firstMs, totalMs } = await connection.request(bytes);
      times.firstMs.push(firstMs);
      times.totalMs.push(totalMs);
    }
  };
  const start = performance.now();
  try {
    await Promise.all(connections.map(client));
  } finally {
    connections.forEach((connection) => connection.close());
  }
  return { ...times, wallMs: performance.now() - start };
}
