// An upstream that answers everything at once and remembers what it was asked, for tests of routing.

import { createServer } from 'node:http';

/**
 * Starts it; `requests` holds `METHOD path` of everything that arrived, as it arrived. Answers say its `name` and
 * what reached it, and have the given `headers` too; those of a path in `documents` (a `Map`) are that text, and
 * `/slow` takes two seconds.
 */
export async function startUpstream({ name = 'upstream', headers: sent = {} } = {}) {
  const requests = [];
  const documents = new Map();
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    requests.push(`${method} ${url}`);
    request.resume();
    const answer = () => {
      response.writeHead(200, { 'content-type': 'application/json', ...sent });
      response.end(documents.get(url) ?? JSON.stringify({ ok: true, name, method, url, headers }));
    };
    request.on('end', () => (url.endsWith('/slow') ? setTimeout(answer, 2_000).unref() : answer()));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    documents,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
