// Two gateways that share what they fetch through a real Redis: what one has fetched the other serves, the console shows how full
// each one's memory is and how their Redis does, and when Redis is killed no call fails.

import assert from 'node:assert/strict';
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

async function startRedis(port) {
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const program = new Program(`redis-${port}`, 'redis-server', settings, { env: { PATH: process.env.PATH } });
  await program.until('answer', () => /Ready to accept connections/.test(program.output));
  return program;
}

describe('two gateways that share a Redis', { timeout: 400_000 }, () => {
  let fleet;
  let upstream;
  let redis;
  let port;
  let api;
  let key;
  let one;
  let two;
  let browser;
  let ada;
  let number = 0;

  const path = (rest) => `/${fleet.scene.tenant.slug}/shared/${rest}`;
  /** Fetches something new through a gateway and waits until it is shared. */
  const share = async (gateway, rest) => {
    const written = async () => (await figures(gateway))('l2_writes_total{result="written"}');
    const before = await written();
    const answer = await ask(gateway, path(rest), key);
    assert.match(answer.cache, /stored/);
    await eventually('it is written', async () => (await written()) > before, PATIENT);
    return answer;
  };
  /** Calls for something that nobody has asked for, which the upstream has to answer. */
  const callAnew = async (gateway) => {
    number += 1;
    const asked = upstream.requests.length;
    const answer = await ask(gateway, path(`new/${number}`), key);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(upstream.requests.length, asked + 1);
  };
  const read = async (gateway) => {
    const { items } = await fleet.scene.admin.get(`${fleet.scene.base}/gateways`);
    return items.find(({ name }) => name === gateway.name);
  };
  const panel = (title) => ada.page.locator('.panel').filter({ has: ada.page.getByRole('heading', { name: title, level: 2 }) });

  before(async () => {
    port = await freePort();
    [upstream, redis, fleet, browser] = await Promise.all([
      startUpstream({ headers: { 'cache-control': 'max-age=600' } }), startRedis(port), startFleet(), launch(),
    ]);
    // Patient, so that a busy machine does not decide what is shared.
    const environment = { SLUICE_GATEWAY_CACHE_L2_URL: `redis://127.0.0.1:${port}`, SLUICE_GATEWAY_CACHE_L2_BUDGET: '5s' };
    one = await fleet.addGateway({ name: 'one', environment });
    two = await fleet.addGateway({ name: 'two', environment });
    const draft = {
      routes: [
        { id: 'all', path: '/{*path}' },
        { id: 'through', path: '/through/{*path}', policies: [{ type: 'cache', settings: { write_through: 'always' } }] },
      ],
      upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
      policies: [{ type: 'cache', settings: {} }],
    };
    const published = await publish(fleet.scene, { slug: 'shared', draft, plans: [{ name: 'Free', approval: 'automatic' }] });
    api = published.api;
    ({ key } = await consume(fleet.scene, { name: 'caller', subscriptions: [{ api: api.id, plan: published.plans[0].id }] }));
    for (const gateway of [one, two]) await callUntil(gateway, path(`warm/${gateway.name}`), 200, { key });
    ada = await signedIn(browser, fleet, { name: 'Ada', email: 'ada@example.com' });
  });
  after(async () => {
    await browser?.close();
    redis?.kill('SIGKILL');
    await fleet?.stop();
    await upstream?.stop();
  });

  it('serves on one what the other has fetched, says so, and not after a purge', async () => {
    const first = await share(one, 'a');
    const asked = upstream.requests.length;
    const second = await ask(two, path('a'), key);
    assert.match(second.cache, /^sluice; hit; ttl=\d+; key="[0-9a-f]{16}"; detail=L2$/);
    assert.equal(second.text, first.text);
    assert.doesNotMatch((await ask(two, path('a'), key)).cache, /detail/, 'from memory now');
    assert.equal(upstream.requests.length, asked);

    const { admin, base, environment } = fleet.scene;
    const { id } = await admin.post(`${base}/purges`, { environment: environment.id, scope: { by: 'url', api: api.id, path: '/a' } });
    await eventually('every gateway has the purge', async () => {
      const { items } = await admin.get(`${base}/purges?api=${api.id}`);
      return items.find((purge) => purge.id === id)?.progress.state === 'done';
    }, PATIENT);
    // Each answer of the upstream has another request id in it.
    for (const gateway of [two, one]) assert.notEqual((await ask(gateway, path('a'), key)).text, first.text);
  });

  it('forgets on all what an unsafe method has changed on one, in memory too, and keeps it out of the list of purges', async () => {
    await share(one, 'changed');
    await ask(two, path('changed'), key);
    const old = await ask(two, path('changed'), key);
    assert.match(old.cache, /^sluice; hit/);
    assert.doesNotMatch(old.cache, /detail/, 'from memory');
    assert.equal((await ask(one, path('changed'), key, 'PUT')).status, 200);
    await eventually('the other has forgotten it', async () => (await ask(two, path('changed'), key)).text !== old.text, PATIENT);
    assert.notEqual((await ask(one, path('changed'), key)).text, old.text);
    const { admin, base } = fleet.scene;
    const { items } = await admin.get(`${base}/purges?api=${api.id}`);
    assert.equal(items.length, 1, 'the one that was asked for');
  });

  it('has the answer to a change for all, where the policy writes through', async () => {
    const before = await share(one, 'through/a');
    assert.equal((await ask(two, path('through/a'), key)).text, before.text);
    const written = async () => (await figures(one))('l2_writes_total{result="written"}');
    const count = await written();
    const changed = await ask(one, path('through/a'), key, 'PUT');
    assert.match(changed.cache, /stored/);
    await eventually('it is handed on, and again with its place in the journal', async () => (await written()) === count + 2, PATIENT);
    const asked = upstream.requests.length;
    const now = await eventually('the other has forgotten what was before', async () => {
      const answer = await ask(two, path('through/a'), key);
      return answer.text !== before.text && answer;
    }, PATIENT);
    assert.equal(now.text, changed.text);
    assert.match(now.cache, /detail=L2$/);
    assert.equal(upstream.requests.length, asked);
  });

  it('counts for the API what was asked of Redis, how long that took, and says it of each call', async () => {
    const { admin, base } = fleet.scene;
    const read = (rest) => admin.get(`${base}/analytics/cache?${rest}`);
    const found = await eventually('calls that were answered from it are counted', async () => {
      const { rows } = await read('');
      const row = rows.find(({ id }) => id === api.id);
      return row?.second_level?.found >= 2 && row.second_level;
    }, PATIENT);
    assert.ok(found.asked > found.found && found.failed === 0 && found.mean_us > 0, JSON.stringify(found));
    const { rows, points } = await read(`api=${api.id}`);
    assert.deepEqual(rows.map(({ id, second_level: of }) => [id, of.asked > 0]).toSorted(), [['all', true], ['through', true]]);
    assert.ok(points.some((point) => point.second_level?.found > 0));

    await ada.open(`/analytics/cache?api=${api.id}`);
    await ada.page.getByRole('heading', { name: 'Time of the second level' }).waitFor();
    await ada.page.locator('[data-label="Second level"]').filter({ hasText: /%, .*s/ }).first().waitFor();
    const { items } = await admin.get(`${base}/calls?api=${api.id}&cache=hit`);
    const { id } = items.find((call) => call.second_level?.answer === 'found');
    await ada.open(`/calls/${id}`);
    await ada.page.locator('dd').filter({ hasText: /^had it, after .*s$/ }).waitFor();
  });

  it('shows in the admin API and in the console what is held, and how Redis does', async () => {
    await share(one, 'b');
    assert.match((await ask(two, path('b'), key)).cache, /detail=L2/);
    const seen = await eventually('the heartbeat says so', async () => {
      const { health } = await read(two);
      return health?.second_level?.state === 'up' && health.second_level.hits > 0 && health.second_level.server && health;
    }, PATIENT);
    const [held] = seen.cache.apis;
    assert.deepEqual([held.api, held.slug], [api.id, 'shared']);
    assert.ok(held.entries > 0 && held.bytes > 0, JSON.stringify(held));
    assert.ok(seen.second_level.server.memory_bytes > 0, JSON.stringify(seen.second_level));

    await ada.open(`/gateways/${(await read(two)).id}`);
    await panel('Second level of the cache').getByText('up', { exact: true }).waitFor();
    for (const text of ['Hit ratio', 'Queue', 'Server\'s memory', 'Server\'s hits', 'Server\'s evictions', 'Server\'s operations', 'kB/s in and out', 'Server\'s CPU time']) await panel('Second level of the cache').getByText(text).waitFor();
    const history = await eventually('a sample is taken', async () => {
      const { points } = await fleet.scene.admin.get(`${fleet.scene.base}/gateways/${(await read(two)).id}/second-level`);
      return points.find(({ did }) => did?.hits > 0 && did.answer_us > 0);
    }, PATIENT);
    assert.equal(history.did.tripped_ms, 0);
    await ada.page.reload();
    const overTime = panel('Second level over time');
    for (const name of ['Answer time of the second level over time', 'Hit ratio of the second level over time', 'Questions to the second level over time']) {
      await overTime.getByRole('figure', { name }).waitFor();
    }
    await overTime.getByText('Its breaker was never open in this time.').waitFor();
    await overTime.getByRole('button', { name: '6 h', exact: true }).click();
    await ada.page.waitForURL((url) => url.searchParams.get('range') === '6h');
    const memory = panel('Memory of the cache');
    await memory.getByText('sizelfu').waitFor();
    await memory.getByText('On their way in').waitFor();
    await memory.getByRole('link', { name: 'shared' }).click();
    await ada.page.waitForURL((url) => url.pathname === `/apis/${api.id}/cache`);
    for (const gateway of [one, two]) await panel('Held in memory').getByRole('link', { name: gateway.name }).waitFor();
  });

  it('looks inside: what Redis has of an address, without taking it over', async () => {
    await share(one, 'inside');
    const hits = async () => (await figures(two))('l2_asked_total{result="hit"}');
    const before = await hits();
    const inside = panel('Look inside');
    const lookUp = async (words) => {
      await ada.open(`/apis/${api.id}/cache`);
      await inside.getByLabel('Address to look up').fill(`http://api.example${path('inside')}`);
      await eventually(`${words}`, async () => {
        await inside.getByRole('button', { name: 'Look up' }).click();
        await inside.getByText(words).first().waitFor({ timeout: 5_000 });
        return true;
      }, PATIENT);
    };
    await lookUp('1 stored response');
    await inside.locator('details').filter({ hasText: 'who asked for it' }).locator('summary').click();
    await inside.getByText(/^fresh, would be used; .* old; .* left; .* there; .* the body$/).waitFor();
    // Nobody without credentials has asked: on neither gateway is there anything for all.
    for (const text of await inside.getByText('Second level, asked without credentials').allTextContents()) assert.match(text, /: not there$/);
    await ada.screenshot('cache-inside-second-level');
    await ada.assertAccessible('what is inside the second level');

    const explain = panel('Explain a request');
    await explain.getByLabel('URL').fill(`http://api.example${path('inside')}`);
    await explain.getByLabel('Application whose key it carries').selectOption('caller');
    await eventually('the copy is told', async () => {
      await explain.getByRole('button', { name: 'Explain' }).click();
      await explain.getByText(/^Second level: fresh, would be used/).waitFor({ timeout: 5_000 });
      return true;
    }, PATIENT);

    const { admin, base, environment } = fleet.scene;
    const body = { environment: environment.id, path: '/inside', host: 'api.example' };
    const told = await eventually('both answer', async () => {
      const { gateways } = await admin.post(`${base}/apis/${api.id}/cache/entries`, body);
      return gateways.every(({ answer }) => answer) && gateways;
    }, PATIENT);
    const of = (name) => told.find((it) => it.name === name).answer;
    assert.deepEqual(of('one').entries.map(({ copy }) => copy.state), ['fresh']);
    assert.deepEqual(of('two').entries, [], 'nothing was taken over');
    assert.deepEqual([of('two').asked.copy.state, of('two').asked.key.host], ['absent', 'api.example']);
    assert.equal(await hits(), before, 'nothing was counted');
  });

  it('answers every call when Redis is killed, says so, and shares again when there is a new one', async () => {
    redis.kill('SIGKILL');
    await redis.exit;
    const { admin, base, environment } = fleet.scene;
    await eventually('it is told that there is no answer', async () => {
      const { gateways } = await admin.post(`${base}/apis/${api.id}/cache/entries`, { environment: environment.id, path: '/inside' });
      return gateways.every(({ answer }) => answer?.asked.copy.state === 'no_answer');
    }, PATIENT);
    await eventually('the breaker opens', async () => {
      for (const gateway of [one, two]) await callAnew(gateway);
      return (await figures(two))('l2_breaker_open') === 1 && (await figures(one))('l2_breaker_open') === 1;
    }, PATIENT);
    assert.match((await ask(two, path('b'), key)).cache, /hit/, 'what is in memory is served as before');
    await ada.open(`/gateways/${(await read(two)).id}`);
    await panel('Second level of the cache').getByText('tripped').waitFor();

    redis = await startRedis(port);
    for (const gateway of [one, two]) {
      await eventually('the breaker closes', async () => (await figures(gateway))('l2_breaker_open') === 0, PATIENT);
    }
    await panel('Second level of the cache').getByText('up', { exact: true }).waitFor();
    await eventually('the history has when it was open', async () => {
      const { points } = await admin.get(`${base}/gateways/${(await read(two)).id}/second-level`);
      return points.some(({ did }) => did?.tripped_ms > 0 && did.failed > 0);
    }, PATIENT);
    await panel('Second level over time').getByText(/^Its breaker was open for .+, last in the one that begins .+\. Calls went on without it\.$/).waitFor();
    await panel('Second level over time').getByRole('figure', { name: 'Time in which the breaker of the second level was open' }).waitFor();
    await share(one, 'again');
    assert.match((await ask(two, path('again'), key)).cache, /detail=L2/);
  });

  for (const theme of ['light', 'dark']) {
    for (const width of [1440, 390]) {
      it(`reads well, ${theme} and ${width} px wide`, async () => {
        const person = await signedIn(browser, fleet, { name: `Ada ${theme} ${width}`, email: 'ada@example.com', width, theme });
        const pages = { gateway: `/gateways/${(await read(two)).id}`, held: `/apis/${api.id}/cache`, counted: `/analytics/cache?api=${api.id}` };
        for (const [name, at] of Object.entries(pages)) {
          await person.open(at);
          await person.settled();
          await person.screenshot(`shared-cache-${name}-${theme}-${width}`);
          await person.assertAccessible(`${name}, ${theme}, ${width}`);
        }
      });
    }
  }
});
