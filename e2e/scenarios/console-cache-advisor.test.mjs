// The cache advisor: an API is called without a cache, the advisor says what one would do, a person makes the policy by a
// click, and a real gateway does about that with calls that nobody had seen before. What tells against caching has to be read first.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { databases } from '../lib/databases.mjs';
import { call, callUntil, publish, release } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const CALLS = 600;
/** Milliseconds from one call to the next: how often a lifetime ends depends on it, so that it is the same each time. */
const APART = 16;
const POPULAR = 10;
/** Gateways tell what they counted every ten seconds, on a machine that may have other things to do; in milliseconds. */
const PATIENCE = 60_000;
/** How far what is achieved may be from what was predicted. */
const OFF = 0.05;
/** Two people whose answers are their own: the upstream says back what it was sent. */
const CALLERS = ['a', 'somebody-else'].map((name) => ({ 'user-agent': name, cookie: `session=${name}` }));

for (const database of databases) {
  describe(`the cache advisor, on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let shops;
    let ada;
    let page;
    let api;

    /** Numbers that only look random, the same each time (xorshift). */
    const draws = (seed) => {
      let state = seed;
      return () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) / 2 ** 32;
      };
    };

    const ask = (path, headers) => call(stage.sluice, `/acme/shop${path}`, { headers });

    /** Three of five calls are for few things again and again, the others each for one that nobody asks for twice. */
    async function play(seed) {
      const draw = draws(seed);
      const begin = Date.now();
      for (let i = 0; i < CALLS; i += 1) {
        const wait = begin + i * APART - Date.now();
        if (wait > 0) await sleep(wait);
        const path = i % 5 < 3 ? `/prices/${Math.floor(draw() ** 2 * POPULAR)}` : `/prices/once-${seed}-${i}`;
        assert.equal((await ask(path)).status, 200);
      }
    }

    const advice = () => stage.admin.get(`${stage.base}/apis/${api.id}/cache-advice`);
    const adviceOf = async (route) => (await advice()).routes.find((it) => it.route === route);
    const policies = async (route) => {
      const { draft } = await stage.admin.get(`${stage.base}/apis/${api.id}`);
      return draft.routes.find((it) => it.id === route).policies;
    };
    const line = (route) => page.getByRole('list', { name: 'Advice by route' }).locator(':scope > li')
      .filter({ has: page.getByText(route, { exact: true }) });
    const make = (route) => page.getByRole('button', { name: `Make the policy for ${route}` });
    const look = async () => {
      await ada.open(`/apis/${api.id}/cache`);
      await page.getByRole('button', { name: 'Look at the calls of the last day' }).click();
      await page.getByRole('list', { name: 'Advice by route' }).waitFor();
    };
    const percent = (ratio) => `${(ratio * 100).toFixed(1).replace(/\.0$/, '')} %`;

    async function picture(name) {
      for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 390], ['dark', 390]]) {
        await page.setViewportSize({ width, height: 900 });
        await ada.setTheme(theme);
        await ada.screenshot(`cache-advisor-${name}-${width}-${theme}`);
        await ada.assertAccessible(`the advisor, ${name}, ${theme}, ${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `${width} px are enough`);
      }
      await page.setViewportSize({ width: 1440, height: 900 });
    }

    before(async () => {
      stage = await startStage({ database });
      shops = await startUpstream({ name: 'shops', headers: { 'set-cookie': 'basket=1; Path=/' } });
      const draft = {
        access: 'public',
        routes: [
          { id: 'prices', methods: ['GET'], path: '/prices/{id}' },
          { id: 'greeting', methods: ['GET'], path: '/greeting' },
          { id: 'offers', methods: ['GET'], path: '/offers', upstream: 'shops' },
        ],
        upstreams: [
          { name: 'origin', targets: [{ url: stage.upstreams[0].url }] },
          { name: 'shops', targets: [{ url: shops.url }] },
        ],
      };
      ({ api } = await publish(stage.scene, { slug: 'shop', name: 'Shop', draft }));
      await callUntil(stage.sluice, '/acme/shop/prices/0', 200);
      for (let i = 0; i < 40; i += 1) {
        await ask('/greeting', CALLERS[i % 2]);
        await ask('/offers');
      }
      await play(7);
      await eventually('the log has all', async () => (await advice()).calls >= CALLS + 81, PATIENCE);
      ada = await stage.ada();
      page = ada.page;
    });
    after(async () => {
      await stage?.stop();
      await shops?.stop();
    });

    it('says what a cache would do for each route, and what tells against it', async () => {
      const [prices, greeting, offers] = await Promise.all(['prices', 'greeting', 'offers'].map(adviceOf));
      assert.deepEqual([prices.ttl_s, prices.covered, prices.to_confirm, prices.risks], [5, false, false, []]);
      assert.deepEqual([greeting.to_confirm, greeting.risks[0]], [true, { kind: 'varies_by_caller', compared: 1, differ: 1 }]);
      assert.deepEqual([offers.ttl_s, offers.to_confirm, offers.risks[0]], [null, true, { kind: 'sets_cookies', calls: 40 }]);
      await look();
      await line('prices').getByText(percent(prices.choices[0].hit_ratio)).first().waitFor();
      await line('greeting').getByText(/^Varies by caller: the answers to 1 of 1 resource/).waitFor();
      await line('offers').getByText(/^Sets cookies: 40 calls were answered with Set-Cookie/).waitFor();
      await line('offers').getByText('A cache would answer too few of its calls').waitFor();
      assert.equal(await make('offers').count(), 0, 'nothing to make where nothing would be stored');
      await picture('advice');
    });

    it('makes the policy in the draft by a click', async () => {
      const { ttl_s: ttl } = await adviceOf('prices');
      await make('prices').click();
      await line('prices').getByText('has a policy').waitFor();
      const [{ type, enabled, settings }] = await policies('prices');
      assert.deepEqual([type, enabled, settings], ['cache', true, { ttl_s: ttl }]);
      await line('prices').getByText('No call has met the policy yet').waitFor();
    });

    it('asks before it makes a policy where something tells against it', async () => {
      await make('greeting').click();
      const dialog = page.getByRole('dialog', { name: 'Cache answers of greeting?' });
      await dialog.getByText(/Varies by caller/).waitFor();
      await ada.screenshot('cache-advisor-confirm');
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      await dialog.waitFor({ state: 'hidden' });
      assert.deepEqual((await policies('greeting')) ?? [], [], 'not made');

      // Somebody else is faster: nothing is made over their version.
      await stage.admin.edit(`${stage.base}/apis/${api.id}`, ({ name, team, listed, draft }) => ({
        name, description: 'Prices.', team, listed, draft,
      }));
      await make('greeting').click();
      await dialog.getByRole('button', { name: 'I have read it' }).click();
      await page.getByText('Somebody has changed the API meanwhile').waitFor();
      assert.deepEqual((await policies('greeting')) ?? [], []);

      await make('greeting').click();
      await dialog.getByRole('button', { name: 'I have read it' }).click();
      await line('greeting').getByText('has a policy').waitFor();
      assert.deepEqual((await policies('greeting')).map((it) => it.type), ['cache']);
    });

    it('predicts what a gateway does with calls that it has not seen, and shows both', async () => {
      await release(stage.scene, api.id);
      await play(99);
      for (let i = 0; i < 10; i += 1) {
        const caller = CALLERS[i % 2];
        assert.equal((await ask('/greeting', caller)).body.headers.cookie, caller.cookie, 'nobody gets what is another\'s');
      }
      let last;
      const prices = await eventually('all are counted', async () => {
        const found = await adviceOf('prices');
        last = found.achieved?.calls;
        return last >= CALLS && found.achieved.memory_bytes !== null && found;
      }, PATIENCE).catch((error) => assert.fail(`${error.message}; counted: ${last}`));
      const { predicted, achieved } = prices;
      assert.equal(achieved.calls, CALLS);
      assert.ok(predicted.hit_ratio > 0.4, `${predicted.hit_ratio} predicted`);
      assert.ok(Math.abs(achieved.hit_ratio - predicted.hit_ratio) < OFF, `${predicted.hit_ratio} predicted, ${achieved.hit_ratio} achieved`);
      await look();
      const shown = line('prices').locator('dd');
      await shown.filter({ hasText: `${percent(predicted.hit_ratio)} of calls for 5 s` }).waitFor();
      const kept = shown.filter({ hasText: `${percent(achieved.hit_ratio)} of calls ${CALLS} calls since` });
      await kept.filter({ hasText: / at most \d.* of memory, / }).waitFor();
      await picture('achieved');
      stage.assertQuiet(['412']);
    });
  });
}
