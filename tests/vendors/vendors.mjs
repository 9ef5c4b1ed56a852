// Starts the stand-in of the tools' vendors: one server that plays each of them from the exchanges in `exchanges/`, counts what
// was really done, asks for keys, and fails on demand. Out of scope: being any of these vendors, and being reachable from
// anywhere but this machine.

import { createServer } from 'node:http';
import { fields, find, keyOf, readVendors, routes } from './exchanges.mjs';

/** What `/_vendors/…` and `fault()` take; `N` is a number. */
export const FAULTS = ['hang-before', 'hang-after', 'reset-before', 'reset-after', 'cut-body', 'status-N', 'status-N-after', 'error-N', 'slow-N', 'gate', 'running-N', 'html', 'garbage', 'redirect', 'echo-key'];
const FAULT = new RegExp(`^(?:${FAULTS.map((fault) => fault.replace('N', '\\d+')).join('|')})$`);
const LATEST = 2_000;

class Vendors {
  constructor() {
    this.vendors = readVendors();
    this.routes = routes(this.vendors);
    this.reset();
  }

  reset() {
    this.release();
    /** Everything that came in. @type {object[]} */
    this.requests = [];
    /** Everything that was really done. @type {object[]} */
    this.effects = [];
    /** Requests that nothing is known of. @type {object[]} */
    this.unknown = [];
    this.faults = [];
    this.done = new Map();
    this.polls = new Map();
  }

  release() {
    for (const go of this.gates ?? []) go();
    this.gates = [];
  }

  fault({ slug, operation, fault, times = 1 }) {
    if (!FAULT.test(fault)) throw new Error(`unknown fault ${fault}; there are ${FAULTS.join(', ')}`);
    this.faults.push({ slug, operation, fault, times });
  }

  /** The fault that the next call of an operation has, if any. */
  take(slug, operation) {
    const fits = (one) => one.times > 0 && [undefined, slug].includes(one.slug) && [undefined, operation].includes(one.operation);
    const one = this.faults.find(fits);
    if (one) one.times -= 1;
    return one?.fault;
  }

  handle = async (incoming, response) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (incoming.url.startsWith('/_vendors/')) return this.control(incoming, body, response);
    const url = new URL(incoming.url, 'http://vendors');
    const [host, ...segments] = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const request = {
      method: incoming.method,
      host,
      segments,
      path: `/${segments.join('/')}`,
      query: [...url.searchParams],
      headers: incoming.headers,
      fields: fields(body, incoming.headers['content-type']),
      body: body.toString(),
    };
    const one = find(this.routes, request);
    const seen = { ...request, slug: one?.vendor.slug, operation: one?.exchange.operation, kind: one?.kind };
    this.requests.push(seen);
    if (this.requests.length > LATEST) this.requests.shift();
    const token = one === undefined && this.token(request);
    if (token) return send(response, token);
    if (one === undefined) {
      this.unknown.push(seen);
      return send(response, { status: 404, json: { message: `the stand-in knows no ${request.method} ${host}${request.path}` } });
    }
    try {
      await this.answer(one, request, response);
    } catch (error) {
      // Without this a mistake in the stand-in would look like a vendor that hangs.
      send(response, { status: 500, json: { message: `the stand-in failed: ${error.stack}` } });
    }
  };

  /** The answer of a token endpoint. */
  token(request) {
    if (request.method !== 'POST' || !request.path.endsWith('/token')) return undefined;
    const { client_id: id, client_secret: secret, refresh_token: refresh } = request.fields;
    const vendor = this.vendors.find((one) => one.token !== undefined && one.key === `${id}:${secret}:${refresh}`);
    if (vendor === undefined) return { status: 400, json: { error: 'invalid_grant', error_description: 'Bad Request' } };
    return { status: 200, json: { access_token: vendor.token, expires_in: 3599, token_type: 'Bearer' } };
  }

  async answer(one, request, response) {
    const { vendor, exchange } = one;
    const fault = this.take(vendor.slug, exchange.operation);
    const number = Number(/\d+/.exec(fault ?? '')?.[0]);
    if (fault === 'reset-before') return response.destroy();
    if (fault === 'hang-before') return undefined;
    if (fault === 'gate') await new Promise((go) => this.gates.push(go));
    if (fault?.startsWith('slow-')) await new Promise((go) => setTimeout(go, number));
    const early = this.refusal(one, request, fault, number);
    if (early) return send(response, early);

    const answer = this.act(one, request, fault === undefined || !fault.startsWith('running-') ? 0 : number);
    if (fault === 'hang-after') return undefined;
    if (fault === 'reset-after') return response.destroy();
    if (fault === 'cut-body') return cut(response, answer);
    if (fault?.endsWith('-after')) return send(response, this.failure(vendor, number));
    return send(response, answer);
  }

  /** What a call gets that is not carried out. */
  refusal(one, request, fault, number) {
    const { vendor, exchange } = one;
    switch (fault?.replace(/\d+/, 'N')) {
      case 'status-N':
        return this.failure(vendor, number);
      case 'error-N':
        return vendor.errors[number]?.answer ?? this.failure(vendor, 400);
      case 'html':
        return { status: 502, headers: { 'content-type': 'text/html' }, text: '<html><body><h1>Bad Gateway</h1></body></html>' };
      case 'garbage':
        return { status: 200, headers: { 'content-type': 'application/json' }, text: '{"results": [' };
      case 'redirect':
        return { status: 302, headers: { location: 'http://169.254.169.254/latest/meta-data/' } };
      case 'echo-key':
        return { status: 400, json: { message: `cannot serve ${request.path} with ${JSON.stringify(request.headers)} ${JSON.stringify(request.query)}` } };
      default:
    }
    const key = vendor.key === undefined ? 'right' : keyOf(one, request);
    const isOpen = vendor.keyless === true || vendor.keyless?.includes(exchange.operation);
    if (key === 'right' || (key === 'none' && isOpen)) return undefined;
    return vendor.errors.find((error) => error.class === 'auth')?.answer ?? { status: 401, json: { message: 'Unauthorized' } };
  }

  failure(vendor, status) {
    const own = vendor.errors.find((error) => error.answer.status === status);
    return own?.answer ?? { status, json: { message: `status ${status}` } };
  }

  /** Carries a call out, unless its key says that it was; what was done is told in `effects`. */
  act(one, request, more) {
    const { vendor, exchange, kind } = one;
    const name = `${vendor.slug}/${exchange.operation}`;
    if (kind === 'poll') {
      const count = this.polls.get(one) ?? 0;
      const held = this.polls.get(name) ?? 0;
      if (held > 0) {
        this.polls.set(name, held - 1);
        return one.answers[0];
      }
      this.polls.set(one, count + 1);
      return one.answers[Math.min(count, one.answers.length - 1)];
    }
    if (kind === 'call' && more > 0) this.polls.set(name, more);
    const key = keyOfRepeat(exchange, request);
    const before = key === undefined ? undefined : this.done.get(`${name} ${key}`);
    if (before !== undefined) {
      if (exchange.idempotency.header) return before;
      return vendor.errors.find((error) => error.class === 'conflict')?.answer ?? { status: 409, json: { message: 'it exists' } };
    }
    for (const polled of this.routes) if (polled.exchange === exchange && polled.kind === 'poll') this.polls.delete(polled);
    if (exchange.effect !== undefined || kind === 'cancel') {
      const operation = kind === 'cancel' ? `${exchange.operation}:cancel` : exchange.operation;
      this.effects.push({ slug: vendor.slug, operation, key, fields: request.fields, path: request.path });
    }
    const [answer] = one.answers;
    if (key !== undefined) this.done.set(`${name} ${key}`, answer);
    return answer;
  }

  /** `GET /_vendors/{requests,effects,unknown}`, `POST /_vendors/{faults,release,reset}`: for tests in another process. */
  control(incoming, body, response) {
    const what = incoming.url.slice('/_vendors/'.length);
    if (incoming.method === 'GET' && ['requests', 'effects', 'unknown'].includes(what)) return send(response, { status: 200, json: this[what] });
    if (incoming.method === 'POST' && ['faults', 'release', 'reset'].includes(what)) {
      try {
        if (what === 'faults') this.fault(JSON.parse(body));
        else this[what]();
        return send(response, { status: 204 });
      } catch (error) {
        return send(response, { status: 400, json: { message: error.message } });
      }
    }
    return send(response, { status: 404, json: { message: 'no such control' } });
  }
}

/** The key by which a vendor knows a repeat. */
function keyOfRepeat(exchange, request) {
  const { header, field } = exchange.idempotency ?? {};
  if (header) return request.headers[header];
  return field?.split('/').slice(1).reduce((value, name) => value?.[name], request.fields);
}

function bytesOf({ json, text, base64 }) {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  if (text !== undefined) return Buffer.from(text);
  return json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(json));
}

function headersOf(answer) {
  const type = answer.json !== undefined ? { 'content-type': 'application/json' } : {};
  return { ...type, ...answer.headers };
}

function send(response, answer) {
  if (response.destroyed || response.headersSent) return;
  // Statuses such as 222 are the vendors' own.
  response.writeHead(answer.status, 'Status', headersOf(answer));
  response.end(bytesOf(answer));
}

function cut(response, answer) {
  const bytes = bytesOf(answer);
  response.writeHead(answer.status, { ...headersOf(answer), 'content-length': bytes.length + 16 });
  response.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), () => response.destroy());
}

/**
 * Resolves with `{url, port, secrets, requests(slug?), effects(slug?), unknown(), fault({slug?, operation?, fault, times?}),
 * release(), reset(), waitFor(matches, ms?), close()}`. A Worker whose variable `TOOLS_ORIGIN` is `url` calls it in the place of all vendors;
 * `secrets` are the deployment's secrets that it takes for right.
 */
export async function startVendors({ port = 0, host = '127.0.0.1' } = {}) {
  const vendors = new Vendors();
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, vendors.handle);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address().port;
  const of = (list) => (slug) => list().filter((one) => slug === undefined || one.slug === slug);
  return {
    url: `http://${host}:${bound}`,
    port: bound,
    secrets: Object.fromEntries(vendors.vendors.filter((one) => one.secret).map((one) => [one.secret, one.key])),
    requests: of(() => vendors.requests),
    effects: of(() => vendors.effects),
    unknown: () => vendors.unknown,
    fault: (fault) => vendors.fault(fault),
    release: () => vendors.release(),
    reset: () => vendors.reset(),
    async waitFor(matches, timeoutMs = 10_000) {
      const end = Date.now() + timeoutMs;
      for (;;) {
        const found = vendors.requests.find(matches);
        if (found) return found;
        if (Date.now() > end) throw new Error('no such request came');
        await new Promise((go) => setTimeout(go, 5));
      }
    },
    close: () =>
      new Promise((resolve) => {
        vendors.release();
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
