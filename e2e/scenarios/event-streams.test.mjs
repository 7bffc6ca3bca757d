// Caches that are purged by events in a stream of Redis or NATS, on each database: the stream is named in the console, an
// event is added to it, and the next call goes to the upstream; while Sluice or the stream's server is away nothing is lost.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { dialog, row, seeToast, signedIn, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { startHttpbin } from '../lib/httpbin.mjs';
import { startNats } from '../lib/nats.mjs';
import { call, callUntil, publish, setUp } from '../lib/publishing.mjs';
import { startRedis } from '../lib/redis.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

const PATIENT = 60_000;
const kinds = [
  { name: 'Redis', start: startRedis, wrong: 'redis://host:6379 or rediss://host:6379' },
  { name: 'NATS JetStream', start: startNats, wrong: 'nats://host:4222 or tls://host:4222', subject: 'shop.products' },
];

for (const database of databases) for (const kind of kinds) {
  describe(`caches purged by a stream of ${kind.name} on ${database}`, { timeout: 400_000 }, () => {
    let httpbin;
    let server;
    let sluice;
    let scene;
    let browser;
    let ada;
    let api;
    const slug = kind.name.split(' ')[0].toLowerCase();
    const path = (rest) => `/${scene.tenant.slug}/shop${rest}`;
    const tagged = (tag) => `/response-headers?Surrogate-Key=${tag}&Cache-Control=max-age%3D600`;
    const status = async (target) => (await call(sluice, path(target))).headers.get('cache-status') ?? '';
    const cached = (target) =>
      eventually(`${target} is stored`, async () => /; hit/.test(await status(target)), PATIENT);
    const purged = async (target) => {
      await eventually(`${target} is purged`, async () => !/; hit/.test(await status(target)), PATIENT);
      assert.match(await status(target), /; hit/, `${target} is stored anew`);
    };
    const product = (id) => server.add(JSON.stringify({ products: [{ id }] }));
    const source = async () => (await scene.admin.get(`${scene.base}/apis/${api.id}/event-sources`)).items[0];
    const acknowledged = () =>
      eventually('all is acknowledged', async () => (await source()).reading.unacknowledged === 0, PATIENT);
    const shop = () => row(ada, 'tag product-{value}');

    before(async () => {
      [httpbin, server, sluice] = await Promise.all([startHttpbin(), kind.start(), startSluice({ database })]);
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
      await server?.kill();
      await httpbin?.stop();
    });

    it('reads a stream that is named in the console, once its settings are in order', async () => {
      await ada.open(`/apis/${api.id}/cache`);
      await ada.page.getByRole('button', { name: 'New stream' }).click();
      const form = dialog(ada);
      await form.getByLabel('Name', { exact: true }).fill('Shop');
      await form.getByLabel('Kept by').selectOption(kind.name);
      await form.getByLabel('Address').fill('http://streams.example.com');
      await form.getByLabel('Stream', { exact: true }).fill('changes');
      const rule = form.getByRole('group', { name: 'Rule 1' });
      await rule.getByLabel('Value').fill('/products/*/id');
      await form.getByRole('button', { name: 'Save stream' }).click();
      await form.getByText(kind.wrong).waitFor();
      await form.getByLabel('Address').fill(server.url);
      if (kind.subject) await form.getByLabel('Subject', { exact: false }).fill(kind.subject);
      await ada.assertAccessible('the form of a stream');
      await ada.screenshot(`stream-form-${slug}`);
      await submitDialog(ada, {}, 'Save stream');
      await seeToast(ada, 'Stream Shop saved');
      await shop().getByText('read', { exact: true }).waitFor({ timeout: PATIENT });
      await shop().filter({ hasText: `${server.url} changes` }).filter({ hasText: 'none yet' }).waitFor();
    });

    it('purges on the gateway what an event names, and shows it', async () => {
      await cached(tagged('product-7'));
      await cached(tagged('product-8'));
      await product(7);
      await purged(tagged('product-7'));
      assert.match(await status(tagged('product-8')), /; hit/);
      await shop().getByText('purged', { exact: true }).waitFor({ timeout: PATIENT });
      await ada.open(`/apis/${api.id}/cache`);
      await row(ada, 'stream:Shop').filter({ hasText: 'product-7' }).waitFor({ timeout: PATIENT });
      // What does not fit is listed, and in the way of nothing.
      await server.add('{');
      await product(8);
      await purged(tagged('product-8'));
      await ada.page.getByRole('button', { name: 'Events of Shop' }).click();
      const events = ada.page.getByRole('table', { name: 'Events', exact: true });
      for (const text of ['product-7', 'does not fit', 'product-8']) {
        await events.getByRole('row').filter({ hasText: text }).waitFor({ timeout: PATIENT });
      }
      await ada.screenshot(`stream-events-${slug}`);
      await dialog(ada).getByRole('button', { name: 'Close' }).click();
      await acknowledged();
    });

    it('carries out what came while Sluice was away, and nothing twice', async () => {
      const before = (await scene.admin.get(`${scene.base}/purges?api=${api.id}`)).items.length;
      await ada.leave();
      await sluice.program.stop();
      await product(9);
      await sluice.restart();
      await eventually('it is carried out', async () => {
        const { items } = await scene.admin.get(`${scene.base}/purges?api=${api.id}`);
        return items.length > before;
      }, PATIENT);
      await acknowledged();
      const { items } = await scene.admin.get(`${scene.base}/purges?api=${api.id}`);
      assert.deepEqual(items.map((it) => it.scope.tag), ['product-9', 'product-8', 'product-7']);
    });

    it('says that its server is gone, and reads on when it is back', async () => {
      await callUntil(sluice, path('/get'), 200);
      await cached(tagged('product-10'));
      await server.kill();
      await ada.open(`/apis/${api.id}/cache`);
      await shop().getByText('not read', { exact: true }).waitFor({ timeout: PATIENT });
      await ada.screenshot(`stream-unread-${slug}`);
      await server.restart();
      await product(10);
      await purged(tagged('product-10'));
      await shop().getByText('read', { exact: true }).waitFor({ timeout: PATIENT });
    });

    it('is deleted, and read no longer', async () => {
      await ada.page.getByRole('button', { name: 'Delete Shop' }).click();
      await dialog(ada).getByRole('button', { name: 'Delete stream' }).click();
      await ada.page.getByText('No source of events yet').waitFor();
      await cached(tagged('product-11'));
      await product(11);
      await eventually('nobody reads', async () => !(await server.isRead()), PATIENT);
      assert.match(await status(tagged('product-11')), /; hit/);
    });

    it('leaves the console silent but for what was refused on purpose', () => {
      ada.assertQuiet(['422']);
    });
  });
}
