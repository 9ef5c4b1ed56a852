// The command line of the vendors' stand-in: `node tests/vendors/main.mjs [--port N]`.

import { parseArgs } from 'node:util';
import { startVendors } from './vendors.mjs';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });

try {
  const vendors = await startVendors({ port: Number(values.port) });
  process.stdout.write(`${JSON.stringify({ ready: true, port: vendors.port })}\n`);
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, async () => {
      await vendors.close();
      process.exit(0);
    });
  }
} catch (error) {
  process.stderr.write(`vendors: ${error.message}\n`);
  process.exit(1);
}
