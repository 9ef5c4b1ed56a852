// The command line of the local upstream: `node tests/upstream/main.mjs [--port N] [--event-delay MS]`.

import { parseArgs } from 'node:util';
import { startUpstream } from './upstream.mjs';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    'event-delay': { type: 'string' },
  },
});

try {
  const upstream = await startUpstream({
    port: Number(values.port),
    host: values.host,
    ...(values['event-delay'] !== undefined && { eventDelayMs: Number(values['event-delay']) }),
  });
  process.stdout.write(`${JSON.stringify({ ready: true, port: upstream.port })}\n`);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      await upstream.close();
      process.exit(0);
    });
  }
} catch (error) {
  process.stderr.write(`local upstream: ${error.message}\n`);
  process.exit(1);
}
