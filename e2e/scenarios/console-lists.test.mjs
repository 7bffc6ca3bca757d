// What lists and dialogs of the console have in common, on each of them: columns sort on the server and in the address,
// long lists go on page by page, "Cancel" changes nothing and gives the focus back.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { dialog, pick, sortsBy } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { addPerson, call, consume, publish } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

// More than one page of a list.
const MANY = 60;

for (const database of databases) {
  describe(`lists and dialogs of the console on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let ada;
    let page;
    let api;
    let application;

    before(async () => {
      stage = await startStage({ database });
      const { admin, base } = stage;
      const draft = {
        routes: [{ id: 'list', methods: ['GET'], path: '/list' }],
        upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
        policies: [{ type: 'cache', settings: { ttl_s: 60 } }],
      };
      const plans = [{ name: 'Free', approval: 'automatic' }, { name: 'Partner', approval: 'manual' }];
      for (const slug of ['zebra', 'apple', 'melon']) {
        const made = await publish(stage.scene, { slug, name: slug.toUpperCase(), draft, plans });
        await admin.edit(`${base}/apis/${made.api.id}`, ({ name, description, team = null, draft: now }) => ({ name, description, team, draft: now, listed: true }));
        ({ api } = made);
        if (slug === 'zebra') ({ application } = await consume(stage.scene, { name: 'Till', subscriptions: [{ api: api.id, plan: made.plans[0].id }] }));
        if (slug === 'melon') await admin.post(`${base}/subscriptions`, { application: application.id, api: api.id, plan: made.plans[1].id });
      }
      for (let i = 0; i < MANY; i += 1) await admin.post(`${base}/applications`, { name: `App ${(i * 37) % MANY}` });
      for (const name of ['Quality', 'Billing', 'Shipping']) await admin.post(`${base}/teams`, { name, members: [] });
      await admin.post('/tenants', { slug: 'zoo', name: 'Zoo' });
      await admin.post('/tenants', { slug: 'aero', name: 'Aero' });
      await addPerson(stage.scene, { name: 'Zoe', email: 'zoe@example.com', roles: ['viewer'] });
      await addPerson(stage.scene, { name: 'Bea', email: 'bea@example.com', roles: ['viewer'] });
      const { items: environments } = await admin.get(`${base}/environments`);
      await admin.post(`/environments/${environments[0].id}/enrolment-tokens`, { name: 'Spare' });
      await admin.post(`${base}/tokens`, { name: 'robot', permissions: ['read_management'] });
      ada = await stage.ada();
      page = ada.page;
    });
    after(() => stage?.stop());

    for (const [path, list, ...columns] of [
      ['/apis', '/apis', ['Name', 'name'], ['Changed', 'updated_at']],
      ['/catalogue', '/catalogue', ['Name', 'name']],
      ['/apps', '/applications', ['Name', 'name'], ['Created', 'created_at']],
      ['/org/teams', '/teams', ['Name', 'name']],
      ['/org/users', '/users', ['Name', 'name']],
    ]) {
      it(`sorts ${path} by each column that can be sorted`, async () => {
        await ada.open(path);
        for (const [column, field] of columns) await sortsBy(ada, column, field, (query) => stage.items(`${list}?${query}`));
      });
    }

    it('sorts the tenants of the platform', async () => {
      await ada.open('/org/tenants');
      await sortsBy(ada, 'Name', 'name', async (query) => (await stage.admin.get(`/tenants?${query}`)).items);
    });

    it('goes on with a list where its first page ends, in its order', async () => {
      await ada.open('/apps?sort=-name');
      const names = page.locator('tbody tr td:first-child strong');
      const all = (await stage.items('/applications?sort=-name&limit=200')).map(({ name }) => name);
      await eventually('the first page', async () => (await names.count()) > 0);
      assert.ok((await names.count()) < all.length, 'not all at once');
      await page.getByRole('button', { name: 'Load more' }).click();
      await eventually('all of them', async () => (await names.count()) === all.length, 60_000);
      assert.deepEqual(await names.allTextContents(), all);
      await page.getByRole('button', { name: 'Load more' }).waitFor({ state: 'detached' });
    });

    it('changes nothing by "Cancel", and gives the focus back', async () => {
      const log = async () => [...(await stage.items('/audit?limit=1')), ...(await stage.admin.get('/audit?limit=1')).items].map(({ id }) => id);
      const before = await log();
      const routes = { [`/apis/${api.id}`]: ['Release', 'Delete API'] };
      routes[`/apis/${api.id}/routes`] = ['Add route', 'Edit list'];
      routes[`/apis/${api.id}/upstreams`] = ['Add upstream', 'Edit origin'];
      routes[`/apis/${api.id}/policies`] = ['Attach policy', /^Edit/];
      routes[`/apis/${api.id}/plans`] = ['New plan', 'Edit Free', 'Delete Free'];
      routes[`/apis/${api.id}/cache`] = ['Purge', 'New webhook', 'New CDN request'];
      routes[`/apis/${api.id}/revisions`] = ['Freeze a revision', 'Release revision 1'];
      routes[`/apps/${application.id}`] = ['Edit', 'New key', 'Revoke key', 'End subscription to ZEBRA', 'Delete'];
      routes[`/catalogue/${api.id}`] = ['Subscribe to Free'];
      for (const [path, openers] of Object.entries({
        '/apis': ['New API'],
        ...routes,
        '/apps': ['New application'],
        '/approvals': ['Reject Till'],
        '/approvals?state=approved': ['Suspend Till'],
        '/calls': ['Filter', 'Custom'],
        '/analytics/traffic': ['Custom'],
        '/analytics/cache': ['Custom'],
        '/audit': ['Custom'],
        '/gateways/enrolment': ['New token', 'Revoke'],
        '/org/users': ['Invite user'],
        '/org/teams': ['New team', 'Edit Billing', 'Delete Billing'],
        '/org/tenants': ['New tenant', 'Rename Zoo'],
        '/settings/environments': ['New environment', 'Edit Production'],
        '/settings/tokens': ['New token', 'Revoke'],
      })) {
        await ada.open(path);
        for (const name of openers) {
          const opener = page.getByRole('button', { name, exact: true }).first();
          await opener.click();
          for (const field of await dialog(ada).getByRole('textbox').all()) {
            // A path, too: what a purge would cover is asked for as soon as the typing rests.
            if (await field.isEditable() && (await field.getAttribute('type')) !== 'datetime-local') await field.fill('/never-kept');
          }
          // What still arrives moves the buttons below it: a key meets "Cancel" wherever it stands.
          await ada.settled();
          await dialog(ada).getByRole('button', { name: 'Cancel' }).press('Enter');
          await dialog(ada).waitFor({ state: 'hidden' });
          await eventually(`${name} of ${path} has the focus again`, () => opener.evaluate((element) => element === document.activeElement));
        }
      }
      assert.deepEqual(await log(), before);
    });

    it('gives the focus back to the button of the menu that led to a dialog', async () => {
      await ada.open('/org/users');
      const menu = page.getByRole('button', { name: 'Actions for Bea' });
      for (const item of ['Edit', 'Remove from tenant']) {
        await pick(ada, 'Actions for Bea', item);
        await dialog(ada).getByRole('button', { name: 'Cancel' }).click();
        await eventually(`the focus is back after ${item}`, () => menu.evaluate((element) => element === document.activeElement));
      }
      assert.equal((await stage.items('/users')).filter(({ name }) => name === 'Bea').length, 1);
    });

    it('copies the command wherever one is shown', async () => {
      await call(stage.sluice, '/acme/melon/list');
      const logged = await eventually('the call is in the log', async () => (await stage.items('/calls?limit=1'))[0]);
      // With the gateway's address, which arrives last.
      const whole = new RegExp(`${stage.sluice.gateway}/acme/melon/list`);
      for (const [path, command] of [
        [`/catalogue/${api.id}`, /^curl -H 'X-API-Key: <key>' '\S+\/acme\/melon\/list'$/],
        [`/catalogue/${api.id}/try`, whole],
        [`/apis/${api.id}/try`, whole],
        [`/calls/${logged.id}`, whole],
      ]) {
        await ada.open(path);
        const shown = page.getByRole('region', { name: 'curl' });
        await shown.filter({ hasText: command }).waitFor();
        await page.getByRole('button', { name: 'Copy curl' }).click();
        await page.getByRole('button', { name: 'Copied' }).waitFor();
        assert.match(await page.evaluate(() => navigator.clipboard.readText()), command);
        assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await shown.textContent());
      }
    });

    it('leads to every tab, and marks the one that is open', async () => {
      for (const [start, label] of [['/org/users', 'Users and teams'], ['/settings/account', 'Settings'], ['/analytics/traffic', 'Analytics'], [`/apis/${api.id}`, 'API']]) {
        await ada.open(start);
        const links = page.getByRole('navigation', { name: label, exact: true }).getByRole('link');
        await links.nth(1).waitFor();
        for (const path of await links.evaluateAll((all) => all.map((link) => link.pathname))) {
          const link = page.getByRole('navigation', { name: label, exact: true }).locator(`a[href="${path}"]`);
          await link.click();
          await page.waitForURL((url) => url.pathname === path);
          await link.and(page.locator('[aria-current="page"]')).waitFor();
          await page.locator('h1').first().waitFor({ state: 'attached' });
        }
      }
    });

    it('takes no harm from what arrives when its page has been left', async () => {
      const [asked, came, before] = [[], [], ada.errors.length];
      let answer;
      const answered = new Promise((done) => { answer = done; });
      await page.route(/\/environments\?/, async (route) => {
        asked.push(route.request());
        await answered;
        await route.continue();
      });
      page.on('response', (response) => came.push(response.request()));
      await ada.open(`/apis/${api.id}/cache`);
      await eventually('the choice and the plan wait for environments', () => asked.length >= 2);
      const waiting = asked.length;
      await page.getByLabel('Address to look up').fill('/list');
      await page.getByRole('button', { name: 'Look up', exact: true }).click();
      await eventually('so does what was submitted', () => asked.length > waiting);
      const submitted = page.waitForRequest(/\/cache\/entries$/);
      await page.getByRole('navigation', { name: 'API', exact: true }).getByRole('link', { name: 'Try it' }).click();
      await page.getByRole('heading', { name: 'Request', exact: true }).waitFor();
      answer();
      await eventually('all have their answers', () => asked.every((request) => came.includes(request)));
      assert.match((await submitted).postData(), /"path":"\/list"/, 'what a person began is done to its end');
      await page.getByRole('region', { name: 'curl' }).filter({ hasText: stage.sluice.gateway }).waitFor();
      assert.deepEqual(ada.errors.slice(before), []);
      await page.unrouteAll({ behavior: 'wait' });
    });

    it('shows subscriptions by their state, each at an address of its own', async () => {
      await ada.open('/approvals');
      const rows = page.getByRole('table', { name: 'Subscriptions' }).locator('tbody tr');
      for (const [name, state, count] of [['Approved', 'approved', 1], ['All', 'all', 2], ['Pending', 'pending', 1], ['Suspended', 'suspended', 0]]) {
        await page.getByRole('button', { name, exact: true }).click();
        await page.waitForURL((url) => url.searchParams.get('state') === state);
        await eventually(`${count} of ${state}`, async () => (await rows.count()) === count);
      }
      await page.getByText('Nothing waits for you').waitFor();
    });

    for (const [path, none] of [
      ['/analytics/traffic', 'No calls in this time.'],
      ['/analytics/cache', 'No call in this time could use a cache.'],
      ['/audit', 'No change in this time'],
    ]) {
      it(`looks at a span of time on ${path}, and finds it again by the address`, async () => {
        await ada.open(path);
        await page.getByRole('button', { name: 'Custom' }).click();
        await dialog(ada).getByLabel('From').fill('2020-01-01T00:00');
        await dialog(ada).getByLabel('To').fill('2020-01-02T00:00');
        const list = path.split('/')[1];
        const asked = page.waitForRequest((request) => request.url().includes(`/${list}?from=`));
        await dialog(ada).getByRole('button', { name: 'Apply' }).click();
        const { searchParams } = new URL((await asked).url());
        assert.equal(Date.parse(searchParams.get('to')) - Date.parse(searchParams.get('from')), 86_400_000);
        await page.waitForURL((url) => url.searchParams.get('from')?.startsWith('2020-01-01') || url.searchParams.get('from')?.startsWith('2019-12-31'));
        await page.getByText(none).first().waitFor();
        await page.reload();
        await page.getByRole('button', { name: /Jan .*–.* Jan/ }).waitFor();
        await page.getByText(none).first().waitFor();
        await page.getByRole('button', { name: '24 h', exact: true }).click();
        await page.waitForURL((url) => url.searchParams.get('range') === '24h' && !url.searchParams.has('from'));
      });
    }

    it('follows what it shows until it has settled, also where the reader has gone on to the next page', async () => {
      for (let i = 0; i < MANY; i += 1) await stage.admin.post(`${stage.base}/purges`, { environment: stage.scene.environment.id, scope: { by: 'api', api: api.id } });
      let rolling = true;
      await page.route(/\/purges\?/, async (route) => {
        const response = await route.fetch();
        const json = await response.json();
        const { searchParams } = new URL(route.request().url());
        if (rolling && !searchParams.has('after')) json.items[0].progress = { state: 'running', gateways: [] };
        await route.fulfill({ response, json });
      });
      await ada.open(`/apis/${api.id}/cache`);
      const rows = page.getByRole('table', { name: 'Purges' }).locator('tbody tr');
      await rows.first().getByText('rolling out').waitFor();
      // The button takes no click while the list is asked for again.
      const more = page.getByRole('button', { name: 'Load more' });
      await eventually('all of them', async () => {
        if (await more.isEnabled({ timeout: 1000 }).catch(() => false)) await more.click({ timeout: 1000 }).catch(() => {});
        return (await rows.count()) === MANY;
      }, 60_000);
      rolling = false;
      await rows.first().getByText('on every gateway').waitFor();
      assert.equal(await rows.count(), MANY, 'what was loaded stays');
      await page.unrouteAll({ behavior: 'ignoreErrors' });
    });

    it('leaves the console silent', () => stage.assertQuiet());
  });
}
