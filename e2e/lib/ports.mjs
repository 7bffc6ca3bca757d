// Ports that nothing listens on.

import { createServer } from 'node:net';

/** A free port on loopback. Another program may still take it first; what then fails says so by itself. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
