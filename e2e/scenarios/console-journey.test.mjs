// The main job in a real browser, on each database: a publisher imports httpbin's own document, attaches a cache,
// makes a plan and publishes; a consumer subscribes; an approver approves; the call with the new key returns what
// httpbin says, the second is a hit; the log and the overview show them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { dialog, seeRow, signedIn, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { startHttpbin } from '../lib/httpbin.mjs';
import { addPerson, call, callUntil, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`the main job in the console on ${database}`, { timeout: 600_000 }, () => {
    let httpbin;
    let sluice;
    let scene;
    let browser;
    let ada;
    let carl;
    let api;
    let key;
    const path = (rest) => `/${scene.tenant.slug}/httpbin${rest}`;
    const read = () => scene.admin.get(`${scene.base}/apis/${api.id}`);

    before(async () => {
      httpbin = await startHttpbin();
      sluice = await startSluice({ database });
      scene = await setUp(sluice);
      await addPerson(scene, { name: 'Carl Consumer', email: 'carl@example.com', roles: ['consumer'] });
      await addPerson(scene, { name: 'Ann Approver', email: 'ann@example.com', roles: ['approver'] });
      browser = await launch();
      ada = await signedIn(browser, sluice, { name: 'Ada', email: 'ada@example.com' });
    });
    after(async () => {
      await browser?.close();
      await sluice?.stop();
      await httpbin?.stop();
    });

    it("imports httpbin's own document after a preview", async () => {
      const document = await (await fetch(`${httpbin.url}/spec.json`)).text();
      await ada.open('/apis/import');
      await ada.page.getByRole('button', { name: 'In a file' }).or(ada.page.getByRole('radio', { name: 'In a file' })).click();
      await ada.page.getByLabel('File', { exact: true }).setInputFiles({ name: 'httpbin.json', mimeType: 'application/json', buffer: Buffer.from(document) });
      await ada.page.getByText('httpbin.json').waitFor();
      await ada.page.getByRole('button', { name: 'Preview' }).click();
      await ada.page.getByText(/Swagger 2\.0: \d+ added, 0 changed, 0 removed/).waitFor();
      await ada.page.getByLabel('Name', { exact: true }).fill('httpbin');
      await ada.page.getByLabel('Path segment').fill('httpbin');
      await ada.page.getByLabel('Upstream address').fill(httpbin.url);
      await ada.page.getByRole('button', { name: 'Create API' }).click();
      api = await eventually('the API is there', async () => (await scene.admin.get(`${scene.base}/apis`)).items[0]);
      assert.equal((await read()).draft.upstreams[0].targets[0].url, httpbin.url);
    });

    it('attaches a cache through the form that its schema draws', async () => {
      await ada.open(`/apis/${api.id}/policies`);
      await ada.page.getByRole('button', { name: 'Attach policy' }).first().click();
      await dialog(ada).getByLabel('Policy', { exact: true }).selectOption('cache');
      await submitDialog(ada, { 'Time to live (seconds)': '60' }, 'Save');
      await eventually('the draft has it', async () => (await read()).draft.policies.some((policy) => policy.type === 'cache' && policy.settings.ttl_s === 60));
    });

    it('makes a plan that a person approves and lists the API', async () => {
      await ada.open(`/apis/${api.id}/plans`);
      await ada.page.getByRole('button', { name: 'New plan' }).first().click();
      await submitDialog(ada, { Name: 'Trial', Requests: '3', 'Period (seconds)': '3600' }, 'Save');
      await seeRow(ada, 'Trial');
      await ada.open(`/apis/${api.id}`);
      await ada.page.getByLabel('Listed in the catalogue').check();
      await ada.page.getByRole('button', { name: 'Save' }).click();
      await eventually('it is listed', async () => (await read()).listed);
      const { items } = await scene.admin.get(`${scene.base}/apis/${api.id}/plans`);
      assert.equal(items[0].approval, 'manual');
    });

    it('releases it and watches the gateway take it', async () => {
      await ada.open(`/apis/${api.id}`);
      await ada.page.getByRole('button', { name: 'Release', exact: true }).click();
      await dialog(ada).getByRole('button', { name: 'Release now' }).click();
      await dialog(ada).getByRole('button', { name: 'Done' }).waitFor();
      await callUntil(sluice, path('/get'), 401);
      await dialog(ada).getByText(/\d+ ms/).first().waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      assert.equal((await read()).live[0].revision, 1);
    });

    it('lets a consumer make an application and a key, and ask for a subscription', async () => {
      carl = await signedIn(browser, sluice, { name: 'Carl', email: 'carl@example.com' });
      await carl.open('/apps');
      await carl.page.getByRole('button', { name: 'New application' }).first().click();
      await submitDialog(carl, { Name: 'Weather app' }, 'Save');
      const [application] = await eventually('the application is there', async () => {
        const { items } = await scene.admin.get(`${scene.base}/applications`);
        return items.length > 0 && items;
      });
      await carl.open(`/apps/${application.id}`);
      await carl.page.getByRole('button', { name: 'New key' }).first().click();
      await submitDialog(carl, { Name: 'laptop' }, 'Create key', { stays: true });
      const { prefix } = await eventually('the key is there', async () =>
        (await scene.admin.get(`${scene.base}/applications/${application.id}/credentials`)).items[0]);
      key = (await dialog(carl).getByText(new RegExp(`^${prefix}\\w+`)).first().textContent()).trim();
      await dialog(carl).getByRole('button', { name: 'Done' }).click();
      await callUntil(sluice, path('/get'), 403, { key });

      await carl.open(`/catalogue/${api.id}`);
      await carl.page.getByRole('button', { name: 'Subscribe to Trial' }).click();
      await dialog(carl).getByLabel('Application').selectOption({ label: 'Weather app' });
      await submitDialog(carl, { 'Message to the approver': 'For the forecast.' }, 'Subscribe', { stays: true });
      await eventually('it is pending', async () => (await scene.admin.get(`${scene.base}/subscriptions?state=pending`)).items[0]);
    });

    it('lets an approver approve it from the inbox', async () => {
      const ann = await signedIn(browser, sluice, { name: 'Ann', email: 'ann@example.com' });
      await ann.open('/approvals');
      await seeRow(ann, 'For the forecast.');
      await ann.page.getByRole('button', { name: 'Approve Weather app' }).click();
      await eventually('it is approved', async () => (await scene.admin.get(`${scene.base}/subscriptions?state=approved`)).items[0]);
      ann.assertQuiet();
      await ann.close();
    });

    it("answers with httpbin's answer, then from the cache, then says that the plan is used up", async () => {
      const first = await callUntil(sluice, path('/get?city=Oslo'), 200, { key });
      assert.deepEqual(first.body.args, { city: 'Oslo' });
      assert.match((await call(sluice, path('/get?city=Oslo'), { key })).headers.get('cache-status'), /hit/);
      assert.equal((await call(sluice, path('/uuid'), { key })).status, 200);
      assert.equal((await call(sluice, path('/uuid'), { key })).status, 429);
    });

    it('shows the calls in the log, each with its detail, and counts them on the overview', async () => {
      const log = async () => (await scene.admin.get(`${scene.base}/calls?limit=200`)).items;
      const last = await eventually('the log has the last one', async () => (await log()).find((row) => row.status === 429));
      await ada.open('/calls?status=429');
      await seeRow(ada, path('/uuid'));
      await ada.page.getByRole('row').filter({ hasText: path('/uuid') }).getByRole('link').first().click();
      await ada.page.getByText('Where the time went').waitFor();
      await ada.page.getByText(last.request_id).first().waitFor();
      await eventually('the overview counts them', async () => {
        const { traffic } = await scene.admin.get(`${scene.base}/overview`);
        return traffic.total.calls === (await log()).length && traffic.total.cache_hits === 1;
      });
      await ada.open('/');
      await ada.page.getByText('httpbin').first().waitFor();
    });

    it('leaves the console silent', () => {
      ada.assertQuiet();
      carl.assertQuiet();
    });
  });
}
