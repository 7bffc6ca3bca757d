// The databases that the end-to-end tests run on: SQLite in the data folder, and a fresh Postgres database.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { postgres, python } from './places.mjs';

const run = promisify(execFile);
let made = 0;

/** The kinds of database that this run can test on. */
export const databases = postgres ? ['sqlite', 'postgres'] : ['sqlite'];

/**
 * What `sluice` needs in its environment for a fresh database of this kind, how to remove it, and how to run statements in it
 * while no `sluice` does. `folder` is the data folder of the control plane, where SQLite's file is.
 */
export async function freshDatabase(kind, folder) {
  if (kind === 'sqlite') {
    const execute = (script) => run(python, ['-c', SQLITE, join(folder, 'sluice.db'), script]);
    return { environment: {}, execute, binary: (hex) => `x'${hex}'`, remove: async () => {} };
  }
  made += 1;
  const name = `sluice_e2e_${process.pid}_${made}`;
  await sql(`CREATE DATABASE ${name}`);
  const url = new URL(postgres);
  url.pathname = `/${name}`;
  return {
    environment: { DATABASE_URL: url.href },
    execute: (script) => sql(script, url.href),
    binary: (hex) => `'\\x${hex}'::bytea`,
    remove: () => sql(`DROP DATABASE ${name} WITH (FORCE)`),
  };
}

/** Runs a script in the file of a database, whole or not at all. */
const SQLITE = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    for statement in sys.argv[2].split(';'):
        database.execute(statement)
`;

async function sql(statement, database = postgres) {
  await run('psql', ['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', database, '--command', statement]);
}
