// Serves a recorded exchange of the shared fixtures, byte for byte, in the pieces in which it was recorded.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ScriptError } from './faults.mjs';

const TYPES = {
  'response.json': 'application/json',
  'response.sse': 'text/event-stream; charset=utf-8',
  'response.ndjson': 'application/x-ndjson',
  'response.txt': 'text/plain',
  'response.eventstream.b64': 'application/vnd.amazon.eventstream',
};

/** `{status, headers, pieces}` of `<provider>/<case>`. */
export async function replay(fixturesDir, name) {
  if (!fixturesDir) throw new ScriptError(`no fixtures here to replay ${name}: set PATCHBAY_SHARED`);
  if (name.includes('..')) throw new ScriptError(`not a fixture: ${name}`);
  const folder = join(fixturesDir, name);
  const meta = JSON.parse(await readFile(join(folder, 'meta.json'), 'utf8').catch(() => {
    throw new ScriptError(`no such fixture: ${name}`);
  }));
  const file = meta.response_file;
  const stored = await readFile(join(folder, file));
  const bytes = file.endsWith('.b64') ? Buffer.from(stored.toString('latin1'), 'base64') : stored;
  const type = meta.response_headers?.['content-type'] ?? TYPES[file];
  const pieces = meta.chunk_lengths ? byLengths(bytes, meta.chunk_lengths) : file === 'response.sse' ? byEvents(bytes) : [bytes];
  return { status: meta.http_status ?? 200, headers: { 'content-type': type }, pieces };
}

function byLengths(bytes, lengths) {
  let at = 0;
  const pieces = lengths.map((length) => bytes.subarray(at, (at += length)));
  return at < bytes.length ? [...pieces, bytes.subarray(at)] : pieces;
}

function byEvents(bytes) {
  const text = bytes.toString('latin1');
  const ends = [...text.matchAll(/\r?\n\r?\n|\r\r/g)].map((match) => match.index + match[0].length);
  return [0, ...ends].map((start, index) => bytes.subarray(start, ends[index] ?? bytes.length)).filter((piece) => piece.length > 0);
}
