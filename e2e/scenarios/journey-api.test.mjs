// The main job end to end through the admin API and the gateway, on each database: import httpbin's own document,
// publish with cache and limit, subscribe, approve, call, and find exactly these calls in the log.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { databases } from '../lib/databases.mjs';
import { startHttpbin } from '../lib/httpbin.mjs';
import { addPerson, call, callUntil, consume, decide, release, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { eventually } from '../lib/wait.mjs';

let httpbin;
before(async () => {
  httpbin = await startHttpbin();
});
after(() => httpbin?.stop());

for (const database of databases) {
  describe(`the main job on ${database}`, { timeout: 180_000 }, () => {
    let sluice;
    let scene;
    let api;
    let plan;
    let consumer;
    let application;
    let key;
    let subscription;
    const expected = [];

    const path = (rest) => `/${scene.tenant.slug}/httpbin${rest}`;
    // Every call of this test goes through here, so that the log can be compared with what was sent.
    const send = async (rest, options) => {
      const answer = await call(sluice, path(rest), options);
      expected.push({ path: path(rest).split('?')[0], status: answer.status, id: answer.headers.get('x-request-id') });
      return answer;
    };

    before(async () => {
      sluice = await startSluice({ database });
      scene = await setUp(sluice);
    });
    after(() => sluice?.stop());

    it("imports httpbin's own Swagger document and previews what it will become", async () => {
      const document = await (await fetch(`${httpbin.url}/spec.json`)).json();
      const preview = await scene.admin.post(`${scene.base}/imports/preview`, { source: { text: JSON.stringify(document) } });
      assert.match(preview.format, /Swagger 2\.0/);
      assert.ok(preview.draft.routes.length > 60, `${preview.draft.routes.length} routes`);
      assert.equal(preview.added.length, preview.draft.routes.length);
      const draft = {
        ...preview.draft,
        upstreams: [{ ...preview.draft.upstreams[0], targets: [{ url: httpbin.url }] }],
        policies: [{ type: 'cache', settings: { ttl_s: 60, shared: true, confirmed: ['shared'] } }],
      };
      api = await scene.admin.post(`${scene.base}/apis`, { slug: 'httpbin', name: 'httpbin', draft });
    });

    it('publishes it with a plan that needs approval and allows four calls an hour', async () => {
      const policies = [{ type: 'rate-limit', settings: { requests: 4, period_s: 3600 } }];
      plan = await scene.admin.post(`${scene.base}/apis/${api.id}/plans`, { name: 'Trial', approval: 'manual', policies });
      await scene.admin.edit(`${scene.base}/apis/${api.id}`, ({ name, description, team, draft }) => ({
        name, description, team: team ?? null, draft, listed: true,
      }));
      const done = await release(scene, api.id);
      assert.equal(done.release.progress.gateways.length, 1);
      assert.ok(done.release.progress.gateways[0].applied);
    });

    it('lets a consumer find it, make a key and ask for a subscription', async () => {
      consumer = await addPerson(scene, { name: 'Carl Consumer', email: 'carl@example.com', roles: ['consumer'] });
      const listed = await consumer.get(`${scene.base}/catalogue`);
      assert.deepEqual(listed.items.map((item) => item.slug), ['httpbin']);
      application = await consumer.post(`${scene.base}/applications`, { name: 'weather app' });
      const made = await consumer.post(`${scene.base}/applications/${application.id}/credentials`, {
        name: 'laptop',
        environment: scene.environment.id,
      });
      key = made.key;
      subscription = await consumer.post(`${scene.base}/subscriptions`, { application: application.id, api: api.id, plan: plan.id });
      assert.equal(subscription.state, 'pending');
    });

    it('refuses a call without a key, with a wrong key, and with a key whose subscription is pending', async () => {
      const none = await send('/get');
      assert.equal(none.status, 401, none.text);
      assert.match(none.headers.get('content-type'), /problem\+json/);
      assert.equal((await send('/get', { key: 'sk_wrong' })).status, 401);
      // The new key has to arrive at the gateway before its subscription is what is missing.
      const pending = await callUntil(sluice, path('/get'), 403, { key });
      expected.push({ path: path('/get'), status: 403, id: pending.headers.get('x-request-id') });
      assert.equal(pending.body.request_id, pending.headers.get('x-request-id'));
    });

    it("does not let the consumer approve their own subscription", async () => {
      const { status } = await consumer.request('POST', `${scene.base}/subscriptions/${subscription.id}/approve`, {
        etag: '"1"',
        body: { reason: '' },
      });
      assert.equal(status, 403);
    });

    it('answers with what httpbin says once an approver has approved, and the second time from the cache', async () => {
      const approver = await addPerson(scene, { name: 'Ann Approver', email: 'ann@example.com', roles: ['approver'] });
      await decide({ ...scene, admin: approver }, subscription.id, 'approve');
      const first = await eventually('the approval arrives', async () => {
        const answer = await call(sluice, path('/get?city=Oslo'), { key });
        expected.push({ path: path('/get'), status: answer.status, id: answer.headers.get('x-request-id') });
        return answer.status === 200 && answer;
      });
      assert.deepEqual(first.body.args, { city: 'Oslo' });
      assert.equal(first.body.headers['X-Api-Key'], undefined, 'the key must not reach the upstream');
      const second = await send('/get?city=Oslo', { key });
      assert.equal(second.status, 200);
      assert.match(second.headers.get('cache-status'), /hit/);
      assert.deepEqual(second.body, first.body);
      const lines = await eventually('httpbin logs the call', () => httpbin.seen('/get?city=Oslo'));
      assert.ok(lines >= 1);
    });

    it('says when the plan is used up', async () => {
      const statuses = [];
      for (let n = 0; n < 5; n += 1) statuses.push(await send(`/anything/${n}`, { key }));
      assert.deepEqual(statuses.map((answer) => answer.status), [200, 200, 429, 429, 429]);
      assert.ok(Number(statuses.at(-1).headers.get('retry-after')) > 0);
    });

    it('shows exactly these calls in the log and on the overview', async () => {
      const ids = (rows) => rows.map((row) => `${row.request_id} ${row.status} ${row.path}`).sort();
      const wanted = expected.map((one) => `${one.id} ${one.status} ${one.path}`).sort();
      const rows = await eventually('every call is in the log', async () => {
        const page = await scene.admin.get(`${scene.base}/calls?limit=200`);
        const own = page.items.filter((row) => wanted.some((line) => line.startsWith(row.request_id)));
        return own.length === wanted.length && own;
      });
      assert.deepEqual(ids(rows), wanted);
      const hit = rows.filter((row) => row.cache === 'hit');
      assert.equal(hit.length, 1);
      assert.equal(hit[0].application_name, 'weather app');
      assert.ok(rows.every((row) => !JSON.stringify(row).includes(key)), 'no key in the log');
      const { total, log } = await eventually('the rollups have them too', async () => {
        const overview = await scene.admin.get(`${scene.base}/overview`);
        const { items } = await scene.admin.get(`${scene.base}/calls?limit=200`);
        return overview.traffic.total.calls === items.length && { total: overview.traffic.total, log: items };
      });
      assert.equal(total.cache_hits, 1);
      assert.equal(total.client_errors, log.filter((row) => row.status >= 400 && row.status < 500).length);
      assert.ok(total.p50_us > 0 && total.p50_us <= total.p99_us);
    });

    it('refuses a revoked key within a second', async () => {
      const other = await consume(scene, { name: 'short-lived', subscriptions: [] });
      await callUntil(sluice, path('/get'), 403, { key: other.key });
      const credential = `${scene.base}/applications/${other.application.id}/credentials/${other.credential.id}`;
      await scene.admin.call('DELETE', credential);
      await eventually('the key is refused', async () => (await call(sluice, path('/get'), { key: other.key })).status === 401, 1_000);
    });

    it('serves on after a restart, with everything that was published', async () => {
      await sluice.restart();
      assert.equal((await call(sluice, path('/get'), {})).status, 401);
      assert.equal((await callUntil(sluice, path('/get?city=Oslo'), 200, { key })).body.args.city, 'Oslo');
    });
  });
}
