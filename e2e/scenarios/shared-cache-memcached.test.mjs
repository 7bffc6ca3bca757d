// Gateways that share what they fetch through two real Memcached servers: what one has fetched the others serve, one that comes later
// begins with it, what is purged by tag does not come back, and when one server is killed only its share is fetched anew.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { signedIn } from '../lib/console.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { freePort } from '../lib/ports.mjs';
import { Program } from '../lib/processes.mjs';
import { callUntil, consume, publish } from '../lib/publishing.mjs';
import { ask, figures } from '../lib/shared-cache.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const PATIENT = 60_000;
const PATHS = Array.from({ length: 24 }, (_, number) => `page/${number}`);

/** Whether somebody listens there. */
function connects(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

async function startMemcached() {
  const port = await freePort();
  const settings = ['-p', `${port}`, '-U', '0', '-l', '127.0.0.1', '-t', '1', '-u', 'nobody'];
  const program = new Program(`memcached-${port}`, 'memcached', settings, { env: { PATH: process.env.PATH } });
  await program.until('answer', () => connects(port));
  return { program, name: `127.0.0.1:${port}` };
}

describe('gateways that share two Memcached', { timeout: 400_000 }, () => {
  let fleet;
  let upstream;
  let servers;
  let environment;
  let api;
  let key;
  let one;
  let two;
  let browser;
  let ada;

  const path = (rest) => `/${fleet.scene.tenant.slug}/shared/${rest}`;
  const figure = async (gateway, name) => (await figures(gateway))(name);
  const isShared = (answer) => /^sluice; hit; ttl=\d+; key="[0-9a-f]{16}"; detail=L2$/.test(answer.cache);
  /** Asks for everything on a gateway, and waits until what it fetched is shared. */
  const fetchAll = async (gateway) => {
    const written = () => figure(gateway, 'l2_writes_total{result="written"}');
    const before = await written();
    const answers = [];
    for (const rest of PATHS) answers.push(await ask(gateway, path(rest), key));
    const stored = answers.filter(({ cache }) => /stored/.test(cache)).length;
    await eventually('it is written', async () => (await written()) >= before + stored, PATIENT);
    return answers;
  };
  const read = async (gateway) => {
    const { items } = await fleet.scene.admin.get(`${fleet.scene.base}/gateways`);
    return items.find(({ name }) => name === gateway.name);
  };
  /** What the second gateway says of the second level, once it is so. */
  const heard = (isSo) => eventually('the heartbeat says so', async () => {
    const { health } = await read(two);
    return health?.second_level && isSo(health.second_level) && health.second_level;
  }, PATIENT);
  const panel = (title) => ada.page.locator('.panel').filter({ has: ada.page.getByRole('heading', { name: title, level: 2 }) });
  const join = async (name) => {
    const gateway = await fleet.addGateway({ name, environment });
    await callUntil(gateway, path(`warm/${name}`), 200, { key });
    return gateway;
  };

  before(async () => {
    [upstream, servers, fleet, browser] = await Promise.all([
      startUpstream({ headers: { 'cache-control': 'max-age=600', 'surrogate-key': 'pages' } }),
      Promise.all([startMemcached(), startMemcached()]), startFleet(), launch(),
    ]);
    // Patient, so that a busy machine does not decide what is shared.
    environment = {
      SLUICE_GATEWAY_CACHE_L2_URL: `memcached://${servers.map(({ name }) => name).join(',')}`, SLUICE_GATEWAY_CACHE_L2_BUDGET: '5s',
    };
    const draft = {
      routes: [{ id: 'all', path: '/{*path}' }],
      upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
      policies: [{ type: 'cache', settings: {} }],
    };
    one = await fleet.addGateway({ name: 'one', environment });
    const published = await publish(fleet.scene, { slug: 'shared', draft, plans: [{ name: 'Free', approval: 'automatic' }] });
    api = published.api;
    ({ key } = await consume(fleet.scene, { name: 'caller', subscriptions: [{ api: api.id, plan: published.plans[0].id }] }));
    await callUntil(one, path('warm/one'), 200, { key });
    two = await join('two');
    ada = await signedIn(browser, fleet, { name: 'Ada', email: 'ada@example.com' });
  });
  after(async () => {
    await browser?.close();
    for (const { program } of servers ?? []) program.kill('SIGKILL');
    await fleet?.stop();
    await upstream?.stop();
  });

  it('serves on one what the other has fetched, and on one that came later', async () => {
    const first = await fetchAll(one);
    const asked = upstream.requests.length;
    const second = await fetchAll(two);
    assert.ok(second.every(isShared), JSON.stringify(second));
    assert.deepEqual(second.map(({ text }) => text), first.map(({ text }) => text));
    assert.equal(upstream.requests.length, asked);
    // The journal moves on: what was stored before that is as good as it was.
    await consume(fleet.scene, { name: 'another', subscriptions: [] });
    const late = await join('late');
    const before = upstream.requests.length;
    assert.ok((await fetchAll(late)).every(isShared));
    assert.equal(upstream.requests.length, before);
  });

  it('brings nothing back that was purged by tag, not on one that came later either', async () => {
    const old = new Set((await fetchAll(one)).map(({ text }) => text));
    const { admin, base, environment: { id: into } } = fleet.scene;
    const { id } = await admin.post(`${base}/purges`, { environment: into, scope: { by: 'tag', api: api.id, tag: 'pages' } });
    await eventually('every gateway has the purge', async () => {
      const { items } = await admin.get(`${base}/purges?api=${api.id}`);
      return items.find((purge) => purge.id === id)?.progress.state === 'done';
    }, PATIENT);
    const later = await join('later');
    for (const gateway of [later, two, one]) {
      const answers = await fetchAll(gateway);
      assert.ok(answers.every(({ status, text }) => status === 200 && !old.has(text)), gateway.name);
    }
  });

  it('shows in the admin API and in the console how its servers do', async () => {
    const health = await heard(({ hit_bytes: bytes, server, nodes }) => (
      bytes > 0 && server?.hits > 0 && server.memory_bytes > 0 && nodes.every(({ state }) => state === 'up')));
    assert.deepEqual([health.kind, health.state], ['memcached', 'up']);
    assert.deepEqual(health.nodes.map(({ name }) => name), servers.map(({ name }) => name));
    assert.ok(health.server.max_memory_bytes > 0, JSON.stringify(health));
    await ada.open(`/gateways/${(await read(two)).id}`);
    const second = panel('Second level of the cache');
    await second.getByText('up', { exact: true }).waitFor();
    await second.getByText('Server\'s memory', { exact: true }).waitFor();
  });

  it('answers every call when one server is killed, and shares what the other has', async () => {
    servers[0].program.kill('SIGKILL');
    await servers[0].program.exit;
    let number = 0;
    await eventually('its breaker opens', async () => {
      number += 1;
      assert.equal((await ask(two, path(`new/${number}`), key)).status, 200);
      return (await figure(two, `l2_node_breaker_open{node="${servers[0].name}"}`)) === 1;
    }, PATIENT);
    assert.equal(await figure(two, `l2_node_breaker_open{node="${servers[1].name}"}`), 0);
    assert.equal(await figure(two, 'l2_breaker_open'), 0);
    const late = await join('latest');
    const answers = [];
    for (const rest of PATHS) answers.push(await ask(late, path(rest), key));
    assert.ok(answers.every(({ status }) => status === 200));
    const shared = answers.filter(isShared).length;
    assert.ok(shared > 0 && shared < PATHS.length, `${shared} of ${PATHS.length}`);
    const [dead, alive] = servers.map(({ name }) => name);
    await heard(({ state, nodes }) => {
      const of = (wanted) => nodes.find(({ name }) => name === wanted)?.state;
      return state === 'up' && of(dead) === 'tripped' && of(alive) === 'up';
    });
  });

  for (const theme of ['light', 'dark']) {
    for (const width of [1440, 390]) {
      it(`reads well, ${theme} and ${width} px wide`, async () => {
        const person = await signedIn(browser, fleet, { name: `Ada ${theme} ${width}`, email: 'ada@example.com', width, theme });
        await person.open(`/gateways/${(await read(two)).id}`);
        await person.settled();
        await person.screenshot(`shared-cache-memcached-${theme}-${width}`);
        await person.assertAccessible(`gateway, ${theme}, ${width}`);
      });
    }
  }
});
