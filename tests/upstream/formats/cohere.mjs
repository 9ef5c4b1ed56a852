// Cohere's own chat API, version 2: routes, questions, answers, streams and errors as api.cohere.com writes them.

import { IMAGE_TOKENS } from '../tokens.mjs';
import { byChars, event, pieces, textOf } from './common.mjs';
import { check } from './checks/cohere.mjs';
import { authenticate } from './openai.mjs';

export const name = 'cohere';
export { authenticate, check };

export function route(path) {
  const found = /^(.*)\/cohere\/v2\/chat$/.exec(path);
  return found && { prefix: `${found[1]}/cohere` };
}

export const requested = (body) => ({ model: body.model, stream: body.stream === true });

export function question(body) {
  const calls = new Map(body.messages.flatMap((message) => (message.tool_calls ?? []).map((call) => [call.id, call.function.name])));
  const lastAssistant = body.messages.findLastIndex((message) => message.role === 'assistant');
  return {
    lastUser: textOf(body.messages.findLast((message) => message.role === 'user')?.content ?? ''),
    toolResults: body.messages
      .slice(lastAssistant + 1)
      .filter((message) => message.role === 'tool')
      .map((message) => ({ name: calls.get(message.tool_call_id), text: textOf(message.content) })),
    tools: (body.tools ?? []).map((tool) => ({ name: tool.function.name, schema: tool.function.parameters })),
    toolChoice: { mode: { REQUIRED: 'required', NONE: 'none' }[body.tool_choice] ?? 'auto' },
    parallel: true,
    reasoning: body.thinking?.type === 'enabled' ? {} : null,
    output: body.response_format?.type === 'json_object' ? { schema: body.response_format.json_schema } : null,
    maxTokens: body.max_tokens,
    stops: body.stop_sequences ?? [],
    blocks: [{ text: JSON.stringify(body.tools ?? '') }, ...body.messages.flatMap(blocks)],
    caching: 'automatic',
  };
}

function blocks(message) {
  const parts = Array.isArray(message.content) ? message.content : [{ text: message.content ?? JSON.stringify(message) }];
  return parts.map((part) => ({ text: part.text ?? JSON.stringify(part), tokens: { image_url: IMAGE_TOKENS }[part.type] }));
}

/** What is charged for, and what the model read: with a preamble of its own, from which the cached part is counted. */
const PREAMBLE = 70;

function usageOf(answer, how) {
  const usage = how.usage === 'zero' ? { input: 0, cacheRead: 0, output: 0, reasoning: 0 } : answer.usage;
  return {
    billed_units: { input_tokens: usage.input, output_tokens: usage.output },
    tokens: { input_tokens: usage.input + PREAMBLE, output_tokens: usage.output, reasoning_tokens: usage.reasoning },
    cached_tokens: usage.cacheRead > 0 ? usage.cacheRead + PREAMBLE : 0,
  };
}

const FINISH = { stop: 'COMPLETE', stop_sequence: 'STOP_SEQUENCE', length: 'MAX_TOKENS', tool_calls: 'TOOL_CALL' };
const finishOf = (choice) => choice.nativeFinish ?? FINISH[choice.finish];

/** The parts with their places: content blocks and calls are counted apart. */
function placed({ parts }, meta) {
  const next = { content: 0, call: 0 };
  return parts.map((part) => {
    const kind = part.kind === 'call' ? 'call' : 'content';
    const index = next[kind]++;
    if (kind === 'content') return { part, index, type: part.kind === 'reasoning' ? 'thinking' : 'text' };
    const call = { id: `${part.name}_${meta.tag.slice(0, 8)}${index}`, type: 'function', function: { name: part.name, arguments: JSON.stringify(part.args) } };
    return { part, index, call };
  });
}

export function renderJson(answer, meta, how) {
  const [choice] = answer.choices;
  const all = placed(choice, meta);
  const content = all.filter(({ type }) => type).map(({ part, type }) => ({ type, [type]: part.text }));
  const calls = all.filter(({ call }) => call).map(({ call }) => call);
  return JSON.stringify({
    id: meta.tag,
    message: { role: 'assistant', ...(content.length > 0 && { content }), ...(calls.length > 0 && { tool_calls: calls }) },
    finish_reason: finishOf(choice),
    ...(how.usage !== 'none' && { usage: usageOf(answer, how) }),
  });
}

/** The events of a stream; `how.usage` is one of normal, none, zero. */
export function renderStream(answer, meta, how) {
  const [choice] = answer.choices;
  const named = (kind, type, fields) => event(kind, { type, ...fields }, type);
  const message = (fields) => ({ delta: { message: fields } });
  const events = [named('preamble', 'message-start', { id: meta.tag, ...message({ role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] }) })];
  for (const { part, index, type, call } of placed(choice, meta)) {
    if (call) {
      const { name: own, arguments: json } = call.function;
      events.push(named('content', 'tool-call-start', { index, ...message({ tool_calls: { ...call, function: { name: own, arguments: '' } } }) }));
      events.push(...byChars(json, 8).map((piece) => named('content', 'tool-call-delta', { index, ...message({ tool_calls: { function: { arguments: piece } } }) })));
      events.push(named('frame', 'tool-call-end', { index }));
    } else {
      events.push(named('frame', 'content-start', { index, ...message({ content: { type, [type]: '' } }) }));
      events.push(...pieces(part.text, how.whole).map((piece) => named('content', 'content-delta', { index, ...message({ content: { [type]: piece } }) })));
      events.push(named('frame', 'content-end', { index }));
    }
  }
  const usage = how.usage === 'none' ? {} : { usage: usageOf(answer, how) };
  return [...events, named('done', 'message-end', { delta: { finish_reason: finishOf(choice), ...usage } })];
}

export const errorBody = (status, text, details, meta) => JSON.stringify({ id: meta.tag, message: text });

export const errorEvent = () => event('error', { type: 'message-end', delta: { finish_reason: 'ERROR', error: 'internal server error' } }, 'message-end');

export const responseHeaders = (meta) => ({ 'x-debug-trace-id': meta.tag });

export const newline = '\n';
