// A gateway that dies at any step of applying a release comes back to the version before or to the new one, never to
// something between, and then catches up.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startFleet } from '../lib/fleet.mjs';
import { call, callUntil, publish } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';

// A start swaps and acknowledges once by itself, so that the release is the second time.
const STEPS = ['after-fetch', 'before-persist', 'mid-write', 'after-rename', 'before-swap:2', 'before-ack:2'];

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

  for (const step of STEPS) {
    it(`comes back whole after dying at ${step}`, async (t) => {
      const { admin, base, environment } = fleet.scene;
      const slug = step.split(':')[0];
      const { api } = await publish(fleet.scene, { slug, draft: draft(1) });
      const path = (version) => `/${fleet.scene.tenant.slug}/${slug}/v${version}`;
      await callUntil(gateway, path(1), 200);

      await gateway.kill();
      await gateway.start({ extra: { SLUICE_GATEWAY_FAILPOINT: step } });
      await admin.edit(`${base}/apis/${api.id}`, (current) => ({
        name: current.name, description: current.description, team: current.team ?? null, listed: current.listed, draft: draft(2),
      }));
      const current = await admin.request('GET', `${base}/apis/${api.id}`);
      const revision = await admin.post(`${base}/apis/${api.id}/revisions`, {}, { etag: current.headers.get('etag') });
      await admin.post(`${base}/apis/${api.id}/releases`, { environment: environment.id, revision: revision.number });
      await gateway.program.exit;

      // Without a control plane there is only what is on its disk.
      await fleet.killControl();
      await gateway.start();
      const statuses = [(await call(gateway, path(1))).status, (await call(gateway, path(2))).status];
      t.diagnostic(`came back to version ${statuses[0] === 200 ? 1 : 2}`);
      assert.deepEqual([...statuses].sort(), [200, 404], 'exactly one version is served');

      await fleet.startControl();
      await callUntil(gateway, path(2), 200);
      assert.equal((await call(gateway, path(1))).status, 404);
    });
  }
});
