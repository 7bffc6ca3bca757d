// What the console shows of the cache over time: what it did and saved for each API and route, what it holds of memory, and
// what was purged meanwhile. What is shown is what the admin API says, and that is what was called.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { databases } from '../lib/databases.mjs';
import { call, callUntil, publish } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`the cache over time in the console, on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let ada;
    let page;
    let api;

    const cache = (query = '') => stage.admin.get(`${stage.base}/analytics/cache?${query}`);
    const calls = (totals, outcome) => totals.outcomes.find((count) => count.outcome === outcome)?.calls ?? 0;
    const stat = (label) => page.locator('.stat').filter({ has: page.getByText(label, { exact: true }) });
    const shows = (label, text) => stat(label).locator('.stat-value').filter({ hasText: text }).waitFor();
    const param = (name) => new URL(page.url()).searchParams.get(name);
    const lines = () => page.getByRole('table', { name: 'What the cache did, by API or route' }).locator('tbody tr');

    /** What a chart says of its newest steps: while this is read, another may begin. */
    const newest = async (name) => {
      const chart = page.getByRole('slider', { name });
      await chart.focus();
      const texts = [];
      for (const key of ['End', 'ArrowLeft', 'ArrowLeft']) {
        await page.keyboard.press(key);
        texts.push(await chart.getAttribute('aria-valuetext'));
      }
      return texts;
    };

    before(async () => {
      stage = await startStage({ database });
      const draft = {
        access: 'public',
        routes: [
          { id: 'prices', methods: ['GET', 'POST'], path: '/prices/{id}', policies: [{ type: 'cache', settings: { ttl_s: 600 } }] },
          { id: 'slow', methods: ['GET'], path: '/slow' },
        ],
        upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
      };
      ({ api } = await publish(stage.scene, { slug: 'shop', name: 'Shop', draft }));
      await callUntil(stage.sluice, '/acme/shop/prices/1', 200);
      const ask = (path, options) => call(stage.sluice, `/acme/shop${path}`, options);
      for (const [path, options] of [
        ['/prices/1'], ['/prices/1'], ['/prices/2'], ['/prices/2'],
        ['/prices/1', { headers: { 'cache-control': 'no-cache' } }], ['/prices/1', { headers: { 'cache-control': 'no-store' } }],
        ['/prices/1', { method: 'POST' }], ['/slow'],
      ]) await ask(path, options);
      await stage.admin.post(`${stage.base}/purges`, { environment: stage.scene.environment.id, scope: { by: 'prefix', api: api.id, path: '/prices' } });
      await eventually('all are counted', async () => (await cache(`api=${api.id}&route=slow`)).total.calls === 1);
      ada = await stage.ada();
      page = ada.page;
    });
    after(() => stage?.stop());

    it('counts what was called, by what the cache did', async () => {
      const { total, rows } = await cache(`api=${api.id}`);
      const counts = ['hit', 'miss', 'request', 'bypass', 'method', 'uncached'].map((outcome) => calls(total, outcome));
      // Before the API was live, calls found no route; they are of no API.
      assert.deepEqual(counts, [3, 2, 1, 1, 1, 1]);
      assert.deepEqual([total.calls, total.cacheable, total.hits], [9, 6, 3]);
      assert.deepEqual(rows.map((row) => [row.id, row.calls]), [['prices', 8], ['slow', 1]]);
      assert.ok(total.origin_us > 0 && total.saved_us > 0 && total.saved_bytes > 0);
    });

    it('shows it in numbers, charts and a table, and leads from API to route and back', async () => {
      await ada.open('/analytics/cache');
      await page.getByRole('button', { name: '6 h', exact: true }).click();
      await lines().filter({ hasText: 'Shop' }).getByRole('button').click();
      await page.waitForURL((url) => url.searchParams.get('api') === api.id);
      await shows('Hits', '3');
      await shows('Misses', '3');
      await shows('Hit ratio', '50');
      assert.equal(param('range'), '6h');
      const reasons = async () => {
        const texts = (await newest(/^Calls to the upstream by reason over time/)).join();
        const sum = (name) => [...texts.matchAll(new RegExp(`${name} (\\d+)`, 'g'))].reduce((all, [, count]) => all + Number(count), 0);
        return ['Not stored', 'Caller insisted', 'Method'].map(sum);
      };
      await eventually('the newest steps have their reasons', async () => String(await reasons()) === '2,1,1');
      await lines().filter({ hasText: 'prices' }).getByRole('button').click();
      await page.waitForURL((url) => url.searchParams.get('route') === 'prices');
      await eventually('only that route', async () => (await lines().count()) === 1);
      await page.reload();
      await shows('Hits', '3');
      await page.getByRole('button', { name: 'Remove the route filter' }).click();
      await eventually('both routes', async () => (await lines().count()) === 2);
    });

    it('marks purges on the hit ratio, and lists them', async () => {
      const list = page.getByRole('list', { name: '1 purge' });
      await list.getByText('Purge: prefix /prices').waitFor();
      const marks = page.getByRole('figure', { name: 'Cache hit ratio over time' }).locator('.mark-line');
      await eventually('one mark', async () => (await marks.count()) === 1);
      await eventually('the readout names it', async () => /Purge: prefix \/prices/.test(await newest(/^Cache hit ratio over time/)));
    });

    it('shows what is held of memory, and what left it', async () => {
      // The purge has emptied it: what is called now is held again.
      await call(stage.sluice, '/acme/shop/prices/3');
      const newest = async () => (await cache(`api=${api.id}`)).memory.findLast((point) => point.bytes !== null);
      const held = await eventually('a sample is taken', async () => ((await newest())?.entries === 1 ? newest() : null), 60_000);
      assert.ok(held.bytes > 0);
      const left = (await cache(`api=${api.id}`)).memory.reduce((sum, point) => sum + point.evictions.purged, 0);
      assert.ok(left >= 1, `${left} left by the purge`);
      await page.reload();
      await page.getByRole('figure', { name: 'Bytes held in memory over time' }).waitFor();
      await page.getByRole('figure', { name: 'Responses that left the memory over time' }).waitFor();
    });

    it('shows what a route holds, and what left it', async () => {
      const of = async (route) => (await cache(`api=${api.id}&route=${route}`)).memory;
      const held = await eventually('a sample of the route is taken', async () => (await of('prices')).findLast((point) => point.entries === 1), 60_000);
      assert.ok(held.bytes > 0);
      assert.ok((await of('prices')).reduce((sum, point) => sum + point.evictions.purged, 0) >= 1, 'by the purge');
      assert.ok((await of('slow')).every((point) => point.bytes === null), 'a route that stores nothing');
      await ada.open(`/analytics/cache?api=${api.id}&route=prices`);
      await page.getByRole('figure', { name: 'Bytes held in memory over time' }).waitFor();
      await page.getByRole('figure', { name: 'Responses that left the memory over time' }).waitFor();
      await ada.open(`/analytics/cache?api=${api.id}&route=slow`);
      await page.getByText('Nothing is known to have been held in this time.').waitFor();
    });

    it('says what is not told apart, and that there is nothing', async () => {
      await ada.open(`/analytics/cache?api=${api.id}&application=00000000-0000-7000-8000-000000000000`);
      await page.getByText('these are the calls of all applications').waitFor();
      await ada.open('/analytics/cache?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z');
      await page.getByText('No call in this time could use a cache.').first().waitFor();
      await page.getByText('Nothing was purged in this time.').waitFor();
      await page.getByText('Nothing is known to have been held in this time.').waitFor();
    });

    it('is accessible, and has room on a telephone', async () => {
      await ada.open(`/analytics/cache?api=${api.id}`);
      for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 390], ['dark', 390]]) {
        await page.setViewportSize({ width, height: 900 });
        await ada.setTheme(theme);
        await shows('Hits', '3');
        await ada.screenshot(`cache-analytics-${width}-${theme}`);
        await ada.assertAccessible(`the cache over time, ${theme}, ${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `${width} px are enough`);
      }
      stage.assertQuiet();
    });
  });
}
