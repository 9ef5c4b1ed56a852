// Answers for measurements, built once and sent with as little work as possible; nothing is checked or recorded.
//
// bench-json: a small JSON answer. bench-body-<kB>: a JSON answer of that size. bench-chunks-<n>[-gap-<ms>]: a stream of n
// content events, all in one turn of the event loop, or one a turn (gap 0), or one every so many milliseconds.

import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { ScriptError, encode } from './faults.mjs';

const USAGE = { input: 100, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, output: 200, reasoning: 0 };
const META = { tag: 'bench', model: 'bench', created: 1_750_000_000, body: { messages: [], stream_options: { include_usage: true } } };
const built = new Map();

/** The bench directive that stands as the model of a raw JSON body, found without parsing it. */
export function benchModel(bytes) {
  const at = bytes.indexOf('"model"');
  if (at < 0) return null;
  return /^"model"\s*:\s*"(?:[^"]*\/)?(bench-[a-z0-9-]+)"/.exec(bytes.subarray(at, at + 200).toString('latin1'))?.[1] ?? null;
}

function build(format, directive) {
  const [, kind, size, gap] = /^bench-(json|body|chunks)(?:-(\d+))?(?:-gap-(\d+))?$/.exec(directive) ?? [];
  if (!kind) throw new ScriptError(`unknown bench: ${directive}`);
  const answerOf = (text) => ({ choices: [{ parts: [{ kind: 'text', text }], finish: 'stop', stopSequence: null }], usage: USAGE });
  const how = { usage: 'normal' };
  if (kind === 'chunks') {
    const text = Array.from({ length: 2 * Number(size ?? 200) }, () => 'word').join(' ');
    const events = format.renderStream(answerOf(text), META, how);
    return { headers: { 'content-type': 'text/event-stream; charset=utf-8' }, chunks: events.map((event) => encode(event, format)), gap: gap && Number(gap) };
  }
  const text = kind === 'json' ? 'A small answer of fixed size.' : 'lorem ipsum '.repeat(Math.ceil((Number(size ?? 200) * 1024) / 12));
  const body = Buffer.from(format.renderJson(answerOf(text), META, how));
  return { headers: { 'content-type': 'application/json', 'content-length': body.length }, body };
}

export async function serveBench(format, directive, res) {
  const key = `${format.name} ${directive}`;
  if (!built.has(key)) built.set(key, build(format, directive));
  const { headers, body, chunks, gap } = built.get(key);
  res.writeHead(200, headers);
  if (body) return void res.end(body);
  for (const chunk of chunks) {
    if (res.destroyed) return;
    res.write(chunk);
    if (gap === 0) await nextTurn();
    else if (gap > 0) await sleep(gap);
  }
  res.end();
}
