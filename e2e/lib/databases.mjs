// The databases that the end-to-end tests run on: SQLite in the data folder, and a fresh Postgres database.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { postgres } from './places.mjs';

const run = promisify(execFile);
let made = 0;

/** The kinds of database that this run can test on. */
export const databases = postgres ? ['sqlite', 'postgres'] : ['sqlite'];

/** What `sluice` needs in its environment for a fresh database of this kind, and how to remove it. */
export async function freshDatabase(kind) {
  if (kind === 'sqlite') return { environment: {}, remove: async () => {} };
  made += 1;
  const name = `sluice_e2e_${process.pid}_${made}`;
  await sql(`CREATE DATABASE ${name}`);
  const url = new URL(postgres);
  url.pathname = `/${name}`;
  return { environment: { DATABASE_URL: url.href }, remove: () => sql(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function sql(statement) {
  await run('psql', ['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', postgres, '--command', statement]);
}
