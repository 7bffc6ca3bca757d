// Warming through the admin API with real gateways: what is warmed is a hit for its first caller, after a release too, and
// what goes on can be cancelled.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { databases } from '../lib/databases.mjs';
import { callUntil, publish, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

for (const database of databases) {
  describe(`warming on ${database}`, { timeout: 300_000 }, () => {
    let upstream;
    let sluice;
    let scene;
    let api;

    const base = () => `${scene.base}/apis/${api.id}`;
    const asked = (path) => upstream.requests.filter((request) => request.startsWith(`GET ${path}`)).length;
    const status = async (path) => {
      const answer = await callUntil(sluice, `/${scene.tenant.slug}/shop${path}`, 200);
      return answer.headers.get('cache-status');
    };
    const newest = async () => (await scene.admin.get(`${base()}/warmings`)).items[0];
    /** The newest warming, once it is as wanted; a warming finds no gateway before one has been heard of. */
    const once = (what, is) => eventually(what, async () => {
      const warming = await newest();
      return warming && is(warming) && warming;
    }, 60_000);
    const warm = (paths) => warmFrom([{ from: 'list', paths }]);
    const warmFrom = (sources) => eventually('a gateway is up', async () => {
      const body = { environment: scene.environment.id, sources };
      const answer = await scene.admin.request('POST', `${base()}/warmings`, { body });
      if (answer.body.code === 'no_gateway') return false;
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return answer.body;
    }, 60_000);

    before(async () => {
      upstream = await startUpstream({ name: 'origin' });
      sluice = await startSluice({ database });
      scene = await setUp(sluice);
      const draft = {
        access: 'public',
        routes: [{ id: 'everything', methods: [], path: '/{*path}' }],
        upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
        policies: [{ type: 'cache', settings: { ttl_s: 3600 } }],
      };
      ({ api } = await publish(scene, { slug: 'shop', draft }));
    });
    after(async () => {
      await sluice?.stop();
      await upstream?.stop();
    });

    it('makes the first call of a caller a hit', async () => {
      const begun = await warm(['/items?page=1', '/items?page=2']);
      const done = await once('it is done', ({ id, state }) => id === begun.id && state === 'done');
      assert.equal(done.gateways[0].report.stored, 2, JSON.stringify(done));
      assert.match(await status('/items?page=1'), /hit/);
      assert.match(await status('/items?page=2'), /hit/);
      assert.equal(asked('/items'), 2, 'the upstream was asked by nobody but the warming');
    });

    it('warms what a sitemap tells', async () => {
      const shop = `${sluice.gateway}/${scene.tenant.slug}/shop`;
      const locations = [`${upstream.url}/told/1?a=1&amp;b=2`, `${shop}/told/2`, 'https://elsewhere.example/told/3'];
      const urls = locations.map((location) => `<url><loc>${location}</loc><priority>0.5</priority></url>`).join('');
      upstream.documents.set('/part.xml', `<?xml version="1.0"?><urlset>${urls}</urlset>`);
      upstream.documents.set('/sitemap.xml', `<sitemapindex><sitemap><loc>${upstream.url}/part.xml</loc></sitemap></sitemapindex>`);
      const begun = await warmFrom([{ from: 'sitemap', url: `${upstream.url}/sitemap.xml` }]);
      assert.deepEqual([begun.urls, begun.left_out], [2, { other_host: 1 }]);
      const done = await once('it is done', ({ id, state }) => id === begun.id && state === 'done');
      assert.equal(done.gateways[0].report.stored, 2, JSON.stringify(done));
      assert.match(await status('/told/1?a=1&b=2'), /hit/);
      assert.match(await status('/told/2'), /hit/);
      assert.equal(asked('/told/'), 2, 'the upstream was asked by nobody but the warming');
    });

    it('carries a plan out after a release', async () => {
      const path = `${base()}/environments/${scene.environment.id}/warming-plan`;
      const { headers } = await scene.admin.request('GET', path);
      const plan = { sources: [{ from: 'list', paths: ['/planned'] }], on_release: true };
      const saved = await scene.admin.request('PUT', path, { etag: headers.get('etag'), body: plan });
      assert.equal(saved.status, 200, JSON.stringify(saved.body));
      const again = { environment: scene.environment.id, revision: 1 };
      await scene.admin.post(`${base()}/releases`, again);
      await once('the plan was carried out', ({ cause, state }) => cause === 'release' && state === 'done');
      assert.match(await status('/planned'), /hit/);
      assert.equal(asked('/planned'), 1);
    });

    it('ends when it is cancelled', async () => {
      const begun = await warm(Array.from({ length: 150 }, (_, number) => `/slowly/${number}/slow`));
      await once('the first are stored', ({ gateways }) => gateways[0].report.stored > 0);
      await scene.admin.post(`${base()}/warmings/${begun.id}/cancel`, {});
      const ended = await once('it has ended', ({ ended_at: at }) => at);
      assert.equal(ended.state, 'cancelled');
      assert.ok(ended.gateways[0].report.stored < 150, JSON.stringify(ended));
      assert.equal(ended.gateways[0].report.failed, 0, 'what was not begun has not failed');
    });
  });
}
