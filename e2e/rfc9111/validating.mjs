// RFC 9111 sections 4.3 and 4.4: validation, and invalidation by unsafe methods.

import assert from 'node:assert/strict';

import { at, hour, oneSecond } from './stage.mjs';

const control = (value) => ({ 'cache-control': value });

/** A resource that is stale at once and has these validators; says 304 to a condition that holds. */
const versioned = (given, validators, confirmed = {}) =>
  given(({ headers }) => {
    const holds = headers['if-none-match'] === validators.etag && (!validators['last-modified'] || headers['if-modified-since'] === validators['last-modified']);
    return holds && (headers['if-none-match'] ?? headers['if-modified-since']) ? { status: 304, headers: { ...validators, ...control('max-age=0'), ...confirmed } } : { headers: { ...validators, ...control('max-age=0') } };
  });

export const validating = [
  {
    section: '4.3.1', level: 'MUST', says: 'send the stored `ETag` as `If-None-Match`; SHOULD send `Last-Modified` as `If-Modified-Since`',
    tests: { 'both validators become conditions, each as it was': async (given) => {
      const modified = at(-3600);
      for (const validators of [{ etag: '"1"' }, { etag: 'W/"1"' }, { 'last-modified': modified }, { etag: '"1"', 'last-modified': modified }]) {
        const it = versioned(given, validators);
        const again = await it.isValidated();
        assert.deepEqual([it.seen[1].headers['if-none-match'], it.seen[1].headers['if-modified-since']], [validators.etag, validators['last-modified']]);
        assert.deepEqual([again.status, again.body], [200, '1']);
      }
    } },
  },
  {
    section: '4.3.1', level: 'MUST NOT', says: 'put the client\'s own conditions to the origin as if they were of the stored response',
    tests: { 'a client\'s condition about another version stays here': async (given) => {
      const it = versioned(given, { etag: '"1"' });
      await it.get();
      const answer = await it.get({ 'if-none-match': '"0"' });
      assert.deepEqual([it.seen[1].headers['if-none-match'], answer.status, answer.body], ['"1"', 200, '1']);
    } },
  },
  {
    section: '4.3.2', level: 'SHOULD', says: 'evaluate a client\'s conditions when a stored response answers',
    tests: {
      'If-None-Match compares weakly, in lists and by *': async (given) => {
        const it = given({ ...control(hour), etag: '"a,b"' });
        await it.get();
        for (const [tag, status] of [['"a,b"', 304], ['W/"a,b"', 304], ['"x", "a,b"', 304], ['*', 304], ['"a"', 200], ['"x"', 200]]) assert.equal((await it.get({ 'if-none-match': tag })).status, status, tag);
        assert.equal(it.seen.length, 1);
      },
      'If-Modified-Since compares dates, by Date where there is no Last-Modified': async (given) => {
        const it = given({ ...control(hour), 'last-modified': at(-100) });
        await it.get();
        for (const [since, status] of [[at(-100), 304], [at(-50), 304], [at(-200), 200], ['no date', 200]]) assert.equal((await it.get({ 'if-modified-since': since })).status, status, since);
        assert.equal((await given(control(hour)).isReusedAs({ 'if-modified-since': at(10) })).status, 304);
      },
      'If-None-Match stands above If-Modified-Since': async (given) => {
        const it = given({ ...control(hour), etag: '"1"', 'last-modified': at(-100) });
        assert.equal((await it.isReusedAs({ 'if-none-match': '"x"', 'if-modified-since': at(-50) })).status, 200);
      },
      'a 304 has the fields of the stored response, its age, and no body': async (given) => {
        const it = given({ ...control(hour), etag: '"1"', 'content-location': '/x', vary: 'x-a' });
        const { headers, status, body } = await it.isReusedAs({ 'if-none-match': '"1"' });
        assert.deepEqual([status, body, headers.etag, headers['cache-control'], headers['content-location'], headers.vary, headers['content-length']], [304, '', '"1"', hour, '/x', 'x-a', undefined]);
        assert.match(headers.age, /^\d+$/);
      },
      'only a 200 can be not modified': async (given) => assert.equal((await given(() => ({ status: 404, headers: { ...control(hour), etag: '"1"' } })).isReusedAs({ 'if-none-match': '"1"' })).status, 404),
    },
  },
  {
    section: '4.3.2', level: 'MUST NOT', says: 'evaluate conditions that only the origin can (`If-Match`, `If-Unmodified-Since`)',
    tests: { 'If-Match and If-Unmodified-Since go to the origin': async (given) => {
      for (const fields of [{ 'if-match': '"0"' }, { 'if-unmodified-since': at(-100) }]) {
        const it = given(({ n }) => (n === 1 ? { headers: { ...control(hour), etag: '"1"' } } : { status: 412 }));
        await it.get();
        assert.equal((await it.get(fields)).status, 412);
        assert.equal(it.seen[1].headers[Object.keys(fields)[0]], Object.values(fields)[0]);
      }
    } },
  },
  {
    section: '4.3.2', level: 'MUST', says: 'evaluate `If-Range` before a part is served (RFC 9110 §13.1.5)',
    tests: {
      'a part is served only of the version that is meant': async (given) => {
        const modified = at(-100);
        const it = given(() => ({ headers: { ...control(hour), etag: '"1"', 'last-modified': modified }, body: '0123456789' }));
        await it.get();
        for (const [condition, status] of [['"1"', 206], [modified, 206], ['"2"', 200], ['W/"1"', 200], [at(-50), 200]]) assert.equal((await it.get({ range: 'bytes=0-1', 'if-range': condition })).status, status, condition);
        assert.equal(it.seen.length, 1);
      },
      'several ranges are parts of one body, without repeated bytes; too many get the whole': async (given) => {
        const it = given(() => ({ headers: { ...control(hour), 'content-type': 'text/plain' }, body: '0123456789' }));
        const parts = await it.isReusedAs({ range: 'bytes=7-8, 0-1' });
        const [, boundary] = /^multipart\/byteranges; boundary=(\S+)$/.exec(parts.headers['content-type']);
        const part = (range, text) => `--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/10\r\n\r\n${text}\r\n`;
        assert.deepEqual([parts.status, parts.body, parts.headers['content-range']], [206, `${part('7-8', '78')}${part('0-1', '01')}--${boundary}--\r\n`, undefined]);
        assert.deepEqual([(await it.get({ range: 'bytes=4-6,0-5' })).body, (await it.get({ range: `bytes=${Array(17).fill('0-0').join()}` })).status], ['0123456', 200]);
        const none = await it.get({ range: 'bytes=20-,30-31' });
        assert.deepEqual([none.status, none.headers['content-range']], [416, 'bytes */10']);
      },
    },
  },
  {
    section: '4.3.3', level: 'MUST', says: 'answer with a full response that validation brings, and not with the stored one',
    tests: { 'a new version replaces the stored one': async (given) => {
      const it = given(({ n }) => ({ headers: { ...control(n === 1 ? 'max-age=0' : hour), etag: `"${n}"` } }));
      await it.isValidated();
      assert.equal((await it.get()).body, '2');
      assert.equal(it.seen.length, 2);
    } },
  },
  {
    section: '4.3.3', level: 'may', says: 'forward a 5xx that validation brings, or serve stale where that is allowed',
    tests: { 'a 503 is forwarded, and what is stored is kept': async (given) => {
      const it = given(({ n }) => (n === 2 ? { status: 503 } : n === 3 ? { status: 304 } : { headers: { ...control('max-age=0'), etag: '"1"' } }));
      assert.equal((await it.isValidated()).status, 503);
      const third = await it.get();
      assert.deepEqual([third.status, third.body, it.seen[2].headers['if-none-match']], [200, '1', '"1"']);
    } },
  },
  {
    section: '4.3.4', level: 'MUST', says: 'freshen the stored response that a 304 confirms',
    tests: { 'a confirmed response is fresh again for as long as the 304 says': async (given) => {
      const it = versioned(given, { etag: '"1"' }, control(hour));
      await it.isValidated();
      const third = await it.get();
      assert.deepEqual([it.seen.length, third.body], [2, '1']);
      assert.match(third.did, /sluice; hit/);
    } },
  },
  {
    section: '4.3.4', level: 'MUST NOT', says: 'update by a 304 whose validator is not that of a stored response',
    tests: { 'a 304 that names another version confirms the tag that was asked about and gives no field': async (given) => {
      const it = given(({ headers, n }) => (headers['if-none-match'] ? { status: 304, headers: { etag: '"other"', ...control(hour), 'x-a': 'wrong' } } : { headers: { ...control('max-age=0'), etag: '"1"', 'x-a': String(n) } }));
      for (const tries of [1, 2, 3]) {
        const answer = await it.get();
        assert.deepEqual([answer.status, answer.body, answer.headers['x-a'], answer.headers.etag, it.seen.length], [200, '1', '1', '"1"', tries]);
      }
    } },
  },
  {
    section: '4.3.5', level: 'SHOULD', says: 'freshen a stored GET by the 200 to a HEAD that describes it',
    tests: { 'HEAD makes a stale response fresh and brings its fields': async (given) => {
      const it = given(({ method, n }) => ({ headers: { ...control(method === 'HEAD' ? hour : 'max-age=1'), 'x-a': method, 'x-b': String(n), 'content-length': '1' }, body: '1' }));
      await it.get();
      await oneSecond();
      assert.equal((await it.send('HEAD')).headers['x-a'], 'HEAD');
      const third = await it.get();
      assert.deepEqual([it.seen.length, third.body, third.headers['x-a']], [2, '1', 'HEAD']);
    } },
  },
  {
    section: '4.3.5', level: 'SHOULD', says: 'count a stored GET as stale when the HEAD describes another version or length',
    tests: { 'another ETag, date or length by HEAD makes a fresh response be fetched anew': async (given) => {
      for (const other of [{ etag: '"2"' }, { 'last-modified': at(-5) }, { 'content-length': '7' }]) {
        const own = { etag: '"1"', 'last-modified': at(-100), 'content-length': '1' };
        const it = given(({ method }) => ({ headers: { ...control(hour), ...own, ...(method === 'HEAD' ? other : {}) }, body: '1' }));
        await it.get();
        await it.send('HEAD', { 'cache-control': 'no-cache' });
        await it.get();
        assert.deepEqual(it.seen.map(({ method }) => method), ['GET', 'HEAD', 'GET'], JSON.stringify(other));
      }
    } },
  },
  {
    section: '4.4', level: 'MUST', says: 'invalidate the target URI when an unsafe method succeeds, unknown methods too',
    tests: { 'PUT, POST, PATCH, DELETE and LOCK forget the URL': async (given) => {
      for (const method of ['PUT', 'POST', 'PATCH', 'DELETE', 'LOCK']) {
        for (const status of [200, 201, 204, 303]) {
          const it = given(({ n }) => (n === 2 ? { status } : { headers: control(hour) }));
          await it.get();
          await it.send(method);
          assert.equal((await it.get()).body, '3', `${method} ${status}`);
        }
      }
    } },
  },
  {
    section: '4.4', level: 'may', says: 'keep what is stored when the unsafe method fails, and when the method is safe',
    tests: { 'an error and OPTIONS forget nothing': async (given) => {
      for (const [method, status] of [['POST', 400], ['PUT', 500], ['OPTIONS', 200]]) {
        const it = given(({ n }) => (n === 2 ? { status } : { headers: control(hour) }));
        await it.get();
        await it.send(method);
        assert.equal((await it.get()).body, '1', `${method} ${status}`);
      }
    } },
  },
  {
    section: '4.4', level: 'may', says: 'invalidate what `Location` and `Content-Location` name',
    tests: { 'both are forgotten, as paths and as whole URLs of the same host': async (given) => {
      for (const name of ['location', 'content-location']) {
        for (const whole of [false, true]) {
          const it = given(({ n, path }) => (n === 2 ? { status: 201, headers: { [name]: `${whole ? it.origin : ''}${path.replace(/\/make$/, '/made')}` } } : { headers: control(hour) }));
          await it.get({}, { path: '/made' });
          await it.send('POST', {}, { path: '/make' });
          assert.equal((await it.get({}, { path: '/made' })).body, '3', name);
        }
      }
    } },
  },
  {
    section: '4.4', level: 'MUST NOT', says: 'invalidate a URI of another origin',
    tests: { 'a Location on another host forgets nothing here': async (given) => {
      const it = given(({ n, path }) => (n === 2 ? { status: 201, headers: { location: `http://other.example${path.replace(/\/make$/, '/made')}` } } : { headers: control(hour) }));
      await it.get({}, { path: '/made' });
      await it.send('POST', {}, { path: '/make' });
      assert.equal((await it.get({}, { path: '/made' })).body, '1');
    } },
  },
];
