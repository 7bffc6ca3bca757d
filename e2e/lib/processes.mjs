// Programs under test: their output is kept, they are waited for, and none outlives the run.

import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { artifact } from './places.mjs';

const running = new Set();

// Whatever ends this process, nothing that it started stays behind.
process.on('exit', () => running.forEach((program) => program.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** One started program. `output` is everything that it printed so far. */
export class Program {
  output = '';
  /** `{ code, signal }` once it has ended. */
  ended = null;

  constructor(name, command, args, options) {
    this.name = name;
    this.log = artifact('logs', `${name}.log`);
    const log = createWriteStream(this.log);
    this.child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        this.output += text;
        log.write(text);
      });
    }
    this.exit = new Promise((resolve) => {
      const finish = (code, signal) => {
        this.ended ??= { code, signal };
        running.delete(this);
        log.end();
        resolve(this.ended);
      };
      this.child.once('close', finish);
      this.child.once('error', (error) => {
        this.output += `${error.message}\n`;
        finish(null, null);
      });
    });
    running.add(this);
  }

  get pid() {
    return this.child.pid;
  }

  kill(signal) {
    this.child.kill(signal);
  }

  /** Waits until `probe` gives something true, and gives that; an ended program or a passed limit is an error. */
  async until(what, probe, limit = 30_000) {
    const deadline = Date.now() + limit;
    for (;;) {
      const found = await probe();
      if (found) return found;
      if (this.ended) throw new Error(`${this.name} ended (${JSON.stringify(this.ended)}) before ${what}:\n${this.tail()}`);
      if (Date.now() > deadline) throw new Error(`${this.name}: no ${what} after ${limit} ms:\n${this.tail()}`);
      await sleep(50);
    }
  }

  /** Asks it to end, as Ctrl-C does, and gives how it ended. */
  async stop(limit = 15_000) {
    this.kill('SIGINT');
    const late = sleep(limit, 'late', { ref: false });
    if ((await Promise.race([this.exit, late])) === 'late') {
      this.kill('SIGKILL');
      await this.exit;
      throw new Error(`${this.name} did not stop within ${limit} ms:\n${this.tail()}`);
    }
    return this.ended;
  }

  tail() {
    return this.output.split('\n').slice(-40).join('\n');
  }
}

/** Whether the address answers at all, and with which status. */
export async function answers(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return null;
  }
}
