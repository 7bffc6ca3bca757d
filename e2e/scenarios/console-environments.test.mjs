// Where there are two environments, what is done in the console is done in the one that was picked; and the buttons and
// ways that no other scenario takes.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Person, launch } from '../lib/browser.mjs';
import { dialog, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { call, publish } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`two environments in the console on ${database}`, { timeout: 300_000 }, () => {
    let stage;
    let ada;
    let page;
    let api;
    let application;

    const live = async () => (await stage.admin.get(`${stage.base}/apis/${api.id}`)).live.map((one) => [one.environment_slug, one.revision]);
    const press = (name) => page.getByRole('button', { name, exact: true }).first().click();
    const copied = () => page.evaluate(() => navigator.clipboard.readText());

    before(async () => {
      stage = await startStage({ database });
      const draft = {
        routes: [{ id: 'list', methods: ['GET'], path: '/list' }],
        upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
      };
      ({ api } = await publish(stage.scene, { slug: 'shop', name: 'Shop', draft, plans: [{ name: 'Free', approval: 'automatic' }] }));
      await stage.admin.edit(`${stage.base}/apis/${api.id}`, ({ name, description, team = null, draft: now }) => ({ name, description, team, draft: now, listed: true }));
      application = await stage.admin.post(`${stage.base}/applications`, { name: 'Till' });
      const staging = await stage.admin.post('/environments', { slug: 'staging', name: 'Staging' });
      await stage.admin.edit(`/environments/${staging.id}`, ({ name, settings }) => ({ name, settings: { ...settings, allowed_networks: ['127.0.0.0/8'] } }));
      ada = await stage.ada();
      page = ada.page;
    });
    after(() => stage?.stop());

    it('releases into the environment that is picked, and withdraws from it alone', async () => {
      await ada.open(`/apis/${api.id}`);
      await press('Release');
      await dialog(ada).getByLabel('Environment').selectOption({ label: 'Staging' });
      await dialog(ada).getByText('Nothing of this API is live there yet.').waitFor();
      await dialog(ada).getByRole('button', { name: 'Release now' }).click();
      await dialog(ada).getByText('waiting for a gateway').waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      assert.deepEqual((await live()).sort(), [['production', 1], ['staging', 1]]);
      await press('Release');
      await dialog(ada).getByLabel('Environment').selectOption({ label: 'Staging' });
      await dialog(ada).getByRole('button', { name: 'Withdraw' }).click();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      assert.deepEqual(await live(), [['production', 1]]);
      assert.equal((await call(stage.sluice, '/acme/shop/list')).status, 401, 'it is served where it was');
    });

    it('makes a key for the environment that is picked: gateways of another do not know it', async () => {
      await ada.open(`/apps/${application.id}`);
      await press('New key');
      await dialog(ada).getByLabel('Environment').selectOption({ label: 'Staging' });
      await submitDialog(ada, { Name: 'elsewhere' }, 'Create key', { stays: true });
      const [made] = await eventually('the key is there', async () => {
        const keys = await stage.items(`/applications/${application.id}/credentials`);
        return keys.length > 0 && keys;
      });
      assert.equal(made.environment_slug, 'staging');
      const key = (await dialog(ada).getByText(made.prefix).first().textContent()).trim();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      const { status, body } = await call(stage.sluice, '/acme/shop/list', { key });
      assert.deepEqual([status, body.code], [401, 'unknown_key']);
    });

    it('copies the token that it shows once', async () => {
      await ada.open('/settings/tokens');
      await press('New token');
      await dialog(ada).getByLabel('Read APIs and applications').check();
      await submitDialog(ada, { Name: 'robot' }, 'Create token', { stays: true });
      await dialog(ada).getByRole('button', { name: 'Copy token' }).click();
      await dialog(ada).getByRole('button', { name: 'Copied' }).waitFor();
      const headers = { authorization: `Bearer ${await copied()}` };
      const { status } = await fetch(`${stage.sluice.origin}/api/v1${stage.base}/apis`, { headers });
      assert.equal(status, 200);
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
    });

    it('leads from the catalogue to a try, and from the cache of an API to its figures', async () => {
      await ada.open(`/catalogue/${api.id}`);
      await page.getByRole('link', { name: 'Try it' }).click();
      await page.waitForURL((url) => url.pathname === `/catalogue/${api.id}/try`);
      await ada.open(`/apis/${api.id}/cache`);
      await page.getByRole('link', { name: 'Hit ratio' }).click();
      await page.waitForURL((url) => url.pathname === '/analytics/cache' && url.searchParams.get('api') === api.id);
    });

    it('puts the navigation away by a tap beside it', async () => {
      await page.setViewportSize({ width: 390, height: 844 });
      await ada.open('/apps');
      await press('Open navigation');
      const link = page.getByRole('link', { name: 'Audit log' });
      await link.waitFor();
      await page.getByRole('button', { name: 'Close navigation' }).click({ position: { x: 380, y: 400 } });
      await link.waitFor({ state: 'hidden' });
      await page.setViewportSize({ width: 1440, height: 900 });
    });

    it('sends whoever comes with a used setup link to sign in', async () => {
      const browser = await launch();
      const stranger = await Person.start(browser, { name: 'a stranger', baseURL: stage.sluice.origin });
      await stranger.open('/setup?token=used');
      await stranger.page.getByText('This installation is set up').waitFor();
      await stranger.page.getByRole('link', { name: 'Sign in' }).click();
      await stranger.page.waitForURL((url) => url.pathname === '/login');
      stranger.assertQuiet(['401']);
      await browser.close();
    });

    it('leaves the console silent', () => stage.assertQuiet());
  });
}
