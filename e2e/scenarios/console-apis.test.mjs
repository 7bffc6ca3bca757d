// What a publisher does to an API in the console. Each action is read back through the admin API and, once it is
// released, through the gateway.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { dialog, row, seeNoRow, seeRow, submitDialog } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { consume } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`a publisher in the console on ${database}`, { timeout: 600_000 }, () => {
    let stage;
    let ada;
    let page;
    let id;
    let a;
    let b;

    const read = () => stage.admin.get(`${stage.base}/apis/${id}`);
    const draft = async () => (await read()).draft;
    const plans = () => stage.items(`/apis/${id}/plans`);
    const tab = async (name) => {
      if (!new URL(page.url()).pathname.startsWith(`/apis/${id}`)) await ada.open(`/apis/${id}`);
      await page.getByRole('navigation', { name: 'API', exact: true }).getByRole('link', { name: new RegExp(name, 'i') }).click();
      await page.waitForURL((url) => url.pathname === `/apis/${id}/${name}`);
    };
    const press = (name) => page.getByRole('button', { name, exact: true }).first().click();
    const eventuallyDraft = (what, holds) => eventually(what, async () => holds(await draft()));
    const gateway = (path, status, options) => stage.answers(`/orders${path}`, status, options);

    /** Releases by the dialog that a button opens, and waits until every gateway has it. */
    async function release(open = () => press('Release'), act = 'Release now') {
      await open();
      await dialog(ada).getByRole('button', { name: act }).click();
      await dialog(ada).getByText('on every gateway').waitFor();
      await dialog(ada).getByRole('button', { name: 'Done' }).click();
      await dialog(ada).waitFor({ state: 'hidden' });
    }

    before(async () => {
      stage = await startStage({ database });
      [a, b] = stage.upstreams;
      ada = await stage.ada();
      page = ada.page;
    });
    after(() => stage?.stop());

    it('creates an API by the address of what it stands for; a bad name is said at its field', async () => {
      await ada.open('/apis');
      await press('New API');
      await submitDialog(ada, { Name: 'Orders', 'Path segment': 'Not a segment', 'Upstream address': a.url }, 'Create API', { stays: true });
      await dialog(ada).locator('[aria-invalid="true"]').waitFor();
      await submitDialog(ada, { 'Path segment': 'orders' }, 'Create API', { stays: true });
      await page.waitForURL((url) => /^\/apis\/[^/]+$/.test(url.pathname));
      id = new URL(page.url()).pathname.split('/')[2];
      const api = await read();
      assert.equal(api.slug, 'orders');
      assert.deepEqual(api.draft.routes.map((route) => route.path), ['/', '/{*path}']);
      assert.equal(api.draft.upstreams[0].targets[0].url, a.url);
    });

    it('says what it is and who may call it, then releases it: everything passes', async () => {
      await page.getByLabel('Name', { exact: true }).fill('Orders API');
      await page.getByLabel('Description').fill('Orders of the shop.');
      await page.getByLabel('Who may call').selectOption('public');
      await page.getByLabel('Listed in the catalogue').check();
      await press('Save');
      await eventuallyDraft('it is public', ({ access }) => access === 'public');
      const { name, description, listed } = await read();
      assert.deepEqual([name, description, listed], ['Orders API', 'Orders of the shop.', true]);
      await release();
      assert.equal((await gateway('/anything/at/all', 200)).body.url, '/anything/at/all');
      assert.equal((await read()).live[0].revision, 1);
    });

    it('copies the command that calls it', async () => {
      await page.getByRole('button', { name: 'Copy curl' }).click();
      await page.getByRole('button', { name: 'Copied' }).waitFor();
      assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl .*\/acme\/orders\/$/);
    });

    it('adds a target with a weight, a time limit and an upstream', async () => {
      await tab('upstreams');
      await page.getByRole('button', { name: 'Edit origin' }).click();
      await dialog(ada).getByLabel('Host header').selectOption('client');
      await submitDialog(ada, { Targets: `${a.url}\n${b.url} 3`, 'Connect timeout (ms)': '900', 'First byte timeout (ms)': '500', 'Idle timeout (ms)': '7000' }, 'Save');
      await press('Add upstream');
      await submitDialog(ada, { Name: 'spare', Targets: `${b.url} many` }, 'Save', { stays: true });
      await dialog(ada).getByText('The targets cannot be read').waitFor();
      await submitDialog(ada, { Targets: b.url }, 'Save');
      await eventuallyDraft('both are there', ({ upstreams }) => upstreams.length === 2);
      const [origin, spare] = (await draft()).upstreams;
      assert.deepEqual(origin.targets.map(({ url, weight }) => [url, weight]), [[a.url, 1], [b.url, 3]]);
      assert.deepEqual(origin.timeouts, { connect_ms: 900, first_byte_ms: 500, idle_ms: 7000 });
      assert.equal(origin.host.mode, 'client');
      assert.equal(spare.targets[0].url, b.url);
    });

    it('adds a route after a bad path was refused, finds it, edits it, and tests what it takes', async () => {
      await tab('routes');
      await press('Add route');
      await submitDialog(ada, { Id: 'order', Summary: 'One order', Methods: 'get', Path: '/orders/{id' }, 'Save', { stays: true });
      await dialog(ada).getByText('The path cannot be used').waitFor();
      await dialog(ada).getByLabel('Upstream').selectOption('spare');
      await submitDialog(ada, { Path: '/orders/{id}' }, 'Save');
      await page.getByRole('searchbox', { name: 'Search routes' }).fill('One ord');
      await page.waitForURL((url) => url.searchParams.get('q') === 'One ord');
      await seeNoRow(ada, 'everything');
      await page.getByRole('button', { name: 'Edit order' }).click();
      await dialog(ada).getByLabel('Who may call').selectOption('subscription');
      await submitDialog(ada, { Methods: 'GET, DELETE' }, 'Save');
      await eventuallyDraft('it is edited', ({ routes }) => routes[2]?.methods.length === 2);
      const route = (await draft()).routes[2];
      assert.deepEqual(
        [route.id, route.summary, route.methods, route.path, route.upstream, route.access],
        ['order', 'One order', ['GET', 'DELETE'], '/orders/{id}', 'spare', 'subscription'],
      );
      await page.getByLabel('Request path').fill('/orders/7');
      await page.getByText('order takes it: /orders/{id}').waitFor();
      await page.getByLabel('Method', { exact: true }).fill('POST');
      await page.getByText('everything takes it: /{*path}').waitFor();
    });

    it('releases them: calls are spread by weight, the route has its own upstream and asks for a key', async () => {
      await release();
      await gateway('/orders/7', 401);
      const names = [];
      for (let i = 0; i < 40; i += 1) names.push((await gateway(`/spread/${i}`, 200)).body.name);
      const share = names.filter((name) => name === 'b').length / names.length;
      assert.ok(share > 0.6 && share < 0.9, `three of four calls go to b: ${names}`);
      const { host } = new URL(stage.sluice.gateway);
      assert.equal((await gateway('/host', 200)).body.headers.host, host);
      await gateway('/slow', 504);
    });

    it('cannot remove an upstream that a route uses; removes the route, then the upstream', async () => {
      await tab('upstreams');
      await page.getByRole('button', { name: 'Remove spare' }).click();
      await page.getByRole('alert').first().waitFor();
      assert.equal((await draft()).upstreams.length, 2);
      await tab('routes');
      await page.getByRole('button', { name: 'Remove order' }).click();
      await seeNoRow(ada, 'One order');
      await tab('upstreams');
      await page.getByRole('button', { name: 'Remove spare' }).click();
      await eventuallyDraft('it is gone', ({ upstreams }) => upstreams.length === 1);
      await release();
      await gateway('/orders/7', 200);
    });

    it('leaves a target alone that fails, and asks it again', async () => {
      await tab('upstreams');
      await page.getByRole('button', { name: 'Edit origin' }).click();
      const seconds = 'Leave it alone for (s)';
      await submitDialog(ada, { Targets: a.url, 'Leave a target alone after failures': '2', [seconds]: '' }, 'Save', { stays: true });
      await dialog(ada).getByText('The breaker cannot be read').waitFor();
      await submitDialog(ada, { [seconds]: '4000' }, 'Save', { stays: true });
      const why = dialog(ada).getByText('Between 1 and 3600.');
      await why.waitFor();
      const isSeen = (text) => {
        const { left, top, width, height } = text.getBoundingClientRect();
        return text.contains(document.elementFromPoint(left + width / 2, top + height / 2));
      };
      await eventually('what is wrong is brought into view', () => why.evaluate(isSeen));
      const connect = await dialog(ada).getByLabel('Connect timeout (ms)').inputValue();
      await submitDialog(ada, { 'Connect timeout (ms)': '' }, 'Save', { stays: true });
      await dialog(ada).getByText('Timeouts are whole numbers').waitFor();
      await dialog(ada).getByLabel('Connect timeout (ms)').fill(connect);
      await submitDialog(ada, { [seconds]: '5' }, 'Save');
      await eventuallyDraft('it is saved', ({ upstreams: [{ breaker }] }) => breaker?.failures === 2 && breaker.open_s === 5);
      await page.getByText('left alone for 5 s after 2 failures in a row').waitFor();
      await release();
      for (let i = 0; i < 2; i += 1) await gateway('/slow', 504);
      const resting = await gateway('/quick', 503);
      assert.equal(resting.body.code, 'upstream_resting');
      assert.match(resting.headers.get('retry-after'), /^[1-5]$/);
      await eventually('it is asked again', async () => (await fetch(`${stage.sluice.gateway}/acme/orders/quick`)).status === 200);
    });

    it('attaches policies to the API and to one route, and what they do is seen', async () => {
      await tab('policies');
      await press('Attach policy');
      await dialog(ada).getByLabel('Policy', { exact: true }).selectOption('headers');
      const response = dialog(ada).getByRole('group', { name: 'Response' });
      await response.getByRole('group', { name: 'Set', exact: true }).getByRole('button', { name: 'Add' }).click();
      await response.getByLabel('Name').last().fill('x-tour');
      await response.getByLabel('Value').last().fill('yes');
      await submitDialog(ada, {}, 'Save');
      await page.getByLabel('Attached to').selectOption('root');
      await page.getByText('No policy here').waitFor();
      await press('Attach policy');
      await dialog(ada).getByLabel('Policy', { exact: true }).selectOption('rewrite');
      await submitDialog(ada, { Path: '/elsewhere' }, 'Save');
      await eventuallyDraft('both are there', ({ policies, routes }) => policies.length === 1 && routes[0].policies?.length === 1);
      await release();
      const answer = await gateway('/', 200);
      assert.equal(answer.body.url, '/elsewhere');
      assert.equal(answer.headers.get('x-tour'), 'yes');
    });

    it('switches a policy off and removes the other', async () => {
      await tab('policies');
      await page.getByLabel('Attached to').selectOption('');
      await page.getByRole('button', { name: /^Edit/ }).click();
      await dialog(ada).getByLabel('Enabled').uncheck();
      await submitDialog(ada, {}, 'Save');
      await page.getByLabel('Attached to').selectOption('root');
      await page.getByRole('button', { name: /^Remove/ }).click();
      await page.getByText('No policy here').waitFor();
      const { policies, routes } = await draft();
      assert.equal(policies[0].enabled, false);
      assert.equal(routes[0].policies?.length ?? 0, 0);
      await release();
      const answer = await gateway('/', 200);
      assert.equal(answer.body.url, '/');
      assert.equal(answer.headers.get('x-tour'), null);
    });

    it('freezes a revision with a note and compares any two, by the address as well', async () => {
      await tab('routes');
      await page.getByRole('button', { name: 'Remove everything' }).click();
      await seeNoRow(ada, 'everything');
      await tab('revisions');
      await press('Freeze a revision');
      await submitDialog(ada, { Note: 'only the root' }, 'Freeze');
      await seeRow(ada, 'only the root');
      const [frozen] = await stage.items(`/apis/${id}/revisions?sort=-number`);
      assert.equal(frozen.note, 'only the root');
      await page.getByLabel('From', { exact: true }).selectOption('1');
      await page.getByLabel('To', { exact: true }).selectOption(String(frozen.number));
      await row(ada, '/routes/everything').getByText('removed').waitFor();
      assert.equal(new URL(page.url()).searchParams.get('from'), '1');
      await page.reload();
      await row(ada, '/routes/everything').getByText('removed').waitFor();
      await page.getByLabel('From', { exact: true }).selectOption('live:production');
      await page.getByLabel('To', { exact: true }).selectOption('draft');
      await row(ada, '/routes/everything').getByText('removed').waitFor();
    });

    it('releases the new revision, and rolls back to the one before', async () => {
      const [newest, before] = await stage.items(`/apis/${id}/revisions?sort=-number`);
      const revision = (number) => () => page.getByRole('button', { name: `Release revision ${number}`, exact: true }).click();
      await release(revision(newest.number));
      await gateway('/anything', 404);
      await release(revision(before.number));
      await gateway('/anything', 200);
      const table = page.getByRole('table', { name: 'Releases' });
      await table.getByRole('row').nth(1).getByText('rollback').waitFor();
      const [latest] = await stage.items(`/apis/${id}/releases?sort=-created_at`);
      assert.deepEqual([latest.rollback, latest.revision, latest.replaces], [true, before.number, newest.number]);
    });

    it('makes a plan, changes it, which subscribers feel without a release, closes it', async () => {
      await tab('plans');
      await press('New plan');
      await dialog(ada).getByLabel('Approval').selectOption('automatic');
      await submitDialog(ada, { Name: 'Trial', Description: 'To try.', Requests: '1000', 'Period (seconds)': '3600' }, 'Save');
      await seeRow(ada, '1000 in 3600 s');
      const [plan] = await plans();
      assert.deepEqual([plan.name, plan.approval, plan.policies[0].settings], ['Trial', 'automatic', { requests: 1000, period_s: 3600 }]);
      const { key } = await consume(stage.scene, { name: 'Shop', subscriptions: [{ api: id, plan: plan.id }] });
      for (let i = 0; i < 3; i += 1) await gateway('/anything', 200, { key });

      await page.getByRole('button', { name: 'Edit Trial' }).click();
      await dialog(ada).getByLabel('Closed to new subscriptions').check();
      await submitDialog(ada, { Name: 'Small', Requests: '1' }, 'Save');
      await seeRow(ada, 'closed');
      assert.equal((await plans())[0].closed, true);
      await gateway('/anything', 429, { key });
    });

    it('deletes a plan, but not one that somebody subscribes to', async () => {
      await press('New plan');
      await submitDialog(ada, { Name: 'Gone soon' }, 'Save');
      await seeRow(ada, 'Gone soon');
      await page.getByRole('button', { name: 'Delete Gone soon' }).click();
      await submitDialog(ada, {}, 'Delete plan');
      await seeNoRow(ada, 'Gone soon');
      await page.getByRole('button', { name: 'Delete Small' }).click();
      await submitDialog(ada, {}, 'Delete plan', { stays: true });
      await dialog(ada).getByRole('alert').waitFor();
      await dialog(ada).getByRole('button', { name: 'Cancel' }).click();
      assert.deepEqual((await plans()).map(({ name }) => name), ['Small']);
    });

    it('is shown both versions when somebody else was faster, and chooses', async () => {
      const paul = await stage.person('Paul', ['publisher']);
      const describeAs = async (person, text) => {
        await person.page.getByLabel('Description').fill(text);
        await person.page.getByRole('button', { name: 'Save', exact: true }).click();
      };
      const isKept = (text) => eventually(`${text} is kept`, async () => (await read()).description === text);
      const isShown = (text) => eventually(`the form says ${text}`, async () => (await page.getByLabel('Description').inputValue()) === text);
      const choose = async (theirs, mine, choice) => {
        await describeAs(ada, mine);
        await dialog(ada).getByText(theirs).waitFor();
        await dialog(ada).getByText(mine).waitFor();
        await dialog(ada).getByRole('button', { name: choice }).click();
        await dialog(ada).waitFor({ state: 'hidden' });
      };
      await ada.open(`/apis/${id}`);
      await page.getByText('Listed in the catalogue').waitFor();
      await paul.open(`/apis/${id}`);
      await describeAs(paul, 'Paul, once.');
      await isKept('Paul, once.');
      await choose('Paul, once.', 'Ada, once.', 'Keep editing');
      await isShown('Ada, once.');
      await choose('Paul, once.', 'Ada, twice.', 'Use their version');
      await isShown('Paul, once.');
      await isKept('Paul, once.');
      await describeAs(paul, 'Paul, twice.');
      await isKept('Paul, twice.');
      await choose('Paul, twice.', 'Ada, thrice.', 'Overwrite with mine');
      await isKept('Ada, thrice.');
      await isShown('Ada, thrice.');
    });

    it('ends the dialog that a conflict began in, whichever version wins', async () => {
      const rename = (summary) => stage.admin.edit(`${stage.base}/apis/${id}`, ({ name, description, team = null, listed, draft: now }) => {
        now.routes[0].summary = summary;
        return { name, description, team, listed, draft: now };
      });
      for (const [choice, kept] of [['Use their version', 'theirs'], ['Overwrite with mine', 'mine']]) {
        await tab('routes');
        await page.getByRole('button', { name: 'Edit root' }).click();
        await rename('theirs');
        await submitDialog(ada, { Summary: 'mine' }, 'Save', { stays: true });
        await page.getByRole('button', { name: choice }).click();
        await dialog(ada).waitFor({ state: 'hidden' });
        await seeRow(ada, kept);
        await eventuallyDraft(`${kept} is kept`, ({ routes }) => routes[0].summary === kept);
        await rename('between');
      }
    });

    it('imports a pasted document: problems with their places first, then the API', async () => {
      await ada.open('/apis');
      await page.getByRole('link', { name: 'Import', exact: true }).click();
      await page.waitForURL((url) => url.pathname === '/apis/import');
      await press('Pasted');
      await page.getByLabel('Document').fill(JSON.stringify({ openapi: '3.1.0', info: { title: 'Pets' }, paths: { '/pets': { get: { parameters: 7 } } } }));
      await press('Preview');
      await page.getByRole('alert').first().waitFor();
      await page.getByText('/paths/~1pets/get/parameters').first().waitFor();
      await page.getByLabel('Document').fill(JSON.stringify(pets(['get', 'post'])));
      await press('Preview');
      await page.getByText(/OpenAPI 3\.1\.0: 2 added, 0 changed, 0 removed/).waitFor();
      await page.getByLabel('Path segment').fill('pets');
      await page.getByLabel('Upstream address').fill(a.url);
      await press('Create API');
      await page.waitForURL((url) => /^\/apis\/(?!import)[^/]+$/.test(url.pathname));
      const api = (await stage.items('/apis')).find(({ slug }) => slug === 'pets');
      assert.deepEqual((await stage.admin.get(`${stage.base}/apis/${api.id}`)).draft.routes.map((route) => route.id), ['get-pets', 'post-pets']);
    });

    it('imports again from an address: what is new comes, what is gone goes, what was made by hand stays', async () => {
      const api = (await stage.items('/apis')).find(({ slug }) => slug === 'pets');
      await ada.open(`/apis/${api.id}/routes`);
      await press('Add route');
      await submitDialog(ada, { Id: 'by-hand', Path: '/health' }, 'Save');
      await seeRow(ada, 'by-hand');
      b.documents.set('/openapi.json', JSON.stringify(pets(['get', 'delete'])));
      await ada.open(`/apis/${api.id}`);
      await page.getByRole('link', { name: 'Import again' }).click();
      await page.waitForURL((url) => url.searchParams.get('api') === api.id);
      await press('Pasted');
      await page.getByLabel('Document', { exact: true }).waitFor();
      await press('At an address');
      await page.getByLabel('Address of the document').fill(`${b.url}/openapi.json`);
      await press('Preview');
      await page.getByText(/1 added, 0 changed, 1 removed/).waitFor();
      await row(ada, '/routes/post-pets').getByText('removed').waitFor();
      await press('Update the draft');
      await page.waitForURL((url) => url.pathname === `/apis/${api.id}`);
      const { routes, upstreams } = (await stage.admin.get(`${stage.base}/apis/${api.id}`)).draft;
      assert.deepEqual(routes.map((route) => route.id).sort(), ['by-hand', 'delete-pets', 'get-pets']);
      assert.equal(upstreams[0].targets[0].url, a.url, 'the upstream is not the document\'s');
    });

    it('finds APIs by a part of the name and sorts them, both in the address', async () => {
      await ada.open('/apis');
      const names = async () => (await page.locator('tbody tr td:first-child strong').allTextContents()).join();
      await page.getByRole('button', { name: 'Name' }).click();
      await eventually('ascending', async () => (await names()) === 'Orders API,Pets');
      await page.getByRole('button', { name: 'Name' }).click();
      await eventually('descending', async () => (await names()) === 'Pets,Orders API');
      await page.getByRole('searchbox', { name: 'Search APIs' }).fill('ders');
      await page.waitForURL((url) => url.searchParams.get('q') === 'ders' && url.searchParams.get('sort') === '-name');
      await seeNoRow(ada, 'Pets');
      await row(ada, 'Orders API').getByRole('link').first().click();
      await page.waitForURL((url) => url.pathname === `/apis/${id}`);
    });

    it('shows the routes of a large API a hundred at a time', async () => {
      const routes = Array.from({ length: 130 }, (_, i) => ({ id: `r${i}`, path: `/r${i}` }));
      const upstreams = [{ name: 'origin', targets: [{ url: a.url }] }];
      const wide = await stage.admin.post(`${stage.base}/apis`, { slug: 'wide', name: 'Wide', draft: { routes, upstreams } });
      await ada.open(`/apis/${wide.id}/routes`);
      const rows = page.getByRole('table', { name: 'Routes' }).locator('tbody tr');
      await eventually('the first hundred', async () => (await rows.count()) === 100);
      await press('Show more');
      await eventually('all of them', async () => (await rows.count()) === 130);
      await page.getByRole('button', { name: 'Show more' }).waitFor({ state: 'detached' });
    });

    it('deletes an API only after it is withdrawn, which the gateway follows', async () => {
      await ada.open(`/apis/${id}`);
      const remove = async (options) => {
        await press('Delete API');
        const confirm = dialog(ada).getByRole('button', { name: 'Delete API' });
        assert.ok(await confirm.isDisabled(), 'not before its name is typed');
        await submitDialog(ada, { 'Type orders to confirm': 'orders' }, 'Delete API', options);
      };
      await remove({ stays: true });
      await dialog(ada).getByRole('alert').waitFor();
      await dialog(ada).getByRole('button', { name: 'Cancel' }).click();
      await release(undefined, 'Withdraw');
      await gateway('/', 404);
      assert.deepEqual((await read()).live, []);
      await remove();
      await page.waitForURL((url) => url.pathname === '/apis');
      await seeNoRow(ada, 'Orders API');
      assert.equal((await stage.admin.request('GET', `${stage.base}/apis/${id}`)).status, 404);
    });

    it('leaves the consoles silent but for the refusals that were provoked', () => stage.assertQuiet(['422', '412', '409']));
  });
}

/** A document with these operations on `/pets`. */
function pets(methods) {
  const operation = (method) => [method, { operationId: `${method}-pets`, responses: { 200: { description: 'fine' } } }];
  const paths = { '/pets': Object.fromEntries(methods.map(operation)) };
  return { openapi: '3.1.0', info: { title: 'Pets', version: '1' }, servers: [{ url: 'http://pets.example' }], paths };
}
