// Gemini's generateContent (AI Studio): routes, questions, answers, streams and errors as generativelanguage.googleapis.com writes them.

import { DOCUMENT_TOKENS, IMAGE_TOKENS } from '../tokens.mjs';
import { sign } from '../signature.mjs';
import { LATE_USAGE_MS, Rejection, event, pieces, textOf } from './common.mjs';
import { check, normalise } from './checks/gemini.mjs';

export const name = 'gemini';
export { check, normalise };

/** The model and the method stand in the path; without `alt=sse` a stream is one JSON array. */
export function route(path, search) {
  const found = /^(.*)\/gemini\/v1(?:beta)?\/models\/(.+):(generateContent|streamGenerateContent)$/.exec(path);
  if (!found) return null;
  const stream = found[3] === 'streamGenerateContent';
  return { prefix: `${found[1]}/gemini`, model: decodeURIComponent(found[2]), stream, asArray: stream && search.get('alt') !== 'sse' };
}

export function authenticate(headers) {
  const key = headers['x-goog-api-key'];
  if (!key) {
    throw new Rejection(403, "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.");
  }
  if (key.includes('wrong')) throw new Rejection(400, 'API key not valid. Please pass a valid API key.', { reason: 'API_KEY_INVALID' });
}

export const requested = (_body, found) => ({ model: found.model, stream: found.stream });

const partsIn = (content) => [content?.parts ?? []].flat();

export function question(body) {
  const users = body.contents.filter((content) => content.role !== 'model');
  const spoken = users.findLast((content) => partsIn(content).some((part) => part.text !== undefined));
  const config = body.generationConfig ?? {};
  const calling = body.toolConfig?.functionCallingConfig ?? {};
  const declarations = (body.tools ?? []).flatMap((tool) => tool.functionDeclarations ?? []);
  return {
    lastUser: textOf(partsIn(spoken)),
    toolResults: partsIn(body.contents.at(-1))
      .filter((part) => part.functionResponse)
      .map(({ functionResponse }) => ({ name: functionResponse.name, text: JSON.stringify(functionResponse.response) })),
    tools: declarations.map((tool) => ({ name: tool.name, schema: tool.parameters ?? tool.parametersJsonSchema })),
    toolChoice: { mode: { ANY: 'required', NONE: 'none' }[calling.mode] ?? 'auto', names: calling.allowedFunctionNames },
    parallel: true,
    reasoning: wantsThoughts(config.thinkingConfig) ? { budget: config.thinkingConfig.thinkingBudget } : null,
    output: config.responseMimeType === 'application/json' ? { schema: config.responseSchema ?? config.responseJsonSchema } : null,
    maxTokens: config.maxOutputTokens,
    stops: config.stopSequences,
    choices: config.candidateCount ?? 1,
    blocks: promptBlocks(body),
    caching: 'automatic',
  };
}

const wantsThoughts = (thinking) => thinking !== undefined && thinking.thinkingBudget !== 0 && (thinking.includeThoughts || thinking.thinkingBudget !== undefined || thinking.thinkingLevel !== undefined);

function promptBlocks(body) {
  const parts = [...partsIn(body.systemInstruction), ...body.contents.flatMap(partsIn)];
  const tools = body.tools ? [{ text: JSON.stringify(body.tools) }] : [];
  return [...tools, ...parts.map((part) => ({ text: part.text ?? JSON.stringify(part), tokens: flatTokens(part) }))];
}

function flatTokens(part) {
  const mime = part.inlineData?.mimeType ?? part.fileData?.mimeType;
  if (mime === undefined) return part.fileData ? DOCUMENT_TOKENS : undefined;
  return mime.startsWith('image/') ? IMAGE_TOKENS : DOCUMENT_TOKENS;
}

const FINISH = { stop: 'STOP', stop_sequence: 'STOP', length: 'MAX_TOKENS', tool_calls: 'STOP' };
const finishOf = (choice) => choice.nativeFinish ?? FINISH[choice.finish];

const ZERO = { input: 0, cacheRead: 0, output: 0, reasoning: 0 };

/** Gemini counts thoughts apart from candidates, and cached tokens inside the prompt. */
function usageOf(usage, how) {
  const { input, cacheRead, output, reasoning } = how.usage === 'zero' ? ZERO : usage;
  return {
    promptTokenCount: input,
    candidatesTokenCount: output - reasoning,
    totalTokenCount: input + output,
    ...(cacheRead > 0 && { cachedContentTokenCount: cacheRead, cacheTokensDetails: [{ modality: 'TEXT', tokenCount: cacheRead }] }),
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: input }],
    ...(reasoning > 0 && { thoughtsTokenCount: reasoning }),
  };
}

/** Thoughts go out only where asked; the first call, else the last text, carries the signature. */
function partsOf(choice, meta) {
  const shown = meta.body.generationConfig?.thinkingConfig?.includeThoughts === true;
  const thought = choice.parts.find((part) => part.kind === 'reasoning');
  const carrier = thought && (choice.parts.find((part) => part.kind === 'call') ?? choice.parts.findLast((part) => part.kind === 'text'));
  return choice.parts.flatMap((part, index) => {
    const signature = part === carrier ? { thoughtSignature: sign(name, thought.text) } : {};
    if (part.kind === 'reasoning') return shown ? [{ text: part.text, thought: true }] : [];
    if (part.kind === 'text') return [{ text: part.text, ...signature }];
    const id = meta.model.includes('gemini-2') ? {} : { id: `${meta.tag.slice(-6)}${String(index).padStart(2, '0')}` };
    return [{ functionCall: { name: part.name, args: part.args, ...id }, ...signature }];
  });
}

const tail = (meta) => ({ modelVersion: meta.model, responseId: `demo-${meta.tag}` });

export function renderJson(answer, meta, how) {
  const candidates = answer.choices.map((choice, index) => {
    const parts = partsOf(choice, meta);
    const called = choice.finish === 'tool_calls' ? { finishMessage: 'Model generated function call(s).' } : {};
    return { content: { ...(parts.length > 0 && { parts }), role: 'model' }, finishReason: finishOf(choice), index, ...called };
  });
  return JSON.stringify({ candidates, ...(how.usage !== 'none' && { usageMetadata: usageOf(answer.usage, how) }), ...tail(meta) }, null, 2);
}

/** The events of a stream, usage in each; `how.usage` is one of normal, none, zero, late (only in the last event), twice. */
export function renderStream(answer, meta, how) {
  const last = answer.choices.length - 1;
  const frames = answer.choices.flatMap((choice, index) => [
    ...partsOf(choice, meta).flatMap((part) => split(part, how)).map((part) => ({ kind: 'content', index, parts: [part] })),
    { kind: 'finish', index, parts: [{ text: '' }], finishReason: finishOf(choice), isLast: index === last },
  ]);
  const events = frames.map(({ kind, index, parts, finishReason, isLast }, at) => {
    const usage = isLast ? answer.usage : partial(answer.usage, at + 1, frames.length);
    const silent = how.usage === 'none' || (how.usage === 'late' && !isLast);
    const candidate = { content: { parts, role: 'model' }, ...(finishReason && { finishReason }), index };
    return event(kind, { candidates: [candidate], ...(!silent && { usageMetadata: usageOf(usage, how) }), ...tail(meta) }, undefined, how.usage === 'late' && isLast ? LATE_USAGE_MS : undefined);
  });
  if (how.usage === 'twice') events.push({ ...events.at(-1), kind: 'usage' });
  return events;
}

/** An event without content, as some models open with. */
export const preamble = (meta) => event('preamble', { candidates: [{ content: { parts: [{ text: '' }], role: 'model' }, index: 0 }], ...tail(meta) });

/** Usage so far: cumulative, as every chunk of the real stream reports it. */
function partial(usage, done, all) {
  const share = (count) => Math.floor((count * done) / all);
  const reasoning = Math.min(usage.reasoning, share(usage.output));
  return { ...usage, output: share(usage.output), reasoning };
}

/** A signature comes on an empty part of its own after the text it belongs to. */
function split(part, how) {
  if (part.text === undefined) return [part];
  const { text, thoughtSignature, ...rest } = part;
  const texts = pieces(text, how.whole).map((piece) => ({ text: piece, ...rest }));
  return thoughtSignature ? [...texts, { text: '', thoughtSignature }] : texts;
}

const STATUS = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

export function errorBody(status, message, details = {}) {
  const reason = details.reason && [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: details.reason, domain: 'googleapis.com', metadata: { service: 'generativelanguage.googleapis.com' } }];
  const violations = details.field !== undefined && [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field: details.field, description: message }] }];
  const extra = reason || violations;
  return JSON.stringify({ error: { code: status, message, status: STATUS[status] ?? 'UNKNOWN', ...(extra && { details: extra }) } }, null, 2);
}

export const errorEvent = () => event('error', { error: { code: 503, message: 'The model is overloaded. Please try again later.', status: 'UNAVAILABLE' } });

export const responseHeaders = () => ({ 'server-timing': 'gfet4t7; dur=1', vary: 'Origin, X-Origin, Referer' });

/** Google ends its event lines with CRLF. */
export const newline = '\r\n';
