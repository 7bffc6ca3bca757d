// How long a release and a purge take until the last of ten gateways has acknowledged them, over TLS, on each database:
//
//   node e2e/benchmarks/fleet.mjs [rounds]
//
// With SLUICE_BINARIES (debug binaries otherwise) and SLUICE_TEST_POSTGRES, as the end-to-end tests. Times are those that
// the control plane keeps: from the moment of the change to the last acknowledgement, commit included.

import { databases } from '../lib/databases.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { release } from '../lib/publishing.mjs';
import { eventually } from '../lib/wait.mjs';

const GATEWAYS = 10;
const TARGET_MS = { release: 250, purge: 100 };
const rounds = Number(process.argv[2] ?? 100);

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];

/** Makes one change and gives the milliseconds until the last gateway had it. */
async function lastAcknowledged(admin, path, body) {
  const made = await admin.post(path, body);
  const done = await eventually('every gateway has it', async () => {
    const now = await admin.get(`${path}/${made.id}`);
    return now.progress.state === 'done' && now.progress.gateways.length === GATEWAYS && now;
  }, 30_000);
  return Math.max(...done.progress.gateways.map((gateway) => gateway.took_ms));
}

async function measure(what, change) {
  const times = [];
  for (let round = 0; round < rounds; round += 1) times.push(await change(round));
  times.sort((a, b) => a - b);
  return { what, rounds, p50_ms: quantile(times, 0.5), p99_ms: quantile(times, 0.99), max_ms: times.at(-1), target_ms: TARGET_MS[what] };
}

async function onDatabase(database) {
  const fleet = await startFleet({ database });
  try {
    const { admin, base, environment } = fleet.scene;
    for (let n = 0; n < GATEWAYS; n += 1) await fleet.addGateway({ name: `gateway-${n}` });
    const draft = (id) => ({
      routes: [{ id, methods: ['GET'], path: `/${id}` }],
      upstreams: [{ name: 'origin', targets: [{ url: 'http://127.0.0.1:9' }] }],
    });
    const api = await admin.post(`${base}/apis`, { slug: 'bench', name: 'Bench', draft: draft('one') });
    await release(fleet.scene, api.id);
    await admin.edit(`${base}/apis/${api.id}`, ({ name, description, team = null, listed }) =>
      ({ name, description, team, listed, draft: draft('two') }));
    await release(fleet.scene, api.id);
    return [
      await measure('release', (round) =>
        lastAcknowledged(admin, `${base}/apis/${api.id}/releases`, { environment: environment.id, revision: 1 + (round % 2) })),
      await measure('purge', () =>
        lastAcknowledged(admin, `${base}/purges`, { environment: environment.id, scope: { by: 'api', api: api.id } })),
    ].map((row) => ({ database, ...row }));
  } finally {
    await fleet.stop();
  }
}

const rows = [];
for (const database of databases) rows.push(...await onDatabase(database));
console.table(rows);
