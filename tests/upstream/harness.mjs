// What the tests of the local upstream share: one request per format in its native spelling, and a reader of its streams.

export const KEYS = {
  openai: { authorization: 'Bearer demo-key' },
  anthropic: { 'x-api-key': 'demo-key', 'anthropic-version': '2023-06-01' },
  gemini: { 'x-goog-api-key': 'demo-key' },
};

export const FORMATS = Object.keys(KEYS);

/** A minimal native body that asks for `text`. */
export const bodyOf = (format, { model = 'demo', text = 'Hello', stream = false, ...more } = {}) =>
  ({
    openai: () => ({ model, messages: [{ role: 'user', content: text }], stream, ...(stream && { stream_options: { include_usage: true } }), ...more }),
    anthropic: () => ({ model, max_tokens: 4000, messages: [{ role: 'user', content: text }], stream, ...more }),
    gemini: () => ({ contents: [{ role: 'user', parts: [{ text }] }], ...more }),
  })[format]();

export function pathOf(format, { model = 'demo', stream = false, prefix = '' } = {}) {
  if (format === 'openai') return `${prefix}/openai/v1/chat/completions`;
  if (format === 'anthropic') return `${prefix}/anthropic/v1/messages`;
  const method = stream ? 'streamGenerateContent?alt=sse' : 'generateContent';
  return `${prefix}/gemini/v1beta/models/${encodeURIComponent(model)}:${method}`;
}

/** Sends a request; `headers` and `signal` are optional. */
export function send(upstream, format, { headers = KEYS[format], signal, body, prefix, ...ask } = {}) {
  return fetch(upstream.url + pathOf(format, { ...ask, prefix }), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body ?? bodyOf(format, ask)),
    signal,
  });
}

/** The events of a server-sent stream: `{event?, data}`; `data` parsed where it is JSON. */
export function parseEvents(text) {
  return text
    .split(/\r\n\r\n|\n\n|\r\r/)
    .map((block) => block.split(/\r\n|\n|\r/).filter((line) => line && !line.startsWith(':')))
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, '')).join('\n');
      const data = field('data');
      return { event: field('event') || undefined, data: data.startsWith('{') ? JSON.parse(data) : data };
    });
}

/** The text, reasoning, calls, finish and usage of a stream or an answer, whatever its format. */
export function summary(format, answered) {
  return { openai: ofOpenai, anthropic: ofAnthropic, gemini: ofGemini }[format](answered);
}

const join = (list) => list.filter(Boolean).join('');

function ofOpenai(answered) {
  if (!Array.isArray(answered)) {
    const [{ message, finish_reason: finish }] = answered.choices;
    const calls = (message.tool_calls ?? []).map((call) => ({ name: call.function.name, args: JSON.parse(call.function.arguments) }));
    return { text: message.content ?? '', reasoning: message.reasoning_content ?? '', calls, finish, usage: answered.usage };
  }
  const chunks = answered.map((each) => each.data).filter((data) => data.choices);
  const deltas = chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.delta));
  const calls = [];
  for (const call of deltas.flatMap((delta) => delta.tool_calls ?? [])) {
    calls[call.index] ??= { name: call.function.name, json: '' };
    calls[call.index].json += call.function.arguments;
  }
  return {
    text: join(deltas.map((delta) => delta.content)),
    reasoning: join(deltas.map((delta) => delta.reasoning_content)),
    calls: calls.map(({ name, json }) => ({ name, args: JSON.parse(json) })),
    finish: chunks.flatMap((chunk) => chunk.choices).find((choice) => choice.finish_reason)?.finish_reason,
    usage: chunks.findLast((chunk) => chunk.usage)?.usage,
  };
}

function ofAnthropic(answered) {
  const events = Array.isArray(answered) ? answered.map((each) => each.data) : null;
  const blocks = events ? [] : answered.content;
  for (const data of events ?? []) {
    if (data.type === 'content_block_start') blocks[data.index] = { ...data.content_block, json: '' };
    if (data.type !== 'content_block_delta') continue;
    const { delta } = data;
    const block = blocks[data.index];
    if (delta.type === 'text_delta') block.text += delta.text;
    if (delta.type === 'thinking_delta') block.thinking += delta.thinking;
    if (delta.type === 'signature_delta') block.signature = delta.signature;
    if (delta.type === 'input_json_delta') block.json += delta.partial_json;
  }
  const end = events?.find((data) => data.type === 'message_delta');
  return {
    text: join(blocks.map((block) => block.text)),
    reasoning: join(blocks.map((block) => block.thinking)),
    signature: blocks.find((block) => block.signature)?.signature,
    calls: blocks.filter((block) => block.type === 'tool_use').map((block) => ({ name: block.name, id: block.id, args: events ? JSON.parse(block.json || '{}') : block.input })),
    finish: events ? end?.delta.stop_reason : answered.stop_reason,
    usage: events ? end?.usage : answered.usage,
  };
}

function ofGemini(answered) {
  const chunks = Array.isArray(answered) ? answered.map((each) => each.data) : [answered];
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
  return {
    text: join(parts.filter((part) => !part.thought).map((part) => part.text)),
    reasoning: join(parts.filter((part) => part.thought).map((part) => part.text)),
    signature: parts.find((part) => part.thoughtSignature)?.thoughtSignature,
    calls: parts.filter((part) => part.functionCall).map(({ functionCall }) => ({ name: functionCall.name, args: functionCall.args })),
    finish: chunks.findLast((chunk) => chunk.candidates?.[0]?.finishReason)?.candidates[0].finishReason,
    usage: chunks.findLast((chunk) => chunk.usageMetadata)?.usageMetadata,
  };
}

/** Sends and reads: `{status, answer (summary), raw}`. */
export async function ask(upstream, format, options = {}) {
  const response = await send(upstream, format, options);
  const raw = await response.text();
  if (response.status !== 200) return { status: response.status, error: JSON.parse(raw), raw };
  const answered = options.stream ? parseEvents(raw) : JSON.parse(raw);
  return { status: 200, answer: summary(format, answered), answered, raw };
}
