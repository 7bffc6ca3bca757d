// A real Redis that keeps what it was told, also when it is killed, and what is asked of it.

import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './ports.mjs';
import { Program } from './processes.mjs';

/** Starts one, whose stream `changes` is there once something is added; `restart` after `kill` has the same address and what was kept. */
export async function startRedis() {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'sluice-redis-'));
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--appendfsync', 'always', '--dir', folder];
  const run = async () => {
    const program = new Program(`redis-${port}`, 'redis-server', settings, { env: { PATH: process.env.PATH } });
    await program.until('answer', () => /Ready to accept connections/.test(program.output));
    return program;
  };
  let program = await run();
  return {
    url: `redis://127.0.0.1:${port}`,
    /** Adds an event to the stream, once Redis has kept it. */
    add: (event) => ask(port, ['XADD', 'changes', '*', 'event', event]),
    isRead: async () => /xreadgroup/i.test(await ask(port, ['CLIENT', 'LIST'])),
    kill: async () => {
      program.kill('SIGKILL');
      await program.exit;
    },
    restart: async () => {
      program = await run();
    },
  };
}

/** The answer to a command, as it comes over the wire. */
async function ask(port, words) {
  const socket = connect({ host: '127.0.0.1', port });
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  socket.write(`*${words.length}\r\n${parts.join('')}`);
  const [answer] = await once(socket, 'data');
  socket.destroy();
  const text = answer.toString();
  if (text.startsWith('-')) throw new Error(text);
  return text;
}
