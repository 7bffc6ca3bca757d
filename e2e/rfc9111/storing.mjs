// RFC 9111 section 3: which responses are stored, and what of them.

import assert from 'node:assert/strict';

import { at, hour } from './stage.mjs';

const control = (value) => ({ 'cache-control': value });

export const storing = [
  {
    section: '3', level: 'MUST NOT', says: 'store a response to a method that the cache does not understand',
    tests: {
      'responses to PUT, OPTIONS and LOCK are not stored': async (given) => {
        for (const method of ['PUT', 'OPTIONS', 'LOCK']) {
          const it = given(control(hour));
          await it.send(method);
          assert.equal((await it.get()).body, '2', method);
        }
      },
      'a response to POST is stored for GET only with a lifetime and its own Content-Location': async (given) => {
        const post = (fields) => given(({ path }) => ({ headers: fields(path) }));
        const stored = post((path) => ({ ...control(hour), 'content-location': path }));
        await stored.send('POST', {}, { body: 'x' });
        assert.equal((await stored.get()).body, '1');
        for (const fields of [() => control(hour), (path) => ({ 'content-location': path }), (path) => ({ ...control(hour), 'content-location': `${path}/other` })]) {
          const other = post(fields);
          await other.send('POST', {}, { body: 'x' });
          assert.equal((await other.get()).body, '2');
        }
      },
    },
  },
  {
    section: '3', level: 'MUST NOT', says: 'store a response whose status is not final',
    tests: {
      'a 103 goes on to who caused it; neither it nor its fields are in what is stored': async (given) => {
        const it = given(() => ({ headers: control(hour), early: { link: '</a.css>; rel=preload', 'cache-control': 'no-store', 'x-early': '1' } }));
        const [first, second] = [await it.get(), await it.get()];
        assert.deepEqual(first.early.map(({ status, headers }) => [status, headers['x-early']]), [[103, '1']]);
        assert.deepEqual([second.early, second.body, second.did.split(';')[1].trim()], [[], '1', 'hit']);
        for (const { headers } of [first, second]) assert.deepEqual([headers.link, headers['x-early'], headers['cache-control']], [undefined, undefined, hour]);
      },
    },
  },
  {
    section: '3', level: 'MUST NOT', says: 'store 206 or 304, or a must-understand response, without understanding the status',
    tests: {
      'a part is not stored as if it were the whole': async (given) => {
        const it = given(({ headers }) => (headers.range ? { status: 206, headers: { ...control(hour), 'content-range': 'bytes 0-0/9' }, body: 'a' } : { headers: control(hour), body: 'abcdefghi' }));
        assert.equal((await it.get({ range: 'bytes=0-0' })).status, 206);
        assert.equal((await it.get()).body, 'abcdefghi');
      },
      'must-understand keeps an unknown status out': async (given) => {
        await given(() => ({ status: 299, headers: control(`must-understand, ${hour}`) })).isNotReused();
        await given(() => ({ status: 200, headers: control(`must-understand, ${hour}`) })).isReused();
        await given(() => ({ status: 299, headers: control(hour) })).isReused();
      },
    },
  },
  {
    section: '3', level: 'MUST NOT', says: 'store when `no-store` is there',
    tests: { 'no-store keeps a response out, whatever else is said': async (given) => void (await given(control(`${hour}, public, no-store`)).isNotReused()) },
  },
  {
    section: '3', level: 'MUST NOT', says: 'store what is `private` in a shared cache',
    tests: { 'private keeps a response out, unless it names fields': async (given) => {
      await given(control(`private, ${hour}`)).isNotReused();
      await given(control(`private="x y", ${hour}`)).isNotReused();
    } },
  },
  {
    section: '3', level: 'MUST NOT', says: 'store unless something allows it: `public`, `Expires`, `max-age`, `s-maxage`, or a status that may be guessed about',
    tests: {
      'max-age, s-maxage and Expires each allow it, for any final status': async (given) => {
        for (const headers of [control(hour), control('s-maxage=3600'), { expires: at(3600) }]) {
          await given(headers).isReused();
          await given(() => ({ status: 404, headers })).isReused();
          await given(() => ({ status: 599, headers })).isReused();
        }
      },
      'what says nothing is not stored, nor an error that may not be guessed about': async (given) => {
        await given({}).isNotReused();
        await given({ 'last-modified': at(-864_000) }).isNotReused();
        await given(() => ({ status: 500, headers: { 'last-modified': at(-864_000) } }), { api: 'guessing' }).isNotReused();
      },
    },
  },
  {
    section: '3.1', level: 'MUST', says: 'store every header field, known or not',
    tests: { 'fields come back as they were, unknown ones and repeated ones too': async (given) => {
      const fields = { ...control(hour), 'content-type': 'text/x; a=b', 'x-unknown': 'ü, "a"', link: ['<a>', '<b>'], etag: '"1"', 'content-language': 'de' };
      const again = await given({ ...fields, 'x-unknown': 'a, "b"' }).isReused();
      assert.equal(again.headers['x-unknown'], 'a, "b"');
      assert.equal(again.headers['content-type'], 'text/x; a=b');
      assert.equal(again.headers.link, '<a>, <b>');
      assert.equal(again.headers['content-language'], 'de');
    } },
  },
  {
    section: '3.1', level: 'MUST NOT', says: 'store `Connection`, the fields that it names, and others for one hop',
    tests: { 'fields that Connection names do not come back': async (given) => {
      const again = await given({ ...control(hour), connection: 'x-hop', 'x-hop': '1', 'x-kept': '1', 'keep-alive': 'timeout=5', te: 'x', upgrade: 'x' }).isReused();
      assert.deepEqual([again.headers['x-hop'], again.headers.te, again.headers.upgrade, again.headers['x-kept']], [undefined, undefined, undefined, '1']);
    } },
  },
  {
    section: '3.1', level: 'MUST NOT', says: 'store the fields that `no-cache="..."` and `private="..."` name without obeying them',
    tests: { 'the rest is stored without them, and a 304 does not bring them back': async (given) => {
      const named = { 'x-own': '1', 'x-more': '1', 'x-kept': '1', etag: '"1"' };
      const kept = ({ headers }) => [headers['x-own'], headers['x-more'], headers['x-kept']];
      for (const value of ['no-cache="X-Own, x-more"', 'private="x-own,x-more"', 'no-cache=x-own, private=x-more']) {
        const it = given({ ...control(`${hour}, ${value}`), ...named });
        assert.deepEqual(kept(await it.get()), ['1', '1', '1'], 'who has asked for it gets them');
        assert.deepEqual(kept(await it.isReused()), [undefined, undefined, '1']);
        const old = given(({ n }) => (n === 1 ? { headers: { ...control(`max-age=0, ${value}`), ...named } } : { status: 304, headers: { 'x-own': '2', 'x-kept': '2', etag: '"1"' } }));
        await old.get();
        assert.deepEqual(kept(await old.get()), [undefined, undefined, '2']);
      }
    } },
  },
  {
    section: '3.1', level: 'MUST NOT', says: 'store fields that are between a client and one proxy',
    tests: { 'Proxy-Authenticate and Proxy-Authentication-Info do not come back': async (given) => {
      const again = await given({ ...control(hour), 'proxy-authenticate': 'Basic', 'proxy-authentication-info': 'x', 'x-kept': '1' }).isReused();
      assert.deepEqual([again.headers['proxy-authenticate'], again.headers['proxy-authentication-info'], again.headers['x-kept']], [undefined, undefined, '1']);
    } },
  },
  {
    section: '3.1', level: 'MUST NOT', says: 'combine trailer fields with header fields (they may be dropped)',
    tests: { 'trailers are dropped, and their name is no promise': async (given) => {
      const it = given(() => ({ headers: { ...control(hour), trailer: 'x-sum' }, trailers: { 'x-sum': '1' } }));
      const again = await it.isReused();
      assert.deepEqual([again.headers['x-sum'], again.headers.trailer, again.trailers], [undefined, undefined, {}]);
    } },
  },
  {
    section: '3.2', level: 'MUST', says: 'replace stored fields by those of the response that updates them',
    tests: { 'a 304 replaces the fields that it has and leaves the others': async (given) => {
      const it = given(({ n }) => (n === 1 ? { headers: { ...control('max-age=0'), etag: '"1"', 'x-a': 'old', 'x-b': 'old', 'x-list': ['1', '2'] } } : { status: 304, headers: { ...control(hour), etag: '"1"', 'x-a': 'new', 'x-list': '3' } }));
      await it.isValidated();
      const third = await it.get();
      assert.equal(it.seen.length, 2);
      assert.deepEqual([third.body, third.headers['x-a'], third.headers['x-b'], third.headers['x-list']], ['1', 'new', 'old', '3']);
    } },
  },
  {
    section: '3.2', level: 'MUST', says: 'keep `Content-Length` and what else belongs to the stored body',
    tests: { 'a 304 changes neither length nor encoding, and its cookies are not stored': async (given) => {
      const it = given(({ n }) => (n === 1 ? { headers: { ...control('max-age=0'), etag: '"1"', 'content-encoding': 'x-own', 'content-length': '1' } } : { status: 304, headers: { ...control(hour), etag: '"1"', 'content-encoding': 'x-other', 'set-cookie': 'a=1' } }));
      await it.isValidated();
      const third = await it.get();
      assert.deepEqual([third.headers['content-encoding'], third.headers['content-length'], third.headers['set-cookie']], ['x-own', '1', undefined]);
    } },
  },
  {
    section: '3.3', level: 'MUST NOT', says: 'use an incomplete response to answer a request',
    tests: { 'a response that breaks off is not stored': async (given) => {
      const it = given(({ n }) => ({ headers: control(hour), body: 'whole', cut: n === 1 }));
      assert.equal((await it.get()).status, null);
      assert.equal((await it.get()).body, 'whole');
      assert.equal(it.seen.length, 2);
    } },
  },
  {
    section: '3.3', level: 'MUST NOT', says: 'send a part without saying so by 206',
    tests: { 'a part of a stored response is a 206 that says which': async (given) => {
      const it = given(() => ({ headers: control(hour), body: '0123456789' }));
      const part = await it.isReusedAs({ range: 'bytes=2-4' });
      assert.deepEqual([part.status, part.body, part.headers['content-range'], part.headers['content-length']], [206, '234', 'bytes 2-4/10', '3']);
    } },
  },
  {
    section: '3.4', level: 'MUST NOT', says: 'combine parts that do not share a strong validator',
    because: 'parts are not stored, so none are combined; a request for a part of what is not stored goes to the origin as it is',
  },
  {
    section: '3.5', level: 'MUST NOT', says: 'use a response to a request with `Authorization` for others, unless `public`, `s-maxage` or `must-revalidate` allows it',
    tests: {
      'what was fetched with Authorization is for this caller alone': async (given) => {
        const it = given(control(hour));
        await it.get({ authorization: 'Bearer a' });
        assert.equal((await it.get({ authorization: 'Bearer b' })).body, '2');
        assert.equal((await it.get()).body, '3');
        assert.equal((await it.get({ authorization: 'Bearer a' })).body, '1', 'the caller has a copy');
      },
      'public and s-maxage share it': async (given) => {
        for (const value of [`public, ${hour}`, 's-maxage=3600']) await given(control(value)).isReused({ authorization: 'Bearer a' }, { authorization: 'Bearer b' });
      },
    },
  },
];
