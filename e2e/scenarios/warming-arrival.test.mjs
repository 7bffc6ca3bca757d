// A gateway that joins late begins with what callers of the others ask for most: its first call is a hit.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { databases } from '../lib/databases.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { call, callUntil, publish } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`a gateway that comes up, on ${database}`, { timeout: 300_000 }, () => {
    let upstream;
    let fleet;
    let late;
    let api;

    const base = () => `${fleet.scene.base}/apis/${api.id}`;
    const url = (path) => `/${fleet.scene.tenant.slug}/shop${path}`;
    const asked = (path) => upstream.requests.filter((request) => request === `GET ${path}`).length;
    // The first gateway may have one of its own, if the plan was there before anybody had looked who is new.
    const ofLate = async () => (await fleet.scene.admin.get(`${base()}/warmings`)).items
      .filter(({ cause, gateways }) => cause === 'gateway' && gateways.some(({ name }) => name === 'late'));
    const warmed = (times) => eventually(`the late gateway was warmed ${times} times`, async () => {
      const found = await ofLate();
      return found.length === times && found.every(({ state }) => state === 'done') && found;
    }, 60_000);

    before(async () => {
      upstream = await startUpstream({ name: 'origin' });
      fleet = await startFleet({ database });
      const first = await fleet.addGateway({ name: 'first' });
      const draft = {
        access: 'public',
        routes: [{ id: 'everything', methods: [], path: '/{*path}' }],
        upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
        policies: [{ type: 'cache', settings: { ttl_s: 3600 } }],
      };
      ({ api } = await publish(fleet.scene, { slug: 'shop', draft }));
      for (const path of ['/items?page=1', '/items?page=1', '/items?page=2']) await callUntil(first, url(path), 200);
      await eventually('the calls are recorded', async () => (await fleet.scene.admin.get(`${fleet.scene.base}/calls?api=${api.id}`)).items.length >= 3, 60_000);
      const path = `${base()}/environments/${fleet.scene.environment.id}/warming-plan`;
      const { headers } = await fleet.scene.admin.request('GET', path);
      const plan = { sources: [{ from: 'top', count: 10 }], pace: { per_second: 5, concurrency: 1 }, on_gateway: true };
      const saved = await fleet.scene.admin.request('PUT', path, { etag: headers.get('etag'), body: plan });
      assert.equal(saved.status, 200, JSON.stringify(saved.body));
    });
    after(async () => {
      await fleet?.stop();
      await upstream?.stop();
    });

    it('serves its first caller from its memory', async () => {
      late = await fleet.addGateway({ name: 'late' });
      const [warming] = await warmed(1);
      const shown = warming.gateways.map(({ name, report }) => [name, report.stored, report.failed]);
      assert.deepEqual(shown, [['late', 2, 0]], 'what callers of the first had asked for, and no other gateway');
      const answer = await call(late, url('/items?page=1'));
      assert.match(answer.headers.get('cache-status'), /hit/);
      assert.equal(asked('/items?page=1'), 2, 'once by the first gateway, once by the warming');
    });

    it('is warmed again when it has lost its memory', async () => {
      await late.kill();
      await late.start();
      await warmed(2);
      const answer = await call(late, url('/items?page=2'));
      assert.match(answer.headers.get('cache-status'), /hit/);
      assert.equal(asked('/items?page=2'), 3);
    });
  });
}
