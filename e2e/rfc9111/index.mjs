// The requirements of RFC 9111 on a cache, in its order: what the suite checks and what docs/caching.md lists.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { fields } from './fields.mjs';
import { reusing } from './reusing.mjs';
import { storing } from './storing.mjs';
import { validating } from './validating.mjs';

/** `{ section, level, says }` each, with `tests` (name to function of `given`) or `because`: why it does not apply. */
export const requirements = [...storing, ...reusing, ...validating, ...fields];

const DOC = fileURLToPath(new URL('../../docs/caching.md', import.meta.url));
const [BEGIN, END] = ['<!-- requirements: made by `node e2e/rfc9111/index.mjs` -->', '<!-- end of requirements -->'];

/** The table of requirements in Markdown. */
function table() {
  const cell = (text) => text.replaceAll('|', '\\|');
  const rows = requirements.map(({ section, level, says, tests, because }) => {
    const how = tests ? Object.keys(tests).join('; ') : `not tested: ${because}`;
    return `| ${section} | ${level} | ${cell(says)} | ${cell(how)} |`;
  });
  return ['| § | Level | What | Checked by |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** What docs/caching.md says, and what it should say. */
export function documented() {
  const text = readFileSync(DOC, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < 0) throw new Error(`${DOC} has no place for the table`);
  const wanted = `${text.slice(0, begin)}${BEGIN}\n\n${table()}\n\n${text.slice(end)}`;
  return { text, wanted };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(DOC, documented().wanted);
