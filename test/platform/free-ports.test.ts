import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePorts } from '../../src/platform/free-ports.js';

test('ports are free, all different, and none that an outgoing connection may take', async () => {
  const ports = await freePorts(50);
  expect(new Set(ports).size).toBe(50);
  // Where Linux, the lowest of the systems, begins with those by default.
  expect(Math.max(...ports)).toBeLessThan(32_768);
  for (const port of ports.slice(0, 3)) {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  }
});
