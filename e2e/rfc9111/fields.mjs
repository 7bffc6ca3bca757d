// RFC 9111 section 5: the fields, and every directive of Cache-Control.

import assert from 'node:assert/strict';

import { at, hour, oneSecond, seconds } from './stage.mjs';

const control = (value) => ({ 'cache-control': value });
const asks = control;

export const fields = [
  {
    section: '5.1', level: 'SHOULD', says: 'use the first member of an `Age` list',
    tests: { 'the first of a list counts, in one line or in several': async (given) => {
      for (const age of ['0,200', '0, 200', ['0', '200']]) await given({ ...control('max-age=100'), age }).isReused();
      for (const age of ['200,0', '200, 0', ['200', '0']]) await given({ ...control('max-age=100'), age, etag: '"1"' }).isNotReused();
    } },
  },
  {
    section: '5.1', level: 'SHOULD', says: 'ignore an invalid `Age`',
    tests: { 'what is no number is as if it were not there': async (given) => {
      for (const age of ['abc', '-200', '200.0', '200;a=b', '']) await given({ ...control('max-age=100'), age }).isReused();
    } },
  },
  {
    section: '5.2', level: 'MUST', says: 'pass directives on in both directions, understood or not',
    tests: { 'the origin sees the request\'s, the client the response\'s': async (given) => {
      const it = given(control(`${hour}, x-own="a, b"`));
      const answer = await it.get(asks('no-cache, x-other=1'));
      assert.deepEqual([it.seen[0].headers['cache-control'], answer.headers['cache-control']], ['no-cache, x-other=1', `${hour}, x-own="a, b"`]);
      assert.equal((await it.get()).headers['cache-control'], `${hour}, x-own="a, b"`);
    } },
  },
  {
    section: '5.2', level: 'MUST', says: 'take directives without regard to case, arguments as tokens and as quoted strings',
    tests: { 'case, quotes, spaces and empty list members change nothing': async (given) => {
      for (const value of ['MAX-AGE=3600', 'max-age="3600"', ' , max-age=3600 ,,', 'x="a, no-store", max-age=3600']) await given(control(value)).isReused();
      await given(control(`No-Store, ${hour}`)).isNotReused();
    } },
  },
  {
    section: '5.2', level: 'MUST', says: 'count a delta too large for the cache as the largest (§1.2.2)',
    tests: { 'a lifetime beyond all numbers is a long one': async (given) => void (await given(control('max-age=99999999999999999999')).isReused()) },
  },
  {
    section: '5.2.1.1', level: 'may', says: 'request `max-age`: nothing older',
    tests: {
      'max-age=0 validates, a larger one accepts what is young enough': async (given) => {
        await given(control(hour)).isReused({}, asks('max-age=100'));
        await given({ ...control(hour), age: '200' }).isNotReused({}, asks('max-age=100'));
        await given(control(hour)).isReused({}, {});
        await given(({ n }) => (n === 1 ? { headers: { ...control(hour), age: '5', etag: '"1"' } } : { status: 304 })).isValidated({}, asks('max-age=0'));
      },
      'what is immutable while it is fresh is not fetched anew for a reload (RFC 8246)': async (given) => {
        await given({ ...control(`${hour}, immutable`), age: '5' }).isReused({}, asks('max-age=0'));
        await given({ ...control(`${hour}, immutable`) }).isNotReused({}, asks('no-cache'));
      },
    },
  },
  {
    section: '5.2.1.2', level: 'may', says: 'request `max-stale`: so much past its time is accepted',
    tests: { 'max-stale with and without a limit': async (given) => {
      for (const [value, expected] of [['max-stale', '1'], ['max-stale=60', '1'], ['max-stale=0', '2']]) {
        const it = given(control('max-age=1'));
        await it.get();
        await oneSecond();
        assert.equal((await it.get(asks(value))).body, expected, value);
      }
    } },
  },
  {
    section: '5.2.1.3', level: 'may', says: 'request `min-fresh`: fresh for so long yet',
    tests: { 'what will be stale too soon is fetched': async (given) => {
      await given(control('max-age=100')).isReused({}, asks('min-fresh=50'));
      await given(control('max-age=100')).isNotReused({}, asks('min-fresh=200'));
    } },
  },
  {
    section: '5.2.1.4', level: 'may', says: 'request `no-cache`: not without validation',
    tests: { 'no-cache goes to the origin and refreshes the store': async (given) => {
      const it = given(control(hour));
      await it.isNotReused({}, asks('no-cache'));
      assert.equal((await it.get()).body, '2');
    } },
  },
  {
    section: '5.2.1.5', level: 'MUST NOT', says: 'request `no-store`: store nothing of it',
    tests: { 'what was asked for with no-store is not there later': async (given) => void (await given(control(hour)).isNotReused(asks('no-store'), {})) },
  },
  { section: '5.2.1.6', level: 'MUST NOT', says: '`no-transform` of a request: change the body', because: 'the gateway changes no bodies' },
  {
    section: '5.2.1.7', level: 'SHOULD', says: 'request `only-if-cached`: from the store or 504',
    tests: { 'a miss is 504 without asking the origin, a hit is a hit': async (given) => {
      const it = given(control(hour));
      assert.deepEqual([(await it.get(asks('only-if-cached'))).status, it.seen.length], [504, 0]);
      await it.get();
      assert.deepEqual([(await it.get(asks('only-if-cached'))).body, it.seen.length], ['1', 1]);
    } },
  },
  {
    section: '5.2.2.1', level: 'MUST', says: '`max-age`: stale after so many seconds',
    tests: { 'fresh before, stale after': async (given) => {
      const it = given(control('max-age=8'));
      await it.isReused();
      await seconds(8.1);
      assert.equal((await it.get()).body, '2');
    } },
  },
  {
    section: '5.2.2.2', level: 'MUST NOT', says: '`must-revalidate`: reuse stale without validation; MUST answer with an error when disconnected',
    tests: { 'stale is validated, and an origin that is gone is an error': async (given) => {
      const it = given(({ n }) => (n === 1 ? { headers: { ...control('max-age=1, must-revalidate, stale-while-revalidate=60, stale-if-error=60'), etag: '"1"' } } : n === 2 ? { status: 304 } : 'cut'));
      await it.get();
      await oneSecond();
      assert.equal((await it.get()).body, '1');
      assert.equal(it.seen[1].headers['if-none-match'], '"1"');
      await oneSecond();
      const gone = await it.get(asks('max-stale'));
      assert.ok([502, 504].includes(gone.status), String(gone.status));
    } },
  },
  {
    section: '5.2.2.3', level: 'SHOULD', says: '`must-understand`: ignore `no-store` when the status is understood, not store when it is not',
    tests: { 'it stands above no-store for a 200 and not for a 299': async (given) => {
      await given(control(`must-understand, no-store, ${hour}`)).isReused();
      await given(() => ({ status: 299, headers: control(`must-understand, no-store, ${hour}`) })).isNotReused();
    } },
  },
  {
    section: '5.2.2.4', level: 'MUST NOT', says: '`no-cache`: use without successful validation; with field names, use these fields',
    tests: { 'each use is validated, and a failed validation is no use; where fields are named, it is used without them': async (given) => {
      const again = await given({ ...control(`no-cache="set-cookie", ${hour}`), 'set-cookie': 'a=1' }).isReused();
      assert.equal(again.headers['set-cookie'], undefined);
      // A response means nothing without these fields, or none are named.
      for (const value of [`no-cache, ${hour}`, `no-cache="", ${hour}`, `no-cache="content-type", ${hour}`]) {
        const it = given(({ n }) => (n === 1 ? { headers: { ...control(value), etag: '"1"' } } : n === 2 ? { status: 304 } : 'cut'));
        await it.get();
        assert.equal((await it.get()).body, '1');
        assert.equal((await it.get()).status, 502);
      }
    } },
  },
  {
    section: '5.2.2.5', level: 'MUST NOT', says: '`no-store`: store any part',
    tests: { 'a 304 that says no-store does not change what is stored': async (given) => {
      const it = given(({ n }) => (n === 1 ? { headers: { ...control('max-age=0'), etag: '"1"' } } : { status: 304, headers: { ...control('no-store'), 'x-secret': '1' } }));
      await it.get();
      await it.get();
      await it.get();
      assert.equal(it.seen.length, 3);
      assert.equal((await it.get(asks('only-if-cached, max-stale'))).headers['x-secret'], undefined);
    } },
  },
  { section: '5.2.2.6', level: 'MUST NOT', says: '`no-transform`: change the body', because: 'the gateway changes no bodies' },
  {
    section: '5.2.2.7', level: 'MUST NOT', says: '`private`: store in a shared cache; with field names, store these fields',
    tests: { 'private stands above s-maxage and public, and with field names these are not stored': async (given) => {
      await given(control('private, s-maxage=3600')).isNotReused();
      const again = await given({ ...control('private="set-cookie", s-maxage=3600'), 'set-cookie': 'a=1' }).isReused();
      assert.equal(again.headers['set-cookie'], undefined);
    } },
  },
  {
    section: '5.2.2.8', level: 'MUST NOT', says: '`proxy-revalidate`: reuse stale without validation in a shared cache',
    tests: { 'stale is fetched even where max-stale accepts it': async (given) => {
      const it = given(control('max-age=1, proxy-revalidate'));
      await it.get();
      await oneSecond();
      assert.equal((await it.get(asks('max-stale'))).body, '2');
    } },
  },
  {
    section: '5.2.2.9', level: 'may', says: '`public`: share what was asked for with credentials, guess about any status',
    tests: { 'public shares between callers': async (given) => {
      await given(control(`public, ${hour}`)).isReused({ authorization: 'a' }, { authorization: 'b' });
      await given(control(hour)).isNotReused({ authorization: 'a' }, { authorization: 'b' });
    } },
  },
  {
    section: '5.2.2.10', level: 'MUST NOT', says: '`s-maxage`: stand above `max-age` and `Expires`, and reuse stale without validation',
    tests: { 'it overrides, shares, and forbids stale': async (given) => {
      const it = given({ ...control('s-maxage=1, max-age=3600'), expires: at(3600) });
      await it.get({ authorization: 'a' });
      await oneSecond();
      assert.equal((await it.get({ 'cache-control': 'max-stale', authorization: 'b' })).body, '2');
    } },
  },
  {
    section: '5.2.3', level: 'MUST', says: 'ignore directives that are not known',
    tests: { 'an unknown directive changes nothing, whatever its argument': async (given) => {
      await given(control(`foo, bar=1, baz="no-store, private", ${hour}`)).isReused();
      await given(control('foo=3600, max-agent=3600')).isNotReused();
    } },
  },
  {
    section: '5.3', level: 'MUST', says: 'ignore `Expires` where `max-age` or `s-maxage` is there, and count an invalid date as past',
    tests: { 'zero, words and broken dates have expired': async (given) => {
      for (const expires of ['0', '-1', 'soon', at(3600).replace('GMT', ''), at(3600).slice(5)]) await given({ expires }).isNotReused();
      await given({ ...control(hour), expires: 'soon' }).isReused();
    } },
  },
  {
    section: '5.3', level: 'MUST', says: 'reckon `Expires` from `Date`, and from the arrival where there is none',
    tests: { 'with and without Date': async (given) => {
      await given(() => ({ headers: { expires: at(3600) }, date: false })).isReused();
      await given(() => ({ headers: { expires: at(-10), date: at(-3600) }, date: false })).isNotReused();
    } },
  },
  {
    section: '5.4', level: 'MUST', says: 'take `Pragma: no-cache` of a request for `no-cache` where there is no `Cache-Control`; in a response it means nothing',
    tests: { 'Pragma counts in requests without Cache-Control only': async (given) => {
      await given(control(hour)).isNotReused({}, { pragma: 'no-cache' });
      await given(control(hour)).isReused({}, { pragma: 'no-cache', 'cache-control': 'max-age=100' });
      await given({ ...control(hour), pragma: 'no-cache' }).isReused();
    } },
  },
  {
    section: '5.5', level: 'obsolete', says: '`Warning` is not made, and passed on as it is',
    tests: { 'a stale answer has no Warning of the gateway': async (given) => {
      const it = given(({ n }) => (n === 1 ? { headers: control('max-age=1') } : 'cut'));
      await it.get();
      await oneSecond();
      const stale = await it.get();
      assert.deepEqual([stale.body, stale.headers.warning], ['1', undefined]);
    } },
  },
];
