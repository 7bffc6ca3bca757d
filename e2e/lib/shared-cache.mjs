// What the scenarios of gateways that share cached responses have in common.

import { request } from 'node:http';

/** A call that names the same host to every gateway, as clients do who are sent to one of many; `fetch` names the address. */
export function ask(gateway, path, key, method = 'GET') {
  return new Promise((resolve, reject) => {
    const sent = request(`${gateway.gateway}${path}`, { method, headers: { host: 'api.example', 'x-api-key': key } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => { text += part; });
      answer.on('end', () => resolve({ status: answer.statusCode, cache: answer.headers['cache-status'], text }));
      answer.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** The figures of a gateway's cache, by name and label. */
export async function figures(gateway) {
  const text = await (await fetch(`${gateway.status}/metrics`)).text();
  return (name) => Number(text.split('\n').find((line) => line.startsWith(`sluice_cache_${name} `))?.split(' ')[1]);
}
