// `sluice up` as a person starts it: real binaries, a data folder of its own, free ports.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freshDatabase } from './databases.mjs';
import { binaries } from './places.mjs';
import { freePort } from './ports.mjs';
import { Program, answers } from './processes.mjs';

let started = 0;

/** Starts Sluice on a fresh database (`sqlite` or `postgres`); `environment` adds settings. */
export async function startSluice({ database = 'sqlite', environment = {}, args = [] } = {}) {
  started += 1;
  const data = await mkdtemp(join(tmpdir(), 'sluice-e2e-'));
  const store = await freshDatabase(database);
  const [control, gateway, status] = [await freePort(), await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${control}`;
  const settings = {
    PATH: process.env.PATH,
    SLUICE_DATA: data,
    SLUICE_LISTEN: `127.0.0.1:${control}`,
    SLUICE_GATEWAY_LISTEN: `127.0.0.1:${gateway}`,
    SLUICE_GATEWAY_STATUS_LISTEN: `127.0.0.1:${status}`,
    ...store.environment,
    ...environment,
  };

  const run = async (name) => {
    const program = new Program(name, join(binaries, 'sluice'), ['up', ...args], { env: settings });
    await program.until('ready gateway', async () => (await answers(`http://127.0.0.1:${status}/readyz`)) === 200);
    await program.until('answer of the control plane', async () => (await answers(`${origin}/healthz`)) === 200);
    return program;
  };
  const sluice = {
    origin,
    gateway: `http://127.0.0.1:${gateway}`,
    status: `http://127.0.0.1:${status}`,
    data,
    program: await run(`sluice-${process.pid}-${started}`),
    /** The one-time link that the first start prints. */
    setupLink: () => sluice.program.until('setup link', () => /http:\S+\/setup\?token=\S+(?=\s)/.exec(sluice.program.output)?.[0]),
    /** Ctrl-C, then a new start on the same data. */
    restart: async () => {
      await sluice.program.stop();
      started += 1;
      sluice.program = await run(`sluice-${process.pid}-${started}`);
    },
    stop: async () => {
      const ended = await sluice.program.stop();
      await store.remove();
      await rm(data, { recursive: true, force: true });
      return ended;
    },
  };
  return sluice;
}
