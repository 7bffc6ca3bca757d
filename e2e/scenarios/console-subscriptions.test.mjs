// What consumers and approvers do in the console: applications, keys, the catalogue, subscriptions and decisions.
// Each action is read back through the admin API and, where it decides over calls, through the gateway.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { dialog, row, seeNoRow, seeRow, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { publish } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

const DAY = 86_400_000;

for (const database of databases) {
  describe(`consumers and approvers in the console on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let carl;
    let ann;
    let api;
    let app;
    let key;

    const press = (person, name) => person.page.getByRole('button', { name, exact: true }).first().click();
    const reach = (status) => stage.answers('/weather/now', status, { key });
    const keys = () => stage.items(`/applications/${app}/credentials?sort=-created_at`);
    /** The subscription of Carl's first application, or of the one with this name. */
    const subscription = async (name = 'Forecast') =>
      (await stage.items('/subscriptions?sort=-created_at')).find((it) => it.application_name === name);
    const isNow = (state, name) => eventually(`it is ${state}`, async () => (await subscription(name))?.state === state);

    before(async () => {
      stage = await startStage({ database });
      const draft = {
        routes: [
          { id: 'now', summary: 'The weather now', methods: ['GET'], path: '/now' },
          { id: 'old', summary: 'As it was', methods: ['GET'], path: '/old', deprecated: true, access: 'public' },
        ],
        upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
      };
      const plans = [{ name: 'Free', approval: 'automatic' }, { name: 'Partner', approval: 'manual' }];
      ({ api } = await publish(stage.scene, { slug: 'weather', name: 'Weather', draft, plans }));
      await stage.admin.edit(`${stage.base}/apis/${api.id}`, ({ name, draft: now }) => ({ name, description: 'Rain or sun.', team: null, draft: now, listed: true }));
      await publish(stage.scene, { slug: 'hidden', name: 'Hidden', draft });
      carl = await stage.person('Carl', ['consumer']);
      ann = await stage.person('Ann', ['approver']);
    });
    after(() => stage?.stop());

    it('is led to the applications first by a catalogue that needs one', async () => {
      await carl.open('/');
      await carl.page.getByRole('link', { name: 'Browse the catalogue' }).click();
      await row(carl, 'Weather').getByRole('link').first().click();
      await press(carl, 'Subscribe to Free');
      await dialog(carl).getByRole('link', { name: 'Go to applications' }).click();
      await carl.page.waitForURL((url) => url.pathname === '/apps');
      assert.deepEqual(await stage.items('/subscriptions'), []);
    });

    it('makes an application, edits it, and finds it by a part of its name', async () => {
      await carl.open('/');
      await carl.page.getByRole('link', { name: 'Your applications' }).click();
      await press(carl, 'New application');
      await submitDialog(carl, { Name: 'Forcast' }, 'Save');
      await carl.page.waitForURL((url) => /^\/apps\/[^/]+$/.test(url.pathname));
      app = new URL(carl.page.url()).pathname.split('/')[2];
      await press(carl, 'Edit');
      await submitDialog(carl, { Name: 'Forecast', Description: 'For the newspaper.' }, 'Save');
      const read = await stage.admin.get(`${stage.base}/applications/${app}`);
      assert.deepEqual([read.name, read.description, read.owner_name], ['Forecast', 'For the newspaper.', 'Carl']);
      await stage.admin.post(`${stage.base}/applications`, { name: 'Another' });
      const ada = await stage.ada();
      await ada.open('/apps');
      await seeRow(ada, 'Another');
      await ada.page.getByRole('searchbox', { name: 'Search applications' }).fill('cast');
      await ada.page.waitForURL((url) => url.searchParams.get('q') === 'cast');
      await seeNoRow(ada, 'Another');
      await seeRow(ada, 'Forecast');
      await ada.close();
    });

    it('makes a key that expires, and copies it', async () => {
      await press(carl, 'New key');
      await press(carl, '30 days');
      await submitDialog(carl, { Name: 'short-lived' }, 'Create key', { stays: true });
      await dialog(carl).getByRole('button', { name: 'Copy key' }).click();
      await dialog(carl).getByRole('button', { name: 'Copied' }).waitFor();
      key = await carl.page.evaluate(() => navigator.clipboard.readText());
      await dialog(carl).getByRole('button', { name: 'Done' }).click();
      await seeRow(carl, 'short-lived');
      const [made] = await keys();
      assert.ok(key.startsWith(made.prefix) && key.length > made.prefix.length + 20);
      const days = (Date.parse(made.expires_at) - Date.now()) / DAY;
      assert.ok(days > 29.9 && days <= 30, `it expires after ${days} days`);
      await reach(403);
    });

    it('finds an API in the catalogue, reads its reference and takes its document along', async () => {
      await carl.page.getByRole('link', { name: 'Find an API' }).click();
      await carl.page.getByRole('searchbox', { name: 'Search the catalogue' }).fill('eath');
      await carl.page.waitForURL((url) => url.searchParams.get('q') === 'eath');
      assert.equal(await row(carl, 'Hidden').count(), 0, 'what is not listed is not there');
      await row(carl, 'Weather').getByRole('link').first().click();
      await carl.page.getByText('Rain or sun.').waitFor();
      const operations = carl.page.getByRole('searchbox', { name: 'Search operations' });
      await operations.fill('as it was');
      await carl.page.getByText('deprecated').waitFor();
      await carl.page.getByText('no key').waitFor();
      await eventually('the other is hidden', async () => (await carl.page.getByText('The weather now').count()) === 0);
      const [download] = await Promise.all([
        carl.page.waitForEvent('download'),
        carl.page.getByRole('link', { name: 'OpenAPI document' }).click(),
      ]);
      const document = JSON.parse(await readFile(await download.path(), 'utf8'));
      assert.match(document.openapi, /^3\.1/);
      assert.deepEqual(Object.keys(document.paths).sort(), ['/now', '/old']);
    });

    it('subscribes under a plan with automatic approval and can call at once', async () => {
      await carl.open(`/catalogue/${api.id}`);
      await press(carl, 'Subscribe to Free');
      await submitDialog(carl, {}, 'Subscribe', { stays: true });
      await carl.page.waitForURL((url) => url.pathname === `/apps/${app}`);
      await seeRow(carl, 'approved');
      assert.equal((await subscription()).plan_name, 'Free');
      await reach(200);
    });

    it('ends the subscription: the key is refused', async () => {
      await press(carl, 'End subscription to Weather');
      await submitDialog(carl, {}, 'End subscription');
      await isNow('ended');
      await reach(403);
    });

    it('asks for one that a person approves; is refused with a reason, which the applicant reads', async () => {
      await carl.open(`/catalogue/${api.id}`);
      await press(carl, 'Subscribe to Partner');
      await submitDialog(carl, { 'Message to the approver': 'We resell it.' }, 'Subscribe', { stays: true });
      await isNow('pending');
      await ann.open('/approvals');
      await seeRow(ann, 'We resell it.');
      await ann.page.getByRole('link', { name: /Approvals/ }).getByText('1').waitFor();
      await press(ann, 'Reject Forecast');
      await submitDialog(ann, { Reason: 'Never sent.' }, 'Cancel');
      await press(ann, 'Reject Forecast');
      assert.equal(await dialog(ann).getByLabel('Reason').inputValue(), '', 'what was not sent is forgotten');
      await submitDialog(ann, { Reason: 'Not to be resold.' }, 'Reject');
      await seeNoRow(ann, 'We resell it.');
      await ann.page.getByText('Nothing waits for you').waitFor();
      await eventually('the badge is gone', async () => (await ann.page.getByRole('link', { name: /Approvals/ }).getByText('1').count()) === 0);
      const rejected = await subscription();
      assert.deepEqual([rejected.state, rejected.reason, rejected.decided_by], ['rejected', 'Not to be resold.', 'ann@example.com']);
      await carl.open(`/apps/${app}`);
      await seeRow(carl, 'Not to be resold.');
      await reach(403);
    });

    it('approves, suspends with a reason and resumes; every gateway follows', async () => {
      await carl.open(`/catalogue/${api.id}`);
      await press(carl, 'Subscribe to Partner');
      await submitDialog(carl, {}, 'Subscribe', { stays: true });
      await isNow('pending');
      await ann.open('/approvals');
      await press(ann, 'Approve Forecast');
      await isNow('approved');
      await reach(200);
      await press(ann, 'Approved');
      await ann.page.waitForURL((url) => url.searchParams.get('state') === 'approved');
      await press(ann, 'Suspend Forecast');
      await submitDialog(ann, { Reason: 'Unpaid.' }, 'Suspend');
      await isNow('suspended');
      assert.equal((await subscription()).reason, 'Unpaid.');
      await reach(403);
      await ann.open('/approvals?state=suspended');
      await press(ann, 'Resume Forecast');
      await isNow('approved');
      await reach(200);
    });

    it('approves many at once, and stops at what somebody else has decided meanwhile', async () => {
      const plan = (await stage.items(`/apis/${api.id}/plans`)).find(({ name }) => name === 'Partner').id;
      const asked = {};
      for (const name of ['One', 'Two', 'Three']) {
        const { id } = await stage.admin.post(`${stage.base}/applications`, { name });
        asked[name] = await stage.admin.post(`${stage.base}/subscriptions`, { application: id, api: api.id, plan });
      }
      await ann.open('/approvals');
      for (const name of ['One', 'Two', 'Three']) await ann.page.getByLabel(name, { exact: true }).check();
      await stage.admin.post(`${stage.base}/subscriptions/${asked.Two.id}/reject`, { reason: 'No.' }, { etag: `"${asked.Two.version}"` });
      await press(ann, 'Approve 3 subscriptions');
      await ann.page.getByRole('alert').first().waitFor();
      await isNow('approved', 'One');
      await seeNoRow(ann, 'Two');
      assert.deepEqual([(await subscription('Two')).state, (await subscription('Three')).state], ['rejected', 'pending']);
      await ann.page.getByLabel('Three', { exact: true }).check();
      await press(ann, 'Approve 1 subscription');
      await isNow('approved', 'Three');
      await ann.page.getByText('Nothing waits for you').waitFor();
    });

    it('picks nothing that another filter hides', async () => {
      const { id } = await stage.admin.post(`${stage.base}/applications`, { name: 'Four' });
      const plan = (await stage.items(`/apis/${api.id}/plans`)).find(({ name }) => name === 'Partner').id;
      await stage.admin.post(`${stage.base}/subscriptions`, { application: id, api: api.id, plan });
      await ann.open('/approvals');
      await ann.page.getByLabel('Four', { exact: true }).check();
      await ann.page.getByRole('button', { name: 'Approve 1 subscription' }).waitFor();
      await press(ann, 'Rejected');
      await seeRow(ann, 'Not to be resold.');
      assert.equal(await ann.page.getByRole('button', { name: 'Approve 1 subscription' }).count(), 0);
      await press(ann, 'All');
      await seeRow(ann, 'Four');
      await seeRow(ann, 'Not to be resold.');
      await ann.page.waitForURL((url) => url.searchParams.get('state') === 'all');
    });

    it('revokes a key and watches every gateway refuse it, however slow the answers are', async () => {
      await carl.open(`/apps/${app}`);
      // Slower than the console asks.
      await carl.page.route('**/credentials/*', async (route) => {
        await sleep(1_500);
        await route.continue();
      });
      await press(carl, 'Revoke short-lived');
      await dialog(carl).getByRole('button', { name: 'Revoke key' }).click();
      await dialog(carl).getByText('on every gateway').waitFor();
      await dialog(carl).getByRole('button', { name: 'Done' }).click();
      await carl.page.unrouteAll({ behavior: 'ignoreErrors' });
      await seeRow(carl, 'revoked');
      assert.ok((await keys())[0].revoked_at);
      await reach(401);
    });

    it('deletes the application by typing its name: its keys are refused', async () => {
      await press(carl, 'New key');
      await press(carl, 'Never');
      await submitDialog(carl, { Name: 'second' }, 'Create key', { stays: true });
      key = (await dialog(carl).locator('.secret code').textContent()).trim();
      await dialog(carl).getByRole('button', { name: 'Done' }).click();
      assert.equal((await keys())[0].expires_at, null);
      await reach(200);
      await press(carl, 'Delete');
      await submitDialog(carl, { 'Type Forecast to confirm': 'Forecast' }, 'Delete application');
      await carl.page.waitForURL((url) => url.pathname === '/apps');
      await carl.page.getByText('No application yet').waitFor();
      assert.equal((await stage.admin.request('GET', `${stage.base}/applications/${app}`)).status, 404);
      await reach(401);
    });

    it('leaves the consoles silent but for the refusals that were provoked', () => stage.assertQuiet(['412', '409']));
  });
}
