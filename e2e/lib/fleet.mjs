// A control plane and gateways as processes of their own, as in production but on one machine.

import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freshDatabase } from './databases.mjs';
import { binaries } from './places.mjs';
import { freePort } from './ports.mjs';
import { Program, answers } from './processes.mjs';
import { setUp } from './publishing.mjs';

let started = 0;

/** Starts a control plane, sets it up, and allows upstreams on loopback. Gateways are added with `addGateway`. */
export async function startFleet({ database = 'sqlite' } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'sluice-fleet-'));
  const store = await freshDatabase(database, join(data, 'control'));
  const [listen, link] = [await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${listen}`;
  const env = {
    PATH: process.env.PATH,
    SLUICE_DATA: join(data, 'control'),
    SLUICE_LISTEN: `127.0.0.1:${listen}`,
    SLUICE_LINK_LISTEN: `127.0.0.1:${link}`,
    ...store.environment,
  };
  const gateways = [];

  const fleet = {
    origin,
    data,
    gateways,
    /** The database, for what no admin API would do; the control plane must not run meanwhile. */
    store,
    control: undefined,
    setupLink: () => fleet.control.until('setup link', () => /http:\S+\/setup\?token=\S+(?=\s)/.exec(fleet.control.output)?.[0]),
    /** Starts the control plane, again after it was killed. */
    startControl: async () => {
      started += 1;
      fleet.control = new Program(`control-${process.pid}-${started}`, join(binaries, 'sluice'), ['control'], { env });
      await fleet.control.until('answer', async () => (await answers(`${origin}/healthz`)) === 200);
    },
    /** SIGKILL: no chance to tidy up. */
    killControl: async () => {
      fleet.control.kill('SIGKILL');
      await fleet.control.exit;
    },
    addGateway: async (options) => {
      const gateway = await startGateway(fleet, options);
      gateways.push(gateway);
      return gateway;
    },
    stop: async () => {
      for (const gateway of gateways) gateway.program.kill('SIGKILL');
      await Promise.all(gateways.map((gateway) => gateway.program.exit));
      await fleet.control?.stop();
      await store.remove();
      await rm(data, { recursive: true, force: true });
    },
  };

  await fleet.startControl();
  fleet.scene = await setUp(fleet);
  await fleet.scene.admin.edit(`/environments/${fleet.scene.environment.id}`, ({ name, settings }) => ({
    name,
    settings: { ...settings, allowed_networks: ['127.0.0.0/8'] },
  }));
  return fleet;
}

/** Whether programs can have a hosts file of their own here. */
export const ownHosts = spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0;

/** The `limits` of a gateway that looks names up in this file instead of `/etc/hosts`, whose own stays as it is. */
export function withHosts(file) {
  return `exec unshare --map-root-user --mount sh -c 'mount --bind ${file} /etc/hosts && exec "$0"' "$0"`;
}

/**
 * Enrols and starts one gateway, with a token of its own unless one is given; `limits` is a shell prefix such as
 * `ulimit -f 64`. Waits until it serves unless told not to.
 */
async function startGateway({ scene, data }, { name, environment = {}, limits, token, wait } = {}) {
  const [listen, status] = [await freePort(), await freePort()];
  const env = {
    PATH: process.env.PATH,
    SLUICE_GATEWAY_NAME: name,
    SLUICE_GATEWAY_DATA: join(data, name),
    SLUICE_GATEWAY_LISTEN: `127.0.0.1:${listen}`,
    SLUICE_GATEWAY_STATUS_LISTEN: `127.0.0.1:${status}`,
    SLUICE_GATEWAY_ENROLMENT_TOKEN: token ?? (await enrolmentToken(scene, name)),
    SLUICE_GATEWAY_THREADS: '1',
  };
  const binary = join(binaries, 'sluice-gateway');
  const command = limits ? ['sh', ['-c', `${limits}; exec "$0"`, binary]] : [binary, []];
  const gateway = {
    name,
    /** As `sluice.gateway` of one machine, so that `call` works on both. */
    gateway: `http://127.0.0.1:${listen}`,
    status: `http://127.0.0.1:${status}`,
    program: undefined,
    /** Starts it on the same data and port; waits until it serves unless told not to. */
    start: async ({ extra = {}, wait = true } = {}) => {
      started += 1;
      gateway.program = new Program(`${name}-${process.pid}-${started}`, ...command, { env: { ...env, ...environment, ...extra } });
      if (wait) await gateway.program.until('ready', async () => (await answers(`${gateway.status}/readyz`)) === 200);
    },
    kill: async () => {
      gateway.program.kill('SIGKILL');
      await gateway.program.exit;
    },
    pause: () => gateway.program.kill('SIGSTOP'),
    resume: () => gateway.program.kill('SIGCONT'),
  };
  await gateway.start({ wait });
  return gateway;
}

async function enrolmentToken({ admin, environment }, name) {
  const { token } = await admin.post(`/environments/${environment.id}/enrolment-tokens`, { name: `for ${name}` });
  return token;
}
