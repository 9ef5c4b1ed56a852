// Which behaviour does a name ask for, and what does it do to the events of an answer?
//
// Directives are words joined by `+` or `~`, in a model id, in a `/p/<words>/` path segment or in a script:
// `fault-status-503`, `fault-delay-first-200+fault-cut-120`, `usage-in1000-out50`, `bench-chunks-200`, `fixture:openai/<case>`.
// The README of this folder lists them all.

import { isObject } from './formats/common.mjs';

const int = Number;

/** Each fault: its pattern after `fault-`, and what it sets in the plan. */
const FAULTS = [
  [/^status-(\d{3})(?:-retry-(\d+))?$/, (code, retry) => ({ status: int(code), ...(retry && { retryAfter: () => retry }) })],
  [/^status-(\d{3})-until-(\d+)$/, (code, wait) => ({ status: int(code), retryAfter: () => new Date(Date.now() + int(wait) * 1000).toUTCString() })],
  [/^kind-([A-Za-z]+)$/, (errorKind) => ({ errorKind })],
  [/^html$/, () => ({ html: true })],
  [/^reset$/, () => ({ reset: true })],
  [/^delay-headers-(\d+)$/, (ms) => ({ delayHeaders: int(ms) })],
  [/^delay-first-(\d+)$/, (ms) => ({ delayFirst: int(ms) })],
  [/^delay-between-(\d+)$/, (ms) => ({ delayBetween: int(ms) })],
  [/^gate-headers$/, () => ({ gateHeaders: true })],
  [/^gate-after-(\d+)$/, (count) => ({ gateAfter: int(count) })],
  [/^cut-(\d+)$/, (bytes) => ({ cutBytes: int(bytes) })],
  [/^cut-events-(\d+)$/, (count) => ({ keepEvents: int(count), after: 'cut' })],
  [/^end-(\d+)$/, (bytes) => ({ endBytes: int(bytes) })],
  [/^end-events-(\d+)$/, (count) => ({ keepEvents: int(count), after: 'end' })],
  [/^stall-(\d+)$/, (count) => ({ keepEvents: int(count), after: 'stall' })],
  [/^endless$/, () => ({ endless: true })],
  [/^oversized-(\d+)$/, (megabytes) => ({ oversized: int(megabytes) })],
  [/^garbage$/, () => ({ garbage: true })],
  [/^garbage-after-(\d+)$/, (count) => ({ garbageAfter: int(count) })],
  [/^error-(\d+)$/, (count) => ({ errorAfter: int(count) })],
  [/^role-error$/, () => ({ roleError: true })],
  [/^onebyte$/, () => ({ chunks: { mode: 'size', size: 1 } })],
  [/^chunk-(\d+)$/, (size) => ({ chunks: { mode: 'size', size: Math.max(1, int(size)) } })],
  [/^random-(\d+)$/, (seed) => ({ chunks: { mode: 'random', seed: int(seed) } })],
  [/^multibyte$/, () => ({ chunks: { mode: 'inside' }, wish: { text: MULTIBYTE } })],
  [/^crlf$/, () => ({ newline: '\r\n' })],
  [/^lf$/, () => ({ newline: '\n' })],
  [/^cr$/, () => ({ newline: '\r' })],
  [/^no-space$/, () => ({ noSpace: true })],
  [/^comments-(\d+)$/, (count) => ({ comments: int(count) })],
  [/^heartbeats-(\d+|forever)$/, (count) => ({ heartbeats: count === 'forever' ? Infinity : int(count) })],
  [/^empty$/, () => ({ wish: { empty: true } })],
  [/^blank$/, () => ({ blank: true })],
  [/^no-done$/, () => ({ noDone: true })],
  [/^no-finish$/, () => ({ noFinish: true })],
  [/^no-type$/, () => ({ noType: true })],
  [/^usage-(none|zero|twice|late|every|end)$/, (usage) => ({ usage })],
  [/^tier-([a-z]+)$/, (tier) => ({ tier })],
  [/^finish-([A-Za-z_]+)$/, (nativeFinish) => ({ wish: { nativeFinish } })],
];

/** One, two, three and four bytes a character, joined and unjoined. */
export const MULTIBYTE = 'Grüße aus Köln, 世界 и мир: 👋🏽 👩‍👩‍👧 naïve — „déjà vu“ ✓';

const USAGE_FIELDS = { in: 'input', out: 'output', read: 'cacheRead', write: 'cacheWrite5m', writehr: 'cacheWrite1h', think: 'reasoning', nanodollars: 'cost', audioin: 'audioIn', audioout: 'audioOut', imageout: 'imageOut' };

export class ScriptError extends Error {}

/** The plan of a name; words that are no directive (a plain model id) say nothing. */
export function planOf(name) {
  const fixture = /fixture:([\w.-]+\/[\w.-]+)/.exec(name);
  const rest = fixture ? name.replace(fixture[0], '') : name;
  const words = rest.slice(rest.lastIndexOf('/') + 1).split(/[+~]/).filter(Boolean);
  return words.map(wordPlan).reduce(mergePlans, fixture ? { fixture: fixture[1] } : {});
}

function wordPlan(word) {
  if (word.startsWith('bench-')) return { bench: word };
  if (word.startsWith('usage-')) return { wish: { usage: usageWish(word) } };
  if (!word.startsWith('fault-')) return {};
  for (const [pattern, set] of FAULTS) {
    const found = pattern.exec(word.slice('fault-'.length));
    if (found) return set(...found.slice(1));
  }
  throw new ScriptError(`unknown fault: ${word}`);
}

function usageWish(word) {
  return Object.fromEntries(word.split('-').slice(1).map((item) => {
    const [, field, count] = /^([a-z]+)(\d+)$/.exec(item) ?? [];
    if (!USAGE_FIELDS[field]) throw new ScriptError(`unknown usage field in ${word}: ${item}`);
    return [USAGE_FIELDS[field], int(count)];
  }));
}

export const mergePlans = (a, b) => ({ ...a, ...b, wish: { ...a.wish, ...b.wish } });

const WISHES = new Set(['text', 'reasoning', 'calls', 'usage', 'nativeFinish', 'empty']);

/** The plan of a scripted behaviour: directives as text, or `{faults?, text?, reasoning?, calls?, usage?, nativeFinish?, empty?, raw?}`. */
export function planOfScript(behaviour) {
  if (typeof behaviour === 'string') return planOf(behaviour);
  if (!isObject(behaviour)) throw new ScriptError('a behaviour is a string of directives or an object');
  const { faults = '', raw, ...wish } = behaviour;
  const odd = Object.keys(wish).find((field) => !WISHES.has(field));
  if (odd) throw new ScriptError(`unknown field in behaviour: ${odd}`);
  return mergePlans(planOf(faults), { ...(raw && { raw }), wish });
}

const HEARTBEAT_MS = 20;
const comment = (text, pause) => ({ kind: 'comment', comment: text, pause });

/**
 * The events as the plan bends them: `{events, repeat, after}`. `repeat` is sent for ever after the events;
 * `after` says how the body ends: 'end', 'cut' (the socket is destroyed) or 'stall' (silence).
 */
export function arrange(answered, plan, format, meta) {
  let events = answered;
  let repeat = null;
  let after = 'end';
  if (plan.noFinish) events = events.filter((each) => !['finish', 'usage', 'done'].includes(each.kind));
  if (plan.noDone) events = events.filter((each) => each.kind !== 'done');
  if (plan.comments) events = [...Array.from({ length: plan.comments }, () => comment('PROCESSING')), ...events];
  if (plan.heartbeats) {
    const beat = comment('keep-alive', HEARTBEAT_MS);
    if (plan.heartbeats === Infinity) {
      events = events.filter((each) => each.kind !== 'done');
      repeat = beat;
    } else {
      const end = events.findLastIndex((each) => each.kind !== 'done') + 1;
      events = events.toSpliced(end, 0, ...Array.from({ length: plan.heartbeats }, () => beat));
    }
  }
  if (plan.endless) {
    const at = events.findIndex((each) => each.kind === 'content');
    events = events.slice(0, at + 1);
    repeat = events.at(-1);
  }
  if (plan.errorAfter !== undefined) events = [...events.slice(0, plan.errorAfter), format.errorEvent()];
  if (plan.roleError) {
    const opening = events.filter((each) => each.kind === 'preamble').slice(0, 1);
    events = [...(opening.length > 0 ? opening : [format.preamble(meta)]), format.errorEvent()];
  }
  if (plan.garbageAfter !== undefined) events = [...events.slice(0, plan.garbageAfter), { kind: 'error', data: GARBAGE }];
  if (plan.keepEvents !== undefined) {
    events = events.slice(0, plan.keepEvents);
    ({ after } = plan);
    repeat = null;
  }
  return { events, repeat, after };
}

export const GARBAGE = '{"choices":[{"delta":{"content": <<<not json>>> \u0000';
export const HTML = '<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Error</h1><p>The upstream’s proxy has failed.</p></body></html>\n';

/** An event on the wire. */
export function encode(event, { newline, noSpace }) {
  if (event.comment) return Buffer.from(`: ${event.comment}${newline}${newline}`);
  const gap = noSpace ? '' : ' ';
  const name = event.name ? `event:${gap}${event.name}${newline}` : '';
  return Buffer.from(`${name}data:${gap}${event.data}${newline}${newline}`);
}

/** Frames `{bytes, pause, counts}` cut into the chunks that are written one by one; `counts` moves to the last chunk of its frame. */
export function rechunk(frames, how) {
  if (!how) return frames;
  if (how.mode === 'inside') return frames.flatMap((frame) => pieces(frame, insideCharacters(frame.bytes)));
  const next = how.mode === 'random' ? randomSizes(how.seed) : () => how.size;
  const whole = Buffer.concat(frames.map((frame) => frame.bytes));
  const chunks = [];
  let frame = 0;
  let frameEnd = frames[0]?.bytes.length ?? 0;
  for (let at = 0; at < whole.length; ) {
    const bytes = whole.subarray(at, at + next());
    at += bytes.length;
    let counts = 0;
    while (frame < frames.length && frameEnd <= at) {
      counts += frames[frame].counts;
      frame += 1;
      frameEnd += frames[frame]?.bytes.length ?? 0;
    }
    chunks.push({ bytes, pause: 0, counts });
  }
  return chunks;
}

/** Every place before a continuation byte of UTF-8. */
const insideCharacters = (bytes) => [...bytes.keys()].filter((index) => (bytes[index] & 0xc0) === 0x80);

function pieces(frame, places) {
  const edges = [0, ...places, frame.bytes.length];
  return edges.slice(1).map((end, index) => ({
    bytes: frame.bytes.subarray(edges[index], end),
    pause: index === 0 ? frame.pause : 0,
    counts: index === edges.length - 2 ? frame.counts : 0,
  }));
}

/** Sizes from 1 to 64, the same for the same seed. */
function randomSizes(seed) {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1 + (state >>> 26);
  };
}
