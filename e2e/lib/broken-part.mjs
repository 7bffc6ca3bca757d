// A part that compiles nowhere, as a newer control plane could release it to older gateways. No admin API makes one: a release
// checks what it releases. So it is written into the database, in the place where a release writes.

import { createHash } from 'node:crypto';

/** Releases the API that was released last again, as a part of a shape that no gateway knows. Not while a control plane runs. */
export async function releaseBrokenPart({ execute, binary }) {
  const part = Buffer.from('{"schema":99}');
  const hash = createHash('sha256').update(part).digest('hex');
  const before = `(SELECT part_hash FROM journal_entries WHERE part_hash <> '${hash}' ORDER BY position DESC LIMIT 1)`;
  const environment = `(SELECT environment_id FROM journal_entries WHERE part_hash = ${before} LIMIT 1)`;
  const head = `(SELECT head FROM journal_counters WHERE environment_id = ${environment})`;
  await execute([
    `INSERT INTO parts (hash, bytes, created_at)
      SELECT '${hash}', ${binary(part.toString('hex'))}, created_at FROM parts WHERE hash = ${before}`,
    `UPDATE journal_counters SET head = head + 1 WHERE environment_id = ${environment}`,
    `INSERT INTO journal_entries (environment_id, position, at, kind, change, part_hash)
      SELECT environment_id, ${head}, at, kind, replace(change, part_hash, '${hash}'), '${hash}'
      FROM journal_entries WHERE part_hash = ${before} ORDER BY position DESC LIMIT 1`,
    `UPDATE journal_state SET position = ${head}, change = replace(change, part_hash, '${hash}'), part_hash = '${hash}'
      WHERE part_hash = ${before}`,
  ].join(';'));
}
