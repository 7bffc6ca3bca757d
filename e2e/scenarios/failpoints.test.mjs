// A gateway that dies at any step of applying a release comes back to the version before or to the new one, never to
// something between, and then catches up.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startFleet } from '../lib/fleet.mjs';
import { call, callUntil, publish } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';

// Where it dies, and which version it then finds on its disk. A start swaps and acknowledges once by itself; a release
// is swapped in when its entry has come (with the part of before) and again when its part has.
const STEPS = [
  ['after-fetch', 1],
  ['before-persist', 1],
  ['mid-write', 1],
  ['after-rename', 2],
  ['before-swap:3', 2],
  ['before-ack:2', 2],
];
const LOG = 'info,sluice_gateway::link::acknowledge=debug';

describe('a gateway that dies while it applies a release', { timeout: 300_000 }, () => {
  let fleet;
  let upstream;
  let gateway;

  // Version N of the API has one route, `/vN`: what answers says which version is served.
  const draft = (version) => ({
    access: 'public',
    routes: [{ id: `v${version}`, methods: ['GET'], path: `/v${version}` }],
    upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
  });

  before(async () => {
    upstream = await startUpstream();
    fleet = await startFleet();
    gateway = await fleet.addGateway({ name: 'fragile' });
  });
  after(async () => {
    await fleet?.stop();
    await upstream?.stop();
  });

  for (const [step, version] of STEPS) {
    it(`comes back to version ${version} after dying at ${step}`, async () => {
      const { admin, base, environment } = fleet.scene;
      const slug = step.split(':')[0];
      const { api } = await publish(fleet.scene, { slug, draft: draft(1) });
      const path = (n) => `/${fleet.scene.tenant.slug}/${slug}/v${n}`;
      await callUntil(gateway, path(1), 200);

      await gateway.kill();
      await gateway.start({ extra: { SLUICE_GATEWAY_FAILPOINT: step, SLUICE_GATEWAY_LOG: LOG } });
      await admin.edit(`${base}/apis/${api.id}`, (current) => ({
        name: current.name, description: current.description, team: current.team ?? null, listed: current.listed, draft: draft(2),
      }));
      const current = await admin.request('GET', `${base}/apis/${api.id}`);
      const revision = await admin.post(`${base}/apis/${api.id}/revisions`, {}, { etag: current.headers.get('etag') });
      const releases = `${base}/apis/${api.id}/releases`;
      const release = await admin.post(releases, { environment: environment.id, revision: revision.number });
      const { program } = gateway;
      await program.exit;
      const { progress } = await admin.get(`${releases}/${release.id}`);
      assert.equal(progress.gateways[0].applied, false, 'the control plane has not heard that it is applied');
      // What is about to be acknowledged is served: the position is taken after the swap.
      const acknowledging = [...program.output.matchAll(/acknowledging.*?position=(\d+)/g)].map(([, position]) => Number(position));
      assert.equal(acknowledging.some((position) => position >= release.position), slug === 'before-ack', `${acknowledging} of ${release.position}`);

      // Without a control plane there is only what is on its disk.
      await fleet.killControl();
      await gateway.start();
      const statuses = [(await call(gateway, path(1))).status, (await call(gateway, path(2))).status];
      assert.deepEqual(statuses, version === 1 ? [200, 404] : [404, 200], 'exactly this version is served');

      await fleet.startControl();
      await callUntil(gateway, path(2), 200);
      assert.equal((await call(gateway, path(1))).status, 404);
    });
  }
});
