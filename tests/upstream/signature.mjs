// Signatures of reasoning as Anthropic and Gemini hand them out: opaque to clients, checked when they come back.

import { createHash, createHmac } from 'node:crypto';

const SECRET = 'local demo upstream';

const digest = (text) => createHash('sha256').update(text).digest('base64url').slice(0, 16);
const seal = (payload) => createHmac('sha256', SECRET).update(payload).digest('base64url').slice(0, 22);

/** A signature of `text`, valid for one format only. */
export function sign(format, text) {
  const payload = `${format}.${digest(text)}`;
  return Buffer.from(`${payload}.${seal(payload)}`).toString('base64');
}

/** Whether `signature` was made here for this format and, where `text` is given, for this text. */
export function isSigned(format, signature, text) {
  const [name, hash, mac] = Buffer.from(String(signature), 'base64').toString('latin1').split('.');
  return name === format && mac === seal(`${name}.${hash}`) && (text === undefined || hash === digest(text));
}
