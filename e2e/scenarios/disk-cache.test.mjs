// A gateway that keeps what it fetched in a folder on its own disk: the console shows it, and it is there after the gateway was stopped
// and started again, but for what was purged meanwhile.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { signedIn } from '../lib/console.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { callUntil, consume, publish } from '../lib/publishing.mjs';
import { ask, figures } from '../lib/shared-cache.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const PATIENT = 60_000;

describe('a gateway with its cache on disk', { timeout: 300_000 }, () => {
  let fleet;
  let folder;
  let upstream;
  let gateway;
  let api;
  let plan;
  let key;
  let browser;

  const path = (rest) => `/${fleet.scene.tenant.slug}/kept/${rest}`;
  const health = async () => {
    const { items } = await fleet.scene.admin.get(`${fleet.scene.base}/gateways`);
    return items.find(({ name }) => name === gateway.name);
  };
  const restart = async (meanwhile = async () => {}) => {
    await gateway.program.stop();
    await meanwhile();
    await gateway.start();
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-e2e-cache-'));
    [upstream, fleet, browser] = await Promise.all([
      startUpstream({ headers: { 'cache-control': 'max-age=600' } }), startFleet(), launch(),
    ]);
    // Patient, so that a busy machine does not decide what comes from the disk.
    const environment = { SLUICE_GATEWAY_CACHE_L2_URL: `disk:${folder}`, SLUICE_GATEWAY_CACHE_L2_BUDGET: '5s' };
    gateway = await fleet.addGateway({ name: 'keeper', environment });
    const draft = {
      routes: [{ id: 'all', path: '/{*path}' }],
      upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
      policies: [{ type: 'cache', settings: {} }],
    };
    const published = await publish(fleet.scene, { slug: 'kept', draft, plans: [{ name: 'Free', approval: 'automatic' }] });
    api = published.api;
    plan = published.plans[0];
    ({ key } = await consume(fleet.scene, { name: 'caller', subscriptions: [{ api: api.id, plan: plan.id }] }));
    await callUntil(gateway, path('warm'), 200, { key });
  });
  after(async () => {
    await browser?.close();
    await fleet?.stop();
    await upstream?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('answers after a restart without the upstream, and never with what was purged while it was stopped', async () => {
    const written = async () => (await figures(gateway))('l2_writes_total{result="written"}');
    const kept = Array.from({ length: 8 }, (_, number) => `kept/${number}`);
    const before = await eventually('what was asked for first is on the disk', written, PATIENT);
    for (const rest of ['purged', ...kept]) assert.match((await ask(gateway, path(rest), key)).cache, /stored/);
    await eventually('all is on the disk', async () => (await written()) === before + kept.length + 1, PATIENT);

    // What has nothing to do with it changes nothing.
    const late = await consume(fleet.scene, { name: 'late', subscriptions: [{ api: api.id, plan: plan.id }] });
    await callUntil(gateway, path('late'), 200, { key: late.key });
    const { admin, base, environment } = fleet.scene;
    await restart(() => admin.post(`${base}/purges`, { environment: environment.id, scope: { by: 'url', api: api.id, path: '/purged' } }));
    // What is asked for before the control plane has said what came meanwhile is validated, and fetched anew.
    await eventually('it is taken from the disk', async () => /detail=L2$/.test((await ask(gateway, path(kept.pop()), key)).cache), PATIENT);
    const asked = upstream.requests.length;
    assert.match((await ask(gateway, path(kept.pop()), key)).cache, /^sluice; hit; ttl=\d+; key="[0-9a-f]{16}"; detail=L2$/);
    assert.equal(upstream.requests.length, asked);
    assert.match((await ask(gateway, path('purged'), key)).cache, /stored/);
    assert.equal(upstream.requests.length, asked + 1);
  });

  it('shows in the admin API and in the console what the disk holds', async () => {
    const { id, health: { second_level: level } } = await eventually('the heartbeat says so', async () => {
      const read = await health();
      return read.health?.second_level?.hits > 0 && read.health.second_level.disk?.held_bytes > 0 && read;
    }, PATIENT);
    assert.deepEqual([level.kind, level.state], ['disk', 'up']);
    const ada = await signedIn(browser, fleet, { name: 'Ada', email: 'ada@example.com' });
    await ada.open(`/gateways/${id}`);
    const panel = ada.page.locator('.panel').filter({ has: ada.page.getByRole('heading', { name: 'Second level of the cache', level: 2 }) });
    for (const text of ['a folder on its disk', 'Hit ratio', 'On the disk', 'Written to the disk']) {
      await panel.getByText(text).first().waitFor();
    }
    await ada.assertAccessible('a gateway with its cache on disk');
  });
});
