// An upstream that answers everything at once and remembers what it was asked, for tests of routing.

import { createServer } from 'node:http';

/** Starts it; `requests` holds `METHOD path` of everything that arrived, as it arrived; answers have these `headers` too. */
export async function startUpstream({ headers = {} } = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.end('{"ok":true}');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
