// What the console says about a cache policy while it is filled in, and what it asks before one caller's data is shown to
// others. What is saved is read back through the admin API, what it does through the gateway.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { dialog, submitDialog } from '../lib/console.mjs';
import { publish, release } from '../lib/publishing.mjs';
import { startStage } from '../lib/stage.mjs';
import { eventually } from '../lib/wait.mjs';

describe('a cache policy in the console', { timeout: 600_000 }, () => {
  let stage;
  let ada;
  let page;
  let api;

  const path = () => `${stage.base}/apis/${api.id}`;
  const saved = async () => (await stage.admin.get(path())).draft.policies ?? [];
  const says = (words) => dialog(ada).locator('.policy-meaning').getByText(words, { exact: true }).waitFor();
  const field = (label) => dialog(ada).getByLabel(label, { exact: false }).first();
  const save = () => dialog(ada).getByRole('button', { name: 'Save', exact: true }).click();
  const shares = () => dialog(ada).getByRole('checkbox', { name: /^Every caller gets the answers/ });
  const cookies = () => dialog(ada).getByRole('checkbox', { name: /^Cookies that the upstream sets/ });
  /** Who the answer was made for that this person gets. */
  const seenBy = async (name, url) => {
    const answer = await stage.answers(`/prices${url}`, 200, { headers: { authorization: `Bearer ${name}` } });
    return answer.body.headers.authorization.split(' ')[1];
  };

  before(async () => {
    stage = await startStage();
    const draft = {
      access: 'public',
      routes: [{ id: 'everything', methods: [], path: '/{*path}' }],
      upstreams: [{ name: 'origin', targets: [{ url: stage.upstreams[0].url }] }],
    };
    ({ api } = await publish(stage.scene, { slug: 'prices', name: 'Prices', draft }));
    ada = await stage.ada();
    page = ada.page;
  });
  after(() => stage?.stop());

  it('says how old data readers may see, as the form is filled in', async () => {
    await ada.open(`/apis/${api.id}/policies`);
    await page.getByRole('button', { name: 'Attach policy' }).first().click();
    await dialog(ada).getByLabel('Policy', { exact: true }).selectOption('cache');
    const down = 'up to 1 day older while the upstream cannot be reached';
    const more = 'The upstream can allow more staleness.';
    await says(`Readers may see data up to 1 min old, or older where the upstream allows it, ${down}. ${more}`);
    assert.equal(await field('Time to live (seconds)').inputValue(), '60', 'the form shows what the words are about');
    await field('Longest lifetime').fill('30');
    await says(`Readers may see data up to 30 s old, ${down}. ${more}`);
    await field('Serve stale while refreshing').fill('10');
    await field('Serve stale on errors').fill('0');
    await says(`Readers may see data up to 30 s old, up to 10 s older while a new response is fetched. ${more}`);
    await field('Oldest data').fill('35');
    await says(`Readers may see data up to 30 s old, up to 10 s older while a new response is fetched, but never more than 35 s old. ${more}`);
    await field('Strong consistency').check();
    await says('Readers never see stale data: nothing is stored, every call goes to the upstream.');
    await field('Strong consistency').uncheck();
  });

  it('saves what shares data of callers only once each of it is confirmed', async () => {
    assert.equal(await shares().count(), 0, 'nothing is shared yet');
    await field('Share between callers').check();
    await field('Store cookies of responses').check();
    await save();
    await dialog(ada).getByRole('alert').getByText('Nothing has been saved').waitFor();
    await shares().check();
    await save();
    await dialog(ada).getByRole('alert').waitFor();
    assert.equal(await cookies().isChecked(), false);
    assert.deepEqual(await saved(), []);
    for (const [theme, width] of [['light', 1440], ['dark', 390]]) {
      await page.setViewportSize({ width, height: 844 });
      await ada.setTheme(theme);
      await cookies().scrollIntoViewIfNeeded();
      await ada.screenshot(`policy-confirm-${width}-${theme}`);
      await ada.assertAccessible(`the confirmation, ${theme}`);
    }
    await page.setViewportSize({ width: 1440, height: 900 });
    await ada.setTheme('light');
    await field('Store cookies of responses').uncheck();
    await cookies().waitFor({ state: 'detached' });
    await submitDialog(ada, {}, 'Save');
    const [{ settings }] = await saved();
    assert.deepEqual([settings.shared, settings.store_set_cookie, settings.confirmed], [true, false, ['shared']]);
  });

  it('cannot be had from the admin API for less', async () => {
    const { body: { name, description, team = null, listed, draft }, headers } = await stage.admin.request('GET', path());
    const once = { type: 'cache', settings: { shared: true, store_set_cookie: true, confirmed: ['shared'] } };
    const body = { name, description, team, listed, draft: { ...draft, policies: [once] } };
    const refused = await stage.admin.request('PUT', path(), { etag: headers.get('etag'), body });
    assert.equal(refused.status, 422);
    const found = refused.body.fields.map(({ pointer, code }) => [pointer, code]);
    assert.deepEqual(found, [['/draft/policies/0/settings/confirmed', 'unconfirmed']]);
    assert.match(refused.body.fields[0].message, /^`store_set_cookie` has to be said twice/);
  });

  it('says the same of the API as a whole', async () => {
    await page.getByRole('navigation', { name: 'API', exact: true }).getByRole('link', { name: 'Cache' }).click();
    await page.getByText('Readers may see data up to 30 s old, up to 10 s older', { exact: false }).waitFor();
  });

  it('shares once it is released, and asks anew when sharing comes back', async () => {
    await release(stage.scene, api.id);
    await eventually('bob sees what was made for alice', async () => {
      const url = `/shared/${Date.now()}`;
      return (await seenBy('alice', url)) === 'alice' && (await seenBy('bob', url)) === 'alice';
    });
    await ada.open(`/apis/${api.id}/policies`);
    await page.getByRole('button', { name: 'Edit Response cache' }).click();
    await eventually('the confirmation is remembered', () => shares().isChecked());
    assert.equal(await field('Longest lifetime').inputValue(), '30');
    await field('Share between callers').uncheck();
    await shares().waitFor({ state: 'detached' });
    await submitDialog(ada, {}, 'Save');
    const [{ settings }] = await saved();
    assert.deepEqual([settings.shared, settings.confirmed], [false, undefined]);
    await release(stage.scene, api.id);
    await eventually('bob sees his own', async () => {
      const url = `/own/${Date.now()}`;
      return (await seenBy('alice', url)) === 'alice' && (await seenBy('bob', url)) === 'bob';
    });
    await page.getByRole('button', { name: 'Edit Response cache' }).click();
    await field('Share between callers').check();
    await save();
    await dialog(ada).getByRole('alert').waitFor();
    await dialog(ada).getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await saved())[0].settings.shared, false);
  });

  it('has what callers are told and what is never stored, and the gateway does so once it is released', async () => {
    await page.getByRole('button', { name: 'Edit Response cache' }).click();
    const exactly = (label) => dialog(ada).getByLabel(label, { exact: true });
    await field('Make ETags').check();
    await exactly('Cache-Control for browsers').selectOption({ label: 'Set' });
    await exactly('Directives').fill('max-age=20');
    const forbidden = dialog(ada).getByRole('group', { name: 'Never store what has', exact: true });
    await forbidden.getByRole('button', { name: 'Add' }).click();
    await exactly('Never store what has 1').selectOption({ label: 'JSON path' });
    await exactly('Path').fill('$.headers[');
    await save();
    await forbidden.getByText('A path begins with', { exact: false }).waitFor();
    await exactly('Path').fill("$.headers['x-secret']");
    await exactly('Answers to changes').selectOption({ label: 'Named' });
    await submitDialog(ada, {}, 'Save');
    const [{ settings }] = await saved();
    assert.deepEqual(settings.browsers, { mode: 'set', say: { directives: 'max-age=20', within_freshness: true } });
    assert.deepEqual(settings.forbidden, [{ what: 'json_path', path: "$.headers['x-secret']" }]);
    assert.deepEqual([settings.make_etags, settings.write_through], [true, 'named']);
    await release(stage.scene, api.id);
    const answer = (url, headers = {}) => stage.answers(`/prices${url}`, 200, { headers });
    await eventually('a stored response has a tag and the words of the policy', async () => {
      const url = `/told/${Date.now()}`;
      await answer(url);
      const { headers } = await answer(url);
      return headers.get('etag')?.startsWith('"sluice-') && headers.get('cache-control') === 'max-age=20';
    });
    for (let i = 0; i < 3; i += 1) {
      const { headers } = await answer('/secret', { 'x-secret': 'yes' });
      assert.match(headers.get('cache-status'), /fwd=uri-miss; detail=(forbidden:json_path|looking)$/);
    }
  });

  it('leaves the console silent but for the refusal that was provoked', () => stage.assertQuiet(['422']));
});
