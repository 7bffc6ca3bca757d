// Ten gateways and what goes wrong with some of them: the rest go on, the console names who is behind, and whoever
// comes back catches up by itself.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { releaseBrokenPart } from '../lib/broken-part.mjs';
import { databases } from '../lib/databases.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { call, callUntil, consume, publish, release } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const GATEWAYS = 10;
const LAGGARD_AFTER_MS = 30_000;

for (const database of databases) {
  describe(`a fleet of ${GATEWAYS} gateways on ${database}`, { timeout: 300_000 }, () => {
    let fleet;
    let upstream;
    let api;
    let plan;
    let path;

    const draft = (route) => ({
      routes: [{ id: route, methods: ['GET'], path: `/${route}` }],
      upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
    });
    const redraft = (route) => fleet.scene.admin.edit(`${fleet.scene.base}/apis/${api.id}`, (current) => ({
      name: current.name, description: current.description, team: current.team ?? null, listed: current.listed, draft: draft(route),
    }));
    const progressOf = async (id) => (await fleet.scene.admin.get(`${fleet.scene.base}/apis/${api.id}/releases/${id}`)).progress;

    before(async () => {
      upstream = await startUpstream();
      fleet = await startFleet({ database });
    });
    after(async () => {
      await fleet?.stop();
      await upstream?.stop();
    });

    it('accepts a release while no gateway is up, and shows it as waiting', async () => {
      const { admin, base, environment } = fleet.scene;
      api = await admin.post(`${base}/apis`, { slug: 'fleet', name: 'Fleet', draft: draft('one') });
      plan = await admin.post(`${base}/apis/${api.id}/plans`, { name: 'Free', approval: 'automatic' });
      const current = await admin.request('GET', `${base}/apis/${api.id}`);
      const revision = await admin.post(`${base}/apis/${api.id}/revisions`, {}, { etag: current.headers.get('etag') });
      const made = await admin.post(`${base}/apis/${api.id}/releases`, { environment: environment.id, revision: revision.number });
      assert.equal(made.progress.state, 'waiting');
      path = `/${fleet.scene.tenant.slug}/fleet`;
    });

    it('gives every gateway that enrols what was released before', async () => {
      await Promise.all(Array.from({ length: GATEWAYS }, (_, n) => fleet.addGateway({ name: `gateway-${n}` })));
      const { key } = await consume(fleet.scene, { name: 'caller', subscriptions: [{ api: api.id, plan: plan.id }] });
      for (const gateway of fleet.gateways) await callUntil(gateway, `${path}/one`, 200, { key });
      fleet.key = key;
      fleet.route = 'one';
    });

    /** Revokes a key that every gateway takes, while everybody else goes on calling and must not notice. */
    const revoke = async (name) => {
      const { admin, base } = fleet.scene;
      const { application, credential, key } = await consume(fleet.scene, { name, subscriptions: [{ api: api.id, plan: plan.id }] });
      const served = `${path}/${fleet.route}`;
      for (const gateway of fleet.gateways) await callUntil(gateway, served, 200, { key });
      let running = true;
      const bystanders = fleet.gateways.map(async (gateway) => {
        for (let calls = 0; ; calls += 1) {
          if (!running) return calls;
          assert.equal((await call(gateway, served, { key: fleet.key })).status, 200);
        }
      });
      await admin.call('DELETE', `${base}/applications/${application.id}/credentials/${credential.id}`);
      const revoked = performance.now();
      await Promise.all(fleet.gateways.map((gateway) =>
        eventually(`${gateway.name} refuses`, async () => (await call(gateway, served, { key })).status === 401, 1_000)));
      assert.ok(performance.now() - revoked < 1_000);
      running = false;
      const calls = await Promise.all(bystanders);
      assert.ok(calls.every((count) => count > 0), `${calls}`);
    };

    it('refuses a revoked key on every gateway within a second, under traffic', () => revoke('to be revoked'));

    it('completes a release for the rest when one gateway is stopped and one is killed, and names the laggard', async (t) => {
      const [stopped, killed, ...rest] = fleet.gateways;
      stopped.pause();
      await killed.kill();
      await redraft('two');
      const { release: made } = await release(fleet.scene, api.id, 60_000);
      for (const gateway of rest) assert.equal((await call(gateway, `${path}/two`, { key: fleet.key })).status, 200);
      const first = made.progress.gateways.filter((gateway) => !gateway.applied).map((gateway) => gateway.name);
      assert.deepEqual(first.sort(), [killed.name, stopped.name].sort());

      const named = await eventually('the laggards are named', async () => {
        const laggards = (await progressOf(made.id)).gateways.filter((gateway) => gateway.laggard);
        return laggards.length > 0 && laggards.map((gateway) => gateway.name);
      }, LAGGARD_AFTER_MS + 15_000);
      assert.ok(named.includes(stopped.name), `${named}`);
      t.diagnostic(`applied within ${Math.max(...made.progress.gateways.map((gateway) => gateway.took_ms ?? 0))} ms`);

      stopped.resume();
      await killed.start();
      for (const gateway of [stopped, killed]) await callUntil(gateway, `${path}/two`, 200, { key: fleet.key });
      await eventually('everybody has applied it', async () =>
        (await progressOf(made.id)).gateways.every((gateway) => gateway.applied));
    });

    it('serves on from disk while the control plane is down, and takes up what comes after', async () => {
      await fleet.killControl();
      const [one, two] = fleet.gateways;
      assert.equal((await call(one, `${path}/two`, { key: fleet.key })).status, 200);
      await two.kill();
      await two.start();
      assert.equal((await call(two, `${path}/two`, { key: fleet.key })).status, 200, 'a gateway that starts without a control plane');
      await fleet.startControl();
      await redraft('three');
      await release(fleet.scene, api.id, 60_000);
      for (const gateway of fleet.gateways) assert.equal((await call(gateway, `${path}/three`, { key: fleet.key })).status, 200);
      fleet.route = 'three';
    });

    it('refuses a revoked key within a second also while a part does not compile, and serves that API as it was before', async () => {
      const routes = [{ id: 'all', methods: [], path: '/' }];
      const upstreams = [{ name: 'origin', targets: [{ url: upstream.url }] }];
      const { api: other } = await publish(fleet.scene, { slug: 'other', draft: { access: 'public', routes, upstreams } });
      await fleet.killControl();
      await releaseBrokenPart(fleet.store);
      await fleet.startControl();
      await eventually('every gateway says that it cannot compile the part', async () => {
        const { items } = await fleet.scene.admin.get(`${fleet.scene.base}/gateways`);
        return items.filter(({ failed_parts: [failed] }) => failed?.api === other.id && /schema 99/.test(failed.reason)).length === GATEWAYS;
      }, 30_000);
      await revoke('to be revoked in spite of the part');
      const { items } = await fleet.scene.admin.get(`${fleet.scene.base}/gateways`);
      assert.ok(items.every(({ failed_parts: failed }) => failed.length === 1), 'nobody has compiled it meanwhile');
      for (const gateway of fleet.gateways) assert.equal((await call(gateway, `/${fleet.scene.tenant.slug}/other/`)).status, 200);
    });
  });
}
