// The local upstream as Bedrock: signatures, binary streams, what Converse refuses, and what it was recorded to accept.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { message, messages } from './aws/eventstream.mjs';
import { secretOf, signature } from './aws/sigv4.mjs';
import { check, question } from './formats/bedrock.mjs';
import { sharedFixtures, startUpstream } from './upstream.mjs';

let upstream;
before(async () => (upstream = await startUpstream({ eventDelayMs: 0 })));
after(() => upstream.close());
beforeEach(() => upstream.reset());

const user = (...content) => ({ role: 'user', content });
const assistant = (...content) => ({ role: 'assistant', content });
const text = (words) => ({ text: words });
const use = (id, name = 'f') => ({ toolUse: { toolUseId: id, name, input: {} } });
const result = (id) => ({ toolResult: { toolUseId: id, content: [text('ok')] } });
const tool = (name) => ({ toolSpec: { name, inputSchema: { json: { type: 'object', properties: {} } } } });
const point = { cachePoint: { type: 'default' } };

async function ask(body, { operation = 'converse', model = 'demo.model-v1:0', headers = { authorization: 'Bearer key' } } = {}) {
  const url = `${upstream.baseUrl('bedrock')}/model/${encodeURIComponent(model)}/${operation}`;
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ messages: [user(text('Hello'))], ...body }) });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isStream = response.headers.get('content-type') === 'application/vnd.amazon.eventstream';
  return { status: response.status, headers: response.headers, bytes, body: isStream ? undefined : JSON.parse(bytes) };
}

test('a signature is that of the published vector (get-vanilla)', () => {
  const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' };
  const sent = { method: 'GET', path: '/', query: '', bytes: '' };
  const { hex } = signature('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', headers, Object.keys(headers), sent, { time: headers['x-amz-date'], region: 'us-east-1', service: 'service' });
  assert.equal(hex, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31');
});

test('a signature holds for one request, one key, and a few minutes', async () => {
  const body = JSON.stringify({ messages: [user(text('Hello'))] });
  const path = '/bedrock/model/demo%3A0/converse';
  const host = new URL(upstream.url).host;
  const at = (ms) => new Date(ms).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const send = async ({ id = 'AKIADEMO', secret = secretOf(id), time = at(Date.now()), signedBody = body, service = 'bedrock' } = {}) => {
    const headers = { 'content-type': 'application/json', host, 'x-amz-date': time };
    const names = Object.keys(headers);
    const { hex } = signature(secret, headers, names, { method: 'POST', path, query: '', bytes: signedBody }, { time, region: 'us-east-1', service });
    const authorization = `AWS4-HMAC-SHA256 Credential=${id}/${time.slice(0, 8)}/us-east-1/${service}/aws4_request, SignedHeaders=${names.join(';')}, Signature=${hex}`;
    const { host: _host, ...sent } = headers;
    const response = await fetch(upstream.url + path, { method: 'POST', headers: { ...sent, authorization }, body });
    return [response.status, (await response.json()).message ?? ''];
  };
  assert.equal((await send())[0], 200);
  for (const [changed, words] of [
    [{ secret: 'other' }, /does not match/],
    [{ signedBody: `${body} ` }, /does not match/],
    [{ time: at(Date.now() - 600_000) }, /Signature expired/],
    [{ service: 's3' }, /correct service/],
    [{ id: 'AKIAWRONG' }, /invalid/],
    [{ id: 'ASIADEMO' }, /have to be signed/],
  ]) {
    const [status, said] = await send(changed);
    assert.equal(status, 403, JSON.stringify(changed));
    assert.match(said, words);
  }
});

test('a stream is messages with their checksums; an exception is one of another type', async () => {
  const { status, bytes, headers } = await ask({}, { operation: 'converse-stream' });
  assert.equal(status, 200);
  assert.ok(headers.get('x-amzn-requestid'));
  const read = messages(bytes);
  assert.deepEqual(read.map((each) => each.headers[':event-type']).filter((type) => type !== 'contentBlockDelta'), ['messageStart', 'contentBlockStop', 'messageStop', 'metadata']);
  const broken = messages((await ask({}, { operation: 'converse-stream', model: 'fault-error-2' })).bytes);
  assert.equal(broken.at(-1).headers[':exception-type'], 'internalServerException');
  const one = message({ a: 'é' }, '{}');
  assert.throws(() => messages(Buffer.from(one.with(14, one[14] ^ 1))), /damaged/);
  assert.throws(() => messages(one.subarray(0, -1)), /damaged/);
});

test('errors tell their type in a header', async () => {
  const { status, body, headers } = await ask({}, { model: 'fault-status-429' });
  assert.equal(status, 429);
  assert.match(headers.get('x-amzn-errortype'), /^ThrottlingException:/);
  assert.deepEqual(Object.keys(body), ['message']);
  assert.equal((await ask({}, { headers: {} })).status, 403);
});

describe('bedrock refuses', () => {
  for (const [what, fields, words] of [
    ['an unknown field', { max_tokens: 5 }, /extraneous key \[max_tokens\]/],
    ['an unknown limit', { inferenceConfig: { topK: 5 } }, /extraneous key \[topK\]/],
    ['a hot temperature', { inferenceConfig: { temperature: 1.5 } }, /between 0 and 1/],
    ['blank text (P96)', { messages: [user(text(' '))] }, /is blank/],
    ['two turns of one speaker', { messages: [user(text('a')), user(text('b'))] }, /must alternate/],
    ['an assistant first', { messages: [assistant(text('a')), user(text('b'))] }, /must start with a user message/],
    ['calls without declared tools (P60)', { messages: [user(text('a')), assistant(use('t')), user(result('t'))] }, /toolConfig field must be defined/],
    ['an empty list of tools (P61)', { toolConfig: { tools: [] } }, /length greater than or equal to 1/],
    ['a choice of no tool (P62)', { toolConfig: { tools: [tool('f')], toolChoice: { none: {} } } }, /one of auto, any, tool/],
    ['a call without its result', { messages: [user(text('a')), assistant(use('t'), use('u')), user(result('t'))], toolConfig: { tools: [tool('f')] } }, /following Ids: u/],
    ['a result without its call', { messages: [user(text('a')), assistant(text('b')), user(result('t'))], toolConfig: { tools: [tool('f')] } }, /exceeds the number of toolUse/],
    ['an id with a dot (P69)', { messages: [user(text('a')), assistant(use('t.1')), user(result('t.1'))], toolConfig: { tools: [tool('f')] } }, /toolUseId/],
    ['a cache point before anything', { system: [point, text('a')] }, /has to follow content/],
    ['five cache points', { system: Array.from({ length: 5 }, () => [text('a'), point]).flat() }, /limit of 4/],
    ['a document without words', { messages: [user({ document: { format: 'pdf', name: 'a', source: { bytes: 'AAAA' } } })] }, /no text/],
    ['a name with an underscore', { messages: [user(text('a'), { document: { format: 'pdf', name: 'a_b', source: { bytes: 'AAAA' } } })] }, /alphanumeric/],
    ['a budget above the limit', { inferenceConfig: { maxTokens: 1024 }, additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 1024 } } }, /must be greater than/],
    ['a foreign signature (P87)', { messages: [user(text('a')), assistant({ reasoningContent: { reasoningText: { text: 'b', signature: 'Zm9yZWlnbg==' } } }, text('c')), user(text('d'))] }, /Invalid `signature`/],
  ]) {
    test(what, async () => {
      const { status, body } = await ask(fields);
      assert.equal(status, 400);
      assert.match(body.message, words);
    });
  }
});

test('every recorded request that the real API accepted is accepted, but for signatures and what only it can fetch', async (t) => {
  const folder = sharedFixtures();
  if (!folder) return t.skip('no fixtures: set PATCHBAY_SHARED');
  const rows = (await readFile(join(folder, 'index.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  const known = rows.filter((row) => row.api === 'bedrock.converse' && row.request && row.http_status === 200);
  assert.ok(known.length > 50);
  const passed = known.map(async (row) => {
    const body = JSON.parse(await readFile(join(folder, row.provider, row.case, 'request.json'), 'utf8'));
    try {
      check(body);
      question(body);
      return true;
    } catch (error) {
      assert.match(error.message, /signature|no base64|file name/, `${row.case}: ${error.stack}`);
      return false;
    }
  });
  const count = (await Promise.all(passed)).filter(Boolean).length;
  assert.ok(count >= 45, `${count} of ${known.length}`);
});
