// What an admin does in the console with people, teams, tenants, tokens, environments, settings and gateways. Each
// action is read back through the admin API.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Admin } from '../lib/admin.mjs';
import { Person, launch } from '../lib/browser.mjs';
import { dialog, pick, row, seeNoRow, seeRow, seeToast, signIn, submitDialog } from '../lib/console.mjs';
import { PASSWORD } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

describe('an admin in the console', { timeout: 300_000 }, () => {
  let sluice;
  let browser;
  let ada;
  let page;
  let admin;
  let base;

  const items = async (path) => (await admin.get(path)).items;
  const named = async (path, name) => (await items(path)).find((item) => item.name === name);

  before(async () => {
    sluice = await startSluice();
    browser = await launch();
    ada = await Person.start(browser, { name: 'Ada', baseURL: sluice.origin });
    page = ada.page;
  });
  after(async () => {
    await browser?.close();
    await sluice?.stop();
  });

  it('sets the installation up with the one-time link, which works once', async () => {
    const link = await sluice.setupLink();
    await ada.open(link);
    await page.getByLabel('Organisation').fill('Acme');
    await page.getByLabel('Your name').fill('Ada Admin');
    await page.getByLabel('E-mail').fill('ada@example.com');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: /create|set up|finish/i }).click();
    await page.waitForURL((url) => url.pathname === '/');
    admin = new Admin(sluice.origin);
    const session = await admin.signIn('ada@example.com', PASSWORD);
    assert.equal(session.platform_admin, true);
    assert.equal(session.tenants[0].slug, 'acme');
    base = `/tenants/${session.tenants[0].id}`;
    const again = await Person.start(browser, { name: 'a second visitor', baseURL: sluice.origin });
    await again.open(link);
    await again.page.getByText('This installation is set up').waitFor();
    await again.close();
  });

  it('signs out, is refused with a wrong password, and returns to the page that was asked for', async () => {
    await pick(ada, /^Account of/, 'Sign out');
    await page.waitForURL((url) => url.pathname === '/login');
    await ada.open('/audit');
    await page.waitForURL((url) => url.pathname === '/login' && url.searchParams.get('next') === '/audit');
    await page.getByLabel('E-mail').fill('ada@example.com');
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').first().waitFor();
    await signIn(ada, 'ada@example.com');
    await page.waitForURL((url) => url.pathname === '/audit');
  });

  it('invites a person, who chooses a password and sees what their role may', async () => {
    await ada.open('/org/users');
    await page.getByRole('button', { name: 'Invite user' }).click();
    await dialog(ada).getByLabel('Viewer').check();
    await dialog(ada).getByLabel('Consumer').uncheck();
    await submitDialog(ada, { 'E-mail': 'vera@example.com', Name: 'Vera Viewer' }, 'Invite', { stays: true });
    await dialog(ada).getByRole('button', { name: 'Copy invitation link' }).click();
    await dialog(ada).getByRole('button', { name: 'Copied' }).waitFor();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    const vera = await Person.start(browser, { name: 'Vera', baseURL: sluice.origin });
    await vera.open(/\/welcome\?token=\S+/.exec(text)[0]);
    await vera.page.getByLabel('Password').fill(PASSWORD);
    await vera.page.getByRole('button', { name: 'Set password and sign in' }).click();
    await vera.page.waitForURL((url) => url.pathname === '/');
    await vera.page.getByRole('link', { name: 'Overview' }).waitFor();
    assert.equal(await vera.page.getByRole('link', { name: 'Users & teams' }).count(), 0);
    vera.assertQuiet();
    await vera.close();
    assert.deepEqual((await named(`${base}/users`, 'Vera Viewer')).roles, ['viewer']);
  });

  it('gives a person another role, makes a new link, disables and removes them', async () => {
    await ada.open('/org/users');
    await pick(ada, 'Actions for Vera Viewer', 'Edit');
    await dialog(ada).getByLabel('Publisher').check();
    await submitDialog(ada, { Name: 'Vera Publisher' }, 'Save');
    await seeRow(ada, 'Vera Publisher');
    assert.deepEqual((await named(`${base}/users`, 'Vera Publisher')).roles.sort(), ['publisher', 'viewer']);

    await pick(ada, 'Actions for Vera Publisher', 'Edit');
    await dialog(ada).getByLabel('Disabled').check();
    await submitDialog(ada, {}, 'Save');
    await eventually('disabled', async () => (await named(`${base}/users`, 'Vera Publisher')).disabled);
    const { status } = await new Admin(sluice.origin).request('POST', '/session', { body: { email: 'vera@example.com', password: PASSWORD } });
    assert.equal(status, 403, 'a disabled person cannot sign in');

    await page.getByRole('button', { name: 'Invite user' }).click();
    await submitDialog(ada, { 'E-mail': 'ivo@example.com', Name: 'Ivo Invited' }, 'Invite', { stays: true });
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    await pick(ada, 'Actions for Ivo Invited', 'New invitation link');
    await submitDialog(ada, {}, 'Create link', { stays: true });
    await dialog(ada).getByText('/welcome?token=').first().waitFor();
    await dialog(ada).getByRole('button', { name: 'Done' }).click();

    await pick(ada, 'Actions for Vera Publisher', 'Remove from tenant');
    await submitDialog(ada, {}, 'Remove user');
    await seeNoRow(ada, 'Vera Publisher');
    assert.equal(await named(`${base}/users`, 'Vera Publisher'), undefined);
  });

  it('finds a person by a part of the name, and keeps the search in the address', async () => {
    await ada.open('/org/users');
    await page.getByRole('searchbox', { name: 'Search users' }).fill('ivo');
    await page.waitForURL((url) => url.searchParams.get('q') === 'ivo');
    await seeNoRow(ada, 'Ada Admin');
    await ada.open('/org/users?q=ivo');
    await seeRow(ada, 'Ivo Invited');
    assert.equal(await row(ada, 'Ada Admin').count(), 0);
  });

  it('creates a team, changes its members and deletes it', async () => {
    await ada.open('/org/teams');
    await page.getByRole('button', { name: 'New team' }).first().click();
    await dialog(ada).getByLabel(/Ivo Invited/).check();
    await submitDialog(ada, { Name: 'Payments' }, 'Save');
    await seeRow(ada, 'Payments');
    await page.getByRole('searchbox', { name: 'Search teams' }).fill('nobody');
    await seeNoRow(ada, 'Payments');
    await page.getByRole('searchbox', { name: 'Search teams' }).fill('pay');
    await seeRow(ada, 'Payments');
    await page.getByRole('searchbox', { name: 'Search teams' }).fill('');
    await page.waitForURL((url) => !url.searchParams.has('q'));
    assert.equal((await named(`${base}/teams`, 'Payments')).members.length, 1);
    await page.getByRole('button', { name: 'Edit Payments' }).click();
    await dialog(ada).getByLabel(/Ada Admin/).check();
    await submitDialog(ada, { Name: 'Billing' }, 'Save');
    await seeRow(ada, 'Billing');
    assert.equal((await named(`${base}/teams`, 'Billing')).members.length, 2);
    await page.getByRole('button', { name: 'Delete Billing' }).click();
    await submitDialog(ada, {}, 'Delete team');
    await seeNoRow(ada, 'Billing');
    assert.equal((await items(`${base}/teams`)).length, 0);
  });

  it('creates and renames a tenant, and goes to work in it', async () => {
    await ada.open('/org/tenants');
    await page.getByRole('button', { name: 'New tenant' }).first().click();
    await submitDialog(ada, { Name: 'Umbrella', Path: 'umbrella' }, 'Save');
    await seeRow(ada, 'Umbrella');
    await page.getByRole('button', { name: 'Rename Umbrella' }).click();
    await submitDialog(ada, { Name: 'Umbrella Ltd' }, 'Save');
    await seeRow(ada, 'Umbrella Ltd');
    assert.equal((await named('/tenants', 'Umbrella Ltd')).slug, 'umbrella');
    await pick(ada, /^Tenant:/, 'Umbrella Ltd');
    await page.getByRole('button', { name: 'Tenant: Umbrella Ltd' }).waitFor();
    await ada.open('/org/users');
    await page.getByRole('button', { name: 'Tenant: Umbrella Ltd' }).waitFor();
    await pick(ada, /^Tenant:/, 'Acme');
    await page.getByRole('button', { name: 'Tenant: Acme' }).waitFor();
  });

  it('creates an API token that works, and revokes it', async () => {
    await ada.open('/settings/tokens');
    await page.getByRole('button', { name: 'New token' }).first().click();
    await dialog(ada).getByLabel('Read APIs and applications').check();
    await dialog(ada).getByRole('button', { name: '30 days' }).click();
    await submitDialog(ada, { Name: 'pipeline' }, 'Create token', { stays: true });
    const { prefix, expires_at: expires } = await eventually('the token is listed', () => named(`${base}/tokens`, 'pipeline'));
    assert.equal(Math.round((Date.parse(expires) - Date.now()) / 86_400_000), 30);
    const token = (await dialog(ada).getByText(prefix).first().textContent()).trim();
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    const as = (path) => fetch(`${sluice.origin}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await as(`${base}/apis`)).status, 200);
    assert.equal((await as(`${base}/audit`)).status, 403, 'only what it was given');
    await row(ada, 'pipeline').getByRole('button', { name: 'Revoke' }).click();
    await submitDialog(ada, {}, 'Revoke token');
    await seeToast(ada, 'Token pipeline revoked');
    assert.equal((await as(`${base}/apis`)).status, 401);
  });

  it('makes tokens that live as long as was chosen, or for ever', async () => {
    const HOUR = 3_600_000;
    const make = async (path, list, lives) => {
      await ada.open(path);
      for (const [choice, hours] of Object.entries(lives)) {
        await page.getByRole('button', { name: 'New token' }).first().click();
        await dialog(ada).getByRole('button', { name: choice, exact: true }).click();
        const box = dialog(ada).getByLabel('Read APIs and applications');
        if (await box.count()) await box.check();
        await submitDialog(ada, { Name: `lives ${choice}` }, 'Create token', { stays: true });
        await dialog(ada).getByRole('button', { name: 'Done' }).click();
        const { expires_at: expires } = await eventually('it is listed', () => named(list, `lives ${choice}`));
        const left = expires && (Date.parse(expires) - Date.now()) / HOUR;
        if (hours === null) assert.equal(expires ?? null, null);
        else assert.ok(left > hours - 0.1 && left <= hours, `${choice}: ${left} hours`);
      }
    };
    await make('/settings/tokens', `${base}/tokens`, { '90 days': 2160, '1 year': 8760, Never: null });
    const environment = (await items(`${base}/environments`)).find((one) => one.slug === 'production');
    await make('/gateways/enrolment', `/environments/${environment.id}/enrolment-tokens`, { '1 hour': 1, '1 day': 24, '30 days': 720, '1 year': 8760 });
  });

  it('creates and edits an environment', async () => {
    await ada.open('/settings/environments');
    await page.getByRole('button', { name: 'New environment' }).first().click();
    await submitDialog(ada, { Name: 'Staging', Slug: 'staging' }, 'Create');
    await seeRow(ada, 'staging');
    await page.getByRole('button', { name: 'Edit Staging' }).click();
    await submitDialog(ada, { Name: 'Stage', 'Body (bytes)': '4096' }, 'Save');
    await seeRow(ada, 'Stage');
    const saved = await named(`${base}/environments`, 'Stage');
    assert.equal(saved.slug, 'staging');
    assert.equal(saved.settings.limits.body_bytes, 4096);
  });

  it('changes the settings of the platform, and is shown both versions when somebody else did meanwhile', async () => {
    await ada.open('/settings/platform');
    await page.getByLabel('Calls (days)').fill('45');
    await page.getByRole('button', { name: 'Save' }).click();
    await seeToast(ada, 'Settings saved');
    await page.getByRole('button', { name: 'Close message' }).first().click();
    await page.getByText('Settings saved').waitFor({ state: 'detached' });
    assert.equal((await admin.get('/settings')).call_retention_days, 45);
    await admin.edit('/settings', (settings) => ({ ...settings, call_retention_days: 60 }));
    await page.getByLabel('Calls (days)').fill('50');
    await page.getByRole('button', { name: 'Save' }).click();
    await dialog(ada).getByText('60').first().waitFor();
    await dialog(ada).getByText('50').first().waitFor();
    await dialog(ada).getByRole('button', { name: /overwrite|mine/i }).click();
    await eventually('the second version wins', async () => (await admin.get('/settings')).call_retention_days === 50);
  });

  it('changes their own password, which ends the other sessions', async () => {
    const other = new Admin(sluice.origin);
    await other.signIn('ada@example.com', PASSWORD);
    await ada.open('/settings/account');
    await page.getByLabel('Present password').fill(PASSWORD);
    await page.getByLabel('New password').fill('another long password');
    await page.getByRole('button', { name: 'Change password' }).click();
    await seeToast(ada, 'Password changed');
    assert.equal((await other.request('GET', '/session')).status, 401);
    admin = new Admin(sluice.origin);
    await admin.signIn('ada@example.com', 'another long password');
  });

  it('makes an enrolment token and revokes it', async () => {
    await ada.open('/gateways/enrolment');
    await page.getByRole('button', { name: 'New token' }).first().click();
    await submitDialog(ada, { Name: 'Frankfurt fleet' }, 'Create token', { stays: true });
    await dialog(ada).getByText(/sle_/).first().waitFor();
    await dialog(ada).getByRole('button', { name: 'Done' }).click();
    const environment = (await items(`${base}/environments`)).find((one) => one.slug === 'production');
    const tokens = `/environments/${environment.id}/enrolment-tokens`;
    assert.equal((await named(tokens, 'Frankfurt fleet')).revoked_at, null);
    await row(ada, 'Frankfurt fleet').getByRole('button', { name: 'Revoke' }).click();
    await submitDialog(ada, {}, 'Revoke token');
    await eventually('it is revoked', async () => (await named(tokens, 'Frankfurt fleet')).revoked_at);
  });

  it('looks at the gateway, and removes it by typing its name', async () => {
    const [gateway] = await items(`${base}/gateways`);
    await ada.open('/gateways');
    await row(ada, gateway.name).getByRole('link').first().click();
    await page.getByText('Applied position').waitFor();
    await page.getByRole('button', { name: 'Remove' }).click();
    const confirm = dialog(ada).getByRole('button', { name: 'Remove gateway' });
    assert.ok(await confirm.isDisabled());
    await submitDialog(ada, { [`Type ${gateway.name} to confirm`]: gateway.name }, 'Remove gateway');
    await eventually('it is removed', async () => (await admin.get(`${base}/gateways/${gateway.id}`)).state === 'removed');
  });

  it('finds every one of these changes in the audit log, with what changed', async () => {
    const entries = await eventually('the log is long', async () => {
      const found = await items(`${base}/audit?limit=200`);
      return found.length > 8 && found;
    });
    assert.ok(entries.every((entry) => entry.actor && entry.action && entry.at));
    await ada.open('/audit');
    await page.getByRole('searchbox', { name: /^Resource/ }).fill('team');
    await page.waitForURL((url) => url.searchParams.get('resource') === 'team');
    await seeRow(ada, 'Billing');
    await row(ada, 'update team').first().getByRole('button').click();
    await dialog(ada).getByText('Payments').first().waitFor();
    await dialog(ada).getByText('Billing').first().waitFor();
  });

  it('changes the theme, which stays', async () => {
    await ada.open('/');
    const scheme = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
    for (const [theme, expected] of [['Light', 'light'], ['System', 'light dark'], ['Dark', 'dark']]) {
      await pick(ada, 'Theme', theme);
      await eventually(`it is ${theme}`, async () => (await scheme()) === expected);
    }
    await ada.open('/audit');
    await eventually('it is still dark', async () => (await scheme()) === 'dark');
  });

  it('leaves no error in the console but the refusals that were provoked', () => {
    ada.assertQuiet(['401', '412', '404']);
  });
});
