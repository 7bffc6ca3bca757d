// What a browser loads of the console: little before the first page, each further part with the first of its pages, and a
// way on when that part is no longer there.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Person, launch } from '../lib/browser.mjs';
import { signIn } from '../lib/console.mjs';
import { setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';

const KIB = 1024;
/** The bar of the first load and of the program in it, as `cargo xtask check` has it. */
const [FIRST_LOAD, PROGRAM] = [600 * KIB, 450 * KIB];

/** The parts that come later: pages of each with their headings. The first of them brings the part. */
const PARTS = [
  [['/catalogue', 'Catalogue'], ['/approvals', 'Approvals'], ['/apps', 'Applications']],
  [['/calls', 'Calls'], ['/analytics/traffic', 'Analytics'], ['/gateways', 'Gateways'], ['/org/users', 'Users & teams'], ['/audit', 'Audit log']],
  [['/apis', 'APIs'], ['/apis/import', 'Import'], ['/settings/account', 'Settings']],
];
/** Of the files of the parts, the one that only pages of the second need. */
const OPERATING = '**/assets/split_operating.*';

describe('the first load of the console', { timeout: 600_000 }, () => {
  let sluice;
  let browser;
  const people = [];

  before(async () => {
    sluice = await startSluice();
    await setUp(sluice);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await sluice?.stop();
  });

  it('is small, and every further part comes once', async (t) => {
    const { person, loaded } = await visitor('Ada');
    await person.open('/login');
    await signIn(person, 'ada@example.com');
    await heading(person, 'Overview');
    await person.settled();
    const first = await weighed(loaded);
    const sum = (files) => files.reduce((total, { size }) => total + size, 0);
    const programs = first.filter(({ name }) => name.endsWith('.wasm'));
    for (const { name, size } of first) t.diagnostic(`${kib(size)}  ${name}`);
    t.diagnostic(`${kib(sum(first))}  first load, of which ${kib(sum(programs))} program`);
    assert.ok(sum(first) < FIRST_LOAD, `the first load is ${kib(sum(first))}`);
    assert.ok(sum(programs) < PROGRAM, `the program is ${kib(sum(programs))}`);

    for (const pages of PARTS) {
      const before = loaded.length;
      const [brings, ...others] = pages;
      await see(person, brings);
      const part = await weighed(loaded.slice(before));
      t.diagnostic(`${kib(sum(part))}  ${brings[0]} brings ${part.length} files`);
      assert.ok(part.length > 0, `${brings[0]} brought no code of its own`);
      const there = loaded.length;
      for (const page of others) await see(person, page);
      assert.deepEqual(loaded.slice(there).map((request) => request.url()), [], 'a part that came in pieces');
    }
    const once = loaded.length;
    for (const page of PARTS.flat()) await see(person, page);
    assert.deepEqual(loaded.slice(once).map((request) => request.url()), [], 'code that came twice');
    person.assertQuiet(['401']);
  });

  it('leads on when the code of a page is gone', async () => {
    const { person } = await visitor('Bea');
    await person.open('/login');
    await signIn(person, 'ada@example.com');
    await heading(person, 'Overview');
    await person.page.route(OPERATING, (route) => route.fulfill({ status: 404, body: '' }));
    await visit(person, '/calls');
    const alert = person.page.getByRole('alert').filter({ hasText: 'This page could not be loaded' });
    await alert.waitFor();
    await person.assertAccessible('a page that could not be loaded');
    await person.screenshot('page-not-loaded');

    // The rest of the console still works.
    await visit(person, '/apis');
    await heading(person, 'APIs');
    await visit(person, '/calls');
    await alert.waitFor();

    await person.page.unroute(OPERATING);
    await alert.getByRole('button', { name: 'Reload' }).click();
    await heading(person, 'Calls');
    person.assertQuiet(['401', '404', 'split_operating', 'TypeError']);
  });

  /** A person at an empty browser, and every file of the console that it asks for. */
  async function visitor(name) {
    const person = await Person.start(browser, { name, baseURL: sluice.origin });
    people.push(person);
    const loaded = [];
    person.page.on('request', (request) => {
      const { pathname } = new URL(request.url());
      const isFile = pathname.startsWith('/assets/') || request.resourceType() === 'document';
      if (isFile) loaded.push(request);
    });
    return { person, loaded };
  }
});

/** Name and size over the wire of files that were asked for, once all are there. */
async function weighed(requests) {
  return Promise.all(
    requests.map(async (request) => {
      await (await request.response()).finished();
      const { responseBodySize } = await request.sizes();
      return { name: new URL(request.url()).pathname, size: responseBodySize };
    }),
  );
}

/** Goes to a page of the console without loading it anew, as its links do. */
async function visit({ page }, path) {
  await page.evaluate((to) => {
    const link = document.body.appendChild(document.createElement('a'));
    link.href = to;
    link.click();
    link.remove();
  }, path);
  await page.waitForURL((url) => url.pathname === path);
}

/** Goes to a page and waits until all of it is there. */
async function see(person, [path, title]) {
  await visit(person, path);
  await heading(person, title);
  await person.settled();
}

async function heading({ page }, title) {
  await page.getByRole('heading', { level: 1, name: title }).waitFor();
}

function kib(bytes) {
  return `${(bytes / KIB).toFixed(1)} KiB`.padStart(10);
}
