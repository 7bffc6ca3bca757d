// A name that an upstream is known by turns to another address after it was saved: the guard decides at each connect.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { ownHosts, startFleet, withHosts } from '../lib/fleet.mjs';
import { call, callUntil, publish } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const skip = ownHosts ? false : 'programs cannot have a mount namespace of their own here';

describe('an upstream whose name changes its address', { skip, timeout: 120_000 }, () => {
  let fleet;
  let upstream;
  let hosts;
  let gateway;

  before(async () => {
    // Each call needs a connection of its own, so that the name is looked up for each.
    upstream = await startUpstream({ headers: { connection: 'close' } });
    fleet = await startFleet();
    await fleet.scene.admin.edit(`/environments/${fleet.scene.environment.id}`, ({ name, settings }) => ({
      name, settings: { ...settings, allowed_networks: ['127.0.0.1/32'] },
    }));
    hosts = join(fleet.data, 'hosts');
    await turnTo('127.0.0.1');
    gateway = await fleet.addGateway({ name: 'looks-up', limits: withHosts(hosts) });
  });
  after(async () => {
    await fleet?.stop();
    await upstream?.stop();
  });

  const turnTo = (address) => writeFile(hosts, `127.0.0.1 localhost\n${address} upstream.rebinding.test\n`);

  it('is called while its address is allowed, refused at connect when it is not, and recorded so', async () => {
    const { admin, base, tenant } = fleet.scene;
    const url = upstream.url.replace('127.0.0.1', 'upstream.rebinding.test');
    const routes = [{ id: 'all', methods: [], path: '/' }];
    const upstreams = [{ name: 'origin', targets: [{ url }] }];
    const { api } = await publish(fleet.scene, { slug: 'turning', draft: { access: 'public', routes, upstreams } });
    const path = `/${tenant.slug}/turning/`;
    await callUntil(gateway, path, 200);
    const reached = upstream.requests.length;

    // Another loopback address: it would be reached if nobody looked.
    await turnTo('127.0.0.2');
    const refused = await call(gateway, path);
    assert.deepEqual([refused.status, refused.body.code], [502, 'upstream_forbidden']);
    assert.equal(upstream.requests.length, reached);

    const recorded = await eventually('the call is recorded', async () => {
      const { items } = await admin.get(`${base}/calls?api=${api.id}`);
      return items.find((item) => item.request_id === refused.headers.get('x-request-id'));
    });
    assert.deepEqual([recorded.status, recorded.error], [502, 'upstream_forbidden']);

    await turnTo('127.0.0.1');
    assert.equal((await call(gateway, path)).status, 200);
  });
});
