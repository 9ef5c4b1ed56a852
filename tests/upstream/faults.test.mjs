// Each fault does what its name says, streamed and not, and the record tells how an exchange went.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { FORMATS, ask, bodyOf, parseEvents, send } from './harness.mjs';
import { MULTIBYTE, encode, planOf, rechunk } from './faults.mjs';
import { sharedFixtures, startUpstream } from './upstream.mjs';

let upstream;
before(async () => (upstream = await startUpstream({ eventDelayMs: 0 })));
after(() => upstream.close());
beforeEach(() => upstream.reset());

/** Everything that arrives, and how it ended. */
async function drain(response) {
  const chunks = [];
  try {
    for await (const chunk of response.body) chunks.push(Buffer.from(chunk));
    return { text: Buffer.concat(chunks).toString(), broken: false };
  } catch {
    return { text: Buffer.concat(chunks).toString(), broken: true };
  }
}

const fault = async (format, model, stream) => drain(await send(upstream, format, { model, stream }));
const last = () => upstream.requests().at(-1);
const ERROR_OF = { openai: 'server_error', anthropic: 'overloaded_error', gemini: 'UNAVAILABLE' };

for (const format of FORMATS) {
  for (const stream of [false, true]) {
    describe(`${format}, ${stream ? 'streamed' : 'in one piece'}`, () => {
      test('status with Retry-After, in the API’s own envelope', async () => {
        const response = await send(upstream, format, { model: 'fault-status-429-retry-7', stream });
        assert.equal(response.status, 429);
        assert.equal(response.headers.get('retry-after'), '7');
        assert.equal((await response.json()).error.message, 'Injected fault with status 429.');
      });

      test('HTML instead of JSON', async () => {
        const response = await send(upstream, format, { model: 'fault-status-502+fault-html', stream });
        assert.equal(response.status, 502);
        assert.match(await response.text(), /<html>/);
      });

      test('reset before any byte', async () => {
        await assert.rejects(send(upstream, format, { model: 'fault-reset', stream }));
      });

      test('cut and clean end at a byte', async () => {
        const cut = await fault(format, 'fault-cut-100', stream);
        assert.deepEqual([cut.text.length, cut.broken], [100, true]);
        assert.equal(last().cut, true);
        assert.equal(last().aborted, false);
        const end = await fault(format, 'fault-end-100', stream);
        assert.deepEqual([end.text.length, end.broken], [100, false]);
      });

      test('no byte of body; garbage', async () => {
        assert.deepEqual(await fault(format, 'fault-blank', stream), { text: '', broken: false });
        const { text } = await fault(format, 'fault-garbage', stream);
        assert.throws(() => JSON.parse(text));
        assert.doesNotMatch(text, /^data:/);
      });

      test('an answer without content is still counted and finished', async () => {
        const { answer } = await ask(upstream, format, { model: 'fault-empty', stream });
        assert.deepEqual([answer.text, answer.calls], ['', []]);
        assert.ok(answer.finish);
        assert.equal(last().usage.output, 0);
      });

      test('usage zero, and no usage at all', async () => {
        const zero = await ask(upstream, format, { model: 'fault-usage-zero', stream });
        const counts = Object.values(zero.answer.usage).filter((value) => typeof value === 'number');
        assert.ok(counts.length >= 2 && counts.every((count) => count === 0));
        assert.equal((await ask(upstream, format, { model: 'fault-usage-none', stream })).answer.usage, undefined);
      });

      test('chunks of one byte, of random sizes and inside characters keep the bytes', async () => {
        for (const how of ['onebyte', 'random-7', 'chunk-33', 'multibyte']) {
          upstream.script({ behaviour: { faults: `fault-${how}`, text: MULTIBYTE } });
          assert.equal((await ask(upstream, format, { stream })).answer.text, MULTIBYTE);
        }
      });

      test('an oversized event arrives whole', async () => {
        const { answer } = await ask(upstream, format, { model: 'fault-oversized-1', stream });
        assert.equal(answer.text.length, 1024 * 1024);
      });

      test('an error inside a 200', async () => {
        const { text } = await fault(format, 'fault-error-0', stream);
        assert.match(text, /"error"/);
        if (stream) assert.match(text, new RegExp(ERROR_OF[format]));
      });

      test('silence and endless content last until the client leaves, and the record says so', async () => {
        for (const model of ['fault-stall-1', 'fault-endless']) {
          const leave = new AbortController();
          const response = await send(upstream, format, { model, stream, signal: leave.signal });
          const reader = response.body.getReader();
          await reader.read();
          assert.equal(last().aborted, false);
          leave.abort();
          await reader.read().catch(() => {});
          const entry = await upstream.waitFor((each) => each.model === model && each.aborted);
          assert.deepEqual([entry.abortPhase, entry.finished], ['body', false]);
          assert.ok(entry.bytesSent > 0);
        }
      });

      test('gates hold headers back until they are released', async () => {
        let answered = false;
        const pending = ask(upstream, format, { model: 'fault-gate-headers', stream }).then((result) => ((answered = true), result));
        await upstream.waitFor((entry) => entry.model);
        assert.equal(answered, false);
        upstream.release();
        assert.equal((await pending).status, 200);
      });
    });
  }

  describe(`${format}, faults of a stream`, () => {
    const events = async (model) => parseEvents((await fault(format, model, true)).text);

    test('cut, end and error after so many events', async () => {
      const cut = await fault(format, 'fault-cut-events-2', true);
      assert.deepEqual([parseEvents(cut.text).length, cut.broken], [2, true]);
      assert.equal(last().eventsSent, 2);
      assert.equal((await events('fault-end-events-2')).length, 2);
      const failed = await events('fault-error-3');
      assert.equal(failed.length, 4);
      assert.ok(failed[3].data.error);
      assert.equal(failed[3].event, format === 'anthropic' ? 'error' : undefined);
    });

    test('the role alone, then an error', async () => {
      const [opening, error, ...rest] = await events('fault-role-error');
      assert.equal(rest.length, 0);
      assert.doesNotMatch(JSON.stringify(opening.data), /demo upstream/);
      assert.ok(error.data.error);
    });

    test('a broken event after good ones', async () => {
      const { text } = await fault(format, 'fault-garbage-after-2', true);
      assert.match(text, /<<<not json>>>/);
    });

    test('line ends, missing spaces and comments leave the events as they are', async () => {
      const plain = (await ask(upstream, format, { stream: true, text: 'Count to 9' })).answer.text;
      for (const [name, pattern] of [['crlf', /\r\n\r\n/], ['lf', /[^\r]\n\n/], ['cr', /\r\r/], ['no-space', /data:\{/], ['comments-2', /^: PROCESSING/], ['heartbeats-2', /: keep-alive/]]) {
        upstream.script({ behaviour: `fault-${name}` });
        const { answer, raw } = await ask(upstream, format, { stream: true, text: 'Count to 9' });
        assert.match(raw, pattern, name);
        assert.equal(answer.text, plain, name);
      }
    });

    test('heartbeats after the finish, for ever', async () => {
      const leave = new AbortController();
      const response = await send(upstream, format, { model: 'fault-heartbeats-forever', stream: true, signal: leave.signal });
      let text = '';
      for await (const chunk of response.body) {
        text += Buffer.from(chunk).toString();
        if (text.split(': keep-alive').length > 3) break;
      }
      leave.abort();
      assert.match(text, /stop|STOP|end_turn/);
    });

    test('without its last event, without its finish', async () => {
      const all = await events('demo');
      const short = await events('fault-no-done');
      assert.equal(short.length, format === 'gemini' ? all.length : all.length - 1);
      const { text } = await fault(format, 'fault-no-finish', true);
      assert.doesNotMatch(text, /"(?:finish_reason|stop_reason|finishReason)":"/);
    });

    test('usage twice and late are the same usage', async () => {
      const usage = async (model) => (await ask(upstream, format, { model, stream: true })).answer.usage;
      const expected = await usage('fault-lf');
      for (const how of ['twice', 'late']) assert.equal(JSON.stringify(await usage(`fault-usage-${how}`)).replaceAll(/\d/g, ''), JSON.stringify(expected).replaceAll(/\d/g, ''));
    });

    test('a finish reason by name', async () => {
      assert.equal((await ask(upstream, format, { model: 'fault-finish-odd_reason', stream: true })).answer.finish, 'odd_reason');
    });
  });
}

test('delays keep their order: headers, first event, later events', async () => {
  const pending = send(upstream, 'openai', { model: 'fault-delay-headers-50+fault-delay-first-50+fault-delay-between-5', stream: true });
  assert.equal((await upstream.waitFor((entry) => entry.model)).status, null);
  const response = await pending;
  assert.equal(last().eventsSent, 0);
  const { text } = await drain(response);
  assert.equal(last().eventsSent, parseEvents(text).length);
});

test('a client that leaves before the headers is recorded as such', async () => {
  const leave = new AbortController();
  const pending = send(upstream, 'openai', { model: 'fault-gate-headers', signal: leave.signal });
  await upstream.waitFor((entry) => entry.model);
  leave.abort();
  await assert.rejects(pending);
  assert.equal((await upstream.waitFor((entry) => entry.aborted)).abortPhase, 'headers');
});

test('a gate in the middle of a stream lets exactly its events through', async () => {
  const response = await send(upstream, 'openai', { model: 'fault-gate-after-3', stream: true });
  const entry = await upstream.waitFor((each) => each.status === 200);
  const reader = response.body.getReader();
  let text = '';
  while (parseEvents(text.slice(0, text.lastIndexOf('\n\n') + 2)).length < 3) text += Buffer.from((await reader.read()).value).toString();
  assert.equal(entry.eventsSent, 3);
  upstream.release();
  for (let step = await reader.read(); !step.done; step = await reader.read()) text += Buffer.from(step.value).toString();
  assert.match(text, /\[DONE\]/);
});

test('scripts are used in order, by prefix and model, so many times', async () => {
  const post = (script) => fetch(`${upstream.url}/__control/script`, { method: 'POST', body: JSON.stringify(script) });
  assert.equal((await post({ prefix: '/p/a/', times: 2, behaviour: 'fault-status-500' })).status, 200);
  await post({ prefix: '/p/a/', behaviour: { text: 'scripted', calls: [{ name: 'f', args: { a: 1 } }], usage: { input: 7 } } });
  const status = async (prefix) => (await ask(upstream, 'openai', { prefix })).status;
  assert.deepEqual([await status('/p/b'), await status('/p/a'), await status('/p/a')], [200, 500, 500]);
  const { answer } = await ask(upstream, 'openai', { prefix: '/p/a' });
  assert.deepEqual([answer.text, answer.calls, answer.usage.prompt_tokens], ['scripted', [{ name: 'f', args: { a: 1 } }], 7]);
  assert.equal(await status('/p/a'), 200);
  assert.equal((await post({ behaviour: 'fault-nonsense' })).status, 418);
});

test('raw behaviours send exactly their bytes', async () => {
  upstream.script({ behaviour: { raw: { status: 201, headers: { 'content-type': 'text/plain', 'x-odd': '1' }, chunks: ['ab', { base64: 'AP8=' }] } } });
  const response = await send(upstream, 'openai');
  assert.deepEqual([response.status, response.headers.get('x-odd')], [201, '1']);
  assert.deepEqual([...Buffer.from(await response.arrayBuffer())], [97, 98, 0, 255]);
});

test('a provider’s path can carry directives', async () => {
  assert.equal((await send(upstream, 'openai', { prefix: '/p/fault-status-503' })).status, 503);
});

test('directives combine, in either spelling', () => {
  assert.deepEqual(planOf('demo/x+fault-status-500~fault-html'), { status: 500, html: true, wish: {} });
  assert.deepEqual(planOf('openai/gpt-plain'), { wish: {} });
});

test('random chunks neither lose nor repeat bytes, and count every frame once', () => {
  const frames = Array.from({ length: 9 }, (_, index) => ({ bytes: encode({ data: 'é'.repeat(index * 7) }, { newline: '\r\n' }), pause: 0, counts: 1 }));
  for (const how of [{ mode: 'size', size: 1 }, { mode: 'random', seed: 3 }, { mode: 'inside' }]) {
    const chunks = rechunk(frames, how);
    assert.deepEqual(Buffer.concat(chunks.map((chunk) => chunk.bytes)), Buffer.concat(frames.map((frame) => frame.bytes)));
    assert.equal(chunks.reduce((sum, chunk) => sum + chunk.counts, 0), 9);
  }
});

test('bench answers have the size they promise and leave no record', async () => {
  for (const format of FORMATS) {
    const streamed = parseEvents((await fault(format, 'bench-chunks-200', true)).text);
    const content = streamed.filter((each) => /word/.test(JSON.stringify(each.data)));
    assert.equal(content.length, 200);
    const { text } = await fault(format, 'bench-body-200', false);
    assert.ok(text.length >= 200 * 1024 && JSON.parse(text));
  }
  await fault('openai', 'bench-chunks-3-gap-0', true);
  assert.equal((await send(upstream, 'openai', { prefix: '/p/bench-json', body: bodyOf('openai') })).status, 200);
  assert.equal(upstream.requests().length, 0);
});

test('fixtures are replayed byte for byte', async (t) => {
  if (!sharedFixtures()) return t.skip('no fixtures: set PATCHBAY_SHARED');
  const response = await send(upstream, 'anthropic', { model: 'fixture:azure/reqllm-azure-claude-opus-4-1-streaming', stream: true });
  assert.match(response.headers.get('content-type'), /event-stream/);
  const { text } = await drain(response);
  assert.equal(parseEvents(text).at(-1).data.type, 'message_stop');
  assert.equal((await send(upstream, 'openai', { model: 'fixture:openai/lingua-toolcallrequest-chat-completions' })).headers.get('content-type'), 'application/json');
  assert.equal((await send(upstream, 'openai', { model: 'fixture:openai/no-such-case' })).status, 418);
});

test('usage on every chunk, and usage only at the end (P08, P14)', async () => {
  const chat = parseEvents((await fault('openai', 'fault-usage-every', true)).text).filter((each) => each.data.choices);
  assert.ok(chat.every((each) => each.data.usage.completion_tokens > 0));
  const messages = parseEvents((await fault('anthropic', 'fault-usage-end', true)).text).map((each) => each.data);
  assert.equal(messages[0].message.usage.input_tokens, 0);
  assert.ok(messages.find((data) => data.type === 'message_delta').usage.input_tokens > 0);
});
