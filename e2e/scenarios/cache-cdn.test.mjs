// A CDN in front of the gateways, on each database: what is purged here is told to a real server that plays the CDN,
// also after it failed and after the control plane was restarted.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';

import { launch } from '../lib/browser.mjs';
import { dialog, row, seeToast, signedIn, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

/** Keeps what it is told; answers with `status`. */
async function startCdn() {
  const cdn = { told: [], status: 200 };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    cdn.told.push({ line: `${request.method} ${request.url}`, key: request.headers['x-cdn-key'], body });
    response.writeHead(cdn.status).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cdn.url = `http://127.0.0.1:${server.address().port}`;
  cdn.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return cdn;
}

for (const database of databases) {
  describe(`a CDN that is told of purges on ${database}`, { timeout: 600_000 }, () => {
    let cdn;
    let sluice;
    let scene;
    let browser;
    let ada;
    let api;
    const requests = () => ada.page.getByRole('table', { name: 'Requests', exact: true });
    const purge = (tag) => scene.admin.post(`${scene.base}/purges`, { environment: scene.environment.id, scope: { by: 'tag', api: api.id, tag } });
    const told = (line) => eventually(`the CDN is told ${line}`, () => cdn.told.find((one) => one.line === line));

    before(async () => {
      cdn = await startCdn();
      sluice = await startSluice({ database });
      scene = await setUp(sluice);
      api = await scene.admin.post(`${scene.base}/apis`, { slug: 'shop', name: 'shop', draft: {} });
      browser = await launch();
      ada = await signedIn(browser, sluice, { name: 'Ada', email: 'ada@example.com' });
    });
    after(async () => {
      await browser?.close();
      await sluice?.stop();
      cdn?.stop();
    });

    it('is described in the console, with a secret that is not shown again', async () => {
      await ada.open(`/apis/${api.id}/cache`);
      await ada.page.getByRole('button', { name: 'New CDN request' }).click();
      const form = dialog(ada);
      await form.getByLabel('Name', { exact: true }).fill('Edge');
      await form.getByLabel('URL').fill('https://{value}/');
      await form.getByRole('button', { name: 'Save CDN request' }).click();
      await form.locator('.field-error').waitFor();
      await form.getByLabel('URL').fill(`${cdn.url}/purge/{value}`);
      await form.getByLabel('Headers').fill('x-cdn-key: {secret}');
      await form.getByLabel('Body').fill('{"tags": ["{value}"]}');
      await form.getByLabel('Secret', { exact: false }).fill('s3cret');
      await ada.assertAccessible('the form of a CDN request');
      await ada.screenshot('cdn-form');
      await submitDialog(ada, {}, 'Save CDN request');
      await seeToast(ada, 'CDN request Edge saved');
      await row(ada, 'Edge').filter({ hasText: /Production.*tag.*none yet/ }).waitFor();
      const { items } = await scene.admin.get(`${scene.base}/apis/${api.id}/cdn-hooks`);
      assert.deepEqual([items.length, items[0].has_secret], [1, true]);
      assert.ok(!JSON.stringify(items).includes('s3cret'));
    });

    it('is told of a purge, and again after it failed, and the console shows how far that is', async () => {
      await purge('red');
      const first = await told('POST /purge/red');
      assert.deepEqual([first.key, JSON.parse(first.body)], ['s3cret', { tags: ['red'] }]);
      cdn.status = 503;
      await purge('blue');
      await told('POST /purge/blue');
      await ada.page.getByRole('button', { name: 'Requests of Edge' }).click();
      await requests().getByRole('row').filter({ hasText: /red.*taken/ }).waitFor();
      await requests().getByRole('row').filter({ hasText: /blue.*to be sent.*503.*Again at/ }).waitFor();
      await ada.assertAccessible('the requests to a CDN');
      await ada.screenshot('cdn-requests');
      cdn.status = 200;
      // The longer it took until here, the longer it waits before it is sent again.
      await requests().getByRole('row').filter({ hasText: /blue.*taken/ }).waitFor({ timeout: 200_000 });
      assert.ok(cdn.told.filter((one) => one.line === 'POST /purge/blue').length >= 2);
      await dialog(ada).getByRole('button', { name: 'Close' }).click();
    });

    it('is told after a restart of what was purged before, and nothing once it is deleted', async () => {
      cdn.status = 503;
      await purge('green');
      await told('POST /purge/green');
      await ada.leave();
      await sluice.restart();
      const before = cdn.told.length;
      cdn.status = 200;
      await eventually('the CDN is told again', () => cdn.told.slice(before).some((one) => one.line === 'POST /purge/green'), 200_000);

      await ada.open(`/apis/${api.id}/cache`);
      await ada.page.getByRole('button', { name: 'Delete Edge' }).click();
      await dialog(ada).getByRole('button', { name: 'Delete CDN request' }).click();
      await ada.page.getByText('No CDN is told').waitFor();
      const { items } = await scene.admin.get(`${scene.base}/apis/${api.id}/cdn-hooks`);
      assert.equal(items.length, 0);
    });

    it('leaves the console silent but for what was refused on purpose', () => {
      ada.assertQuiet(['422']);
    });
  });
}
