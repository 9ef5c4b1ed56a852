// Starts the local upstream: one server that plays OpenAI, Anthropic, Gemini and Bedrock for `npm start`, tests and benchmarks.
// Out of scope: being a language model, and being reachable from anywhere but this machine.

import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Upstream } from './server.mjs';

const EVENT_DELAY_MS = 15;
const KEEP_ALIVE_MS = 60_000;

/** The recorded exchanges: in `$PATCHBAY_SHARED`, else in `shared` beside the repository; undefined where there are none. */
export function sharedFixtures() {
  const shared = process.env.PATCHBAY_SHARED ?? fileURLToPath(new URL('../../../shared', import.meta.url));
  const folder = join(shared, 'fixtures');
  return existsSync(folder) ? folder : undefined;
}

/**
 * Resolves with `{url, port, baseUrl(format, provider?), requests(filter?), script(...), release(), reset(), waitFor(matches, ms?), close()}`.
 * `baseUrl` is what a provider's row holds: `baseUrl('openai', 'acme')` is `…/p/acme/openai/v1`.
 */
export async function startUpstream({ port = 0, host = '127.0.0.1', fixturesDir = sharedFixtures(), eventDelayMs = EVENT_DELAY_MS } = {}) {
  const upstream = new Upstream({ fixturesDir, eventDelayMs });
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, upstream.handle);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address().port;
  const url = `http://${host}:${bound}`;
  const versions = { openai: 'openai/v1', anthropic: 'anthropic/v1', gemini: 'gemini/v1beta', bedrock: 'bedrock', cohere: 'cohere', responses: 'responses/v1' };
  return {
    url,
    port: bound,
    baseUrl: (format, provider) => `${url}${provider ? `/p/${encodeURIComponent(provider)}` : ''}/${versions[format]}`,
    requests: (filter) => upstream.recorder.list(filter),
    script: (script) => upstream.script(script),
    release: () => upstream.release(),
    reset: () => upstream.reset(),
    waitFor: (matches, timeoutMs) => upstream.recorder.waitFor(matches, timeoutMs),
    close: () =>
      new Promise((resolve) => {
        upstream.release();
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
