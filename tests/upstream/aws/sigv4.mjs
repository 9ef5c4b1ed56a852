// AWS Signature Version 4 as an endpoint checks it: from the request that arrived, with the secret that it knows.
//
// Whoever calls has a secret that follows from the id of its key, so that tests can make keys: `secretOf(id)`.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const MOST_SKEW_MS = 5 * 60_000;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

/** The secret access key of an access key id, and the session token of a temporary one (`ASIA…`). */
export const secretOf = (id) => `secret/of+${id}`;
export const tokenOf = (id) => `token/of+${id}==`;

const escaped = (text) => encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The canonical request, and its signature (hexadecimal) under a secret. `scope` is `{time, region, service}`. */
export function signature(secret, headers, signed, sent, { time, region, service }) {
  const canonical = [
    sent.method,
    sent.path.split('/').map(escaped).join('/'),
    sent.query.split('&').filter(Boolean).toSorted().join('&'),
    ...signed.map((name) => `${name}:${String(headers[name] ?? '').trim().replaceAll(/\s+/g, ' ')}`),
    '',
    signed.join(';'),
    sha256(sent.bytes),
  ].join('\n');
  const parts = [time.slice(0, 8), region, service, 'aws4_request'];
  const key = parts.reduce(hmac, `AWS4${secret}`);
  const toSign = ['AWS4-HMAC-SHA256', time, parts.join('/'), sha256(canonical)].join('\n');
  return { canonical, hex: hmac(key, toSign).toString('hex') };
}

/** Why the request is refused, or undefined. `sent` is `{method, path (as on the wire), query, bytes, service}`. */
export function verify(headers, sent) {
  const { authorization } = headers;
  const found = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(authorization);
  if (!found) return 'Authorization header is malformed';
  const [, id, date, region, service, names] = found;
  if (!/^A(?:KI|SI)A/.test(id) || id.includes('WRONG')) return 'The security token included in the request is invalid.';
  if (service !== sent.service) return `Credential should be scoped to correct service: '${sent.service}'.`;
  const time = headers['x-amz-date'] ?? '';
  const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!time.startsWith(date) || !(Math.abs(Date.now() - at) < MOST_SKEW_MS)) return `Signature expired: ${time}`;
  const signed = names.split(';');
  const needed = ['host', 'x-amz-date', ...(id.startsWith('ASIA') ? ['x-amz-security-token'] : [])];
  if (needed.some((name) => !signed.includes(name)) || signed.toSorted().join(';') !== names) return 'The signed headers are not those that have to be signed.';
  if (id.startsWith('ASIA') && headers['x-amz-security-token'] !== tokenOf(id)) return 'The security token included in the request is expired';
  const { canonical, hex } = signature(secretOf(id), headers, signed, sent, { time, region, service });
  if (timingSafeEqual(Buffer.from(hex), Buffer.from(found[6]))) return undefined;
  return `The request signature we calculated does not match the signature you provided. The Canonical String for this request should have been\n'${canonical}'`;
}
