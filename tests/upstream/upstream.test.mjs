// The local upstream speaks three formats as their real APIs do: answers, tools, reasoning, limits, usage and caches.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FORMATS, ask, bodyOf, send } from './harness.mjs';
import { startUpstream } from './upstream.mjs';

let upstream;
before(async () => (upstream = await startUpstream({ eventDelayMs: 0 })));
after(() => upstream.close());
beforeEach(() => upstream.reset());

const WEATHER = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 7 } }, required: ['city', 'days'] };
const TOOLS = {
  openai: { tools: [{ type: 'function', function: { name: 'get_weather', parameters: WEATHER } }, { type: 'function', function: { name: 'get_time' } }] },
  anthropic: { tools: [{ name: 'get_weather', input_schema: WEATHER }, { name: 'get_time', input_schema: { type: 'object' } }] },
  gemini: { tools: [{ functionDeclarations: [{ name: 'get_weather', parameters: WEATHER }, { name: 'get_time' }] }] },
};
const REASONING = {
  openai: { reasoning_effort: 'low' },
  anthropic: { thinking: { type: 'enabled', budget_tokens: 1024 } },
  gemini: { generationConfig: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } },
};
const limits = {
  openai: (most, stop) => ({ ...(most && { max_tokens: most }), ...(stop && { stop: [stop] }) }),
  anthropic: (most, stop) => ({ ...(most && { max_tokens: most }), ...(stop && { stop_sequences: [stop] }) }),
  gemini: (most, stop) => ({ generationConfig: { ...(most && { maxOutputTokens: most }), ...(stop && { stopSequences: [stop] }) } }),
};
const totals = {
  openai: (usage) => ({ input: usage.prompt_tokens, output: usage.completion_tokens, reasoning: usage.completion_tokens_details.reasoning_tokens }),
  anthropic: (usage) => ({
    input: usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
    output: usage.output_tokens,
    reasoning: usage.output_tokens_details?.thinking_tokens,
  }),
  gemini: (usage) => ({ input: usage.promptTokenCount, output: usage.totalTokenCount - usage.promptTokenCount, reasoning: usage.thoughtsTokenCount ?? 0 }),
};

for (const format of FORMATS) {
  for (const stream of [false, true]) {
    describe(`${format}, ${stream ? 'streamed' : 'in one piece'}`, () => {
      test('says that it is the demo and echoes the user', async () => {
        const { answer } = await ask(upstream, format, { stream, text: 'Grüße, 世界' });
        assert.match(answer.text, /local demo upstream/);
        assert.match(answer.text, /Grüße, 世界/);
        const [entry] = upstream.requests();
        const { input, output } = totals[format](answer.usage);
        assert.deepEqual({ input, output }, { input: entry.usage.input, output: entry.usage.output });
        assert.equal(entry.finished, true);
        assert.equal(entry.aborted, false);
      });

      test('calls the tools that the user names, in parallel, with arguments that fit the schema', async () => {
        const { answer } = await ask(upstream, format, { stream, text: 'Please get_weather in Paris for 3 days and get_time.', ...TOOLS[format] });
        assert.deepEqual(answer.calls.map(({ name, args }) => ({ name, args })), [
          { name: 'get_weather', args: { city: 'Paris', days: 3 } },
          { name: 'get_time', args: {} },
        ]);
        assert.equal(answer.finish, { openai: 'tool_calls', anthropic: 'tool_use', gemini: 'STOP' }[format]);
      });

      test('reasons where asked, and counts it', async () => {
        const { answer } = await ask(upstream, format, { stream, ...REASONING[format] });
        assert.match(answer.reasoning, /last user message/);
        assert.equal(upstream.requests()[0].usage.reasoning, Math.ceil(answer.reasoning.length / 4));
        if (format !== 'openai') assert.ok(answer.signature);
      });

      test('stops at the token limit and at stop sequences', async () => {
        const short = await ask(upstream, format, { stream, text: 'Count to 50', ...limits[format](5) });
        assert.equal(short.answer.text, '1, 2, 3, 4, 5, 6, 7,');
        assert.equal(short.answer.finish, { openai: 'length', anthropic: 'max_tokens', gemini: 'MAX_TOKENS' }[format]);
        const stopped = await ask(upstream, format, { stream, text: 'Count to 9', ...limits[format](100, ', 4') });
        assert.equal(stopped.answer.text, '1, 2, 3');
        assert.equal(stopped.answer.finish, { openai: 'stop', anthropic: 'stop_sequence', gemini: 'STOP' }[format]);
      });

      test('usage can be fixed from the model’s name', async () => {
        const model = 'usage-in1000-out50-read200-think20';
        const { answer } = await ask(upstream, format, { stream, model });
        const { input, output } = totals[format](answer.usage);
        assert.deepEqual({ input, output }, { input: 1000, output: 50 });
        const cached = { openai: (usage) => usage.prompt_tokens_details.cached_tokens, anthropic: (usage) => usage.cache_read_input_tokens, gemini: (usage) => usage.cachedContentTokenCount };
        assert.equal(cached[format](answer.usage), 200);
      });

      test('a bad key is refused in the API’s own envelope', async () => {
        const wrong = { openai: { authorization: 'Bearer wrong' }, anthropic: { 'x-api-key': 'wrong', 'anthropic-version': '2023-06-01' }, gemini: { 'x-goog-api-key': 'wrong' } };
        const refused = await ask(upstream, format, { stream, headers: wrong[format] });
        assert.equal(refused.status, { openai: 401, anthropic: 401, gemini: 400 }[format]);
        const kind = { openai: (body) => body.error.code, anthropic: (body) => body.error.type, gemini: (body) => body.error.details[0].reason };
        assert.equal(kind[format](refused.error), { openai: 'invalid_api_key', anthropic: 'authentication_error', gemini: 'API_KEY_INVALID' }[format]);
        assert.ok((await ask(upstream, format, { stream, headers: {} })).status >= 401);
      });
    });
  }
}

test('structured output fits its schema', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' }, tags: { type: 'array', items: { enum: ['a', 'b'] } } }, required: ['name', 'tags'], additionalProperties: false };
  const plain = { type: 'OBJECT', properties: { name: { type: 'STRING' }, tags: { type: 'ARRAY', items: { type: 'STRING', enum: ['a', 'b'] } } }, required: ['name', 'tags'] };
  const asks = {
    openai: { response_format: { type: 'json_schema', json_schema: { name: 'thing', strict: true, schema } } },
    anthropic: { output_config: { format: { type: 'json_schema', schema } } },
    gemini: { generationConfig: { responseMimeType: 'application/json', responseSchema: plain } },
  };
  for (const format of FORMATS) {
    const { answer } = await ask(upstream, format, { text: 'A thing for Ada', ...asks[format] });
    assert.deepEqual(JSON.parse(answer.text), { name: 'Ada', tags: ['a'] });
  }
});

test('a tool loop ends: results are answered with text', async () => {
  const chat = await ask(upstream, 'openai', { text: 'use get_time', ...TOOLS.openai });
  const { message } = chat.answered.choices[0];
  const messages = [{ role: 'user', content: 'use get_time' }, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'noon' }];
  const next = await ask(upstream, 'openai', { body: { ...bodyOf('openai'), messages, ...TOOLS.openai } });
  assert.match(next.answer.text, /get_time → noon/);
});

test('Anthropic: signed thinking goes round, a foreign signature does not (P81, P87)', async () => {
  const options = { text: 'use get_time', ...TOOLS.anthropic, ...REASONING.anthropic };
  const { answered } = await ask(upstream, 'anthropic', options);
  const turn = (content) => ({
    ...bodyOf('anthropic', options),
    messages: [
      { role: 'user', content: 'use get_time' },
      { role: 'assistant', content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: answered.content.at(-1).id, content: 'noon' }] },
    ],
  });
  assert.match((await ask(upstream, 'anthropic', { body: turn(answered.content) })).answer.text, /noon/);
  const forged = answered.content.map((block) => (block.type === 'thinking' ? { ...block, signature: 'Zm9yZWlnbg==' } : block));
  assert.match((await ask(upstream, 'anthropic', { body: turn(forged) })).error.error.message, /Invalid `signature`/);
  const bare = answered.content.filter((block) => block.type !== 'thinking');
  assert.match((await ask(upstream, 'anthropic', { body: turn(bare) })).error.error.message, /Expected `thinking`/);
});

test('Anthropic: a marked prefix is written once and read afterwards', async () => {
  const system = [{ type: 'text', text: 'Be brief. '.repeat(400), cache_control: { type: 'ephemeral', ttl: '1h' } }];
  const usages = [];
  for (const text of ['one', 'two']) usages.push((await ask(upstream, 'anthropic', { text, system })).answer.usage);
  assert.equal(usages[0].cache_creation_input_tokens, 1000);
  assert.equal(usages[0].cache_creation.ephemeral_1h_input_tokens, 1000);
  assert.deepEqual([usages[0].cache_read_input_tokens, usages[1].cache_read_input_tokens], [0, 1000]);
  assert.deepEqual([usages[1].cache_creation_input_tokens, usages[1].input_tokens], [0, 1]);
});

test('OpenAI and Gemini: a long prefix is read from their automatic cache', async () => {
  const long = 'word '.repeat(2000);
  const messages = (text) => [{ role: 'system', content: long }, { role: 'user', content: text }];
  const contents = (text) => ({ systemInstruction: { parts: [{ text: long }] }, contents: [{ role: 'user', parts: [{ text }] }] });
  const read = [];
  for (const text of ['one', 'two']) {
    read.push((await ask(upstream, 'openai', { body: { model: 'demo', messages: messages(text) } })).answer.usage.prompt_tokens_details.cached_tokens);
    read.push((await ask(upstream, 'gemini', { body: contents(text) })).answer.usage.cachedContentTokenCount ?? 0);
  }
  assert.deepEqual(read, [0, 0, 2432, 2432]);
});

test('OpenAI: usage only where the stream asks for it; several choices', async () => {
  const silent = await ask(upstream, 'openai', { stream: true, body: { ...bodyOf('openai', { stream: true }), stream_options: undefined } });
  assert.equal(silent.answer.usage, undefined);
  const three = await ask(upstream, 'openai', { n: 3 });
  assert.deepEqual(three.answered.choices.map((choice) => choice.index), [0, 1, 2]);
});

test('Gemini: without alt=sse a stream is one JSON array; snake case is understood', async () => {
  const response = await fetch(`${upstream.url}/gemini/v1beta/models/demo:streamGenerateContent`, {
    method: 'POST',
    headers: { 'x-goog-api-key': 'demo-key' },
    body: JSON.stringify({ generation_config: { max_output_tokens: 3 }, contents: [{ parts: [{ text: 'Count to 9' }] }] }),
  });
  const items = await response.json();
  assert.equal(items.at(-1).candidates[0].finishReason, 'MAX_TOKENS');
});

test('the record holds the request, its prefix and its headers, and forgets on reset', async () => {
  await ask(upstream, 'openai', { prefix: '/p/acme' });
  await ask(upstream, 'anthropic');
  const entries = upstream.requests({ prefix: '/p/acme' });
  assert.equal(entries.length, 1);
  assert.equal(entries[0].prefix, '/p/acme/openai');
  assert.equal(entries[0].headers.authorization, 'Bearer demo-key');
  assert.equal(entries[0].body.messages[0].content, 'Hello');
  const control = await (await fetch(`${upstream.url}/__control/requests?prefix=/anthropic`)).json();
  assert.equal(control.requests.length, 1);
  await fetch(`${upstream.url}/__control/reset`, { method: 'POST' });
  assert.equal(upstream.requests().length, 0);
});

test('a large body is recorded by its digest', async () => {
  await ask(upstream, 'openai', { text: 'x'.repeat(300_000) });
  const [entry] = upstream.requests();
  assert.equal(entry.body, null);
  assert.equal(entry.bodySha256.length, 64);
  assert.ok(entry.bodyBytes > 300_000);
});

test('an unknown path and an unknown model are told apart', async () => {
  assert.equal((await fetch(`${upstream.url}/openai/v1/nothing`, { method: 'POST' })).status, 404);
  const absent = await ask(upstream, 'openai', { model: 'missing-model' });
  assert.equal(absent.error.error.code, 'model_not_found');
  assert.equal((await send(upstream, 'openai', { model: 'fault-nonsense' })).status, 418);
});

test('the command line says where it listens, and ends when told', async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.mjs', import.meta.url)), '--event-delay', '0']);
  const [line] = await once(child.stdout, 'data');
  const { ready, port } = JSON.parse(line);
  assert.equal(ready, true);
  assert.equal((await ask({ url: `http://127.0.0.1:${port}` }, 'openai')).status, 200);
  const busy = spawn(process.execPath, [fileURLToPath(new URL('main.mjs', import.meta.url)), '--port', String(port)]);
  const [message] = await once(busy.stderr, 'data');
  assert.match(String(message), /^local upstream: .*EADDRINUSE/);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});
