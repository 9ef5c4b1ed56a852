// What the real APIs refuse is refused here, with their words; what they were recorded to accept is accepted.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as anthropic from './formats/anthropic.mjs';
import * as gemini from './formats/gemini.mjs';
import * as openai from './formats/openai.mjs';
import { ask, bodyOf } from './harness.mjs';
import { sharedFixtures, startUpstream } from './upstream.mjs';

let upstream;
before(async () => (upstream = await startUpstream({ eventDelayMs: 0 })));
after(() => upstream.close());

const user = (content) => ({ role: 'user', content });
const call = (id, name = 'f') => ({ id, type: 'function', function: { name, arguments: '{}' } });
const use = (id, name = 'f') => ({ type: 'tool_use', id, name, input: {} });
const result = (id) => ({ type: 'tool_result', tool_use_id: id, content: 'ok' });
const part = (...parts) => ({ role: 'user', parts });
const model = (...parts) => ({ role: 'model', parts });
const functionCall = (name) => ({ functionCall: { name, args: {} } });
const functionResponse = (name, response = {}) => ({ functionResponse: { name, response } });
const withParameters = (parameters) => ({ tools: [{ functionDeclarations: [{ name: 'f', parameters }] }] });

/** [what is wrong, the fields that replace those of a good body, what the message says] */
const REFUSED = {
  openai: [
    ['a gateway’s own field', { provider: { order: ['x'] } }, /Unknown parameter: 'provider'/],
    ['a list of models', { models: ['a', 'b'] }, /Unknown parameter: 'models'/],
    ['plugins', { plugins: [] }, /Unknown parameter: 'plugins'/],
    ['reasoning details in the history', { messages: [user('a'), { role: 'assistant', content: 'b', reasoning_details: [] }] }, /messages\[1\]\.reasoning_details/],
    ['no messages', { messages: [] }, /empty array/],
    ['a tool message without its call', { messages: [user('a'), { role: 'tool', tool_call_id: 'x', content: 'y' }] }, /must be a response to a preceeding message/],
    ['a call without its result', { messages: [user('a'), { role: 'assistant', content: null, tool_calls: [call('c1'), call('c2')] }, { role: 'tool', tool_call_id: 'c1', content: '1' }, user('b')] }, /did not have response messages: c2/],
    ['arguments that are no string', { messages: [user('a'), { role: 'assistant', tool_calls: [{ ...call('c1'), function: { name: 'f', arguments: {} } }] }] }, /arguments/],
    ['an assistant turn of nothing', { messages: [user('a'), { role: 'assistant', content: null }, user('b')] }, /got null/],
    ['an empty tool list', { tools: [] }, /Invalid 'tools': empty array/],
    ['a tool choice without tools', { tool_choice: 'auto' }, /only allowed when 'tools'/],
    ['a choice of an unknown tool', { tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: { type: 'function', function: { name: 'g' } } }, /not found/],
    ['an open schema in strict mode', { tools: [{ type: 'function', function: { name: 'f', strict: true, parameters: { type: 'object', properties: {} } } }] }, /additionalProperties/],
    ['stream options without a stream', { stream_options: { include_usage: true } }, /only allowed when 'stream'/],
    ['five stop sequences', { stop: ['a', 'b', 'c', 'd', 'e'] }, /array too long/],
    ['JSON mode without the word', { response_format: { type: 'json_object' } }, /must contain the word 'json'/],
    ['an Anthropic image block', { messages: [user([{ type: 'image', source: {} }])] }, /Supported values are: 'text', 'image_url'/],
  ],
  anthropic: [
    ['no max_tokens', { max_tokens: undefined }, /max_tokens: Field required/],
    ['an OpenAI field', { frequency_penalty: 1 }, /frequency_penalty: Extra inputs are not permitted/],
    ['a system message', { messages: [{ role: 'system', content: 'x' }, user('a')] }, /Unexpected role "system"/],
    ['an assistant first', { messages: [{ role: 'assistant', content: 'x' }, user('a')] }, /first message must use the "user" role/],
    ['an empty text block (P96)', { messages: [user('a'), { role: 'assistant', content: [{ type: 'text', text: '' }, use('t1')] }, user([result('t1')])] }, /text content blocks must be non-empty/],
    ['an empty message', { messages: [user('')] }, /non-empty content/],
    ['a dot in a tool id (P69)', { messages: [user('a'), { role: 'assistant', content: [use('call.1')] }, user([result('call.1')])] }, /should match pattern/],
    ['parallel results in turns of their own (P64)', { messages: [user('a'), { role: 'assistant', content: [use('t1'), use('t2')] }, user([result('t1')]), user([result('t2')])] }, /without `tool_result` blocks immediately after: t2/],
    ['text before the results', { messages: [user('a'), { role: 'assistant', content: [use('t1')] }, user([{ type: 'text', text: 'b' }, result('t1')])] }, /immediately after: t1/],
    ['a result without its call', { messages: [user('a'), { role: 'assistant', content: 'b' }, user([result('t1')])] }, /unexpected `tool_use_id`/],
    ['input that is text', { messages: [user('a'), { role: 'assistant', content: [{ ...use('t1'), input: '{}' }] }, user([result('t1')])] }, /valid dictionary/],
    ['an unknown field in a block', { messages: [user([{ type: 'text', text: 'a', index: 0 }])] }, /Extra inputs/],
    ['a budget as large as the limit (P89)', { thinking: { type: 'enabled', budget_tokens: 4000 } }, /must be greater than `thinking.budget_tokens`/],
    ['a small budget', { thinking: { type: 'enabled', budget_tokens: 100 } }, /greater than or equal to 1024/],
    ['thinking with a temperature', { thinking: { type: 'enabled', budget_tokens: 1024 }, temperature: 0.5 }, /may only be set to 1/],
    ['thinking with a forced tool', { thinking: { type: 'enabled', budget_tokens: 1024 }, tools: [{ name: 'f', input_schema: { type: 'object' } }], tool_choice: { type: 'any' } }, /forces tool use/],
    ['a hot temperature', { temperature: 1.5 }, /range: 0\.\.1/],
    ['five cache markers', { system: Array.from({ length: 5 }, () => ({ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } })) }, /Found 5/],
    ['a tool of OpenAI’s shape', { tools: [{ type: 'function', function: { name: 'f' } }] }, /tools\.0: Input tag 'function'/],
    ['a tool choice as text', { tools: [{ name: 'f', input_schema: { type: 'object' } }], tool_choice: 'auto' }, /tool_choice/],
    ['an open output schema', { output_config: { format: { type: 'json_schema', schema: { type: 'object', properties: {} } } } }, /additionalProperties/],
  ],
  gemini: [
    ['an unknown field', { max_tokens: 5 }, /Unknown name "max_tokens"/],
    ['an unknown setting', { generationConfig: { maxTokens: 5 } }, /at 'generation_config'/],
    ['a $ref (P74)', withParameters({ type: 'object', properties: { a: { $ref: '#/$defs/A' } } }), /Unknown name "\$ref" at 'tools\[0\]\.function_declarations\[0\]\.parameters\.properties\[0\]\.value'/],
    ['additionalProperties (P74)', withParameters({ type: 'object', properties: {}, additionalProperties: false }), /Unknown name "additionalProperties"/],
    ['a list of types (P74)', withParameters({ type: 'object', properties: { a: { type: ['string', 'null'] } } }), /cannot start list/],
    ['required without a property', withParameters({ type: 'object', properties: {}, required: ['a'] }), /property is not defined/],
    ['no contents', { contents: [] }, /contents is not specified/],
    ['empty parts', { contents: [part()] }, /parts must not be empty/],
    ['OpenAI’s roles', { contents: [{ role: 'assistant', parts: [{ text: 'a' }] }] }, /valid role: user, model/],
    ['a response without its name', { contents: [part({ text: 'a' }), model(functionCall('f')), part(functionResponse(''))] }, /Name cannot be empty/],
    ['a response of another name (P66)', { contents: [part({ text: 'a' }), model(functionCall('f')), part(functionResponse('g'))] }, /does not match/],
    ['a missing response', { contents: [part({ text: 'a' }), model(functionCall('f'), functionCall('g')), part(functionResponse('f'))] }, /number of function response parts/],
    ['a response without a call', { contents: [part({ text: 'a' }), part(functionResponse('f'))] }, /immediately after a function call turn/],
    ['a response that is text', { contents: [part({ text: 'a' }), model(functionCall('f')), part(functionResponse('f', 'x'))] }, /google\.protobuf\.Struct/],
    ['a foreign signature (P87)', { contents: [part({ text: 'a' }), model({ text: 'b', thoughtSignature: 'Zm9yZWlnbg==' }), part({ text: 'c' })] }, /Corrupted thought signature/],
    ['a schema without its mime type', { generationConfig: { responseSchema: { type: 'OBJECT' } } }, /response_mime_type/],
    ['budget and level', { generationConfig: { thinkingConfig: { thinkingBudget: 1, thinkingLevel: 'low' } } }, /only one of thinking budget and thinking level/],
    ['names allowed in mode AUTO', { ...withParameters({ type: 'OBJECT' }), toolConfig: { functionCallingConfig: { mode: 'AUTO', allowedFunctionNames: ['f'] } } }, /mode is ANY/],
  ],
};

for (const [format, cases] of Object.entries(REFUSED)) {
  describe(`${format} refuses`, () => {
    for (const [what, fields, message] of cases) {
      test(what, async () => {
        const { status, error } = await ask(upstream, format, { body: { ...bodyOf(format), ...fields } });
        assert.equal(status, 400);
        assert.match(error.error.message, message);
        assert.equal(upstream.requests().at(-1).rejected, error.error.message);
      });
    }
  });
}

test('Gemini 3 wants the signature of the call that it made (P84)', async () => {
  const body = { contents: [part({ text: 'a' }), model(functionCall('f')), part(functionResponse('f'))] };
  assert.equal((await ask(upstream, 'gemini', { body, model: 'gemini-2.5-flash' })).status, 200);
  assert.match((await ask(upstream, 'gemini', { body, model: 'gemini-3-pro' })).error.error.message, /missing a thought_signature/);
});

test('a lax provider takes unknown fields', async () => {
  assert.equal((await ask(upstream, 'openai', { prefix: '/p/lax-host', body: { ...bodyOf('openai'), top_k: 5 } })).status, 200);
});

test('Anthropic wants its version header', async () => {
  assert.match((await ask(upstream, 'anthropic', { headers: { 'x-api-key': 'k' } })).error.error.message, /anthropic-version: header is required/);
});

test('every recorded request that the real APIs accepted is accepted, but for its signatures', async (t) => {
  const folder = sharedFixtures();
  if (!folder) return t.skip('no fixtures: set PATCHBAY_SHARED');
  const formats = { 'openai.chat': openai, 'anthropic.messages': anthropic, 'google.generateContent': gemini };
  const rows = (await readFile(join(folder, 'index.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  const known = rows.filter((row) => formats[row.api] && row.request && row.http_status === 200);
  assert.ok(known.length > 200);
  for (const row of known) {
    const format = formats[row.api];
    const recorded = JSON.parse(await readFile(join(folder, row.provider, row.case, 'request.json'), 'utf8'));
    const body = format.normalise ? format.normalise(recorded) : recorded;
    try {
      format.check(body, { model: row.model ?? '' });
      format.question(body);
    } catch (error) {
      assert.match(error.message, /signature/, `${row.case}: ${error.stack}`);
    }
  }
});
