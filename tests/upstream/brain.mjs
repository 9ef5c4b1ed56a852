// What does the demo model answer? From a format-neutral question to a format-neutral answer, deterministic.
//
// question: {format, model, stream, lastUser, toolResults: [{name, text}], tools: [{name, schema}],
//   toolChoice: {mode: 'auto'|'none'|'required'|'named', names?}, parallel, reasoning: null | {budget?},
//   output: null | {schema?}, maxTokens, stops: [], choices, blocks (see tokens.mjs), caching: 'marked'|'automatic'}
// answer: {choices: [{parts, finish, stopSequence, nativeFinish?}], usage}
//   part: {kind: 'reasoning', text} | {kind: 'text', text} | {kind: 'call', name, args}
//   finish: 'stop' | 'stop_sequence' | 'length' | 'tool_calls'
//   usage: {input (all of the prompt), cacheRead, cacheWrite5m, cacheWrite1h, output (with reasoning), reasoning}

import { countTokens, promptTokens } from './tokens.mjs';
import { hintsOf, sampleValue } from './sample.mjs';

const ECHO_CHARS = 400;

/**
 * The answer to `question`. `wish` may fix parts of it: `text`, `reasoning`, `calls` ([{name, args}]), `usage` (any of
 * its fields), `nativeFinish`, `empty`.
 */
export function answer(question, cache, wish = {}) {
  const choices = Array.from({ length: question.choices ?? 1 }, (_, index) => choice(question, wish, index));
  const usage = measure(question, cache, choices);
  return { choices, usage: { ...usage, ...wish.usage } };
}

function choice(question, wish, index) {
  if (wish.empty) return { parts: [], finish: 'stop', stopSequence: null, nativeFinish: wish.nativeFinish };
  const calls = wish.calls ?? (wish.text === undefined ? chooseCalls(question) : []);
  const parts = [];
  const reasoning = wish.reasoning ?? (question.reasoning ? think(question, calls) : null);
  if (reasoning) parts.push({ kind: 'reasoning', text: reasoning });
  const text = wish.text ?? (calls.length > 0 ? null : speak(question, index));
  if (text) parts.push({ kind: 'text', text });
  for (const call of calls) parts.push({ kind: 'call', name: call.name, args: call.args });
  return { ...limit(parts, question), nativeFinish: wish.nativeFinish };
}

function chooseCalls(question) {
  const { tools, toolChoice, lastUser, toolResults } = question;
  if (tools.length === 0 || toolChoice.mode === 'none') return [];
  const allowed = toolChoice.names ? tools.filter((tool) => toolChoice.names.includes(tool.name)) : tools;
  const forced = toolChoice.mode === 'required' || toolChoice.mode === 'named';
  if (!forced && toolResults.length > 0) return [];
  let chosen = mentioned(allowed, lastUser);
  if (chosen.length === 0 && (forced || /\b(?:use|call)\b.{0,30}\b(?:tools?|functions?)\b/i.test(lastUser))) {
    chosen = allowed.slice(0, 1);
  }
  if (!question.parallel) chosen = chosen.slice(0, 1);
  const hints = hintsOf(lastUser);
  return chosen.map((tool) => ({ name: tool.name, args: sampleValue(tool.schema ?? { type: 'object' }, hints) }));
}

/** Tools whose name stands in the text, as it is or with spaces for underscores, in the order of the text. */
function mentioned(tools, text) {
  const spelt = text.toLowerCase();
  const position = ({ name }) => {
    const places = [name, name.replaceAll(/[_-]/g, ' ')].map((form) => spelt.search(new RegExp(`\\b${escapeRegex(form.toLowerCase())}\\b`)));
    return Math.min(...places.filter((place) => place >= 0));
  };
  return tools
    .map((tool) => ({ tool, at: position(tool) }))
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at)
    .map(({ tool }) => tool);
}

const escapeRegex = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

function think(question, calls) {
  const plan = calls.length > 0
    ? `I shall call ${calls.map((call) => call.name).join(' and ')}.`
    : 'No tool is needed, so I answer directly.';
  return `The last user message has ${question.lastUser.length} characters and ${question.tools.length} tools are offered. ${plan}`;
}

function speak(question, index) {
  if (question.output) return JSON.stringify(structured(question));
  const prefix = index > 0 ? `Choice ${index + 1}. ` : '';
  const exact = /\b(?:say|repeat|reply with|answer with) exactly:?\s+(.+)$/is.exec(question.lastUser);
  if (exact) return prefix + exact[1].trim();
  const count = /\bcount (?:up )?to (\d{1,5})\b/i.exec(question.lastUser);
  if (count) return prefix + Array.from({ length: Math.max(1, Number(count[1])) }, (_, i) => i + 1).join(', ');
  const introduction = `${prefix}This is Patchbay’s local demo upstream speaking ${question.format}; no language model is behind “${question.model}”.`;
  if (question.toolResults.length > 0) {
    const results = question.toolResults.map((result) => `${result.name ?? 'tool'} → ${shorten(result.text)}`);
    return `${introduction} The tools answered: ${results.join('; ')}.`;
  }
  return `${introduction} You wrote: “${shorten(question.lastUser)}”`;
}

function structured(question) {
  if (!question.output.schema) return { demo: true, format: question.format, echo: shorten(question.lastUser) };
  return sampleValue(question.output.schema, hintsOf(question.lastUser));
}

const shorten = (text) => (text.length > ECHO_CHARS ? `${[...text].slice(0, ECHO_CHARS).join('')}…` : text);

/** Applies stop sequences (to text) and the token limit (to everything, reasoning first, as providers count). */
function limit(parts, question) {
  const cut = [];
  let left = question.maxTokens ?? Infinity;
  let finish = parts.some((part) => part.kind === 'call') ? 'tool_calls' : 'stop';
  for (const part of parts) {
    const stop = part.kind === 'text' ? firstStop(part.text, question.stops ?? []) : null;
    const text = stop ? part.text.slice(0, stop.at) : partText(part);
    const cost = countTokens(text);
    if (cost > left) {
      if (part.kind !== 'call' && left > 0) cut.push({ ...part, text: firstTokens(text, left) });
      return { parts: cut, finish: 'length', stopSequence: null };
    }
    left -= cost;
    if (part.kind === 'call') cut.push(part);
    else if (text) cut.push({ ...part, text });
    if (stop) return { parts: cut, finish: 'stop_sequence', stopSequence: stop.sequence };
  }
  return { parts: cut, finish, stopSequence: null };
}

export const partText = (part) => (part.kind === 'call' ? JSON.stringify(part.args) : part.text);

function firstTokens(text, tokens) {
  const end = tokens * 4;
  return /[\uD800-\uDBFF]/.test(text[end - 1] ?? '') ? text.slice(0, end - 1) : text.slice(0, end);
}

function firstStop(text, stops) {
  const found = stops.map((sequence) => ({ sequence, at: text.indexOf(sequence) })).filter(({ at }) => at >= 0);
  return found.sort((a, b) => a.at - b.at)[0] ?? null;
}

function measure(question, cache, choices) {
  const parts = choices.flatMap((each) => each.parts);
  const reasoning = parts.filter((part) => part.kind === 'reasoning').reduce((sum, part) => sum + countTokens(part.text), 0);
  const output = parts.reduce((sum, part) => sum + countTokens(partText(part)), 0);
  const cached = question.caching === 'marked' ? cache.marked(question.blocks) : cache.automatic(question.blocks);
  return {
    input: Math.max(1, promptTokens(question.blocks)),
    cacheRead: cached.read,
    cacheWrite5m: cached.write5m,
    cacheWrite1h: cached.write1h,
    output,
    reasoning,
  };
}
