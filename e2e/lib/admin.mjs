// The admin API as a program uses it: JSON in and out, the cookie kept, `If-Match` where it is given.

import assert from 'node:assert/strict';

/** One signed-in caller of the admin API. */
export class Admin {
  #cookies = new Map();

  /** `origin`: scheme, host and port of the control plane. */
  constructor(origin) {
    this.origin = origin;
  }

  /** Sends one request; gives `{ status, headers, body }` and never throws for a status. */
  async request(method, path, { body, etag, headers = {} } = {}) {
    const sent = { 'x-sluice-csrf': '1', origin: this.origin, ...headers };
    if (this.#cookies.size > 0) sent.cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    if (body !== undefined) sent['content-type'] = 'application/json';
    if (etag) sent['if-match'] = etag;
    const response = await fetch(`${this.origin}/api/v1${path}`, { method, headers: sent, body: JSON.stringify(body) });
    this.#keepCookies(response);
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  /** As `request`, for one that has to succeed; gives the body. */
  async call(method, path, options) {
    const { status, body } = await this.request(method, path, options);
    assert.ok(status >= 200 && status < 300, `${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  get(path) {
    return this.call('GET', path);
  }

  post(path, body, options = {}) {
    return this.call('POST', path, { ...options, body });
  }

  /** Reads, changes and writes back one resource under its `ETag`. */
  async edit(path, change) {
    const current = await this.request('GET', path);
    assert.equal(current.status, 200, `GET ${path}: ${JSON.stringify(current.body)}`);
    return this.call('PUT', path, { etag: current.headers.get('etag'), body: change(current.body) });
  }

  signIn(email, password) {
    return this.post('/session', { email, password });
  }

  #keepCookies(response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
      if (value === '' || /max-age=0/i.test(line)) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
  }
}
