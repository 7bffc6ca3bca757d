// Bad input, and the one clear answer that each gets.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';

import { addPerson, call, callUntil, publish, setUp } from '../lib/publishing.mjs';
import { exchange, pour } from '../lib/raw.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const MEGABYTE = 1 << 20;

describe('bad input', { timeout: 240_000 }, () => {
  let sluice;
  let scene;
  let upstream;
  let base;

  before(async () => {
    upstream = await startUpstream();
    sluice = await startSluice();
    scene = await setUp(sluice);
    base = scene.base;
    const routes = [{ id: 'everything', methods: [], path: '/{*rest}' }];
    const upstreams = [{ name: 'origin', targets: [{ url: upstream.url }] }];
    await publish(scene, { slug: 'open', draft: { access: 'public', routes, upstreams } });
  });
  after(async () => {
    await sluice?.stop();
    await upstream?.stop();
  });

  describe('to the admin API', () => {
    const preview = (text) => scene.admin.request('POST', `${base}/imports/preview`, { body: { source: { text } } });

    it('refuses a document of 50 MB with 413 and hardly any memory', async (t) => {
      const { pid } = sluice.program;
      const peak = async () => Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
      const resident = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
      await writeFile(`/proc/${pid}/clear_refs`, '5'); // proc(5): resets the peak
      const earlier = await resident();
      const { status, body } = await preview('x'.repeat(50 * MEGABYTE));
      assert.equal(status, 413);
      assert.equal(body.code, 'document_too_large');
      const grown = (await peak()) - earlier;
      t.diagnostic(`peak grew by ${(grown / MEGABYTE).toFixed(1)} MB`);
      assert.ok(grown < 64 * MEGABYTE, `${grown} bytes`);
    });

    it('names each problem of a malformed document with its JSON pointer', async () => {
      const document = { openapi: '3.1.0', info: { title: 'x', version: '1' }, paths: { 'no-slash': {}, '/a': { get: 5 } } };
      const { status, body } = await preview(JSON.stringify(document));
      assert.equal(status, 422, JSON.stringify(body));
      const pointers = body.fields.map((field) => field.pointer);
      assert.ok(pointers.some((pointer) => pointer.endsWith('/paths/no-slash')), `${pointers}`);
      assert.ok(pointers.some((pointer) => pointer.endsWith('/paths/~1a/get')), `${pointers}`);
    });

    it('refuses a loop of references and names it', async () => {
      const paths = { '/a': { $ref: '#/components/pathItems/one' } };
      const components = { pathItems: { one: { $ref: '#/components/pathItems/two' }, two: { $ref: '#/components/pathItems/one' } } };
      const { status, body } = await preview(JSON.stringify({ openapi: '3.1.0', info: { title: 'x', version: '1' }, paths, components }));
      assert.equal(status, 422, JSON.stringify(body));
      assert.match(JSON.stringify(body), /components\/pathItems\/(one|two)/);
    });

    it('refuses to release two routes that match the same request, and names both', async () => {
      const routes = [
        { id: 'byName', methods: ['GET'], path: '/things/{name}' },
        { id: 'byId', methods: ['GET'], path: '/things/{id}' },
      ];
      const upstreams = [{ name: 'origin', targets: [{ url: upstream.url }] }];
      const made = await scene.admin.request('POST', `${base}/apis`, { body: { slug: 'twins', name: 'Twins', draft: { routes, upstreams } } });
      let refusal = made;
      if (made.status === 201) {
        const api = `${base}/apis/${made.body.id}`;
        const current = await scene.admin.request('GET', api);
        refusal = await scene.admin.request('POST', `${api}/revisions`, { body: {}, etag: current.headers.get('etag') });
        if (refusal.status === 201) {
          const body = { environment: scene.environment.id, revision: refusal.body.number };
          refusal = await scene.admin.request('POST', `${api}/releases`, { body });
        }
      }
      assert.ok([409, 422].includes(refusal.status), JSON.stringify(refusal.body));
      assert.match(JSON.stringify(refusal.body), /byName/);
      assert.match(JSON.stringify(refusal.body), /byId/);
    });

    it('answers 412 to the second of two people who edit one API, and 428 to one who does not say what they saw', async () => {
      const { items } = await scene.admin.get(`${base}/apis?q=open`);
      const api = `${base}/apis/${items[0].id}`;
      const seen = await scene.admin.request('GET', api);
      const { name, team = null, listed, draft } = seen.body;
      const edit = (description, etag) =>
        scene.admin.request('PUT', api, { etag, body: { name, description, team, listed, draft } });
      assert.equal((await edit('first', seen.headers.get('etag'))).status, 200);
      const second = await edit('second', seen.headers.get('etag'));
      assert.equal(second.status, 412);
      assert.equal(second.body.code, 'stale_version');
      assert.equal((await edit('third')).status, 428);
      assert.equal((await scene.admin.get(api)).description, 'first');
    });

    it("answers 404 to an id of another tenant, and to a tenant that is not one's own", async () => {
      const other = await scene.admin.post('/tenants', { slug: 'other', name: 'Other' });
      const foreign = { ...scene, base: `/tenants/${other.id}` };
      const api = await scene.admin.post(`${foreign.base}/apis`, { slug: 'theirs', name: 'Theirs' });
      const publisher = await addPerson(scene, { name: 'Pia', email: 'pia@example.com', roles: ['publisher'] });
      assert.equal((await publisher.request('GET', `${base}/apis/${api.id}`)).status, 404);
      assert.equal((await publisher.request('GET', `${foreign.base}/apis/${api.id}`)).status, 404);
      assert.equal((await publisher.request('DELETE', `${base}/apis/${api.id}`, { etag: '"1"' })).status, 404);
    });
  });

  describe('to the gateway', () => {
    const target = () => `/${scene.tenant.slug}/open/x`;
    const head = (lines) => `${[`GET ${target()} HTTP/1.1`, 'Host: gateway', ...lines].join('\r\n')}\r\n\r\n`;
    const post = (lines) => `${[`POST ${target()} HTTP/1.1`, 'Host: gateway', ...lines].join('\r\n')}\r\n\r\n`;
    const reached = () => upstream.requests.length;

    const refused = [
      ['Content-Length with Transfer-Encoding', () => `${post(['Content-Length: 5', 'Transfer-Encoding: chunked'])}0\r\n\r\n`, 400, 'ambiguous_request'],
      ['two different Content-Lengths', () => `${post(['Content-Length: 5', 'Content-Length: 6'])}hello`, 400, 'ambiguous_request'],
      ['a folded header', () => head(['X-Folded: a', ' b']), 400, 'ambiguous_request'],
      ['a bare line feed', () => head(['X-One: a']).replaceAll('\r\n', '\n'), 400, 'ambiguous_request'],
      ['a space before a colon', () => head(['X-One : a']), 400, 'bad_request'],
      ['a version that is none', () => head([]).replace('HTTP/1.1', 'HTTP/1.9'), 400, 'bad_request'],
      ['headers of 200 KB', () => head([`X-Large: ${'x'.repeat(200_000)}`]), 431, 'headers_too_large'],
      ['a thousand headers', () => head(Array.from({ length: 1_000 }, (_, n) => `X-${n}: 1`)), 431, 'headers_too_large'],
    ];
    for (const [what, bytes, expected, code] of refused) {
      it(`refuses ${what} with a problem and closes, and nothing reaches the upstream`, async () => {
        const earlier = reached();
        const { status, closed, text } = await exchange(sluice.gateway, bytes());
        assert.equal(status, expected, text.slice(0, 200));
        assert.ok(closed, 'the connection is closed');
        assert.equal(reached(), earlier);
        const [fields, body] = text.split('\r\n\r\n');
        assert.match(fields, /^connection: close$/im);
        const problem = JSON.parse(body);
        assert.equal(problem.code, code);
        assert.equal(problem.request_id, /^x-request-id: (\S+)$/im.exec(fields)[1]);
      });
    }

    const limit = (limits) => scene.admin.edit(`/environments/${scene.environment.id}`, ({ name, settings }) => ({
      name, settings: { ...settings, limits: { ...settings.limits, ...limits } },
    }));

    it('takes heads up to the limits of the environment, and not a byte or a field more', async () => {
      const sized = (size) => head(['Connection: close', `X: ${'x'.repeat(size - head(['Connection: close', 'X: ']).length)}`]);
      const counted = (fields) => head(['Connection: close', ...Array.from({ length: fields - 2 }, () => 'X: 1')]);
      const statusOf = async (text) => (await exchange(sluice.gateway, text)).status;
      await limit({ header_bytes: 4_000, header_count: 20 });
      await eventually('the limit holds', async () => (await statusOf(counted(21))) === 431);
      assert.deepEqual([await statusOf(sized(4_000)), await statusOf(sized(4_001))], [200, 431]);
      assert.deepEqual([await statusOf(counted(20)), await statusOf(counted(21))], [200, 431]);
    });

    it('cuts a body that never ends at the limit', async () => {
      await limit({ body_bytes: MEGABYTE });
      await eventually('the limit holds', async () =>
        (await call(sluice, target(), { method: 'POST', body: 'x'.repeat(MEGABYTE + 1) })).status === 413);
      const { status, sent } = await pour(sluice.gateway, post(['Transfer-Encoding: chunked']));
      assert.equal(status, 413);
      assert.ok(sent < 64 * MEGABYTE, `${sent} bytes were taken`);
    });

    it('answers 502 with a code and the request id when an upstream does not resolve, and records it', async () => {
      const draft = {
        access: 'public',
        routes: [{ id: 'all', methods: [], path: '/' }],
        upstreams: [{ name: 'origin', targets: [{ url: 'http://does-not-exist.invalid' }] }],
      };
      const { api } = await publish(scene, { slug: 'lost', draft });
      const answer = await callUntil(sluice, `/${scene.tenant.slug}/lost/`, 502);
      const id = answer.headers.get('x-request-id');
      assert.match(answer.headers.get('content-type'), /problem\+json/);
      assert.equal(answer.body.request_id, id);
      assert.match(answer.body.code, /^[a-z_]+$/);
      const row = await eventually('the call is recorded', async () => {
        const { items } = await scene.admin.get(`${base}/calls?api=${api.id}`);
        return items.find((item) => item.request_id === id);
      });
      assert.equal(row.status, 502);
      assert.equal(row.error, answer.body.code);
    });

    it('never connects to a network that is forbidden, and says so at save', async () => {
      const draft = {
        access: 'public',
        routes: [{ id: 'all', methods: [], path: '/' }],
        upstreams: [{ name: 'origin', targets: [{ url: 'http://169.254.169.254/latest' }] }],
      };
      const made = await scene.admin.request('POST', `${base}/apis`, { body: { slug: 'metadata', name: 'Metadata', draft } });
      assert.equal(made.status, 422, JSON.stringify(made.body));
      assert.ok(made.body.fields.some((field) => field.pointer.includes('/upstreams/0/targets/0')), JSON.stringify(made.body));
    });
  });
});
