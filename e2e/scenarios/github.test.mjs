// A document as large as they come: GitHub's REST description imports, publishes, and every one of its operations
// routes to itself, whatever its parameters hold.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';

import { release, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const IMPORT_LIMIT_MS = 5_000;
// The second hides a slash; the third holds everything that a segment may without encoding.
const ONE_SEGMENT = ['alpha-1', 'b%2Fc', "d.e_f~1!$&'()*+,;=:@"];
// A parameter that is marked so spans segments.
const SEVERAL_SEGMENTS = ['alpha-1', 'b/c', 'd%2Fe/f/g'];
const AT_ONCE = 32;

/** Every operation of the document, with its path parameters and whether each spans segments. */
function operations(document) {
  const resolve = (value) => (value.$ref ? value.$ref.slice(2).split('/').reduce((at, key) => at[key], document) : value);
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([method]) => METHODS.includes(method)).map(([method, operation]) => {
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
      const several = new Set(parameters.filter((p) => p.in === 'path' && p['x-multi-segment']).map((p) => p.name));
      return { id: operation.operationId, method: method.toUpperCase(), path, several };
    }));
}

/** Three paths of an operation (one, when it has no parameters). */
function paths({ path, several }) {
  if (!path.includes('{')) return [path];
  return [0, 1, 2].map((n) => path.replace(/\{([^}]+)\}/g, (_, name) => (several.has(name) ? SEVERAL_SEGMENTS : ONE_SEGMENT)[n]));
}

describe("GitHub's REST description", { timeout: 300_000 }, () => {
  let sluice;
  let scene;
  let upstream;
  let document;
  let api;

  before(async () => {
    const file = createRequire(import.meta.url).resolve('@octokit/openapi/generated/api.github.com.json');
    document = JSON.parse(await readFile(file, 'utf8'));
    upstream = await startUpstream();
    sluice = await startSluice();
    scene = await setUp(sluice);
  });
  after(async () => {
    await sluice?.stop();
    await upstream?.stop();
  });

  it('imports in under five seconds with every operation in it', async (t) => {
    const source = { text: JSON.stringify(document) };
    const started = performance.now();
    const preview = await scene.admin.post(`${scene.base}/imports/preview`, { source });
    const took = performance.now() - started;
    t.diagnostic(`the preview of ${source.text.length} characters took ${took.toFixed(0)} ms`);
    assert.equal(preview.draft.routes.length, operations(document).length);
    assert.ok(took < IMPORT_LIMIT_MS, `${took} ms`);
    // Uploads have a server, and so an upstream, of their own.
    const upstreams = preview.draft.upstreams.map((one) => ({ ...one, targets: [{ url: upstream.url }] }));
    const draft = { ...preview.draft, access: 'public', upstreams };
    api = await scene.admin.post(`${scene.base}/apis`, { slug: 'github', name: 'GitHub', draft });
  });

  it('publishes', async () => {
    const { release: done } = await release(scene, api.id);
    assert.equal(done.progress.state, 'done');
  });

  it('routes every operation to itself, with three values for each path parameter', async (t) => {
    const wanted = new Map();
    const work = operations(document).flatMap((operation) => paths(operation).map((path) => ({ ...operation, path })));
    const base = `/${scene.tenant.slug}/github`;
    const worker = async () => {
      for (let next = work.pop(); next; next = work.pop()) {
        const response = await fetch(`${sluice.gateway}${base}${next.path}`, { method: next.method });
        const body = await response.text();
        assert.equal(response.status, 200, `${next.method} ${next.path}: ${body}`);
        wanted.set(response.headers.get('x-request-id'), next);
      }
    };
    const total = work.length;
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    t.diagnostic(`${total} calls`);
    assert.equal(wanted.size, total, 'each call has a request id of its own');

    const arrived = new Set(upstream.requests);
    const lost = [...wanted.values()].filter(({ method, path }) => !arrived.has(`${method} ${path}`));
    assert.deepEqual(lost.map(({ method, path }) => `${method} ${path}`), [], 'paths arrive as they were sent');

    const recorded = await eventually('every call is in the log', async () => {
      const routes = new Map();
      for (let after = ''; after !== undefined; ) {
        const page = await scene.admin.get(`${scene.base}/calls?limit=200${after && `&after=${encodeURIComponent(after)}`}`);
        for (const row of page.items) routes.set(row.request_id, row.route);
        after = page.next;
      }
      return routes.size >= total && routes;
    }, 60_000);
    const wrong = [...wanted].filter(([id, { id: operation }]) => recorded.get(id) !== operation);
    const explained = wrong.map(([id, { method, path, id: operation }]) => `${method} ${path}: ${recorded.get(id)}, not ${operation}`);
    assert.deepEqual(explained.slice(0, 20), [], `${wrong.length} of ${total} are recorded as another operation`);
  });
});
