// Caches that are purged by events, on each database: a webhook is made in the console, a real signed request comes
// to it, and the next call goes to the upstream.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { dialog, row, seeToast, signedIn, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { startHttpbin } from '../lib/httpbin.mjs';
import { call, callUntil, publish, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

/** Sends an event as Standard Webhooks says; `signature` instead of the right one, signed `ago` seconds before now. */
async function send(url, secret, id, event, { signature, ago = 0 } = {}) {
  const at = String(Math.floor(Date.now() / 1000) - ago);
  const body = JSON.stringify(event);
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const right = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64');
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${signature ?? right}` };
  const response = await fetch(url, { method: 'POST', headers, body });
  return { status: response.status, body: await response.json() };
}

for (const database of databases) {
  describe(`caches purged by events on ${database}`, { timeout: 300_000 }, () => {
    let httpbin;
    let sluice;
    let scene;
    let browser;
    let ada;
    let api;
    let address;
    let secret;
    const path = (rest) => `/${scene.tenant.slug}/shop${rest}`;
    const tagged = (tag) => `/response-headers?Surrogate-Key=${tag}&Cache-Control=max-age%3D600`;
    const status = async (target) => (await call(sluice, path(target))).headers.get('cache-status') ?? '';
    const cached = async (...targets) => {
      for (const target of targets) await status(target);
      for (const target of targets) assert.match(await status(target), /; hit/, target);
    };
    const purged = async (target) => {
      const next = await eventually(`${target} is purged`, async () => {
        const now = await status(target);
        return /; hit/.test(now) ? undefined : now;
      });
      assert.match(next, /; fwd=(uri-miss|vary-miss|stale|miss)/, target);
      // What was fetched while the gateway took the purge over may be older than it, and is fetched again.
      await eventually(`${target} is stored anew`, async () => /; hit/.test(await status(target)));
    };
    const events = () => ada.page.getByRole('table', { name: 'Events', exact: true });

    before(async () => {
      httpbin = await startHttpbin();
      sluice = await startSluice({ database });
      scene = await setUp(sluice);
      const draft = {
        access: 'public',
        routes: [{ id: 'any', methods: [], path: '/{*rest}' }],
        upstreams: [{ name: 'default', targets: [{ url: httpbin.url }] }],
        policies: [{ type: 'cache', settings: { ttl_s: 600 } }],
      };
      ({ api } = await publish(scene, { slug: 'shop', draft }));
      await callUntil(sluice, path('/get'), 200);
      browser = await launch();
      ada = await signedIn(browser, sluice, { name: 'Ada', email: 'ada@example.com' });
    });
    after(async () => {
      await browser?.close();
      await sluice?.stop();
      await httpbin?.stop();
    });

    it('makes a webhook in the console, tries its rules on a sample, and shows its secret once', async () => {
      await ada.open(`/apis/${api.id}/cache`);
      await ada.page.getByRole('button', { name: 'New webhook' }).click();
      const form = dialog(ada);
      await form.getByLabel('Name', { exact: true }).fill('Shop');
      const first = form.getByRole('group', { name: 'Rule 1' });
      await first.getByLabel('Value').fill('products');
      await form.getByRole('button', { name: 'Save webhook' }).click();
      await first.locator('.field-error').waitFor();
      await first.getByLabel('Value').fill('/products/*/id');
      await form.getByRole('button', { name: 'Add rule' }).click();
      const second = form.getByRole('group', { name: 'Rule 2' });
      await second.getByLabel('Value').fill('/page');
      await second.getByLabel('Becomes').selectOption('address');
      await second.getByLabel('Named').fill('{value}');
      await second.getByRole('switch', { name: 'An event may lack it' }).check();
      const sample = form.getByLabel('Try the rules on an event');
      await sample.fill('{"products": [{"id": 7}], "page": "/get?a=1"}');
      await form.getByText('It would purge').waitFor();
      await form.getByText('product-7').waitFor();
      await form.getByText('/get?a=1', { exact: true }).waitFor();
      await sample.fill('{"products": [{}]}');
      await form.getByText('/products/0/id').waitFor();
      await ada.assertAccessible('the form of a webhook');
      await ada.screenshot('webhook-form');
      await submitDialog(ada, {}, 'Save webhook', { stays: true });
      await seeToast(ada, 'Webhook Shop saved');
      secret = await dialog(ada).locator('.secret code').textContent();
      assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
      address = await dialog(ada).getByRole('region', { name: 'Address' }).textContent();
      assert.ok(address.startsWith(`${sluice.origin}/hooks/v1/cache/`), address);
      await ada.screenshot('webhook-secret');
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      const shown = row(ada, 'Shop').filter({ hasText: /Production.*tag product-\{value\}.*address \{value\}.*none yet/ });
      await shown.waitFor();
      const { items } = await scene.admin.get(`${scene.base}/apis/${api.id}/event-sources`);
      assert.equal(items.length, 1);
      assert.ok(!JSON.stringify(items).includes(secret.slice(6)), 'the secret is not there a second time');
    });

    it('purges on every gateway what a signed event names, once, and nothing else', async () => {
      const page = '/get?once=1';
      await cached(tagged('product-7'), tagged('product-8'), page);
      const event = { products: [{ id: 7 }], page };
      const forged = await send(address, secret, 'evt_1', event, { signature: 'AAAA' });
      assert.deepEqual([forged.status, forged.body.code], [401, 'wrong_signature']);
      assert.match(await status(tagged('product-7')), /; hit/);

      const taken = await send(address, secret, 'evt_1', event);
      assert.deepEqual([taken.status, taken.body.outcome, taken.body.purges.length], [202, 'purged', 2], JSON.stringify(taken.body));
      await purged(tagged('product-7'));
      await purged(page);
      assert.match(await status(tagged('product-8')), /; hit/);

      // Neither what was taken before nor what was signed long ago purges what is stored since.
      const again = await send(address, secret, 'evt_1', event);
      assert.deepEqual([again.status, again.body.outcome, again.body.purges], [200, 'repeated', []]);
      const late = await send(address, secret, 'evt_old', event, { ago: 400 });
      assert.deepEqual([late.status, late.body.code], [401, 'stale_timestamp']);
      const wrong = await send(address, secret, 'evt_2', { products: [{ id: 8 }, { sku: 'x' }] });
      assert.deepEqual([wrong.status, wrong.body.fields[0].pointer], [422, '/products/1/id']);
      // Whatever came later has reached the gateway, so what was not purged never will be.
      assert.equal((await send(address, secret, 'evt_3', { products: [{ id: 9 }] })).status, 202);
      const { items } = await scene.admin.get(`${scene.base}/purges?api=${api.id}`);
      assert.deepEqual(items.map((it) => [it.created_by, it.scope.tag ?? it.scope.path]), [['webhook:Shop', 'product-9'], ['webhook:Shop', page], ['webhook:Shop', 'product-7']]);
      await eventually('the last purge is done', async () => (await scene.admin.get(`${scene.base}/purges/${items[0].id}`)).progress.state === 'done');
      for (const tag of ['product-7', 'product-8']) assert.match(await status(tagged(tag)), /; hit/, tag);
      const audit = await scene.admin.get(`${scene.base}/audit?actor=${encodeURIComponent('webhook:Shop')}`);
      assert.equal(audit.items.length, 3);
    });

    it('lists what came and what became of it, and who purged', async () => {
      await ada.open(`/apis/${api.id}/cache`);
      await row(ada, 'webhook:Shop').filter({ hasText: 'product-7' }).waitFor();
      await row(ada, 'tag product-{value}').filter({ hasText: 'purged' }).waitFor();
      await ada.page.getByRole('button', { name: 'Events of Shop' }).click();
      const seen = [['evt_1', 'signed with another secret'], ['evt_1', 'product-7'], ['evt_1', 'repeated'], ['evt_old', 'more than five minutes old'], ['evt_2', '/products/1/id'], ['evt_3', 'product-9']];
      for (const [message, text] of seen) {
        await events().getByRole('row').filter({ hasText: message }).filter({ hasText: text }).first().waitFor();
      }
      assert.equal(await events().getByRole('row').count(), seen.length + 1);
      // It follows what comes while it is open.
      assert.equal((await send(address, secret, 'evt_4', { products: [] })).status, 200);
      await events().getByRole('row').filter({ hasText: 'evt_4' }).filter({ hasText: 'named nothing' }).waitFor();
      await ada.assertAccessible('the events of a webhook');
      await ada.screenshot('webhook-events');
      await dialog(ada).getByRole('button', { name: 'Close' }).click();
    });

    it('changes the secret while the old one is still taken, switches the webhook off, and deletes it', async () => {
      const old = secret;
      await ada.page.getByRole('button', { name: 'New secret for Shop' }).click();
      await dialog(ada).getByRole('button', { name: 'Make a new secret' }).click();
      await dialog(ada).locator('.secret code').waitFor();
      secret = await dialog(ada).locator('.secret code').textContent();
      assert.notEqual(secret, old);
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      for (const [id, by] of [['evt_5', old], ['evt_6', secret]]) {
        assert.equal((await send(address, by, id, { products: [] })).status, 200, id);
      }

      await ada.page.getByRole('button', { name: 'Edit Shop' }).click();
      await dialog(ada).getByRole('switch', { name: 'Takes events' }).uncheck();
      await submitDialog(ada, {}, 'Save webhook');
      await row(ada, 'Shop').filter({ hasText: 'off' }).first().waitFor();
      const off = await send(address, secret, 'evt_7', { products: [{ id: 7 }] });
      assert.deepEqual([off.status, off.body.code], [409, 'disabled']);

      await ada.page.getByRole('button', { name: 'Delete Shop' }).click();
      await dialog(ada).getByRole('button', { name: 'Delete webhook' }).click();
      await ada.page.getByText('No source of events yet').waitFor();
      assert.equal((await send(address, secret, 'evt_8', { products: [] })).status, 404);
    });

    it('leaves the console silent but for what was refused on purpose', () => {
      ada.assertQuiet(['422']);
    });
  });
}
