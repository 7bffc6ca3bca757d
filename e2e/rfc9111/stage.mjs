// What the cases of the conformance suite play on: an origin that each case programs for itself, behind a real gateway.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Agent, createServer, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { publish, setUp } from '../lib/publishing.mjs';
import { startSluice } from '../lib/sluice.mjs';

/** The APIs of the suite, and the settings of their cache policies. */
const APIS = { plain: {}, guessing: { heuristic: true }, open: { shared: true, confirmed: ['shared'] } };

export const hour = 'max-age=3600';

/** Starts the origin and the gateway. `given` makes a resource for one case. */
export async function startStage() {
  const resources = new Map();
  const origin = createServer((asked, response) => {
    const chunks = [];
    asked.on('data', (chunk) => chunks.push(chunk));
    asked.on('end', () => resources.get(new URL(asked.url, 'http://x').pathname.split('/')[1])?.answer(asked, Buffer.concat(chunks), response));
  });
  await new Promise((resolve) => origin.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${origin.address().port}`;
  const sluice = await startSluice();
  const scene = await setUp(sluice);
  for (const [slug, settings] of Object.entries(APIS)) {
    await publish(scene, {
      slug,
      draft: {
        access: 'public',
        routes: [{ id: 'all', methods: [], path: '/{*all}' }],
        upstreams: [{ name: 'origin', targets: [{ url }] }],
        policies: [{ type: 'cache', enabled: true, settings }],
      },
    });
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  return {
    given: (answer, { api = 'plain' } = {}) => {
      const id = randomUUID();
      const resource = new Resource({ says: answer, agent, gateway: sluice.gateway, origin: url, base: `/${scene.tenant.slug}/${api}/${id}` });
      resources.set(id, resource);
      return resource;
    },
    stop: async () => {
      agent.destroy();
      await sluice.stop();
      origin.close();
      origin.closeAllConnections();
    },
  };
}

/**
 * Something that the origin has. `answer` gives the fields of its responses, or a function from what was asked
 * (`{ n, method, headers, path }`, `n` counts from 1) to `{ status, headers, body, trailers, date, early }`; `'cut'` drops the
 * connection, and `cut: true` in an answer drops it after half of the body. The body is the count unless it says another.
 * `early` are the fields of a 103 that comes before.
 */
class Resource {
  constructor(fields) {
    Object.assign(this, fields);
    /** What reached the origin. */
    this.seen = [];
  }

  answer(asked, sent, response) {
    const { method, headers, url: path } = asked;
    const n = this.seen.push({ method, headers, path, body: String(sent) });
    const given = typeof this.says === 'function' ? this.says({ n, method, headers, path }) : { headers: this.says };
    if (given === 'cut') return asked.socket.destroy();
    const { status = 200, headers: fields = {}, body = String(n), trailers, date = true, early, cut = false } = given;
    if (early) response.writeEarlyHints(early);
    response.sendDate = date;
    response.writeHead(status, { 'x-count': String(n), ...(cut ? { 'content-length': body.length * 2 } : {}), ...fields });
    if (cut) return response.write(body, () => setTimeout(() => asked.socket.destroy(), 20));
    if (trailers) response.addTrailers(trailers);
    return response.end(method === 'HEAD' || status === 304 || status === 204 ? undefined : body);
  }

  /** One request through the gateway; `status` is null when the response broke off. */
  send(method, headers = {}, { body, path = '' } = {}) {
    const { hostname, port } = new URL(this.gateway);
    return new Promise((resolve, reject) => {
      const call = request({ agent: this.agent, hostname, port, method, path: this.base + path, headers: { ...headers, ...(body ? { 'content-length': Buffer.byteLength(body) } : {}) } });
      const early = [];
      call.on('information', ({ statusCode, headers: fields }) => early.push({ status: statusCode, headers: fields }));
      call.on('response', (response) => {
        const chunks = [];
        const finish = (whole) => {
          const { statusCode, headers: fields, trailers } = response;
          resolve({ status: whole ? statusCode : null, headers: fields, trailers, early, body: String(Buffer.concat(chunks)), did: fields['cache-status'] ?? '' });
        };
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => finish(response.complete));
        response.on('error', () => finish(false));
      });
      call.on('error', (error) => (error.code === 'ECONNRESET' ? resolve({ status: null, headers: {}, body: '', did: '' }) : reject(error)));
      call.end(body);
    });
  }

  get(headers, more) {
    return this.send('GET', headers, more);
  }

  /** Two requests; the second is answered from the store. Gives the second answer. */
  async isReused(first = {}, second = first) {
    const one = await this.get(first);
    const two = await this.get(second);
    assert.equal(this.seen.length, 1, `asked again: ${two.did}`);
    assert.match(two.did, /sluice; hit/);
    assert.equal(two.body, one.body);
    return two;
  }

  /** A request that fills the store, then one with these fields that is answered from it. Gives the second answer. */
  isReusedAs(fields) {
    return this.get().then(() => this.get(fields)).then((answer) => {
      assert.equal(this.seen.length, 1, `asked again: ${answer.did}`);
      return answer;
    });
  }

  /** Two requests; both reach the origin, and the second without a condition of the cache. Gives the second answer. */
  async isNotReused(first = {}, second = first) {
    await this.get(first);
    const two = await this.get(second);
    assert.equal(this.seen.length, 2, `answered from the store: ${two.did}`);
    return two;
  }

  /** Two requests; the second makes the cache ask the origin whether its stored response still holds. */
  async isValidated(first = {}, second = first) {
    const two = await this.isNotReused(first, second);
    const { headers } = this.seen[1];
    assert.ok(headers['if-none-match'] ?? headers['if-modified-since'], 'no condition reached the origin');
    return two;
  }
}

/** Until a response with `max-age=1` is stale, however its Date was rounded. */
export const oneSecond = () => sleep(1_300);
export const seconds = (count) => sleep(count * 1_000);

/** An HTTP date so many seconds from now. */
export const at = (offset) => new Date(Date.now() + offset * 1_000).toUTCString();
