// Every page of the console, with real data on it: no violation by axe-core in light and in dark, no error in the
// console, nothing wider than the screen of a telephone. Leaves a screenshot of each.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Person, launch } from '../lib/browser.mjs';
import { startHttpbin } from '../lib/httpbin.mjs';
import { PASSWORD, addPerson, call, callUntil, consume, publish, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

const SCREENS = [
  { screen: 'desk', width: 1440, height: 900 },
  { screen: 'telephone', width: 390, height: 844 },
];

describe('the pages of the console', { timeout: 1_800_000 }, () => {
  let httpbin;
  let sluice;
  let browser;
  let pages;

  before(async () => {
    httpbin = await startHttpbin();
    sluice = await startSluice();
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await sluice?.stop();
    await httpbin?.stop();
  });

  it('are sound before anybody has set it up', async () => {
    const { pathname, search } = new URL(await sluice.setupLink());
    for (const { screen, ...view } of SCREENS) {
      const first = await Person.start(browser, { name: 'the first', baseURL: sluice.origin, ...view });
      await inspect(first, pathname + search, `setup-${screen}`);
      first.assertQuiet(['401']);
      await first.close();
    }
  });

  for (const { screen, ...view } of SCREENS) {
    it(`are sound on a ${screen}`, async (t) => {
      pages ??= await furnish(sluice, httpbin);
      const shot = (name) => `${name}-${screen}`;
      const stranger = await Person.start(browser, { name: 'a stranger', baseURL: sluice.origin, ...view });
      for (const [name, path] of Object.entries({ login: '/login', 'setup-done': '/setup', welcome: '/welcome?token=used' })) {
        await t.test(name, () => inspect(stranger, path, shot(name)));
      }
      stranger.assertQuiet(['401']);
      await stranger.close();

      const ada = await Person.start(browser, { name: 'Ada', baseURL: sluice.origin, ...view });
      await signIn(ada, 'ada@example.com');
      for (const [name, path] of Object.entries(pages)) {
        await t.test(name, () => inspect(ada, path, shot(name)));
      }
      ada.assertQuiet(['/api/v1/session']);
      await ada.close();
    });
  }
});

async function inspect(person, path, shot) {
  await person.open(path);
  await person.settled();
  for (const theme of ['light', 'dark']) {
    await person.prefers(theme);
    await person.screenshot(`${shot}-${theme}`);
    await person.assertAccessible(`${path} in ${theme}`);
  }
  const overflow = await person.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${path} is ${overflow} px wider than the screen`);
}

async function signIn(person, email) {
  await person.open('/login');
  await person.page.getByLabel('E-mail').fill(email);
  await person.page.getByLabel('Password').fill(PASSWORD);
  await person.page.getByRole('button', { name: 'Sign in' }).click();
  await person.page.waitForURL((url) => url.pathname === '/');
}

/** An installation with something on every page; gives the pages by name. */
async function furnish(sluice, httpbin) {
  const scene = await setUp(sluice);
  const { admin, base } = scene;
  const document = await (await fetch(`${httpbin.url}/spec.json`)).json();
  const { draft } = await admin.post(`${base}/imports/preview`, { source: { text: JSON.stringify(document) } });
  draft.upstreams[0].targets = [{ url: httpbin.url }];
  draft.policies = [{ type: 'cache', settings: { ttl_s: 60, shared: true, confirmed: ['shared'] } }];
  const plans = [{ name: 'Free', approval: 'automatic' }, { name: 'Partner', approval: 'manual' }];
  const { api, plans: [free, partner] } = await publish(scene, { slug: 'httpbin', name: 'httpbin', draft, plans });
  await admin.edit(`${base}/apis/${api.id}`, ({ name, team = null, draft: now }) => ({
    name, description: 'A request and response service.', team, draft: now, listed: true,
  }));
  const { application, key } = await consume(scene, { name: 'Weather app', subscriptions: [{ api: api.id, plan: free.id }] });
  const second = await admin.post(`${base}/applications`, { name: 'Partner portal' });
  await admin.post(`${base}/subscriptions`, { application: second.id, api: api.id, plan: partner.id, message: 'We resell it.' });
  await addPerson(scene, { name: 'Carl Consumer', email: 'carl@example.com', roles: ['consumer'] });
  await admin.post(`${base}/teams`, { name: 'Payments', members: [] });
  await callUntil(sluice, `/${scene.tenant.slug}/httpbin/get`, 200, { key });
  for (const path of ['/get', '/get', '/status/404', '/status/503', '/json', '/uuid']) {
    await call(sluice, `/${scene.tenant.slug}/httpbin${path}`, { key });
  }
  for (const scope of [{ by: 'url', api: api.id, path: '/uuid' }, { by: 'api', api: api.id }]) {
    await admin.post(`${base}/purges`, { environment: scene.environment.id, scope });
  }
  await admin.edit(`/environments/${scene.environment.id}`, ({ name, settings }) => ({
    name,
    settings: { ...settings, policies: [{ type: 'rate-limit', settings: { requests: 1000, period_s: 1 } }] },
  }));
  const row = await eventually('calls are in the log', async () => (await admin.get(`${base}/calls`)).items[6] && (await admin.get(`${base}/calls`)).items[0]);
  const gateway = (await admin.get(`${base}/gateways`)).items[0];
  return {
    overview: '/',
    apis: '/apis',
    'api-overview': `/apis/${api.id}`,
    'api-routes': `/apis/${api.id}/routes`,
    'api-upstreams': `/apis/${api.id}/upstreams`,
    'api-policies': `/apis/${api.id}/policies`,
    'api-cache': `/apis/${api.id}/cache`,
    'api-try': `/apis/${api.id}/try`,
    'api-plans': `/apis/${api.id}/plans`,
    'api-revisions': `/apis/${api.id}/revisions`,
    'api-import': '/apis/import',
    catalogue: '/catalogue',
    'catalogue-api': `/catalogue/${api.id}`,
    'catalogue-try': `/catalogue/${api.id}/try`,
    approvals: '/approvals',
    applications: '/apps',
    application: `/apps/${application.id}`,
    'analytics-traffic': '/analytics/traffic',
    'analytics-cache': '/analytics/cache',
    calls: '/calls',
    call: `/calls/${row.id}`,
    gateways: '/gateways',
    gateway: `/gateways/${gateway.id}`,
    enrolment: '/gateways/enrolment',
    tenants: '/org/tenants',
    teams: '/org/teams',
    users: '/org/users',
    roles: '/org/roles',
    audit: '/audit',
    account: '/settings/account',
    tokens: '/settings/tokens',
    platform: '/settings/platform',
    about: '/settings/about',
    environments: '/settings/environments',
    environment: `/settings/environments/${scene.environment.id}`,
    'not-found': '/no/such/page',
  };
}
