// What reaches the gateway from the console, on each database: policies of an environment, requests tried from the
// browser, purges. Each action is read back through the admin API and through the gateway.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { launch } from '../lib/browser.mjs';
import { dialog, row, seeRow, seeToast, signedIn, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { startHttpbin } from '../lib/httpbin.mjs';
import { addPerson, call, callUntil, consume, publish, release, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

const run = promisify(execFile);

for (const database of databases) {
  describe(`the console and the gateway on ${database}`, { timeout: 600_000 }, () => {
    let httpbin;
    let sluice;
    let scene;
    let browser;
    let ada;
    let carl;
    let api;
    let key;
    let otherKey;
    let routes;
    const path = (rest) => `/${scene.tenant.slug}/httpbin${rest}`;
    const environment = () => scene.admin.get(`/environments/${scene.environment.id}`);
    const policy = async (type) => (await environment()).settings.policies.find((one) => one.type === type);
    const operation = (method, template) => {
      const found = routes.find((route) => route.path === template && route.methods.includes(method));
      assert.ok(found, `${method} ${template}`);
      return found.id;
    };

    before(async () => {
      httpbin = await startHttpbin();
      sluice = await startSluice({ database });
      scene = await setUp(sluice);
      const document = await (await fetch(`${httpbin.url}/spec.json`)).json();
      const { draft } = await scene.admin.post(`${scene.base}/imports/preview`, { source: { text: JSON.stringify(document) } });
      draft.upstreams[0].targets = [{ url: httpbin.url }];
      draft.policies = [{ type: 'cache', settings: { ttl_s: 600 } }];
      routes = draft.routes;
      const published = await publish(scene, { slug: 'httpbin', draft, plans: [{ name: 'Free', approval: 'automatic', policies: [{ type: 'rate-limit', settings: { requests: 100_000, period_s: 3_600 } }] }] });
      api = published.api;
      await scene.admin.edit(`${scene.base}/apis/${api.id}`, ({ name, description, team = null, draft: now }) => ({ name, description, team, draft: now, listed: true }));
      const subscriptions = [{ api: api.id, plan: published.plans[0].id }];
      ({ key } = await consume(scene, { name: 'Weather app', subscriptions }));
      ({ key: otherKey } = await consume(scene, { name: 'Other app', subscriptions }));
      await addPerson(scene, { name: 'Pia Publisher', email: 'pia@example.com', roles: ['publisher'] });
      await addPerson(scene, { name: 'Carl Consumer', email: 'carl@example.com', roles: ['consumer'] });
      await callUntil(sluice, path('/get'), 200, { key });
      browser = await launch();
      ada = await signedIn(browser, sluice, { name: 'Ada', email: 'ada@example.com' });
    });
    after(async () => {
      await browser?.close();
      await sluice?.stop();
      await httpbin?.stop();
    });

    it('attaches a policy to an environment, which then holds for all of its APIs', async () => {
      await ada.open('/settings/environments');
      await row(ada, 'production').getByRole('link').first().click();
      await ada.page.getByText(sluice.gateway).waitFor();
      // An environment is below its tab.
      await ada.page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: 'Environments' }).and(ada.page.locator('[aria-current="page"]')).waitFor();
      await ada.page.getByRole('button', { name: 'Attach policy' }).first().click();
      await dialog(ada).getByLabel('Policy', { exact: true }).selectOption('rate-limit');
      await submitDialog(ada, { Requests: '0' }, 'Save', { stays: true });
      await dialog(ada).locator('.field-error').first().waitFor();
      await submitDialog(ada, { Requests: '1', 'Period (seconds)': '3600' }, 'Save');
      await seeToast(ada, 'Environment Production saved');
      assert.equal((await policy('rate-limit')).settings.requests, 1);
      await callUntil(sluice, path('/uuid'), 429, { key });
    });

    it('switches it off after somebody else was faster, and removes it', async () => {
      await ada.page.getByRole('button', { name: 'Edit Rate limit' }).click();
      await scene.admin.edit(`/environments/${scene.environment.id}`, ({ name, settings }) => ({ name, settings: { ...settings, max_offline_s: 86_400 } }));
      await dialog(ada).getByLabel('Enabled').uncheck();
      await submitDialog(ada, {}, 'Save', { stays: true });
      await dialog(ada).getByText('Somebody else changed this meanwhile').waitFor();
      await submitDialog(ada, {}, 'Save');
      assert.equal((await policy('rate-limit')).enabled, false);
      assert.equal((await environment()).settings.max_offline_s, 86_400, "the other's change is still there");
      await callUntil(sluice, path('/uuid'), 200, { key });
      await ada.page.getByRole('button', { name: 'Remove Rate limit' }).click();
      await ada.page.getByText('No policy here').waitFor();
      assert.equal(await policy('rate-limit'), undefined);
      const { items } = await scene.admin.get('/audit?resource=environment');
      assert.ok(items.length >= 4 && items[0].changes.some((change) => change.path.startsWith('/settings/policies')), JSON.stringify(items[0]));
    });

    it('tells a publisher whom to ask, and lets a platform admin allow the console with one click', async () => {
      const pia = await signedIn(browser, sluice, { name: 'Pia', email: 'pia@example.com' });
      await pia.open(`/apis/${api.id}/try`);
      await pia.page.getByText(/Ask an administrator of the platform to name/).waitFor();
      assert.equal(await pia.page.getByRole('button', { name: /^Allow this console/ }).count(), 0);
      pia.assertQuiet();
      await pia.close();

      await ada.open(`/apis/${api.id}/try`);
      await ada.page.getByRole('button', { name: 'Allow this console in Production' }).click();
      await seeToast(ada, 'Production answers this console now');
      await ada.page.getByText('does not let this page read').waitFor({ state: 'detached' });
      const { settings } = await policy('cors');
      assert.deepEqual(settings.origins, [sluice.origin]);
      assert.ok(settings.expose.includes('x-request-id'));
      await eventually('the gateway allows it', async () => {
        const answer = await call(sluice, path('/get'), { key, headers: { origin: sluice.origin } });
        return answer.headers.get('access-control-allow-origin') === sluice.origin;
      });
    });

    it('sends what was typed through the gateway, and leads to the call in the log', async () => {
      const posting = operation('POST', '/anything/{anything}');
      await ada.page.getByLabel('Operation').selectOption(posting);
      await ada.page.waitForURL((url) => url.searchParams.get('route') === posting);
      await ada.page.getByLabel('anything', { exact: true }).fill('a/b c');
      await ada.page.getByLabel(/^Query/).fill('city=Oslo');
      await ada.page.getByLabel(/^Key/).fill(key);
      await ada.page.getByLabel(/^Headers/).fill('X-Demo: yes');
      await ada.page.getByLabel(/^Body/).fill('{"n":1}');
      const got = await send(ada);
      assert.equal(got.status, '200');
      const body = JSON.parse(got.body);
      assert.deepEqual([body.json, body.args, body.headers['X-Demo']], [{ n: 1 }, { city: 'Oslo' }, 'yes']);
      assert.equal(body.headers['X-Api-Key'], undefined);

      const [logged] = await eventually('the call is in the log', async () => {
        const { items } = await scene.admin.get(`${scene.base}/calls?request_id=${encodeURIComponent(got.id)}`);
        return items.length === 1 && items;
      });
      assert.deepEqual([logged.method, logged.route, logged.status], ['POST', posting, 200]);
      assert.ok(logged.path.endsWith('/anything/a%2Fb%20c'), logged.path);
      await ada.assertAccessible('the answer');
      await ada.screenshot('try-answer');
      await ada.page.getByRole('link', { name: 'The call in the log' }).click();
      await ada.page.waitForURL((url) => url.pathname === `/calls/${logged.id}`);
      await ada.page.getByText(got.id).first().waitFor();
    });

    it('shows a curl command that does the same, and keeps the key to itself', async () => {
      await ada.open(`/apis/${api.id}/try?route=${operation('POST', '/anything')}`);
      await ada.page.getByLabel(/^Key/).fill(key);
      await ada.page.getByLabel(/^Body/).fill('{"it\'s":true}');
      const curl = ada.page.getByRole('region', { name: 'curl' });
      await curl.getByText(sluice.gateway).waitFor();
      const text = await curl.textContent();
      assert.ok(!text.includes(key) && text.includes('<your key>'), text);
      const { stdout } = await run('sh', ['-c', text.replace('<your key>', key)]);
      assert.match(stdout, /^HTTP\/1\.1 200/);
      assert.match(stdout, /"it's": true/);
      const kept = await ada.page.evaluate(() => JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }]));
      assert.ok(!kept.includes(key), kept);
      await ada.page.reload();
      await ada.ready();
      await eventually('the operation is back', async () => (await ada.page.getByLabel('Operation').inputValue()) === operation('POST', '/anything'));
      assert.equal(await ada.page.getByLabel(/^Key/).inputValue(), '');
    });

    it('shows hits of the cache, refusals and redirects as they are', async () => {
      await ada.page.getByLabel('Operation').selectOption(operation('GET', '/get'));
      assert.equal((await send(ada)).status, '401');
      await ada.page.getByLabel(/^Key/).fill(key);
      await ada.page.getByLabel(/^Query/).fill(`once=${database}`);
      assert.doesNotMatch((await send(ada)).text, /; hit/);
      const second = await send(ada);
      assert.match(second.text, /cache-status\s*\S*; hit/);
      await ada.page.getByLabel('Operation').selectOption(operation('GET', '/status/{codes}'));
      await ada.page.getByLabel('codes', { exact: true }).fill('418');
      assert.equal((await send(ada)).status, '418');
      await ada.page.getByLabel('Operation').selectOption(operation('GET', '/redirect/{n}'));
      await ada.page.getByLabel('n', { exact: true }).fill('1');
      assert.equal((await send(ada)).status, 'a redirect');
      await ada.page.getByLabel(/^Headers/).fill('no header');
      await ada.page.getByRole('button', { name: 'Send' }).click();
      await ada.page.getByText('A header cannot be read').waitFor();
    });

    it('lets a consumer try an API of the catalogue', async () => {
      carl = await signedIn(browser, sluice, { name: 'Carl', email: 'carl@example.com' });
      await carl.open(`/catalogue/${api.id}`);
      await carl.page.getByRole('link', { name: 'Try it' }).click();
      await carl.page.getByLabel('Operation').selectOption(operation('GET', '/uuid'));
      await carl.page.getByLabel(/^Key/).fill(key);
      const got = await send(carl);
      assert.equal(got.status, '200');
      assert.equal(JSON.parse(got.body).uuid.length, 36);
      assert.equal(await carl.page.getByText(/call log|call in the log/).count(), 0, 'who may not read calls is not led to them');
    });

    it('purges one address from every gateway, and nothing else', async () => {
      const cached = await call(sluice, path('/uuid'), { key });
      const other = await call(sluice, path('/get?keep=1'), { key });
      assert.equal((await call(sluice, path('/uuid'), { key })).text, cached.text);
      // Who is faster than the list of environments waits for it.
      const list = /\/environments\?/;
      await ada.page.route(list, async (route) => {
        await sleep(1_500);
        await route.continue();
      });
      await ada.open(`/apis/${api.id}/cache`);
      await ada.page.getByRole('button', { name: 'Purge', exact: true }).click();
      await submitDialog(ada, { Address: '/no such path' }, 'Purge now', { stays: true });
      await dialog(ada).locator('.field-error').waitFor();
      await ada.page.unroute(list);
      await submitDialog(ada, { Address: `${sluice.gateway}${path('/uuid')}` }, 'Purge now', { stays: true });
      await dialog(ada).getByText('on every gateway').waitFor();
      await dialog(ada).getByText(/^\d+ ms$/).first().waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      assert.notEqual((await call(sluice, path('/uuid'), { key })).text, cached.text);
      assert.equal((await call(sluice, path('/get?keep=1'), { key })).headers.get('cache-status')?.includes('hit'), true, other.text);
      const { items } = await scene.admin.get(`${scene.base}/purges?api=${api.id}`);
      assert.deepEqual([items.length, items[0].scope], [1, { by: 'url', api: api.id, path: '/uuid' }]);
    });

    it('purges everything of the API, and lists who purged what and which gateways have it', async () => {
      await ada.page.getByRole('button', { name: 'Purge', exact: true }).click();
      await dialog(ada).getByLabel('What').selectOption('api');
      await submitDialog(ada, {}, 'Purge now', { stays: true });
      await dialog(ada).getByText('on every gateway').waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      assert.equal((await call(sluice, path('/get?keep=1'), { key })).headers.get('cache-status')?.includes('hit'), false);
      await seeRow(ada, 'everything');
      await row(ada, 'everything').filter({ hasText: /Production.*ada@example\.com.*on every gateway.*1 of 1, slowest \d/ }).waitFor();
      await row(ada, '/uuid').getByRole('button').click();
      await dialog(ada).getByText('Purge of /uuid').waitFor();
      await dialog(ada).getByText('has it').waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
    });

    it('purges below a path, by tag and softly, and everything only when that is typed', async () => {
      const status = async (target) => (await call(sluice, path(target), { key })).headers.get('cache-status') ?? '';
      const tagged = (tag) => `/response-headers?Surrogate-Key=${tag}`;
      const estimate = (scope) => scene.admin.post(`${scene.base}/purges/preview`, { environment: scene.environment.id, scope });
      const covers = (scope, entries) => eventually(`${entries} entries of ${JSON.stringify(scope)}`, async () => {
        // What was purged just now counts until its memory is given back.
        const { gateways, ...all } = await estimate(scope);
        return all.entries === entries && gateways.length === 1 && gateways[0].outcome === 'answered';
      });
      const purge = async (what, fields, { soft = false, scope, entries } = {}) => {
        if (scope) await covers(scope, entries);
        await ada.page.getByRole('button', { name: 'Purge', exact: true }).click();
        await dialog(ada).getByLabel('What').selectOption(what);
        await dialog(ada).getByRole('switch', { name: 'Soft' }).setChecked(soft);
        if (scope) {
          // A gateway on a slow machine may answer too late: filling in again asks again.
          await eventually('the preview', async () => {
            for (const [label, value] of Object.entries(fields)) await dialog(ada).getByLabel(label, { exact: true }).fill(value);
            await dialog(ada).getByText(`Would cover about ${entries} ${entries === 1 ? 'entry' : 'entries'}, `).waitFor({ timeout: 5_000 });
            return true;
          }, 60_000);
          await dialog(ada).getByText(/, looked up in \d/).waitFor();
        }
        await submitDialog(ada, fields, 'Purge now', { stays: true });
        await dialog(ada).getByText('on every gateway').waitFor();
        await dialog(ada).getByRole('button', { name: 'Done' }).click();
      };
      const targets = ['/get?keep=2', '/anything/a', tagged('red'), tagged('blue')];
      for (const target of targets) await status(target);
      for (const target of targets) assert.match(await status(target), /; hit/, target);
      assert.equal((await call(sluice, path(tagged('red')), { key })).headers.get('surrogate-key'), null, 'tags are for caches');

      await purge('prefix', { Path: '/anything' }, { scope: { by: 'prefix', api: api.id, path: '/anything' }, entries: 1 });
      await covers({ by: 'prefix', api: api.id, path: '/anything' }, 0);
      assert.match(await status('/anything/a'), /uri-miss/);
      await purge('tag', { Tag: 'red' }, { scope: { by: 'tag', api: api.id, tag: 'red' }, entries: 1 });
      assert.match(await status(tagged('red')), /uri-miss/);
      assert.match(await status(tagged('blue')), /; hit/);
      await purge('url', { Address: '/get?keep=2' }, { soft: true });
      assert.match(await status('/get?keep=2'), /fwd=stale/);
      for (const target of targets) assert.match(await status(target), /; hit/, target);

      await ada.page.getByRole('button', { name: 'Purge', exact: true }).click();
      await dialog(ada).getByLabel('What').selectOption('everything');
      await submitDialog(ada, { 'Type everything to confirm': 'some' }, 'Purge now', { stays: true });
      await dialog(ada).getByText('What stands here has to be: everything').waitFor();
      await dialog(ada).getByRole('button', { name: 'Cancel' }).click();
      for (const target of targets) assert.match(await status(target), /; hit/, target);
      await purge('everything', { 'Type everything to confirm': 'everything' });
      for (const target of targets) assert.match(await status(target), /uri-miss/, target);

      const { items } = await scene.admin.get(`${scene.base}/purges?api=${api.id}`);
      const newest = items.slice(0, 4).map(({ scope, soft }) => [scope.by, soft]);
      assert.deepEqual(newest, [['everything', false], ['url', true], ['tag', false], ['prefix', false]]);
      await row(ada, '/get?keep=2').filter({ hasText: 'soft' }).waitFor();
      await row(ada, 'everything').first().waitFor();
    });

    it('looks inside: what is stored of an address, and by what a request finds it', async () => {
      const target = '/get?keep=2';
      await call(sluice, path(target), { key });
      assert.match((await call(sluice, path(target), { key })).headers.get('cache-status'), /; hit/);
      await ada.open(`/apis/${api.id}/cache`);
      const panel = (title) => ada.page.locator('section.panel').filter({ has: ada.page.getByRole('heading', { name: title, exact: true }) });
      const inside = panel('Look inside');
      await inside.getByLabel('Address to look up').fill('no path');
      await inside.getByRole('button', { name: 'Look up' }).click();
      await inside.locator('.field-error').waitFor();
      await inside.getByLabel('Address to look up').fill(`${sluice.gateway}${path(target)}`);
      await eventually('what is stored', async () => {
        await inside.getByRole('button', { name: 'Look up' }).click();
        await inside.getByText(/1 stored response, looked up in \d/).waitFor({ timeout: 5_000 });
        return true;
      }, 60_000);
      await inside.locator('summary').click();
      await inside.getByText('application Weather app').waitFor();
      await inside.getByText('who asked for it', { exact: true }).waitFor();
      await inside.getByText(/left of 10 min/).waitFor();
      await inside.getByText('Hits', { exact: true }).waitFor();
      await ada.screenshot('cache-inside');
      assert.ok(!(await ada.page.content()).includes(key), 'no key is shown');

      const body = { environment: scene.environment.id, path: target };
      const entry = await eventually('the entry', async () => {
        const { gateways } = await scene.admin.post(`${scene.base}/apis/${api.id}/cache/entries`, body);
        return gateways[0].answer?.entries[0];
      });
      assert.equal(entry.key.caller.application_name, 'Weather app');
      assert.ok(entry.hits >= 1, JSON.stringify(entry));
      assert.ok((await call(sluice, path(target), { key })).headers.get('cache-status').includes(`key="${entry.key_hash}"`));

      const explain = panel('Explain a request');
      await explain.getByLabel('URL').fill(`${sluice.gateway}${path(target)}`);
      await explain.getByLabel('Application whose key it carries').selectOption('Weather app');
      const ask = (words) => eventually(`${words}`, async () => {
        await explain.getByRole('button', { name: 'Explain' }).click();
        await explain.getByText(words).first().waitFor({ timeout: 5_000 });
        return true;
      }, 60_000);
      await ask(/^stored, fresh for/);
      await explain.getByText(/The response would be stored for who asked for it, fresh for/).waitFor();
      assert.ok(await explain.getByText(entry.key_hash).count() > 0, 'the key that it is stored under');
      await explain.getByText('The caller is let in under the plan Free.').waitFor();
      await explain.getByText(/^Limit of the plan: 100000 requests in 1 h, \d{5,6} left\.$/).waitFor();
      await ada.screenshot('cache-explain');
      await explain.getByLabel('Application whose key it carries').selectOption('Nobody');
      await ask(/^The caller is refused: 401, there is no key/);
      await explain.getByLabel('Application whose key it carries').selectOption('Weather app');
      await explain.getByLabel('Request headers').fill('Cache-Control: no-store');
      await ask('The request says no-store.');
    });

    it('purges what was stored for one application, and names it in the list', async () => {
      const open = '/response-headers?Cache-Control=public';
      const cached = async (target, by) => (await callUntil(sluice, path(target), 200, { key: by })).headers.get('cache-status') ?? '';
      const held = [['/get?keep=3', key], ['/get?keep=3', otherKey], [open, key]];
      for (const [target, by] of held) await cached(target, by);
      for (const [target, by] of held) assert.match(await cached(target, by), /; hit/, target);

      await ada.page.getByRole('button', { name: 'Purge', exact: true }).click();
      await dialog(ada).getByLabel('What').selectOption('application');
      await submitDialog(ada, {}, 'Purge now', { stays: true });
      await dialog(ada).locator('.field-error').filter({ hasText: 'Choose an application' }).waitFor();
      await dialog(ada).getByLabel('Application').selectOption({ label: 'Weather app' });
      await submitDialog(ada, {}, 'Purge now', { stays: true });
      await dialog(ada).getByText('on every gateway').waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();

      assert.match(await cached(...held[0]), /uri-miss|vary-miss/);
      for (const [target, by] of held.slice(1)) assert.match(await cached(target, by), /; hit/, target);
      await row(ada, 'Weather app').filter({ hasText: /application.*Production/ }).waitFor();
      await row(ada, 'Weather app').getByRole('button').click();
      await dialog(ada).getByText('Purge of Weather app').waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
    });

    it('follows purges and releases in their lists until every gateway has them, then asks no more', async () => {
      for (const [tab, table] of [['cache', 'Purges'], ['revisions', 'Releases']]) {
        const list = new RegExp(`/${table.toLowerCase()}\\?`);
        let asked = 0;
        let rolling = true;
        await ada.page.route(list, async (route) => {
          asked += 1;
          const response = await route.fetch();
          const json = await response.json();
          if (rolling) json.items[0].progress = { state: 'running', gateways: [] };
          await route.fulfill({ response, json });
        });
        await ada.open(`/apis/${api.id}/${tab}`);
        const newest = ada.page.getByRole('table', { name: table }).getByRole('row').nth(1);
        await newest.getByText('rolling out').waitFor();
        rolling = false;
        await newest.getByText('on every gateway').waitFor();
        const then = asked;
        // Several times as long as from one question to the next.
        await sleep(2_500);
        assert.equal(asked, then, `${table} are settled`);
        await ada.page.unroute(list);
      }
    });

    it('repeats a recorded call where clients reach the gateway, whatever host it named', async () => {
      const port = new URL(sluice.gateway).port;
      await fetch(`http://localhost:${port}${path('/get?named=localhost')}`, { headers: { 'x-api-key': key } });
      const logged = await eventually('the call is in the log', async () => {
        const { items } = await scene.admin.get(`${scene.base}/calls?limit=50`);
        return items.find((one) => one.query === 'named=localhost');
      });
      assert.equal(logged.host, `localhost:${port}`);
      await ada.open(`/calls/${logged.id}`);
      await ada.page.getByRole('region', { name: 'curl' }).getByText(`${sluice.gateway}${path('/get?named=localhost')}`).waitFor();
    });

    it("tells a consumer what the API's own policies say where it is live, and sends the key as they want it", async () => {
      const releasedWith = async (...policies) => {
        await scene.admin.edit(`${scene.base}/apis/${api.id}`, ({ name, description, team = null, listed, draft: now }) => ({ name, description, team, listed, draft: { ...now, policies } }));
        await release(scene, api.id);
        await carl.open(`/catalogue/${api.id}/try?route=${operation('GET', '/get')}`);
        await carl.page.getByLabel(/^Key/).fill(key);
      };
      const cors = (origin) => ({ type: 'cors', settings: { origins: [origin], expose: ['x-request-id'] } });
      await releasedWith(cors('https://shop.example'));
      await carl.page.getByText('The API has a CORS policy of its own').waitFor();
      await releasedWith(cors(sluice.origin), { type: 'key-auth', settings: { header: 'x-shop-key' } });
      await carl.page.getByText('Sent as x-shop-key').waitFor();
      assert.equal((await send(carl)).status, '200');
      assert.equal(await carl.page.getByText('has a CORS policy of its own').count(), 0);
    });

    it('tells a publisher what the gateways do, whatever the draft says', async () => {
      const drafted = (...policies) => scene.admin.edit(`${scene.base}/apis/${api.id}`, ({ name, description, team = null, listed, draft: now }) => ({ name, description, team, listed, draft: { ...now, policies } }));
      const judged = async () => {
        await ada.open(`/apis/${api.id}/try?route=${operation('GET', '/get')}`);
        // The environments have arrived, and with them the verdict.
        await ada.page.getByRole('region', { name: 'curl' }).getByText(sluice.gateway).waitFor();
        return ada.page.getByText('has a CORS policy of its own');
      };
      await drafted({ type: 'cors', settings: { origins: ['https://shop.example'] } });
      assert.equal(await (await judged()).count(), 0, 'what is not released does not count');
      await release(scene, api.id);
      await (await judged()).waitFor();
      await drafted();
      await (await judged()).waitFor();
    });

    it('leaves the console silent but for what was refused on purpose', () => {
      ada.assertQuiet(['401', '412', '418', '422']);
      carl.assertQuiet();
    });
  });
}

/** Sends the form of the page; gives what it says came back. */
async function send({ page }) {
  await page.getByRole('button', { name: 'Send' }).click();
  const answer = page.getByRole('region', { name: 'What came back' });
  // The answer before is taken away at once.
  await answer.waitFor();
  const fact = async (name) => (await answer.locator('dt', { hasText: new RegExp(`^${name}$`) }).first().locator('xpath=following-sibling::dd[1]').textContent()).trim();
  const body = answer.getByRole('region', { name: 'Body' });
  return {
    status: await fact('Status'),
    id: await fact('Request id'),
    text: await answer.textContent(),
    body: (await body.count()) > 0 ? await body.textContent() : undefined,
  };
}
