// The exchanges of the vendors' stand-in: read from `exchanges/`, and found again for a request that comes in.
// A request fits an exchange when method, host and path are its own but for what the input put there; of several, the one that
// agrees most in query and body is meant. Out of scope: answering (`vendors.mjs`).

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('./exchanges/', import.meta.url));

/** All vendors: `{slug, key, secret, token, keyless, exchanges, errors}`. */
export function readVendors(folder = FOLDER) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({ slug: name.slice(0, -5), ...JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')) }));
}

/** The texts by which a key is told in requests. */
function signs(vendor) {
  if (vendor.key === undefined) return [];
  const parts = vendor.key.includes(':') ? vendor.key.split(':').filter((part) => part.length >= 6) : [];
  return [vendor.key, Buffer.from(vendor.key).toString('base64'), vendor.token, ...parts].filter(Boolean);
}

/** The texts and numbers of an input, however deep. */
function leaves(value) {
  if (value === null || typeof value === 'boolean') return [];
  if (typeof value !== 'object') return [String(value)];
  return Object.values(value).flatMap(leaves);
}

/** Segments of a path with `*` for one and `**` for several that the input or the key put there. */
function pattern(segments, values, keys) {
  let made = segments.map((segment) => {
    if (keys.some((key) => segment.includes(key))) return { key: segment };
    return values.includes(segment) ? '*' : segment;
  });
  for (const value of values.filter((value) => value.includes('/'))) {
    const parts = value.split('/');
    const at = segments.findIndex((_, start) => parts.every((part, i) => segments[start + i] === part));
    if (at >= 0) made = [...made.slice(0, at), '**', ...made.slice(at + parts.length)];
  }
  return made;
}

function fitsPath(wanted, given) {
  const [first, ...rest] = wanted;
  if (first === undefined) return given.length === 0;
  if (first === '**') return given.some((_, i) => fitsPath(rest, given.slice(i + 1)));
  if (given.length === 0) return false;
  const fits = first === '*' || typeof first === 'object' || first === given[0];
  return fits && fitsPath(rest, given.slice(1));
}

function hostPattern(host, values) {
  const labels = host.split('.').map((label) => {
    const value = values.find((value) => value.length > 1 && label.includes(value.toLowerCase()));
    const text = value === undefined ? label : label.replace(value.toLowerCase(), '\u0000');
    return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace('\u0000', '[a-z0-9-]+');
  });
  return new RegExp(`^${labels.join('\\.')}$`);
}

function split(url) {
  const { host, pathname, searchParams } = new URL(url);
  return { host, segments: pathname.split('/').slice(1).map(decodeURIComponent), query: [...searchParams] };
}

/** Top-level fields of a body, JSON or form. */
export function fields(body, type = '') {
  const text = body.toString();
  if (type.includes('form')) return Object.fromEntries(new URLSearchParams(text));
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function route(vendor, exchange, request, answers, kind) {
  const { host, segments, query } = split(request.url);
  const values = [...new Set(leaves(exchange.input))];
  const keys = signs(vendor);
  const headers = Object.entries(request.headers ?? {});
  const body = request.body;
  return {
    vendor,
    exchange,
    kind,
    answers,
    method: request.method,
    host: hostPattern(host, values),
    path: pattern(segments, values, keys),
    segments,
    named: host,
    query,
    fields: body !== null && typeof body === 'object' && !Array.isArray(body) ? body : Object.fromEntries(new URLSearchParams(typeof body === 'string' ? body : '')),
    type: headers.find(([name]) => name === 'content-type')?.[1],
    keyHeaders: headers.filter(([, value]) => keys.some((key) => value.includes(key))),
    keyParams: query.filter(([, value]) => keys.includes(value)),
  };
}

/** Every request that there is an answer to. */
export function routes(vendors) {
  return vendors.flatMap((vendor) =>
    vendor.exchanges.flatMap((exchange) => {
      const polls = new Map();
      for (const { request, answer } of exchange.then ?? []) {
        const name = `${request.method} ${request.url}`;
        if (!polls.has(name)) polls.set(name, { request, answers: [] });
        polls.get(name).answers.push(answer);
      }
      const { cancelled } = exchange;
      return [
        route(vendor, exchange, exchange.request, [exchange.answer], 'call'),
        ...[...polls.values()].map(({ request, answers }) => route(vendor, exchange, request, answers, 'poll')),
        ...(cancelled ? [route(vendor, exchange, cancelled.request, [cancelled.answer], 'cancel')] : []),
      ];
    }),
  );
}

/** The route of a request `{method, host, segments, query, fields}`, or nothing. */
export function find(all, request) {
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const score = (one) =>
    one.segments.filter((segment, i) => segment === request.segments[i]).length +
    Number(one.named === request.host) +
    one.query.filter(([name, value]) => request.query.some(([own, given]) => own === name && given === value)).length +
    Object.entries(one.fields).filter(([name, value]) => same(request.fields[name], value)).length;
  const fitting = all.filter(
    (one) => one.method === request.method && one.host.test(request.host) && fitsPath(one.path, request.segments),
  );
  let best;
  for (const one of fitting) if (best === undefined || score(one) > score(best)) best = one;
  return best;
}

/** Whether a request has the vendor's key where it belongs; `none` where it has none at all. */
export function keyOf(one, request) {
  const inPath = one.path.map((part, i) => (typeof part === 'object' ? [part.key, request.segments[i]] : undefined)).filter(Boolean);
  const inHeaders = one.keyHeaders.map(([name, value]) => [value, request.headers[name]]);
  const inQuery = one.keyParams.map(([name, value]) => [value, request.query.find(([own]) => own === name)?.[1]]);
  const places = [...inPath, ...inHeaders, ...inQuery];
  if (places.every(([wanted, given]) => wanted === given)) return 'right';
  const { public_key: shared } = one.vendor;
  if (shared !== undefined && places.every(([, given]) => given === shared)) return 'none';
  return places.every(([, given]) => given === undefined) ? 'none' : 'wrong';
}
