// Warming the cache from the console: what is warmed is a hit for its first caller, by the plan after a release too, and
// what goes on can be watched and cancelled.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { dialog, row, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { publish } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`warming in the console on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let ada;
    let page;
    let api;

    const asked = (path) => stage.upstreams[0].requests.filter((request) => request.startsWith(`GET ${path}`)).length;
    const warmings = () => stage.items(`/apis/${api.id}/warmings`);
    const status = async (path) => (await stage.answers(`/shop${path}`, 200)).headers.get('cache-status');
    const press = (name) => page.getByRole('button', { name, exact: true }).click();

    /** The button below, not the one in the dialog's corner. */
    const shut = async () => {
      await dialog(ada).locator('.form-actions').getByRole('button', { name: 'Close', exact: true }).click();
      await dialog(ada).waitFor({ state: 'hidden' });
    };
    const keptPlan = () =>
      stage.admin.get(`${stage.base}/apis/${api.id}/environments/${stage.scene.environment.id}/warming-plan`);

    before(async () => {
      stage = await startStage({ database });
      const draft = {
        access: 'public',
        routes: [{ id: 'everything', methods: [], path: '/{*path}' }],
        upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
        policies: [{ type: 'cache', settings: { ttl_s: 3600 } }],
      };
      ({ api } = await publish(stage.scene, { slug: 'shop', name: 'Shop', draft }));
      ada = await stage.ada();
      page = ada.page;
    });
    after(() => stage?.stop());

    it('warms what is listed, and the first caller gets a hit', async () => {
      await ada.open(`/apis/${api.id}/cache`);
      await page.getByText('Never warmed').waitFor();
      await press('Warm now');
      await dialog(ada).getByLabel('Paths', { exact: false }).fill('/items?page=1\n/items?page=2');
      await dialog(ada).getByRole('button', { name: 'Start warming' }).click();
      await dialog(ada).getByText('2 of 2').waitFor();
      await dialog(ada).getByText('2 stored').waitFor();
      await ada.assertAccessible('a warming');
      await shut();
      await row(ada, 'on demand').getByText('1 gateway: 2 stored').waitFor();
      assert.match(await status('/items?page=1'), /hit/);
      assert.match(await status('/items?page=2'), /hit/);
      assert.equal(asked('/items'), 2, 'the upstream was asked by nobody but the warming');
      const [warming] = await warmings();
      assert.equal(warming.state, 'done');
    });

    it('warms what a sitemap tells, and says what of it is not the API\'s', async () => {
      const [upstream] = stage.upstreams;
      const urls = [`${upstream.url}/told`, 'https://elsewhere.example/x'].map((url) => `<url><loc>${url}</loc></url>`);
      upstream.documents.set('/sitemap.xml', `<urlset>${urls.join('')}</urlset>`);
      await press('Warm now');
      await submitDialog(ada, { Paths: '', Sitemaps: `${upstream.url}/none.xml` }, 'Start warming', { stays: true });
      await dialog(ada).locator('.field-error').getByText('The sitemap: it is no sitemap').waitFor();
      await dialog(ada).getByLabel('Sitemaps', { exact: false }).fill(`${upstream.url}/sitemap.xml`);
      await dialog(ada).getByRole('button', { name: 'Start warming' }).click();
      await dialog(ada).getByText('1 of 1').waitFor();
      await dialog(ada).getByText('other_host: 1').waitFor();
      await shut();
      assert.match(await status('/told'), /hit/);
      assert.equal(asked('/told'), 1);
    });

    it('says what is wrong with a plan at the field', async () => {
      await page.getByText('No plan: nothing is warmed by itself').waitFor();
      await press('Make a plan');
      const open = dialog(ada);
      await submitDialog(ada, { Paths: 'items', 'Requests a second': '0' }, 'Save plan', { stays: true });
      const field = (label) => open.locator('.field').filter({ has: page.getByLabel(label, { exact: false }) });
      await field('Paths').locator('.field-error').getByText('is no path').waitFor();
      await field('Requests a second').locator('.field-error').getByText('from 1 to 1000').waitFor();
      await submitDialog(ada, { Paths: '', 'Requests a second': '20', 'Requests at a time': '1.5' }, 'Save plan', { stays: true });
      await field('Requests at a time').locator('.field-error').getByText('a whole number').waitFor();
      await open.getByLabel('After each release').check();
      await submitDialog(ada, { 'Requests at a time': '4' }, 'Save plan', { stays: true });
      await field('Paths').locator('.field-error').getByText('Say where URLs come from').waitFor();
      await open.getByRole('button', { name: 'Cancel', exact: true }).click();
      assert.equal((await keptPlan()).version, 0, 'nothing was saved');
    });

    it('keeps a plan and carries it out after a release', async () => {
      await press('Make a plan');
      await eventually('the form shows the default', async () =>
        (await dialog(ada).getByLabel('Requests a second').inputValue()) === '20');
      await dialog(ada).getByLabel('After each release').check();
      await dialog(ada).getByLabel('By the clock').selectOption('daily');
      await dialog(ada).getByLabel('Time of day, UTC').fill('03:30');
      for (const [theme, width] of [['light', 1440], ['dark', 390]]) {
        await page.setViewportSize({ width, height: 844 });
        await ada.setTheme(theme);
        await ada.screenshot(`warming-plan-${database}-${width}-${theme}`);
        await ada.assertAccessible(`the plan, ${theme}`);
      }
      await page.setViewportSize({ width: 1440, height: 900 });
      await ada.setTheme('light');
      await dialog(ada).getByLabel('When a gateway comes up').check();
      await submitDialog(ada, { Paths: '/planned', 'Most asked for': '5' }, 'Save plan');
      await page.getByText('1 listed address, the 5 most asked for').waitFor();
      await page.getByText('after each release, when a gateway comes up, daily at 03:30 UTC').waitFor();
      const kept = await keptPlan();
      assert.deepEqual(kept.plan.sources, [{ from: 'list', paths: ['/planned'] }, { from: 'top', count: 5 }]);
      assert.deepEqual([kept.plan.on_release, kept.plan.on_gateway, kept.plan.schedule], [true, true, { at: 'daily', minute: 210 }]);
      assert.match(kept.next_run_at, /T03:30:00/);
      await stage.admin.post(`${stage.base}/apis/${api.id}/releases`, { environment: stage.scene.environment.id, revision: 1 });
      const done = await eventually('the plan was carried out', async () =>
        (await warmings()).find(({ cause, state }) => cause === 'release' && state === 'done'), 60_000);
      assert.equal(done.created_by, 'system');
      assert.match(await status('/planned'), /hit/);
      assert.equal(asked('/planned'), 1);
      await ada.open(`/apis/${api.id}/cache`);
      await row(ada, 'after a release').waitFor();
    });

    it('cancels a warming that goes on', async () => {
      const paths = Array.from({ length: 150 }, (_, number) => `/slowly/${number}/slow`);
      await press('Warm now');
      await dialog(ada).getByLabel('Paths', { exact: false }).fill(paths.join('\n'));
      await dialog(ada).getByRole('button', { name: 'Start warming' }).click();
      await eventually('the first are stored', async () => {
        const [{ urls, gateways }] = await warmings();
        return urls === paths.length && gateways[0].report.stored > 0;
      }, 60_000);
      await dialog(ada).getByRole('button', { name: 'Cancel warming' }).click();
      await dialog(ada).getByText('cancelled', { exact: true }).first().waitFor({ timeout: 60_000 });
      const [warming] = await warmings();
      assert.equal(warming.state, 'cancelled');
      const { stored, failed } = warming.gateways[0].report;
      assert.ok(stored > 0 && stored < 150 && failed === 0, JSON.stringify(warming));
      await shut();
      await row(ada, 'cancelled').getByText(`1 gateway: ${stored} stored`).waitFor();
    });

    it('changes a plan and deletes it', async () => {
      await press('Edit plan');
      await eventually('the form shows what is kept', async () => (await dialog(ada).getByLabel('Paths', { exact: false }).inputValue()) === '/planned');
      assert.equal(await dialog(ada).getByLabel('Time of day, UTC').inputValue(), '03:30');
      await dialog(ada).getByLabel('By the clock').selectOption('every');
      await submitDialog(ada, { Minutes: '90', 'Most asked for': '' }, 'Save plan');
      await page.getByText('after each release, when a gateway comes up, every 90 minutes').waitFor();
      const { plan, version } = await keptPlan();
      assert.deepEqual([plan.sources, plan.schedule, version], [[{ from: 'list', paths: ['/planned'] }], { at: 'every', minutes: 90 }, 2]);
      await press('Delete plan');
      await dialog(ada).getByRole('button', { name: 'Delete plan', exact: true }).click();
      await page.getByText('No plan: nothing is warmed by itself').waitFor();
      const gone = await keptPlan();
      assert.deepEqual([gone.plan.sources, gone.plan.on_release, gone.next_run_at], [[], false, null]);
    });

    it('looks right on every screen', async () => {
      for (const [theme, width] of [['light', 1440], ['dark', 1440], ['light', 390], ['dark', 390]]) {
        await page.setViewportSize({ width, height: 844 });
        await ada.setTheme(theme);
        await ada.settled();
        await ada.screenshot(`warming-${database}-${width}-${theme}`);
        await ada.assertAccessible(`warmings, ${width}, ${theme}`);
      }
    });

    // Plans and a sitemap that were refused.
    it('leaves the console silent', () => stage.assertQuiet(['422']));
  });
}
