// Waiting for what another process does in its own time.

import { setTimeout as sleep } from 'node:timers/promises';

/** Tries until `probe` gives something true, and gives that. What it threw last is the reason when the limit passes. */
export async function eventually(what, probe, limit = 15_000) {
  const deadline = Date.now() + limit;
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`, { cause: last });
    await sleep(100);
  }
}
