// How soon a call shows in the console's live tail, and how smooth the page stays, at 200 calls a second:
//
//   node e2e/benchmarks/tail.mjs [seconds] [calls a second]
//
// With SLUICE_BINARIES (debug binaries otherwise) and SLUICE_TEST_POSTGRES, as the end-to-end tests. A call's time is from
// its answer to its row in the page of a real Chromium. A frame is what the browser itself reports as a long animation
// frame (50 ms and more); the gap is the longest time between two frames.

import { launch } from '../lib/browser.mjs';
import { signedIn } from '../lib/console.mjs';
import { databases } from '../lib/databases.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { publish } from '../lib/publishing.mjs';
import { startUpstream } from '../lib/upstream.mjs';
import { eventually } from '../lib/wait.mjs';

const seconds = Number(process.argv[2] ?? 30);
const rate = Number(process.argv[3] ?? 200);

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
const rest = (time) => new Promise((resolve) => { setTimeout(resolve, time); });

/** Notes in the page when each row appears, and every frame. */
function watch() {
  const watched = { rows: [], gap: 0, long: [] };
  const seen = new Set();
  let last = performance.now();
  const frame = (now) => {
    watched.gap = Math.max(watched.gap, now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => watched.long.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: 'long-animation-frame' });
  new MutationObserver((changes) => {
    const now = Date.now();
    for (const change of changes) {
      for (const row of change.addedNodes) {
        const path = row.querySelector?.('.call-path')?.textContent;
        const number = path && Number(path.split('/').at(-1));
        // Rows that move are added again.
        if (!path || seen.has(number)) continue;
        seen.add(number);
        watched.rows.push([number, now]);
      }
    }
  }).observe(document.querySelector('table[aria-label="Live calls"] tbody'), { childList: true });
  window.watched = watched;
}

/** Offers calls at the rate, each to a path of its own; gives when each was answered. */
async function load(gateway) {
  const answered = new Map();
  const calls = [];
  const begun = performance.now();
  for (let n = 0; n < seconds * rate; n += 1) {
    await rest(begun + (n * 1000) / rate - performance.now());
    calls.push(fetch(`${gateway}/acme/bench/items/${n}`).then(async (response) => {
      await response.text();
      if (response.status === 200) answered.set(n, Date.now());
    }));
  }
  await Promise.all(calls);
  return answered;
}

async function onDatabase(database, browser) {
  const [fleet, upstream] = await Promise.all([startFleet({ database }), startUpstream()]);
  try {
    const { gateway } = await fleet.addGateway({ name: 'gateway' });
    const draft = {
      access: 'public',
      routes: [{ id: 'item', methods: ['GET'], path: '/items/{id}' }],
      upstreams: [{ name: 'origin', targets: [{ url: upstream.url }] }],
    };
    await publish(fleet.scene, { slug: 'bench', name: 'Bench', draft });
    const ada = await signedIn(browser, fleet, { name: 'Ada', email: 'ada@example.com' });
    await ada.open('/calls?tail=1');
    await ada.page.getByText('Live', { exact: true }).waitFor();
    await ada.page.evaluate(watch);
    const answered = await load(gateway);
    // What is left out of a flood is never shown: the last row says that all have come.
    const last = Math.max(...answered.keys());
    await eventually('the last call shows', () =>
      ada.page.evaluate((number) => window.watched.rows.some(([shown]) => shown === number), last));
    const { rows, gap, long } = await ada.page.evaluate(() => window.watched);
    const times = rows.map(([n, shown]) => shown - answered.get(n)).sort((a, b) => a - b);
    return {
      database,
      calls: answered.size,
      shown: times.length,
      p50_ms: quantile(times, 0.5),
      p99_ms: quantile(times, 0.99),
      max_ms: times.at(-1),
      long_frames: long.length,
      longest_frame_ms: Math.round(Math.max(0, ...long)),
      longest_gap_ms: Math.round(gap),
    };
  } finally {
    await Promise.all([fleet.stop(), upstream.stop()]);
  }
}

const browser = await launch();
try {
  const measured = [];
  for (const database of databases) measured.push(await onDatabase(database, browser));
  console.table(measured);
} finally {
  await browser.close();
}
