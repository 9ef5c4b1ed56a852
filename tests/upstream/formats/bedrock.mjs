// Bedrock's Converse: routes, signatures, questions, answers, binary streams and errors as bedrock-runtime writes them.

import { DOCUMENT_TOKENS, IMAGE_TOKENS } from '../tokens.mjs';
import { verify } from '../aws/sigv4.mjs';
import { message } from '../aws/eventstream.mjs';
import { sign } from '../signature.mjs';
import { LATE_USAGE_MS, Rejection, byChars, event, pieces, textOf } from './common.mjs';
import { check } from './checks/bedrock.mjs';

export const name = 'bedrock';
export { check };

export function route(path) {
  const found = /^(.*)\/bedrock\/model\/([^/]+)\/converse(-stream)?$/.exec(path);
  return found && { prefix: `${found[1]}/bedrock`, model: decodeURIComponent(found[2]), stream: found[3] !== undefined };
}

/** An API key, or a signature over exactly what came in. */
export function authenticate(headers, sent) {
  const { authorization } = headers;
  if (!authorization) throw new Rejection(403, 'Missing Authentication Token');
  if (authorization.startsWith('Bearer ')) {
    if (authorization.includes('wrong')) throw new Rejection(403, 'Authentication failed: Please make sure your API Key is valid.');
    return;
  }
  const refused = verify(headers, { ...sent, service: 'bedrock' });
  if (refused) throw new Rejection(403, refused);
}

export const requested = (_body, found) => ({ model: found.model, stream: found.stream });

/** `{text: …}` → `['text', …]`. */
const kindOf = (block) => Object.entries(block)[0];

export function question(body) {
  const blocks = (message) => message.content.map(kindOf);
  const users = body.messages.filter((each) => each.role === 'user');
  const spoken = users.findLast((each) => each.content.some((block) => block.text));
  const calls = new Map(body.messages.flatMap((each) => blocks(each).filter(([kind]) => kind === 'toolUse').map(([, use]) => [use.toolUseId, use.name])));
  const fields = body.additionalModelRequestFields ?? {};
  const schema = body.outputConfig?.textFormat?.structure?.jsonSchema?.schema;
  return {
    lastUser: textOf((spoken?.content ?? []).filter((block) => block.text)),
    toolResults: blocks(body.messages.at(-1)).filter(([kind]) => kind === 'toolResult').map(([, result]) => ({ name: calls.get(result.toolUseId), text: textOf(result.content) })),
    tools: (body.toolConfig?.tools ?? []).filter((tool) => tool.toolSpec).map(({ toolSpec }) => ({ name: toolSpec.name, schema: toolSpec.inputSchema.json })),
    toolChoice: toolChoice(body.toolConfig?.toolChoice),
    parallel: true,
    reasoning: ['enabled', 'adaptive'].includes(fields.thinking?.type) ? { budget: fields.thinking.budget_tokens } : null,
    output: schema ? { schema: JSON.parse(schema) } : null,
    maxTokens: body.inferenceConfig?.maxTokens,
    stops: body.inferenceConfig?.stopSequences,
    blocks: promptBlocks(body),
    caching: 'marked',
  };
}

function toolChoice(choice) {
  if (choice?.any) return { mode: 'required' };
  return choice?.tool ? { mode: 'named', names: [choice.tool.name] } : { mode: 'auto' };
}

/** The prompt in the order in which the cache sees it; a cache point marks the block before it. */
function promptBlocks(body) {
  const prompt = [];
  for (const block of [...(body.toolConfig?.tools ?? []), ...(body.system ?? []), ...body.messages.flatMap((each) => each.content)]) {
    if (block.cachePoint) prompt.at(-1).marker = block.cachePoint.ttl ?? '5m';
    else prompt.push({ text: block.text ?? JSON.stringify(block), tokens: block.image ? IMAGE_TOKENS : block.document ? DOCUMENT_TOKENS : undefined });
  }
  return prompt;
}

const FINISH = { stop: 'end_turn', stop_sequence: 'stop_sequence', length: 'max_tokens', tool_calls: 'tool_use' };
const finishOf = (choice) => choice.nativeFinish ?? FINISH[choice.finish];

const ZERO = { input: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, output: 0 };

/** Converse counts the fresh input apart from what was read from or written to the cache. */
function usageOf(usage) {
  const written = usage.cacheWrite5m + usage.cacheWrite1h;
  const details = [['5m', usage.cacheWrite5m], ['1h', usage.cacheWrite1h]].filter(([, count]) => count > 0);
  return {
    inputTokens: Math.max(0, usage.input - usage.cacheRead - written),
    outputTokens: usage.output,
    totalTokens: usage.input + usage.output,
    cacheReadInputTokens: usage.cacheRead,
    cacheWriteInputTokens: written,
    ...(details.length > 0 && { cacheDetails: details.map(([ttl, inputTokens]) => ({ inputTokens, ttl })) }),
  };
}

const idOf = (index, meta) => `tooluse_${meta.tag}${String(index).padStart(2, '0')}`;

function block(part, index, meta) {
  if (part.kind === 'text') return { text: part.text };
  if (part.kind === 'call') return { toolUse: { toolUseId: idOf(index, meta), name: part.name, input: part.args } };
  return { reasoningContent: { reasoningText: { text: part.text, signature: sign('anthropic', part.text) } } };
}

export function renderJson(answer, meta, how) {
  const [choice] = answer.choices;
  const usage = how.usage === 'zero' ? ZERO : answer.usage;
  return JSON.stringify({
    metrics: { latencyMs: 1 },
    output: { message: { role: 'assistant', content: choice.parts.map((part, index) => block(part, index, meta)) } },
    stopReason: finishOf(choice),
    ...(how.usage !== 'none' && { usage: usageOf(usage) }),
  });
}

/** The service pads its payloads, so that their lengths tell nothing of the text. */
const padded = (kind, type, data, pause) => event(kind, { ...data, p: 'abcdefghijklmnop' }, type, pause);

/** The events of a stream; `how.usage` is one of normal, none, zero, twice, late. */
export function renderStream(answer, meta, how) {
  const [choice] = answer.choices;
  const usage = usageOf(how.usage === 'zero' ? ZERO : answer.usage);
  const counts = () => padded('done', 'metadata', { metrics: { latencyMs: 1 }, usage }, how.usage === 'late' ? LATE_USAGE_MS : undefined);
  return [
    padded('preamble', 'messageStart', { role: 'assistant' }),
    ...choice.parts.flatMap((part, index) => blockEvents(part, index, meta, how)),
    padded('finish', 'messageStop', { stopReason: finishOf(choice) }),
    ...(how.usage === 'none' ? [] : how.usage === 'twice' ? [counts(), counts()] : [counts()]),
  ];
}

function blockEvents(part, index, meta, how) {
  const delta = (fields) => padded('content', 'contentBlockDelta', { contentBlockIndex: index, delta: fields });
  const stop = padded('frame', 'contentBlockStop', { contentBlockIndex: index });
  if (part.kind === 'text') return [...pieces(part.text, how.whole).map((text) => delta({ text })), stop];
  if (part.kind === 'call') {
    const start = padded('frame', 'contentBlockStart', { contentBlockIndex: index, start: { toolUse: { toolUseId: idOf(index, meta), name: part.name } } });
    const json = Object.keys(part.args).length === 0 ? [''] : byChars(JSON.stringify(part.args), 8);
    return [start, ...json.map((input) => delta({ toolUse: { input } })), stop];
  }
  const thoughts = pieces(part.text, how.whole).map((text) => delta({ reasoningContent: { text } }));
  return [...thoughts, delta({ reasoningContent: { signature: sign('anthropic', part.text) } }), stop];
}

const TYPES = {
  400: 'ValidationException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  408: 'ModelTimeoutException',
  424: 'ModelErrorException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
};

export const errorBody = (_status, text) => JSON.stringify({ message: text });

/** Errors tell their type in a header. */
export const errorHeaders = (status, kind) => ({ 'x-amzn-errortype': `${kind ?? TYPES[status] ?? 'InternalServerException'}:http://internal.amazon.com/coral/com.amazon.bedrock/` });

export const errorEvent = () => ({ ...event('error', { message: 'The system encountered an unexpected error during processing. Try your request again.' }, 'internalServerException'), exception: true });

export const responseHeaders = (meta) => ({ 'x-amzn-requestid': `${meta.tag.slice(0, 8)}-0000-4000-8000-000000000000` });

export const streamType = 'application/vnd.amazon.eventstream';

/** An event as a message of the binary framing, which has no comments. */
export function encode({ name: type, data, exception, comment }) {
  if (comment) return Buffer.alloc(0);
  const kind = exception ? { ':exception-type': type, ':message-type': 'exception' } : { ':event-type': type ?? 'unknown', ':message-type': 'event' };
  return message({ ...kind, ':content-type': 'application/json' }, data);
}

export const newline = '\n';
