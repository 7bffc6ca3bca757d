// A real NATS with JetStream that keeps what it was told, also when it is killed, and what is asked of it.

import { mkdtemp, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './ports.mjs';
import { Program } from './processes.mjs';
import { eventually } from './wait.mjs';

/** Starts one with a stream `changes` of `shop.>`; `restart` after `kill` has the same address and what was kept. */
export async function startNats() {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'sluice-nats-'));
  const settings = join(folder, 'server.conf');
  await writeFile(settings, `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${JSON.stringify(join(folder, 'store'))} }\n`);
  const ask = (subject, payload) => request(port, subject, payload);
  const run = async () => {
    const program = new Program(`nats-${port}`, 'nats-server', ['-c', settings], { env: { PATH: process.env.PATH } });
    await program.until('answer', () => /Server is ready/.test(program.output));
    await eventually('JetStream answers', async () => (await ask('$JS.API.INFO', '')).type?.includes('account_info'), 30_000);
    return program;
  };
  let program = await run();
  await ask('$JS.API.STREAM.CREATE.changes', { name: 'changes', subjects: ['shop.>'], storage: 'file', retention: 'limits', num_replicas: 1 });
  return {
    url: `nats://127.0.0.1:${port}`,
    /** Adds an event to the stream, once the server has kept it. */
    add: (event) => ask('shop.products', event),
    isRead: async () => {
      const { consumers } = await ask('$JS.API.CONSUMER.LIST.changes', {});
      return (consumers ?? []).some((it) => it.num_waiting > 0);
    },
    kill: async () => {
      program.kill('SIGKILL');
      await program.exit;
    },
    restart: async () => {
      program = await run();
    },
  };
}

/** What is answered to a request; an answer that is an error is thrown. */
async function request(port, subject, payload) {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const socket = connect({ host: '127.0.0.1', port });
  socket.setEncoding('utf8');
  const connected = { verbose: false, pedantic: false, headers: true, no_responders: true };
  socket.write(`CONNECT ${JSON.stringify(connected)}\r\nSUB _INBOX.e2e 1\r\nPUB ${subject} _INBOX.e2e ${Buffer.byteLength(text)}\r\n${text}\r\n`);
  socket.setTimeout(10_000, () => socket.destroy(new Error(`${subject}: no answer`)));
  let heard = '';
  let answer;
  for await (const more of socket) {
    heard += more;
    if (/^(HMSG|-ERR)/m.test(heard)) throw new Error(`${subject}: ${heard}`);
    answer = /^MSG _INBOX\.e2e +1 +\d+\r\n(.*)\r\n/m.exec(heard)?.[1];
    if (answer) break;
  }
  if (!answer) throw new Error(`${subject}: ${heard}`);
  const read = JSON.parse(answer);
  if (read.error) throw new Error(`${subject}: ${answer}`);
  return read;
}
