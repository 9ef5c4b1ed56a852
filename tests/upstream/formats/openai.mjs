// OpenAI's chat completions: routes, questions, answers, streams and errors as api.openai.com writes them.
// Reasoning text goes out as `reasoning_content`, as compatible providers do; OpenAI itself keeps it.

import { DOCUMENT_TOKENS, IMAGE_TOKENS } from '../tokens.mjs';
import { LATE_USAGE_MS, Rejection, byChars, event, pieces, textOf } from './common.mjs';
import { check } from './checks/openai.mjs';

export const name = 'openai';
export { check };

/** What the path says, or null when it is not of this format. */
export function route(path) {
  const found = /^(.*)\/openai(?:\/v1)?\/chat\/completions$/.exec(path);
  return found && { prefix: `${found[1]}/openai` };
}

export function authenticate(headers) {
  const key = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1];
  if (!key) {
    throw new Rejection(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).", { type: 'invalid_request_error', code: null });
  }
  if (key.includes('wrong')) {
    throw new Rejection(401, `Incorrect API key provided: ${key.slice(0, 6)}***. You can find your API key at https://platform.openai.com/account/api-keys.`);
  }
}

export const requested = (body) => ({ model: body.model, stream: body.stream === true });

export function question(body) {
  const lastUser = body.messages.findLast((message) => message.role === 'user');
  const calls = new Map(body.messages.flatMap((message) => (message.tool_calls ?? []).map((call) => [call.id, call.function.name])));
  const lastAssistant = body.messages.findLastIndex((message) => message.role === 'assistant');
  return {
    lastUser: textOf(lastUser?.content ?? ''),
    toolResults: body.messages
      .slice(lastAssistant + 1)
      .filter((message) => message.role === 'tool')
      .map((message) => ({ name: calls.get(message.tool_call_id), text: textOf(message.content) })),
    tools: (body.tools ?? []).map((tool) => ({ name: tool.function.name, schema: tool.function.parameters })),
    toolChoice: toolChoice(body.tool_choice),
    parallel: body.parallel_tool_calls !== false,
    reasoning: wantsReasoning(body) ? {} : null,
    output: output(body.response_format),
    maxTokens: body.max_completion_tokens ?? body.max_tokens,
    stops: [body.stop ?? []].flat(),
    choices: body.n ?? 1,
    blocks: blocks(body),
    caching: 'automatic',
  };
}

function toolChoice(choice) {
  if (typeof choice === 'string') return { mode: choice };
  return choice?.function ? { mode: 'named', names: [choice.function.name] } : { mode: 'auto' };
}

const wantsReasoning = (body) =>
  (body.reasoning_effort ?? 'none') !== 'none' || body.reasoning !== undefined || body.thinking?.type === 'enabled' || body.enable_thinking === true;

function output(format) {
  if (format?.type === 'json_schema') return { schema: format.json_schema.schema };
  return format?.type === 'json_object' ? {} : null;
}

function blocks(body) {
  const tools = body.tools ? [{ text: JSON.stringify(body.tools) }] : [];
  return [...tools, ...body.messages.flatMap(messageBlocks)];
}

function messageBlocks(message) {
  const parts = Array.isArray(message.content) ? message.content : [{ type: 'text', text: message.content ?? '' }];
  const calls = message.tool_calls ? [{ text: JSON.stringify(message.tool_calls) }] : [];
  return [...parts.map((part) => ({ text: part.text ?? JSON.stringify(part), tokens: flatTokens(part.type) })), ...calls];
}

const flatTokens = (type) => ({ image_url: IMAGE_TOKENS, file: DOCUMENT_TOKENS, input_audio: DOCUMENT_TOKENS })[type];

const FINISH = { stop: 'stop', stop_sequence: 'stop', length: 'length', tool_calls: 'tool_calls' };
const finishOf = (choice) => choice.nativeFinish ?? FINISH[choice.finish];

const zero = { input: 0, cacheRead: 0, output: 0, reasoning: 0 };

function usageOf(answer, how) {
  const usage = how.usage === 'zero' ? zero : answer.usage;
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    ...(usage.cost !== undefined && { cost: usage.cost / 1e9 }),
    ...(usage.cacheWrite1h && { cache_creation: { ephemeral_5m_input_tokens: usage.cacheWrite5m, ephemeral_1h_input_tokens: usage.cacheWrite1h } }),
    prompt_tokens_details: {
      cached_tokens: usage.cacheRead,
      audio_tokens: usage.audioIn ?? 0,
      ...(usage.cacheWrite5m && !usage.cacheWrite1h && { cache_write_tokens: usage.cacheWrite5m }),
    },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: usage.audioOut ?? 0,
      ...(usage.imageOut && { image_tokens: usage.imageOut }),
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

const partsOf = (choice, kind) => choice.parts.filter((part) => part.kind === kind);
const joined = (choice, kind) => partsOf(choice, kind).map((part) => part.text).join('');
const callId = (meta, choice, index) => `call_${meta.tag}${choice}${String(index).padStart(2, '0')}`;

export function renderJson(answer, meta, how) {
  const choices = answer.choices.map((choice, index) => {
    const calls = partsOf(choice, 'call').map((part, at) => ({ id: callId(meta, index, at), type: 'function', function: { name: part.name, arguments: JSON.stringify(part.args) } }));
    const reasoning = joined(choice, 'reasoning');
    const message = {
      role: 'assistant',
      content: joined(choice, 'text') || null,
      ...(reasoning && { reasoning_content: reasoning }),
      ...(calls.length > 0 && { tool_calls: calls }),
      refusal: null,
      annotations: [],
    };
    return { index, message, logprobs: null, finish_reason: finishOf(choice) };
  });
  return JSON.stringify({
    ...head(meta, 'chat.completion'),
    choices,
    ...(how.usage !== 'none' && { usage: usageOf(answer, how) }),
    service_tier: how.tier ?? 'default',
    system_fingerprint: 'fp_demo',
  });
}

const head = (meta, object) => ({ id: `chatcmpl-${meta.tag}`, object, created: meta.created, model: meta.model });

/** The events of a stream; `how.usage` is one of normal, none, zero, twice, late, every. */
export function renderStream(answer, meta, how) {
  const asked = meta.body.stream_options?.include_usage === true && how.usage !== 'none';
  const onEach = asked ? { usage: how.usage === 'every' ? usageOf(answer, how) : null } : {};
  const chunk = (kind, index, delta, finish = null) =>
    event(kind, { ...head(meta, 'chat.completion.chunk'), service_tier: how.tier ?? 'default', system_fingerprint: 'fp_demo', choices: [{ index, delta, logprobs: null, finish_reason: finish }], ...onEach });
  const events = answer.choices.flatMap((choice, index) => {
    const hasText = partsOf(choice, 'text').length > 0;
    return [
      chunk('preamble', index, { role: 'assistant', content: hasText ? '' : null, refusal: null }),
      ...choice.parts.flatMap((part) => deltas(part, choice, index, meta, how)).map((delta) => chunk('content', index, delta)),
      chunk('finish', index, {}, finishOf(choice)),
    ];
  });
  if (asked) {
    const usage = { ...head(meta, 'chat.completion.chunk'), service_tier: how.tier ?? 'default', system_fingerprint: 'fp_demo', choices: [], usage: usageOf(answer, how) };
    events.push(event('usage', usage, undefined, how.usage === 'late' ? LATE_USAGE_MS : undefined));
    if (how.usage === 'twice') events.push(event('usage', usage));
  }
  return [...events, event('done', '[DONE]')];
}

function deltas(part, choice, choiceIndex, meta, how) {
  if (part.kind === 'reasoning') return pieces(part.text, how.whole).map((text) => ({ reasoning_content: text }));
  if (part.kind === 'text') return pieces(part.text, how.whole).map((text) => ({ content: text }));
  const index = partsOf(choice, 'call').indexOf(part);
  const open = { index, id: callId(meta, choiceIndex, index), type: 'function', function: { name: part.name, arguments: '' } };
  const rest = byChars(JSON.stringify(part.args), 8).map((text) => ({ index, function: { arguments: text } }));
  return [open, ...rest].map((call) => ({ tool_calls: [call] }));
}

const TYPES = { 429: 'requests', 402: 'insufficient_quota' };
const CODES = { 401: 'invalid_api_key', 404: 'model_not_found', 402: 'insufficient_quota', 429: 'rate_limit_exceeded' };

export function errorBody(status, message, details = {}) {
  const error = {
    message,
    type: TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error'),
    param: null,
    code: CODES[status] ?? null,
    ...details,
  };
  return JSON.stringify({ error }, null, 2);
}

export const errorEvent = () =>
  event('error', { error: { message: 'The server had an error while processing your request. Sorry about that!', type: 'server_error', param: null, code: null } });

export const responseHeaders = (meta) => ({ 'x-request-id': `req_${meta.tag}`, 'openai-version': '2020-10-01', 'openai-processing-ms': '1' });

/** Lines end as this provider ends them. */
export const newline = '\n';
