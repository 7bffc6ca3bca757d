// The README's tour of five minutes, step by step, in a browser: what it says is what happens.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { Admin } from '../lib/admin.mjs';
import { launch } from '../lib/browser.mjs';
import { dialog, row, seeRow, signedIn, submitDialog } from '../lib/console.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

const run = promisify(execFile);
const README = new URL('../../README.md', import.meta.url);

describe("the README's tour", { timeout: 300_000 }, () => {
  let sluice;
  let browser;
  let demo;
  let casey;
  let admin;
  let base;
  const curl = async (command = demo.curl) => (await run('sh', ['-c', `${command} --silent`])).stdout;
  const subscription = async (state, application) =>
    (await admin.get(`${base}/subscriptions?state=${state}&limit=200`)).items.find((one) => one.application_name === application);

  before(async () => {
    sluice = await startSluice({ args: ['--demo'] });
    const [, email, consumer, password, command] = await sluice.program.until('words of the demo', () =>
      /Sign in {2}(\S+) \(or (\S+)\), password (\S+)\nTry {6}(curl .*)\n/.exec(sluice.program.output), 60_000);
    demo = { email, consumer, password, curl: command };
    browser = await launch();
    admin = new Admin(sluice.origin);
    await admin.signIn(email, password);
    const { tenants } = await admin.get('/session');
    base = `/tenants/${tenants[0].id}`;
    demo.person = await signedIn(browser, sluice, { name: 'Demo admin', email, password });
  });
  after(async () => {
    await browser?.close();
    await sluice?.stop();
  });

  it('has the steps that are followed here', async () => {
    const steps = (await readFile(README, 'utf8')).match(/^\d\. \*\*(.+?)\.\*\*/gm);
    assert.deepEqual(steps.map((step) => step.replace(/^\d\. \*\*|\.\*\*$/g, '')), [
      'Call an API', 'Watch it arrive', 'Approve a subscription', 'Change an API', 'Try it from the browser', 'Be a consumer', 'Revoke a key',
    ]);
  });

  it('1: the printed curl is answered from the cache the second time, and 401 without the key', async () => {
    assert.match(await curl(), /^HTTP\/1\.1 200/);
    assert.match(await curl(), /cache-status: sluice; hit/i);
    const refused = await curl(demo.curl.replace(/-H '[^']*'/, ''));
    assert.match(refused, /^HTTP\/1\.1 401/);
    assert.equal(JSON.parse(refused.slice(refused.indexOf('{'))).code, 'missing_key');
  });

  it('2: the calls are in the log with where their time went, and on the overview', async () => {
    const { page } = demo.person;
    // A gateway sends what it has recorded four times a second.
    await eventually('the refused call has arrived', async () => {
      const { items } = await admin.get(`${base}/calls?status=401&limit=50`);
      return items.some((call) => call.path === '/demo/bookstore/books/1');
    });
    await demo.person.open('/calls?status=401');
    await seeRow(demo.person, '/demo/bookstore/books/1');
    await row(demo.person, '/demo/bookstore/books/1').first().getByRole('link').first().click();
    await page.getByText('Where the time went').waitFor();
    await demo.person.open('/');
    await page.getByText('Bookstore').first().waitFor();
    await demo.person.settled();
    await demo.person.screenshot('tour-overview');
  });

  it('3: the subscription of Trip planner waits, and is approved', async () => {
    assert.ok(await subscription('pending', 'Trip planner'));
    await demo.person.page.getByRole('link', { name: /^Approvals/ }).first().click();
    await seeRow(demo.person, 'Trip planner');
    await demo.person.page.getByRole('button', { name: 'Approve Trip planner' }).click();
    await eventually('it is approved', () => subscription('approved', 'Trip planner'));
  });

  it('4: a rate limit on the Bookstore is released, compared and rolled back', async () => {
    const { page } = demo.person;
    const books = (await admin.get(`${base}/apis?limit=200`)).items.find((api) => api.slug === 'bookstore');
    const live = async () => (await admin.get(`${base}/apis/${books.id}`)).live[0].revision;
    await demo.person.open('/apis');
    await page.getByRole('link', { name: 'Bookstore' }).first().click();
    await page.getByRole('link', { name: /^Policies/ }).click();
    await page.getByRole('button', { name: 'Attach policy' }).first().click();
    await dialog(demo.person).getByLabel('Policy', { exact: true }).selectOption('rate-limit');
    await submitDialog(demo.person, { Requests: '100', 'Period (seconds)': '60' }, 'Save');
    await page.getByRole('button', { name: 'Release', exact: true }).click();
    await dialog(demo.person).getByRole('button', { name: 'Release now' }).click();
    await dialog(demo.person).getByText(/\d+ ms/).first().waitFor();
    await dialog(demo.person).getByRole('button', { name: 'Done' }).click();
    assert.equal(await live(), 2);
    await eventually('the limit is told', async () => /ratelimit-policy: .*q=100;w=60/i.test(await curl()));

    await page.getByRole('link', { name: /^Revisions/ }).click();
    await page.getByLabel('From').selectOption({ label: 'Revision 1' });
    await page.getByText('rate-limit').first().waitFor();
    await page.getByRole('button', { name: 'Release revision 1', exact: true }).click();
    await dialog(demo.person).getByRole('button', { name: 'Release now' }).click();
    await dialog(demo.person).getByRole('button', { name: 'Done' }).click();
    assert.equal(await live(), 1);
    await eventually('the limit is gone', async () => !/q=100;w=60/.test(await curl()));
  });

  it('5: the console is allowed with one click, and the answer leads to its line in the log', async () => {
    const { page } = demo.person;
    await demo.person.open('/apis');
    await page.getByRole('link', { name: 'Bookstore' }).first().click();
    await page.getByRole('link', { name: /^Try it/ }).click();
    await page.getByRole('button', { name: /^Allow this console/ }).click();
    await page.getByText('does not let this page read').waitFor({ state: 'detached' });
    const key = /X-API-Key: ([^']+)/.exec(demo.curl)[1];
    await page.getByLabel(/^Key/).fill(key);
    // The gateway hears of the change a moment after the console does.
    await eventually('the gateway allows the console', async () => {
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByRole('link', { name: 'The call in the log' }).waitFor({ timeout: 2_000 });
      return true;
    });
    await page.getByRole('link', { name: 'The call in the log' }).click();
    await page.getByText('Where the time went').waitFor();
  });

  it('6: the consumer subscribes and makes a key that works', async () => {
    casey = await signedIn(browser, sluice, { name: 'Casey', email: demo.consumer, password: demo.password });
    await casey.open('/apps');
    await casey.page.getByRole('button', { name: 'New application' }).first().click();
    await submitDialog(casey, { Name: 'Reading list' }, 'Save');
    await casey.page.getByText('Reading list').first().waitFor();
    await casey.open('/catalogue');
    await casey.page.getByRole('link', { name: /Bookstore/ }).first().click();
    await casey.page.getByRole('button', { name: 'Subscribe to Free' }).click();
    await dialog(casey).getByLabel('Application').selectOption({ label: 'Reading list' });
    await submitDialog(casey, {}, 'Subscribe', { stays: true });
    await eventually('it is approved at once', () => subscription('approved', 'Reading list'));
    await casey.open('/apps');
    await casey.page.getByRole('link', { name: 'Reading list' }).first().click();
    await casey.page.getByRole('button', { name: 'New key' }).first().click();
    await submitDialog(casey, { Name: 'laptop' }, 'Create key', { stays: true });
    const key = (await dialog(casey).getByText(/^slk_[\w-]+$/).first().textContent()).trim();
    const own = demo.curl.replace(/X-API-Key: [^']+/, `X-API-Key: ${key}`);
    await eventually('the new key works', async () => (await curl(own)).startsWith('HTTP/1.1 200'));
  });

  it('7: the key of Corner shop is revoked, and refused', async () => {
    const { page } = demo.person;
    await demo.person.open('/apps');
    await page.getByRole('link', { name: 'Corner shop' }).first().click();
    await page.getByRole('button', { name: 'Revoke demo' }).click();
    await dialog(demo.person).getByRole('button', { name: /^Revoke/ }).click();
    await eventually('the key is refused', async () => /^HTTP\/1\.1 401/.test(await curl()));
  });

  it('leaves the console silent', () => {
    demo.person.assertQuiet();
    casey.assertQuiet();
  });

  it('is there again after Ctrl-C and a new start, sample upstream and all', async () => {
    const app = (await admin.get(`${base}/applications?q=Corner`)).items[0];
    const { items: [environment] } = await admin.get(`${base}/environments`);
    const { key } = await admin.post(`${base}/applications/${app.id}/credentials`, { name: 'again', environment: environment.id });
    await sluice.restart();
    await sluice.program.until('word of the demo', () => /The demo is there from an earlier start/.test(sluice.program.output));
    const placed = async () => (await fetch(`${sluice.gateway}/demo/bookstore/orders`, {
      method: 'POST', headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: '{"book":1,"copies":1}',
    })).status;
    await eventually('the bookstore takes an order', async () => (await placed()) === 201);
  });
});
