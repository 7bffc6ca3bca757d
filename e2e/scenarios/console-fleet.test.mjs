// What the platform's admin does in the console with environments and gateways, while real gateways come and go; and
// where each of these changes is found afterwards.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { dialog, row, seeNoRow, seeRow, signedIn, sortsBy, submitDialog } from '../lib/console.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { call, callUntil } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

describe('an admin of environments and gateways in the console', { timeout: 300_000 }, () => {
  let fleet;
  let upstream;
  let browser;
  let ada;
  let page;
  let admin;
  let base;
  let token;

  const press = (name) => page.getByRole('button', { name, exact: true }).first().click();
  const gateways = async () => (await admin.get(`${base}/gateways`)).items.map(({ name }) => name);
  const tokens = async (environment) => (await admin.get(`/environments/${environment}/enrolment-tokens`)).items;

  before(async () => {
    upstream = await startUpstream();
    fleet = await startFleet();
    ({ admin, base } = fleet.scene);
    browser = await launch();
    ada = await signedIn(browser, fleet, { name: 'Ada', email: 'ada@example.com' });
    page = ada.page;
  });
  after(async () => {
    await browser?.close();
    await fleet?.stop();
    await upstream?.stop();
  });

  it('is shown the first steps while there is nothing, and each leads on', async () => {
    for (const [step, path] of [['Add an API', '/apis'], ['Add an application', '/apps'], ['Open the catalogue', '/catalogue']]) {
      await ada.open('/');
      await page.getByRole('link', { name: step }).click();
      await page.waitForURL((url) => url.pathname === path);
    }
  });

  it('makes a token with which a gateway joins', async () => {
    await ada.open('/gateways');
    await page.getByText('No gateway yet').waitFor();
    await page.getByRole('link', { name: 'Add gateways' }).click();
    await press('New token');
    await press('30 days');
    await submitDialog(ada, { Name: 'Frankfurt' }, 'Create token', { stays: true });
    await dialog(ada).getByRole('button', { name: 'Copy command' }).click();
    await dialog(ada).getByRole('button', { name: 'Copied' }).waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    token = /SLUICE_GATEWAY_ENROLMENT_TOKEN=(\S+)/.exec(command)[1];
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    const [{ expires_at: expires }] = await tokens(fleet.scene.environment.id);
    assert.equal(Math.round((Date.parse(expires) - Date.now()) / 86_400_000), 30);
  });

  it('releases while nobody is there, and sees the first gateway take it over', async () => {
    const draft = {
      access: 'public',
      routes: [{ id: 'take', methods: ['POST'], path: '/take' }],
      upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
    };
    const api = await admin.post(`${base}/apis`, { slug: 'box', name: 'Box', draft });
    await ada.open(`/apis/${api.id}`);
    await press('Release');
    await dialog(ada).getByRole('button', { name: 'Release now' }).click();
    await dialog(ada).getByText('waiting for a gateway').waitFor();
    const gateway = await fleet.addGateway({ name: 'frankfurt-1', token });
    await dialog(ada).getByText('on every gateway').waitFor();
    await dialog(ada).getByText('frankfurt-1').waitFor();
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    await callUntil(gateway, '/acme/box/take', 200, { method: 'POST', body: 'x' });
  });

  it('finds the gateway in the list and how far it is', async () => {
    await ada.open('/gateways');
    await row(ada, 'frankfurt-1').getByRole('link').first().click();
    const { head } = await eventually('it is up to date', async () => {
      const [gateway] = (await admin.get(`${base}/gateways`)).items;
      return gateway.applied === gateway.head && gateway;
    });
    await page.getByText(`${head} of ${head}`).waitFor();
    await page.getByText('Up for').waitFor();
  });

  it('sorts the gateways, each way in the address', async () => {
    const second = await fleet.addGateway({ name: 'amsterdam-1' });
    await ada.open('/gateways');
    await sortsBy(ada, 'Name', 'name', async (query) => (await admin.get(`${base}/gateways?${query}`)).items);
    await second.kill();
    const gone = (await admin.get(`${base}/gateways`)).items.find(({ name }) => name === 'amsterdam-1');
    await admin.call('DELETE', `/gateways/${gone.id}`);
  });

  it('limits bodies in an environment, which its gateways enforce', async () => {
    const [gateway] = fleet.gateways;
    const take = (bytes) => call(gateway, '/acme/box/take', { method: 'POST', body: 'x'.repeat(bytes) });
    assert.equal((await take(5_000)).status, 200);
    await ada.open('/settings/environments');
    await page.getByRole('button', { name: 'Edit Production' }).click();
    await submitDialog(ada, { 'Body (bytes)': '4096' }, 'Save');
    const { settings } = await admin.get(`/environments/${fleet.scene.environment.id}`);
    assert.equal(settings.limits.body_bytes, 4096);
    assert.deepEqual(settings.allowed_networks, ['127.0.0.0/8'], 'the rest stays');
    await eventually('a larger body is refused', async () => (await take(5_000)).status === 413);
    assert.equal((await take(4_000)).status, 200);
  });

  it('takes an allowed network away and gives it back, and the gateway follows', async () => {
    const [gateway] = fleet.gateways;
    await page.getByRole('button', { name: 'Edit Production' }).click();
    await dialog(ada).getByRole('button', { name: 'Remove Allowed networks 1' }).click();
    await submitDialog(ada, {}, 'Save');
    const read = () => admin.get(`/environments/${fleet.scene.environment.id}`);
    assert.deepEqual((await read()).settings.allowed_networks, []);
    await callUntil(gateway, '/acme/box/take', 502, { method: 'POST', body: 'x' });
    await page.getByRole('button', { name: 'Edit Production' }).click();
    await dialog(ada).getByRole('group', { name: 'Allowed networks' }).getByRole('button', { name: 'Add' }).click();
    await submitDialog(ada, { 'Allowed networks 1': '127.0.0.0/8' }, 'Save');
    assert.deepEqual((await read()).settings.allowed_networks, ['127.0.0.0/8']);
    await callUntil(gateway, '/acme/box/take', 200, { method: 'POST', body: 'x' });
  });

  it('makes tokens of the environment that is picked', async () => {
    const staging = await admin.post('/environments', { slug: 'staging', name: 'Staging' });
    await ada.open('/gateways/enrolment');
    await seeRow(ada, 'Frankfurt');
    await page.getByLabel('Environment').selectOption('staging');
    await page.waitForURL((url) => url.searchParams.get('environment') === 'staging');
    await page.getByText('No token yet').waitFor();
    await press('New token');
    await submitDialog(ada, { Name: 'For staging' }, 'Create token', { stays: true });
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    assert.deepEqual((await tokens(staging.id)).map(({ name }) => name), ['For staging']);
    await page.reload();
    await seeRow(ada, 'For staging');
    await seeNoRow(ada, 'Frankfurt');
  });

  it('revokes a token: nobody joins with it any more, and who has joined stays', async () => {
    await ada.open('/gateways/enrolment?environment=production');
    await row(ada, 'Frankfurt').getByRole('button', { name: 'Revoke' }).click();
    await submitDialog(ada, {}, 'Revoke token');
    await seeRow(ada, 'revoked');
    const late = await fleet.addGateway({ name: 'frankfurt-2', token, wait: false });
    await eventually('it is refused', () => /refused|revoked|token/i.test(late.program.output));
    assert.deepEqual(await gateways(), ['frankfurt-1']);
    assert.equal((await call(fleet.gateways[0], '/acme/box/take', { method: 'POST', body: 'x' })).status, 200);
  });

  it('finds each change in the audit log by who, what and when, of the tenant and of the platform', async () => {
    const shows = (text) => eventually(`rows of ${text} only`, async () => {
      const rows = await page.locator('tbody tr').allTextContents();
      return rows.length > 0 && rows.every((line) => line.includes(text));
    });
    await ada.open('/audit');
    await page.getByRole('searchbox', { name: /^Action/ }).fill('create_release');
    await page.waitForURL((url) => url.searchParams.get('action') === 'create_release');
    await shows('create release');
    await page.getByRole('searchbox', { name: /^Who/ }).fill('nobody@example.com');
    await page.getByText('No change in this time').waitFor();
    await ada.open('/audit');
    await press('Platform');
    await page.waitForURL((url) => url.searchParams.get('scope') === 'platform');
    await page.getByRole('searchbox', { name: /^Resource/ }).fill('environment');
    await page.waitForURL((url) => url.searchParams.get('resource') === 'environment');
    await shows('environment');
    await row(ada, 'update environment').first().getByRole('button').click();
    await dialog(ada).getByText('allowed_networks').first().waitFor();
    await dialog(ada).getByRole('button', { name: 'Close' }).click();
    await press('This tenant');
    await page.waitForURL((url) => !url.searchParams.has('scope'));
    await ada.open('/audit?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z');
    await page.getByText('No change in this time').waitFor();
    await press('24 h');
    await seeRow(ada, 'create api');
  });

  it('leads to the reference of the admin API and to its document', async () => {
    for (const [link, path, shown] of [['OpenAPI document', '/api/openapi.json', 'pre'], ['API reference', '/api/docs/', '.swagger-ui .opblock']]) {
      await ada.open('/settings/about');
      await page.getByRole('link', { name: link }).click();
      await page.waitForURL((url) => url.pathname === path);
      await page.locator(shown).first().waitFor();
    }
  });

  it('leaves no error in the console', () => ada.assertQuiet());
});
