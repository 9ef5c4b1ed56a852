// Anthropic's messages: routes, questions, answers, streams and errors as api.anthropic.com writes them.

import { DOCUMENT_TOKENS, IMAGE_TOKENS } from '../tokens.mjs';
import { sign } from '../signature.mjs';
import { LATE_USAGE_MS, Rejection, byChars, event, pieces, textOf } from './common.mjs';
import { check } from './checks/anthropic.mjs';

export const name = 'anthropic';
export { check };

/** A user text with this word gets its thinking redacted, as Anthropic's own test string does. */
const REDACT = 'ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING';

export function route(path) {
  const found = /^(.*)\/anthropic\/v1\/messages$/.exec(path);
  return found && { prefix: `${found[1]}/anthropic` };
}

export function authenticate(headers) {
  const key = headers['x-api-key'];
  if (!key) throw new Rejection(401, 'x-api-key header is required');
  if (key.includes('wrong')) throw new Rejection(401, 'invalid x-api-key');
  if (!headers['anthropic-version']) throw new Rejection(400, 'anthropic-version: header is required');
  if (!/^2023-(?:01-01|06-01)$/.test(headers['anthropic-version'])) {
    throw new Rejection(400, `anthropic-version: "${headers['anthropic-version']}" is not a valid version`);
  }
}

export const requested = (body) => ({ model: body.model, stream: body.stream === true });

const blocksOf = (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content);

export function question(body) {
  const users = body.messages.filter((message) => message.role === 'user');
  const spoken = users.findLast((message) => blocksOf(message.content).some((block) => block.type === 'text'));
  const calls = new Map(body.messages.flatMap((message) => blocksOf(message.content).filter((block) => block.type === 'tool_use').map((block) => [block.id, block.name])));
  return {
    lastUser: textOf(blocksOf(spoken?.content ?? []).filter((block) => block.type === 'text')),
    toolResults: blocksOf(body.messages.at(-1).content)
      .filter((block) => block.type === 'tool_result')
      .map((block) => ({ name: calls.get(block.tool_use_id), text: textOf(block.content ?? '') })),
    tools: (body.tools ?? []).filter((tool) => tool.input_schema).map((tool) => ({ name: tool.name, schema: tool.input_schema })),
    toolChoice: toolChoice(body.tool_choice),
    parallel: body.tool_choice?.disable_parallel_tool_use !== true,
    reasoning: ['enabled', 'adaptive'].includes(body.thinking?.type) ? { budget: body.thinking.budget_tokens } : null,
    output: outputOf(body),
    maxTokens: body.max_tokens,
    stops: body.stop_sequences,
    blocks: promptBlocks(body),
    caching: 'marked',
  };
}

function toolChoice(choice) {
  if (choice?.type === 'any') return { mode: 'required' };
  if (choice?.type === 'tool') return { mode: 'named', names: [choice.name] };
  return { mode: choice?.type ?? 'auto' };
}

function outputOf(body) {
  const format = body.output_config?.format ?? body.output_format;
  return format?.type === 'json_schema' ? { schema: format.schema } : null;
}

/** The prompt in the order in which the cache sees it: tools, system, messages. */
function promptBlocks(body) {
  const system = body.system === undefined ? [] : blocksOf(body.system);
  return [...(body.tools ?? []), ...system, ...body.messages.flatMap((message) => blocksOf(message.content))].map((block) => {
    const { cache_control: marker, ...rest } = block;
    return {
      text: block.type === 'text' ? block.text : JSON.stringify(rest),
      tokens: { image: IMAGE_TOKENS, document: DOCUMENT_TOKENS }[block.type],
      marker: marker && (marker.ttl ?? '5m'),
    };
  });
}

const FINISH = { stop: 'end_turn', stop_sequence: 'stop_sequence', length: 'max_tokens', tool_calls: 'tool_use' };
const finishOf = (choice) => choice.nativeFinish ?? FINISH[choice.finish];

const ZERO = { input: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, output: 0, reasoning: 0 };

/** Anthropic counts the fresh input apart from what was read from or written to the cache. */
function usageOf(usage) {
  const written = usage.cacheWrite5m + usage.cacheWrite1h;
  return {
    input_tokens: Math.max(0, usage.input - usage.cacheRead - written),
    cache_creation_input_tokens: written,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: { ephemeral_5m_input_tokens: usage.cacheWrite5m, ephemeral_1h_input_tokens: usage.cacheWrite1h },
    output_tokens: usage.output,
    output_tokens_details: { thinking_tokens: usage.reasoning },
    service_tier: 'standard',
  };
}

function block(part, index, meta) {
  if (part.kind === 'text') return { type: 'text', text: part.text };
  if (part.kind === 'call') return { type: 'tool_use', id: `toolu_${meta.tag}${String(index).padStart(2, '0')}`, name: part.name, input: part.args };
  if (isRedacted(meta)) return { type: 'redacted_thinking', data: sign(name, part.text) };
  return { type: 'thinking', thinking: part.text, signature: sign(name, part.text) };
}

const isRedacted = (meta) => JSON.stringify(meta.body.messages).includes(REDACT);

export function renderJson(answer, meta, how) {
  const [choice] = answer.choices;
  const usage = how.usage === 'zero' ? ZERO : answer.usage;
  return JSON.stringify({
    ...message(meta),
    content: choice.parts.map((part, index) => block(part, index, meta)),
    stop_reason: finishOf(choice),
    stop_sequence: choice.stopSequence,
    ...(how.usage !== 'none' && { usage: usageOf(usage) }),
  });
}

const message = (meta) => ({ model: meta.model, id: `msg_${meta.tag}`, type: 'message', role: 'assistant' });

const named = (kind, data, pause) => event(kind, data, data.type, pause);

/** The events of a stream; `how.usage` is one of normal, none, zero, twice, late, end (only in the last event). */
export function renderStream(answer, meta, how) {
  const [choice] = answer.choices;
  const usage = how.usage === 'zero' ? ZERO : answer.usage;
  const early = how.usage === 'end' ? ZERO : { ...usage, output: Math.min(1, usage.output), reasoning: 0 };
  const { output_tokens_details: _details, ...starting } = usageOf(early);
  const events = [
    named('preamble', {
      type: 'message_start',
      message: { ...message(meta), content: [], stop_reason: null, stop_sequence: null, ...(how.usage !== 'none' && { usage: starting }) },
    }),
    ...choice.parts.flatMap((part, index) => blockEvents(part, index, meta, how)),
  ];
  const { cache_creation: _creation, service_tier: _tier, ...ending } = usageOf(usage);
  const end = (kind, pause) =>
    named(kind, {
      type: 'message_delta',
      delta: { stop_reason: finishOf(choice), stop_sequence: choice.stopSequence },
      ...(how.usage !== 'none' && { usage: ending }),
    }, pause);
  events.push(end('finish', how.usage === 'late' ? LATE_USAGE_MS : undefined));
  if (how.usage === 'twice') events.push(end('usage'));
  return [...events, named('done', { type: 'message_stop' })];
}

function blockEvents(part, index, meta, how) {
  const content = block(part, index, meta);
  const delta = (fields) => named('content', { type: 'content_block_delta', index, delta: fields });
  const start = named('frame', { type: 'content_block_start', index, content_block: emptied(content) });
  const ping = index === 0 ? [named('ping', { type: 'ping' })] : [];
  const deltas = {
    text: () => pieces(content.text, how.whole).map((text) => delta({ type: 'text_delta', text })),
    thinking: () => [
      ...pieces(content.thinking, how.whole).map((thinking) => delta({ type: 'thinking_delta', thinking })),
      delta({ type: 'signature_delta', signature: content.signature }),
    ],
    redacted_thinking: () => [],
    tool_use: () => ['', ...argumentPieces(part.args)].map((json) => delta({ type: 'input_json_delta', partial_json: json })),
  }[content.type]();
  return [start, ...ping, ...deltas, named('frame', { type: 'content_block_stop', index })];
}

/** A call without arguments streams one empty delta only (P55). */
const argumentPieces = (args) => (Object.keys(args).length === 0 ? [] : byChars(JSON.stringify(args), 8));

function emptied(content) {
  if (content.type === 'text') return { type: 'text', text: '' };
  if (content.type === 'thinking') return { type: 'thinking', thinking: '', signature: '' };
  return content.type === 'tool_use' ? { ...content, input: {} } : content;
}

const TYPES = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

export const errorBody = (status, text, _details, meta) =>
  JSON.stringify({
    type: 'error',
    error: { type: TYPES[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error'), message: text },
    request_id: `req_${meta.tag}`,
  });

export const errorEvent = () => named('error', { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } });

export const responseHeaders = (meta) => ({ 'request-id': `req_${meta.tag}`, 'anthropic-organization-id': 'demo' });

export const newline = '\n';
