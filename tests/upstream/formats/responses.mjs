// OpenAI's Responses: routes, questions, answers, streams and errors as api.openai.com writes them. Reasoning comes as a summary
// with sealed content, which is checked when it comes back.

import { sign } from '../signature.mjs';
import { DOCUMENT_TOKENS, IMAGE_TOKENS } from '../tokens.mjs';
import { byChars, event, pieces, textOf } from './common.mjs';
import { check } from './checks/responses.mjs';
import { authenticate, errorBody, responseHeaders } from './openai.mjs';

export const name = 'responses';
export { authenticate, check, errorBody, responseHeaders };

/** What the path says, or null when it is not of this format. */
export function route(path) {
  const found = /^(.*)\/responses(?:\/v1)?\/responses$/.exec(path);
  return found && { prefix: `${found[1]}/responses` };
}

export const requested = (body) => ({ model: body.model, stream: body.stream === true });

const itemsOf = (input) => (typeof input === 'string' ? [{ role: 'user', content: input }] : input);
const isSaid = (item) => ['reasoning', 'function_call', 'custom_tool_call'].includes(item.type) || item.role === 'assistant';

export function question(body) {
  const items = itemsOf(body.input);
  const calls = new Map(items.filter((item) => item.call_id && item.name).map((item) => [item.call_id, item.name]));
  const results = items.slice(items.findLastIndex(isSaid) + 1).filter((item) => item.type?.endsWith('_output'));
  return {
    lastUser: textOf(items.findLast((item) => item.role === 'user')?.content ?? ''),
    toolResults: results.map((item) => ({ name: calls.get(item.call_id), text: textOf(item.output) })),
    tools: (body.tools ?? []).map((tool) => ({ name: tool.name, schema: tool.parameters ?? { type: 'object', properties: {} }, isCustom: tool.type === 'custom' })),
    toolChoice: typeof body.tool_choice === 'object' && body.tool_choice ? { mode: 'named', names: [body.tool_choice.name] } : { mode: body.tool_choice ?? 'auto' },
    parallel: body.parallel_tool_calls !== false,
    reasoning: body.reasoning && (body.reasoning.effort ?? 'none') !== 'none' ? {} : null,
    output: outputOf(body.text?.format),
    maxTokens: body.max_output_tokens,
    stops: [],
    blocks: [...(body.tools ? [{ text: JSON.stringify(body.tools) }] : []), { text: body.instructions ?? '' }, ...items.flatMap(blocks)],
    caching: 'automatic',
  };
}

function outputOf(format) {
  if (format?.type === 'json_schema') return { schema: format.schema };
  return format?.type === 'json_object' ? {} : null;
}

function blocks(item) {
  const parts = Array.isArray(item.content) ? item.content : [{ text: typeof item.content === 'string' ? item.content : JSON.stringify(item) }];
  return parts.map((part) => ({ text: part.text ?? JSON.stringify(part), tokens: { input_image: IMAGE_TOKENS, input_file: DOCUMENT_TOKENS }[part.type] }));
}

function usageOf(answer, how) {
  const usage = how.usage === 'zero' ? { input: 0, cacheRead: 0, output: 0, reasoning: 0 } : answer.usage;
  return {
    input_tokens: usage.input,
    input_tokens_details: { cached_tokens: usage.cacheRead },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.input + usage.output,
  };
}

/** The output items of an answer. */
function itemsFor(answer, meta) {
  const tag = (index) => `${meta.tag}${String(index).padStart(2, '0')}`;
  const isCustom = (name) => (meta.body.tools ?? []).some((tool) => tool.type === 'custom' && tool.name === name);
  return answer.choices[0].parts.map((part, index) => {
    if (part.kind === 'reasoning') {
      const summary = meta.body.reasoning?.summary ? [{ type: 'summary_text', text: part.text }] : [];
      const sealed = meta.body.include?.includes('reasoning.encrypted_content');
      return { id: `rs_${tag(index)}`, type: 'reasoning', summary, ...(sealed && { encrypted_content: sign(name, part.text) }) };
    }
    if (part.kind === 'text') {
      return { id: `msg_${tag(index)}`, type: 'message', status: 'completed', role: 'assistant', content: [{ type: 'output_text', annotations: [], logprobs: [], text: part.text }] };
    }
    const call = { status: 'completed', call_id: `call_${tag(index)}`, name: part.name };
    if (isCustom(part.name)) return { id: `ctc_${tag(index)}`, type: 'custom_tool_call', ...call, input: JSON.stringify(part.args) };
    return { id: `fc_${tag(index)}`, type: 'function_call', ...call, arguments: JSON.stringify(part.args) };
  });
}

function response(meta, fields) {
  return { id: `resp_${meta.tag}`, object: 'response', created_at: meta.created, status: 'in_progress', error: null, incomplete_details: null, model: meta.model, output: [], parallel_tool_calls: true, service_tier: 'auto', store: false, usage: null, ...fields };
}

function ended(answer, meta, how) {
  const isCut = answer.choices[0].finish === 'length';
  return response(meta, {
    status: isCut ? 'incomplete' : 'completed',
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    output: itemsFor(answer, meta),
    service_tier: how.tier ?? 'default',
    ...(how.usage !== 'none' && { usage: usageOf(answer, how) }),
  });
}

export const renderJson = (answer, meta, how) => JSON.stringify(ended(answer, meta, how));

/** The events of a stream; `how.usage` is one of normal, none, zero. */
export function renderStream(answer, meta, how) {
  let next = 0;
  const named = (kind, type, fields) => event(kind, { type, sequence_number: next++, ...fields }, type);
  const events = ['response.created', 'response.in_progress'].map((type) => named('preamble', type, { response: response(meta) }));
  itemsFor(answer, meta).forEach((item, index) => events.push(...itemEvents(item, index, named, how)));
  const end = ended(answer, meta, how);
  events.push(named('done', `response.${end.status}`, { response: end }));
  return events;
}

function itemEvents(item, index, named, how) {
  const place = { item_id: item.id, output_index: index };
  const events = [named('frame', 'response.output_item.added', { output_index: index, item: emptied(item) })];
  const grow = (type, list, fields = {}) => events.push(...list.map((delta) => named('content', type, { ...place, ...fields, delta })));
  if (item.type === 'message') {
    const [part] = item.content;
    const at = { content_index: 0 };
    events.push(named('frame', 'response.content_part.added', { ...place, ...at, part: { ...part, text: '' } }));
    grow('response.output_text.delta', pieces(part.text, how.whole), { ...at, logprobs: [] });
    events.push(named('frame', 'response.output_text.done', { ...place, ...at, text: part.text, logprobs: [] }));
    events.push(named('frame', 'response.content_part.done', { ...place, ...at, part }));
  } else if (item.type === 'reasoning') {
    item.summary.forEach((part, summary) => {
      const at = { summary_index: summary };
      events.push(named('frame', 'response.reasoning_summary_part.added', { ...place, ...at, part: { ...part, text: '' } }));
      grow('response.reasoning_summary_text.delta', pieces(part.text, how.whole), at);
      events.push(named('frame', 'response.reasoning_summary_text.done', { ...place, ...at, text: part.text }));
      events.push(named('frame', 'response.reasoning_summary_part.done', { ...place, ...at, part }));
    });
  } else if (item.type === 'function_call') {
    grow('response.function_call_arguments.delta', byChars(item.arguments, 8));
    events.push(named('frame', 'response.function_call_arguments.done', { ...place, arguments: item.arguments }));
  } else {
    grow('response.custom_tool_call_input.delta', byChars(item.input, 8));
    events.push(named('frame', 'response.custom_tool_call_input.done', { ...place, input: item.input }));
  }
  return [...events, named('frame', 'response.output_item.done', { output_index: index, item })];
}

function emptied(item) {
  if (item.type === 'message') return { ...item, status: 'in_progress', content: [] };
  if (item.type === 'reasoning') return { id: item.id, type: item.type, summary: [] };
  return { ...item, status: 'in_progress', ...(item.type === 'function_call' ? { arguments: '' } : { input: '' }) };
}

export const errorEvent = () =>
  event('error', { type: 'error', sequence_number: 2, error: { type: 'server_error', code: 'server_error', message: 'The server had an error while processing your request. Sorry about that!', param: null } }, 'error');

export const newline = '\n';
