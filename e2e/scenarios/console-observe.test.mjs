// What people look at in the console: the log and its filters, the live tail, analytics, the overview, and the ways
// from one page to another. What is shown is compared with the admin API.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { dialog, pick, row, seeRow, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { call, callUntil, consume, publish } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

// More than a page of the log.
const UNIFORM_CALLS = 60;

for (const database of databases) {
  describe(`watching calls in the console on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let ada;
    let page;
    let api;
    let application;
    let key;

    const press = (name) => page.getByRole('button', { name, exact: true }).first().click();
    const param = (name) => new URL(page.url()).searchParams.get(name);
    const seesParam = (name, value) => page.waitForURL((url) => url.searchParams.get(name) === value);
    const shop = (path, options) => call(stage.sluice, `/acme/shop${path}`, options);
    const log = async (query = '') => (await stage.admin.get(`${stage.base}/calls?limit=200${query}`)).items;
    const rows = () => page.getByRole('table', { name: 'Calls' }).locator('tbody tr');
    const analytics = (query = '') => stage.admin.get(`${stage.base}/analytics?${query}`);

    before(async () => {
      stage = await startStage({ database });
      const draft = {
        routes: [
          { id: 'list', methods: ['GET'], path: '/list', policies: [{ type: 'cache', settings: { ttl_s: 600, shared: true, confirmed: ['shared'] } }] },
          { id: 'change', methods: ['POST'], path: '/items/{id}' },
          { id: 'slow', methods: ['GET'], path: '/slow', access: 'public' },
        ],
        upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
      };
      const made = await publish(stage.scene, { slug: 'shop', name: 'Shop', draft, plans: [{ name: 'Free', approval: 'automatic' }] });
      api = made.api;
      ({ application, key } = await consume(stage.scene, { name: 'Till', subscriptions: [{ api: api.id, plan: made.plans[0].id }] }));
      await callUntil(stage.sluice, '/acme/shop/list', 200, { key });
      for (let i = 0; i < UNIFORM_CALLS; i += 1) await shop('/list', { key });
      for (const [path, options] of [['/items/7', { key, method: 'POST' }], ['/list', {}], ['/none', { key }], ['/slow', {}]]) await shop(path, options);
      await eventually('all calls are in the log', async () => (await log('&path=/acme/shop/slow')).length === 1);
      ada = await stage.ada();
      page = ada.page;
    });
    after(() => stage?.stop());

    it('loads the log a page at a time, to the end', async () => {
      await ada.open('/calls');
      const all = (await log()).length;
      assert.ok((await eventually('the first page', () => rows().count())) < all, 'not all at once');
      await press('Load more');
      await eventually('all are there', async () => (await rows().count()) === all);
      await page.getByRole('button', { name: 'Load more' }).waitFor({ state: 'detached' });
    });

    it('filters by each thing in the dialog, keeps it in the address, and takes it back by its chip', async () => {
      const [{ gateway, request_id: request }] = await log('&path=/acme/shop/slow');
      // Field, what is put in, title of the chip, parameter and value of the address.
      const filters = [
        ['Status', '404', 'Status', 'status', '404'],
        ['Status', '4xx', 'Status', 'status', '4xx'],
        ['Method', 'POST', 'Method', 'method', 'POST'],
        ['Path begins with', '/acme/shop/it', 'Path', 'path', '/acme/shop/it'],
        ['API', api.id, 'API', 'api', api.id],
        ['Route', 'change', 'Route', 'route', 'change'],
        ['Application', application.id, 'Application', 'application', application.id],
        ['Gateway', gateway, 'Gateway', 'gateway', gateway],
        ['Cache', 'miss', 'Cache', 'cache', 'miss'],
        ['Slower than (ms)', '1500', 'Slower than', 'min_duration_us', '1500000'],
        ['Request id', request, 'Request id', 'request_id', request],
      ];
      const options = { Method: 'POST', API: 'Shop', Application: 'Till', Cache: 'miss', Gateway: (await stage.items('/gateways'))[0].name };
      for (const [label, value, title, name, sent] of filters) {
        await press('Filter');
        const field = dialog(ada).getByLabel(label, { exact: label !== 'Request id' && label !== 'Status' && label !== 'Route' && label !== 'Path begins with' && label !== 'Slower than (ms)' });
        if (options[label]) await field.selectOption({ label: options[label] });
        else await field.fill(value);
        await submitDialog(ada, {}, 'Apply');
        await seesParam(name, sent);
        const expected = Math.min((await log(`&${name}=${encodeURIComponent(sent)}`)).length, 50);
        assert.ok(expected > 0, `${label} finds something`);
        await eventually(`${label} shows ${expected}`, async () => (await rows().count()) === expected);
        await page.getByRole('button', { name: `Remove filter ${title}`, exact: true }).click();
        await seesParam(name, null);
      }
    });

    it('filters by the class of a status, and restores the view from its address', async () => {
      const refused = (await log('&status=4xx')).length;
      assert.ok(refused >= 2);
      await press('4xx');
      await seesParam('status', '4xx');
      await eventually('the refusals', async () => (await rows().count()) === refused);
      await page.reload();
      await eventually('the same', async () => (await rows().count()) === refused);
      await press('All');
      await seesParam('status', null);
    });

    it('looks at a span of time: by a preset, by its own ends, and refuses one that ends before it starts', async () => {
      await press('7 d');
      await seesParam('range', '7d');
      await press('Custom');
      await submitDialog(ada, { From: '2020-01-02T00:00', To: '2020-01-01T00:00' }, 'Apply', { stays: true });
      await dialog(ada).getByText('This is not a time range').waitFor();
      await submitDialog(ada, { To: '2020-01-03T00:00' }, 'Apply');
      await page.getByText('No calls here').waitFor();
      assert.match(param('from'), /^2020-01-0/);
      await press('1 h');
      await eventually('they are back', async () => (await rows().count()) > 0);
    });

    it('shows a call that came meanwhile when it is asked to reload', async () => {
      await page.getByText('/acme/shop/none').first().waitFor();
      const { headers } = await shop('/items/new', { key, method: 'POST' });
      await eventually('it is in the log', async () => (await log(`&request_id=${headers.get('x-request-id')}`)).length === 1);
      await press('Reload');
      await seeRow(ada, '/acme/shop/items/new');
    });

    it('opens a call and leads on to its API, application and gateway, and from there to their calls', async () => {
      const [{ gateway, gateway_name: gatewayName, request_id: request }] = await log('&path=/acme/shop/items/7');
      for (const [link, path, parameter] of [
        ['Shop', `/apis/${api.id}`, 'api'],
        ['Till', `/apps/${application.id}`, 'application'],
        [gatewayName, `/gateways/${gateway}`, 'gateway'],
      ]) {
        await ada.open('/calls?path=/acme/shop/items/7');
        await row(ada, '/acme/shop/items/7').getByRole('link').first().click();
        await page.getByText(request).waitFor();
        await page.getByRole('link', { name: link, exact: true }).click();
        await page.waitForURL((url) => url.pathname === path);
        await page.getByRole('link', { name: 'Its calls' }).click();
        await page.waitForURL((url) => url.pathname === '/calls' && url.searchParams.has(parameter));
        await page.getByRole('button', { name: new RegExp(`^Remove filter ${parameter}`, 'i') }).waitFor();
        await seeRow(ada, '/acme/shop/items/7');
      }
    });

    it('watches calls as they happen, filtered like the log, until it is stopped', async () => {
      await ada.open('/calls');
      await press('Live tail');
      await seesParam('tail', '1');
      const live = page.getByRole('table', { name: 'Live calls' });
      await page.getByText('Live', { exact: true }).waitFor();
      const { headers } = await shop('/items/live', { key, method: 'POST' });
      await live.getByText('/acme/shop/items/live').waitFor();
      await press('4xx');
      await eventually('it begins anew', async () => (await live.getByText('/acme/shop/items/live').count()) === 0);
      await page.getByText('Live', { exact: true }).waitFor();
      await shop('/items/passed', { key, method: 'POST' });
      await shop('/nowhere', { key });
      await live.getByText('/acme/shop/nowhere').waitFor();
      assert.equal(await live.getByText('/acme/shop/items/passed').count(), 0);
      await press('Stop live tail');
      await seesParam('tail', null);
      await press('All');
      await seeRow(ada, '/acme/shop/items/live');
      assert.equal((await log(`&request_id=${headers.get('x-request-id')}`)).length, 1);
    });

    it('measures by range, API, application and route; numbers, table and CSV say the same', async () => {
      const calls = (await log()).filter((it) => it.api === api.id).length;
      await eventually('all are counted', async () => (await analytics(`api=${api.id}`)).total.calls === calls);
      await ada.open('/analytics');
      await page.waitForURL((url) => url.pathname === '/analytics/traffic');
      await page.getByLabel('API', { exact: true }).selectOption({ label: 'Shop' });
      await seesParam('api', api.id);
      await press('6 h');
      await seesParam('range', '6h');
      await page.locator('.stat').filter({ hasText: 'Requests' }).getByText(String(calls), { exact: true }).waitFor();
      const csv = decodeURIComponent((await page.getByRole('link', { name: 'CSV' }).getAttribute('href')).split(',').slice(1).join(','));
      const lines = csv.trim().split('\n').map((line) => line.split(','));
      assert.deepEqual(lines[0].slice(0, 2), ['time', 'calls']);
      assert.equal(lines.slice(1).reduce((sum, line) => sum + Number(line[1]), 0), calls);
      const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CSV' }).click()]);
      assert.equal(file.suggestedFilename(), 'sluice-analytics.csv');

      const plot = page.getByRole('slider', { name: /^Requests over time/ });
      await plot.focus();
      await page.keyboard.press('ArrowLeft');
      await eventually('the plot says what is there', async () => /Success/.test(await plot.getAttribute('aria-valuetext')));
      await page.getByText('Show as table').first().click();
      await page.getByRole('region', { name: 'Requests over time as a table' }).getByRole('columnheader', { name: 'Success' }).waitFor();
    });

    it('keeps range and filters when the tab changes, and clears them', async () => {
      await page.getByRole('link', { name: 'Cache', exact: true }).click();
      await page.waitForURL((url) => url.pathname === '/analytics/cache');
      assert.deepEqual([param('api'), param('range')], [api.id, '6h']);
      await page.locator('.stat').filter({ hasText: 'Hits' }).getByText(String(UNIFORM_CALLS), { exact: true }).waitFor();
      await page.getByLabel('Application', { exact: true }).selectOption({ label: 'Till' });
      await seesParam('application', application.id);
      await press('Clear filters');
      await seesParam('api', null);
      assert.deepEqual([param('application'), param('range')], [null, '6h']);
      await ada.open('/analytics/traffic?route=change');
      const posts = (await analytics('route=change')).total.calls;
      await page.locator('.stat').filter({ hasText: 'Requests' }).getByText(String(posts), { exact: true }).waitFor();
      await press('Remove the route filter');
      await seesParam('route', null);
      await page.getByRole('list', { name: 'Status codes' }).getByRole('link', { name: '404' }).click();
      await page.waitForURL((url) => url.pathname === '/calls' && url.searchParams.get('status') === '404');
    });

    it('ranks plans and the targets of upstreams, and says why there are none', async () => {
      await ada.open('/analytics/traffic');
      const { top_plans: [plan], top_targets: [target] } = await analytics();
      assert.deepEqual([plan.name, target.name], ['Shop · Free', stage.upstreams[0].url]);
      const lines = (title) => page.getByRole('list', { name: title }).getByRole('listitem');
      for (const [title, { name, calls }] of [['Plans', plan], ['Upstream targets', target]]) {
        await lines(title).filter({ hasText: name }).filter({ hasText: new RegExp(`${calls} · .+ errors · p95 `) }).waitFor();
      }
      await page.getByLabel('Application', { exact: true }).selectOption({ label: 'Till' });
      await page.getByText('Targets are counted over all calls').waitFor();
      await lines('Plans').filter({ hasText: 'Shop · Free' }).waitFor();
      await page.getByLabel('API', { exact: true }).selectOption({ label: 'Shop' });
      await page.getByText('Plans are counted over all APIs').waitFor();
      await press('Clear filters');
      await lines('Upstream targets').first().waitFor();
      await ada.open('/analytics/traffic?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z');
      await page.getByText('No call under a plan in this time.').waitFor();
      await page.getByText('No call reached an upstream in this time.').waitFor();
    });

    it('says why a page cannot be had, and tries again when it is asked to', async () => {
      const refuse = (route) => route.fulfill({ status: 503, json: { code: 'busy', title: 'Too busy just now', status: 503 } });
      const list = /\/applications(\?|$)/;
      await page.route(list, refuse);
      await ada.open('/apps');
      await page.getByText('Too busy just now').waitFor();
      await page.unroute(list, refuse);
      await press('Try again');
      await seeRow(ada, 'Till');
      await ada.open('/apps?sort=colour');
      await page.getByText('sort by one of: name, created_at').waitFor();
    });

    it('leads on from the overview', async () => {
      for (const [link, path] of [[/for approval/, '/approvals'], [/1 gateway/, '/gateways'], [/1 API/, '/apis'], [/1 application/, '/apps']]) {
        await ada.open('/');
        await page.getByRole('link', { name: link }).click();
        await page.waitForURL((url) => url.pathname === path);
      }
    });

    it('goes anywhere by the palette, by a chord and by the navigation', async () => {
      await ada.open('/');
      await page.getByRole('navigation', { name: 'Main' }).waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('combobox', { name: 'Go to' }).fill('sho');
      await page.getByRole('option', { name: /Shop/ }).waitFor();
      await page.keyboard.press('Enter');
      await page.waitForURL((url) => url.pathname === `/apis/${api.id}`);
      await press('Search');
      await page.getByRole('combobox', { name: 'Go to' }).fill('till');
      await page.getByRole('option', { name: /Till/ }).click();
      await page.waitForURL((url) => url.pathname === `/apps/${application.id}`);
      await page.getByRole('heading', { name: 'Till' }).waitFor();
      await page.keyboard.press('/');
      await page.getByRole('combobox', { name: 'Go to' }).waitFor();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Escape');
      await page.getByRole('combobox', { name: 'Go to' }).waitFor({ state: 'hidden' });
      for (const [letter, path] of Object.entries({
        a: '/apis', k: '/catalogue', i: '/approvals', p: '/apps', t: '/analytics/traffic', c: '/calls', w: '/gateways', u: '/org/users', l: '/audit', s: '/settings/account', o: '/',
      })) {
        // The letter has to follow soon: a machine that is busy for so long tries again.
        await eventually(`g ${letter} leads to ${path}`, async () => {
          await page.keyboard.press('g');
          await page.keyboard.press(letter);
          return page.waitForURL((url) => url.pathname === path, { timeout: 2_000 }).then(() => true);
        });
      }
      for (const open of [() => page.keyboard.press('?'), () => pick(ada, /^Account of/, 'Keyboard shortcuts')]) {
        await open();
        await dialog(ada).getByText('Go to audit log').waitFor();
        await dialog(ada).getByRole('button', { name: 'Close' }).click();
      }
      await pick(ada, /^Account of/, 'Account');
      await page.waitForURL((url) => url.pathname === '/settings/account');
      const links = page.getByRole('navigation', { name: 'Main' }).getByRole('link');
      for (let i = 0; i < (await links.count()); i += 1) {
        const wanted = new URL(await links.nth(i).getAttribute('href'), page.url()).pathname;
        await links.nth(i).click();
        await page.waitForURL((url) => url.pathname === wanted || url.pathname.startsWith(`${wanted}/`));
        await page.locator('h1').waitFor({ state: 'attached' });
      }
    });

    it('opens the navigation on a telephone, and skips it by keyboard', async () => {
      await page.setViewportSize({ width: 390, height: 844 });
      await ada.open('/');
      await press('Open navigation');
      await page.getByRole('link', { name: 'Audit log' }).click();
      await page.waitForURL((url) => url.pathname === '/audit');
      await page.getByRole('button', { name: 'Open navigation' }).click();
      await page.keyboard.press('Escape');
      await page.setViewportSize({ width: 1440, height: 900 });
      await ada.open('/calls');
      await page.getByRole('link', { name: 'Skip to content' }).waitFor({ state: 'attached' });
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await eventually('the content has the focus', () => page.evaluate(() => document.activeElement.id === 'content'));
    });

    it('leaves the console silent but for what was provoked', () => stage.assertQuiet(['503', '422']));
  });
}
