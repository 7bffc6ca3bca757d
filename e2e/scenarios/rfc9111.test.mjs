// RFC 9111, requirement by requirement: a real origin behind a real gateway. The rows are in e2e/rfc9111/, and docs/caching.md
// lists them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { documented, requirements } from '../rfc9111/index.mjs';
import { startStage } from '../rfc9111/stage.mjs';

describe('RFC 9111', { concurrency: 64, timeout: 120_000 }, () => {
  let stage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage?.stop());

  for (const { section, tests = {} } of requirements) {
    for (const [name, run] of Object.entries(tests)) it(`§${section}: ${name}`, () => run((...about) => stage.given(...about)));
  }
});

describe('the table of RFC 9111 in the documentation', () => {
  it('is what the suite checks', () => {
    const { text, wanted } = documented();
    assert.equal(text, wanted, 'docs/caching.md differs: run `node e2e/rfc9111/index.mjs`');
  });

  it('has a test or a reason for each requirement, and no name twice', () => {
    const names = requirements.flatMap(({ tests = {} }) => Object.keys(tests));
    assert.equal(new Set(names).size, names.length);
    for (const { says, tests, because } of requirements) assert.ok(Boolean(tests) !== Boolean(because), says);
  });
});
