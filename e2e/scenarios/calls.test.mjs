// No call is lost and none counted twice, whatever is killed between a gateway and the log.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { databases } from '../lib/databases.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { call, publish } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const CALLS = 20_000;
const KILLS = 10;
const AT_ONCE = 32;

/** Sends so many calls, `AT_ONCE` at a time; `tick` hears of each finished one. */
async function load(gateway, path, count, tick = () => {}) {
  let left = count;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const { status, text } = await call(gateway, path);
      assert.equal(status, 200, text);
      tick();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** Raw rows of one API, counted page by page; every id once. */
async function rows({ admin, base }, api) {
  const ids = new Set();
  let read = 0;
  for (let after = ''; after !== undefined; ) {
    const page = await admin.get(`${base}/calls?api=${api}&limit=200${after && `&after=${encodeURIComponent(after)}`}`);
    for (const row of page.items) ids.add(row.id);
    read += page.items.length;
    after = page.next;
  }
  assert.equal(ids.size, read, 'no row on two pages');
  return read;
}

const counted = async ({ admin, base }, api) => (await admin.get(`${base}/analytics?api=${api}`)).total.calls;
const lossesOf = async ({ admin, base }, name) => {
  const { items } = await admin.get(`${base}/gateways`);
  return items.find((gateway) => gateway.name === name);
};

for (const database of databases) {
  describe(`the record of calls on ${database}`, { timeout: 1_200_000 }, () => {
    let fleet;
    let upstream;
    let gateway;

    const open = async (slug) => {
      const draft = {
        access: 'public',
        routes: [{ id: 'all', methods: ['GET'], path: '/' }],
        upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
      };
      const { api } = await publish(fleet.scene, { slug, draft });
      return { id: api.id, path: `/${fleet.scene.tenant.slug}/${slug}/` };
    };

    before(async () => {
      upstream = await startUpstream();
      fleet = await startFleet({ database });
      gateway = await fleet.addGateway({ name: 'alone' });
    });
    after(async () => {
      await fleet?.stop();
      await upstream?.stop();
    });

    it(`has each of ${CALLS} calls once, raw and rolled up, though the control plane is killed ${KILLS} times`, async (t) => {
      const api = await open('killed-control');
      const at = new Set();
      while (at.size < KILLS) at.add(1 + Math.floor(Math.random() * (CALLS - 1)));
      t.diagnostic(`killed after ${[...at].sort((a, b) => a - b).join(', ')} calls`);
      let done = 0;
      let kills = Promise.resolve();
      await load(gateway, api.path, CALLS, () => {
        done += 1;
        if (at.has(done)) kills = kills.then(fleet.killControl).then(() => sleep(Math.random() * 500)).then(fleet.startControl);
      });
      await kills;
      await eventually('every call is counted', async () => (await counted(fleet.scene, api.id)) >= CALLS, 120_000);
      // What is wrong by one now would still be wrong later: give a repeated batch time to show itself.
      await sleep(2_000);
      assert.equal(await counted(fleet.scene, api.id), CALLS, 'rolled up');
      assert.equal(await rows(fleet.scene, api.id), CALLS, 'raw');
    });

    it('says exactly how many calls a killed gateway took with it, and that is less than a second of them', async (t) => {
      const api = await open('killed-gateway');
      let done = 0;
      let perSecond = 0;
      const started = performance.now();
      await load(gateway, api.path, 3_000, () => {
        done += 1;
        perSecond = (done * 1_000) / (performance.now() - started);
      });
      await gateway.kill();
      await gateway.start();
      const { lost_calls: lost } = await eventually('the calls that are left arrive', async () => {
        const seen = await lossesOf(fleet.scene, 'alone');
        return (await counted(fleet.scene, api.id)) + seen.lost_calls === done && seen;
      }, 60_000);
      t.diagnostic(`${lost} of ${done} calls lost at ${perSecond.toFixed(0)} calls a second`);
      assert.ok(lost <= perSecond, `${lost} lost, ${perSecond} a second`);
      assert.equal(await rows(fleet.scene, api.id), done - lost);
    });

    it('drops the oldest calls when its spool cannot grow, counts them, and serves on', async (t) => {
      // No file of this gateway may grow past 256 KiB (three or four batches): the spool's writes fail while the control
      // plane is away.
      const narrow = await fleet.addGateway({
        name: 'narrow',
        limits: 'ulimit -f 512',
        environment: { SLUICE_GATEWAY_SPOOL_MAX_BYTES: '262144' },
      });
      const api = await open('full-spool');
      await eventually('the API is there', async () => (await call(narrow, api.path)).status === 200);
      await fleet.killControl();
      const COUNT = 8_000;
      await load(narrow, api.path, COUNT);
      await fleet.startControl();
      const dropped = await eventually('what was kept arrives, and the rest is told as dropped', async () => {
        const { dropped_calls } = await lossesOf(fleet.scene, 'narrow');
        return dropped_calls > 0 && (await counted(fleet.scene, api.id)) + dropped_calls === COUNT + 1 && dropped_calls;
      }, 60_000);
      t.diagnostic(`${dropped} of ${COUNT} calls dropped`);
      assert.ok(dropped < COUNT);
    });
  });
}
