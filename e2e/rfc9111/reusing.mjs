// RFC 9111 sections 4 to 4.2: which stored response answers a request, and how old it may be.

import assert from 'node:assert/strict';

import { at, hour, oneSecond, seconds } from './stage.mjs';

const control = (value) => ({ 'cache-control': value });
const named = (value) => ({ ...control(hour), vary: value });

export const reusing = [
  {
    section: '4', level: 'MUST NOT', says: 'use a stored response for another URI or a method that it does not allow',
    tests: { 'another path, query or host is another response; HEAD is answered from GET': async (given) => {
      const it = given(control(hour));
      await it.get({}, { path: '/a?x=1' });
      for (const path of ['/a', '/a?x=2', '/b?x=1', '/a?X=1']) assert.notEqual((await it.get({}, { path })).body, '1', path);
      const head = await it.send('HEAD', {}, { path: '/a?x=1' });
      assert.deepEqual([head.status, head.body, head.headers['x-count']], [200, '', '1']);
    } },
  },
  {
    section: '4', level: 'MUST NOT', says: 'use what `no-cache` marks without validation',
    tests: { 'no-cache in the response is validated each time, fresh or not': async (given) => void (await given(({ n }) => (n === 1 ? { headers: { ...control(`${hour}, no-cache`), etag: '"1"' } } : { status: 304 })).isValidated()) },
  },
  {
    section: '4', level: 'MUST NOT', says: 'use what is neither fresh, nor allowed stale, nor validated',
    tests: { 'a stale response is fetched anew': async (given) => {
      const it = given(control('max-age=1'));
      await it.get();
      await oneSecond();
      assert.equal((await it.get()).body, '2');
    } },
  },
  {
    section: '4', level: 'MUST', says: 'send `Age` with what is used without validation, in place of the one received',
    tests: { 'Age is the age now, not the one that arrived': async (given) => {
      const it = given({ ...control(hour), age: '100' });
      await it.get();
      await seconds(1.1);
      const { headers } = await it.get();
      assert.ok(Number(headers.age) >= 101 && Number(headers.age) <= 160, headers.age);
    } },
  },
  {
    section: '4', level: 'MUST', says: 'write requests with unsafe methods through to the origin',
    tests: { 'each PUT, POST, PATCH, DELETE and LOCK reaches the origin with its body': async (given) => {
      const it = given(control(hour));
      await it.get();
      for (const method of ['PUT', 'POST', 'PATCH', 'DELETE', 'LOCK']) await it.send(method, {}, { body: method });
      assert.deepEqual(it.seen.slice(1).map(({ method, body }) => `${method} ${body}`), ['PUT PUT', 'POST POST', 'PATCH PATCH', 'DELETE DELETE', 'LOCK LOCK']);
    } },
  },
  {
    section: '4', level: 'MUST', says: 'use the most recent of several suitable responses, by `Date`',
    tests: { 'the response that was made last answers, whatever order they came in': async (given) => {
      const it = given(({ n }) => ({ headers: n === 1 ? { ...named('x-a'), date: at(-5) } : { ...named('x-b'), date: at(-60) }, date: false }));
      await it.get({ 'x-a': '1' });
      await it.get({ 'x-a': '2', 'x-b': '1' });
      assert.equal((await it.get({ 'x-a': '1', 'x-b': '1' })).body, '1');
    } },
  },
  { section: '4', level: 'MUST NOT', says: 'use stored responses without validation when there is no clock', because: 'a gateway has a clock' },
  {
    section: '4.1', level: 'MUST NOT', says: 'use a response when a field that `Vary` names differs from the original request',
    tests: {
      'each value of a named field has its own response': async (given) => {
        const it = given(named('accept-language, X-Tier'));
        await it.get({ 'accept-language': 'de' });
        assert.equal((await it.get({ 'accept-language': 'fr' })).body, '2');
        assert.equal((await it.get({ 'accept-language': 'de', 'x-tier': '1' })).body, '3');
        assert.deepEqual([(await it.get({ 'accept-language': 'de' })).body, (await it.get({ 'accept-language': 'fr' })).body], ['1', '2']);
      },
      'several lines of Vary count together': async (given) => {
        const it = given({ ...control(hour), vary: ['x-a', 'x-b'] });
        await it.get({ 'x-a': '1', 'x-b': '1' });
        assert.equal((await it.get({ 'x-a': '1', 'x-b': '2' })).body, '2');
      },
    },
  },
  {
    section: '4.1', level: 'may', says: 'take fields for the same that differ in white space, lines, or what means nothing',
    tests: { 'white space, case and order of languages and encodings make no difference': async (given) => {
      await given(named('x-list')).isReused({ 'x-list': 'a,b' }, { 'x-list': ['a', ' b'] });
      await given(named('accept-language')).isReused({ 'accept-language': 'en, de;q=0.5' }, { 'accept-language': 'DE;q=0.5,en' });
      await given(named('accept-encoding')).isReused({ 'accept-encoding': 'gzip, br' }, { 'accept-encoding': 'br,gzip' });
      await given(named('x-list')).isNotReused({ 'x-list': 'a,b' }, { 'x-list': 'b,a' });
    } },
  },
  {
    section: '4.1', level: 'MUST', says: 'match an absent field only with an absent one',
    tests: { 'absent and empty are different': async (given) => {
      await given(named('x-a')).isReused({}, {});
      await given(named('x-a')).isNotReused({}, { 'x-a': '' });
      await given(named('x-a')).isNotReused({ 'x-a': '1' }, {});
    } },
  },
  {
    section: '4.1', level: 'MUST NOT', says: 'match `Vary: *`, ever',
    tests: { 'Vary: * answers nobody else, alone or in a list': async (given) => {
      await given(named('*')).isNotReused();
      await given(named('accept, *')).isNotReused();
    } },
  },
  {
    section: '4.2', level: 'SHOULD', says: 'read dates whatever their case and in all three formats',
    tests: { 'Expires in lower case, of RFC 850 and of asctime is understood': async (given) => {
      const date = new Date(Date.now() + 3_600_000);
      const [, day, month, year, time] = /(\d\d) (\w+) (\d+) (\S+)/.exec(date.toUTCString());
      const name = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'][date.getUTCDay()];
      for (const expires of [date.toUTCString().toLowerCase(), `${name}, ${day}-${month}-${year.slice(2)} ${time} GMT`, `${name.slice(0, 3)} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`]) {
        await given({ expires }).isReused();
      }
    } },
  },
  {
    section: '4.2', level: 'MUST NOT', says: 'let local time zones count; other zones than GMT SHOULD be invalid',
    tests: { 'a date of another zone has expired': async (given) => void (await given({ expires: at(36_000).replace('GMT', 'CET') }).isNotReused()) },
  },
  { section: '4.2', level: 'MUST', says: 'keep an `Expires` that its clock cannot hold as the nearest time before it', because: 'the clock of a gateway is finer than dates are' },
  {
    section: '4.2.1', level: 'MUST', says: 'take `s-maxage` before `max-age` before `Expires` before a guess',
    tests: {
      's-maxage, then max-age, then Expires': async (given) => {
        await given({ ...control('max-age=0, s-maxage=3600'), etag: '"1"' }).isReused();
        await given({ ...control('s-maxage=0, max-age=3600'), etag: '"1"' }).isNotReused();
        await given({ ...control(hour), expires: at(-10) }).isReused();
        await given({ ...control('max-age=0'), expires: at(3600) }).isNotReused();
        await given({ expires: at(0), date: at(-3600) }).isNotReused();
      },
      'a guess is made only where nothing is said': async (given) => {
        await given({ 'last-modified': at(-864_000) }, { api: 'guessing' }).isReused();
        await given({ ...control('max-age=0'), 'last-modified': at(-864_000) }, { api: 'guessing' }).isNotReused();
        await given({ expires: '0', 'last-modified': at(-864_000) }, { api: 'guessing' }).isNotReused();
      },
    },
  },
  {
    section: '4.2.1', level: 'SHOULD', says: 'take the first of several values, or count the response as stale',
    tests: { 'of several the least counts, which is never fresher than the first': async (given) => {
      await given({ ...control('max-age=0, max-age=3600'), etag: '"1"' }).isNotReused();
      await given({ ...control('max-age=3600, max-age=0'), etag: '"1"' }).isNotReused();
      await given({ expires: [at(3600), at(7200)] }).isNotReused();
    } },
  },
  {
    section: '4.2.1', level: 'SHOULD', says: 'honour the most restrictive of directives that conflict',
    tests: { 'no-cache stands above a lifetime, no-store above everything': async (given) => {
      await given({ ...control(`${hour}, no-cache`), etag: '"1"' }).isNotReused();
      await given({ ...control(`public, s-maxage=3600, no-store`) }).isNotReused();
      await given({ ...control(`public, private, ${hour}`) }).isNotReused();
    } },
  },
  {
    section: '4.2.1', level: 'SHOULD', says: 'count invalid freshness information as stale',
    tests: { 'a lifetime that is no number is none': async (given) => {
      for (const value of ['max-age', 'max-age=', 'max-age=x', 'max-age=-1', 'max-age=3600.5', "max-age='3600'"]) await given({ ...control(value), expires: at(3600) }).isNotReused();
    } },
  },
  {
    section: '4.2.2', level: 'MUST NOT', says: 'guess when a lifetime is stated, nor for statuses that do not allow it unless `public`',
    tests: { 'a 404 may be guessed about, a 403 only when public': async (given) => {
      const of = (status, value) => given(() => ({ status, headers: { ...(value ? control(value) : {}), 'last-modified': at(-864_000) } }), { api: 'guessing' });
      await of(404).isReused();
      await of(403).isNotReused();
      await of(403, 'public').isReused();
    } },
  },
  {
    section: '4.2.2', level: 'SHOULD', says: 'guess no more than a tenth of the time since the last change',
    tests: { 'ten seconds without change are fresh for one': async (given) => {
      const it = given(() => ({ headers: { 'last-modified': at(-10) } }), { api: 'guessing' });
      await it.get();
      await seconds(2.2);
      assert.equal((await it.get()).body === '1' && it.seen.length === 1, false);
    } },
  },
  {
    section: '4.2.3', level: 'MUST', says: 'reckon age from `Age`, `Date`, the time on the way and the time in the store',
    tests: {
      'Age on arrival counts': async (given) => {
        await given({ ...control('max-age=100'), age: '101', etag: '"1"' }).isNotReused();
        await given({ ...control('max-age=100'), age: '20' }).isReused();
      },
      'a Date in the past counts, one in the future does not make younger': async (given) => {
        await given(() => ({ headers: { ...control('max-age=100'), date: at(-101) }, date: false })).isNotReused();
        const future = await given(() => ({ headers: { ...control('max-age=100'), date: at(50) }, date: false })).isReused();
        assert.ok(Number(future.headers.age) < 10, future.headers.age);
      },
      'a response without Date gets the time of its arrival': async (given) => {
        const it = given(() => ({ headers: control(hour), date: false }));
        await it.get();
        await seconds(2.1);
        const { headers } = await it.get();
        assert.ok(Date.now() - Date.parse(headers.date) > 1_500, headers.date);
        assert.ok(Number(headers.age) >= 2);
      },
      'an age beyond all numbers is the largest, and old': async (given) => void (await given({ ...control(hour), age: '99999999999999999999', etag: '"1"' }).isNotReused()),
    },
  },
  {
    section: '4.2.4', level: 'MUST NOT', says: 'serve stale what says that it must not be: `must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache`',
    tests: { 'when the origin drops the connection the answer is an error': async (given) => {
      for (const value of ['max-age=1, must-revalidate', 'max-age=1, proxy-revalidate', 's-maxage=1', 'max-age=1, no-cache']) {
        const it = given(({ n }) => (n === 1 ? { headers: { ...control(value), etag: '"1"' } } : 'cut'));
        await it.get();
        await oneSecond();
        const answer = await it.get({ 'cache-control': 'max-stale' });
        assert.deepEqual([answer.status, answer.headers['x-count']], [502, undefined], value);
      }
    } },
  },
  {
    section: '4.2.4', level: 'MUST NOT', says: 'serve stale unless disconnected, or the client or the origin allows it',
    tests: {
      'a dropped connection makes a stale response serve by default': async (given) => {
        const it = given(({ n }) => (n === 1 ? { headers: control('max-age=1') } : 'cut'));
        await it.get();
        await oneSecond();
        const answer = await it.get();
        assert.deepEqual([answer.status, answer.body], [200, '1']);
        assert.ok(it.seen.length >= 2, 'the origin was asked; a connection that was reused is tried once more');
      },
      'an error that arrives is passed on unless stale-if-error stands above it': async (given) => {
        for (const [value, expected] of [['max-age=1', 503], ['max-age=1, stale-if-error=60', 200]]) {
          const it = given(({ n }) => (n === 1 ? { headers: control(value) } : { status: 503 }));
          await it.get();
          await oneSecond();
          assert.equal((await it.get()).status, expected, value);
        }
      },
      'stale-while-revalidate serves at once and brings the next behind it': async (given) => {
        const it = given(control('max-age=1, stale-while-revalidate=60'));
        await it.get();
        await oneSecond();
        assert.equal((await it.get()).body, '1');
        for (let tries = 0; tries < 100 && it.seen.length < 2; tries += 1) await seconds(0.02);
        assert.equal(it.seen.length, 2);
      },
    },
  },
];
