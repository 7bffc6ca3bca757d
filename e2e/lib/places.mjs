// Where the harness finds the binaries under test and keeps what a person may want to look at afterwards.

import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const e2e = dirname(dirname(fileURLToPath(import.meta.url)));
const repository = dirname(e2e);

/** Folder of `sluice` and `sluice-gateway`, as `cargo build` leaves them. */
export const binaries = resolve(process.env.SLUICE_BINARIES ?? join(repository, 'target', 'debug'));

/** The Python that has httpbin and gunicorn. */
export const python = process.env.SLUICE_PYTHON ?? join(repository, 'target', 'tools', 'python', 'bin', 'python');

/** URL of a Postgres superuser; undefined when the run has no Postgres. */
export const postgres = process.env.SLUICE_TEST_POSTGRES;

/** Address of the built console's files. */
export const consoleFiles = join(repository, 'target', 'console');

/** Path of a file that is kept after the run (not committed). */
export function artifact(...parts) {
  const path = join(e2e, 'artifacts', ...parts);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
