// What publishers, consumers and approvers do, through the admin API: for tests whose subject comes after it.

import assert from 'node:assert/strict';

import { Admin } from './admin.mjs';
import { eventually } from './wait.mjs';

export const PASSWORD = 'correct horse battery';

/** Completes the first-run setup; gives the platform admin and the tenant. */
export async function setUp(sluice) {
  const token = new URL(await sluice.setupLink()).searchParams.get('token');
  const admin = new Admin(sluice.origin);
  const session = await admin.post('/setup', {
    token,
    organisation: 'Acme',
    name: 'Ada Admin',
    email: 'ada@example.com',
    password: PASSWORD,
  });
  const tenant = session.tenants[0];
  const environments = await admin.get(`/tenants/${tenant.id}/environments`);
  return { admin, tenant, base: `/tenants/${tenant.id}`, environment: environments.items[0] };
}

/** Adds a person to the tenant, who accepts the invitation; gives them signed in. */
export async function addPerson({ admin, base }, { name, email, roles }) {
  const created = await admin.post(`${base}/users`, { name, email, roles });
  const person = new Admin(admin.origin);
  const token = new URL(created.invitation, admin.origin).searchParams.get('token');
  await person.post('/invitations', { token, password: PASSWORD });
  return person;
}

/** Creates an API of this definition, freezes it and releases it until every gateway has it. */
export async function publish(scene, { slug, name = slug, draft, plans = [] }) {
  const { admin, base } = scene;
  const api = await admin.post(`${base}/apis`, { slug, name, draft });
  const made = [];
  for (const plan of plans) made.push(await admin.post(`${base}/apis/${api.id}/plans`, plan));
  return { ...(await release(scene, api.id)), api, plans: made };
}

/** Freezes the draft and releases it; gives the finished release. */
export async function release({ admin, base, environment }, api, limit = 15_000) {
  const current = await admin.request('GET', `${base}/apis/${api}`);
  const etag = current.headers.get('etag');
  const revision = await admin.post(`${base}/apis/${api}/revisions`, { note: '' }, { etag });
  const release = await admin.post(`${base}/apis/${api}/releases`, { environment: environment.id, revision: revision.number });
  const done = await eventually('the release is done', async () => {
    const now = await admin.get(`${base}/apis/${api}/releases/${release.id}`);
    assert.notEqual(now.progress.state, 'failed', JSON.stringify(now.progress));
    return now.progress.state === 'done' && now;
  }, limit);
  return { revision, release: done };
}

/** An application with one key, and subscriptions to these plans; pending ones are approved. */
export async function consume({ admin, base, environment }, { name, subscriptions }) {
  const application = await admin.post(`${base}/applications`, { name });
  const credentials = `${base}/applications/${application.id}/credentials`;
  const { key, credential } = await admin.post(credentials, { name: 'key', environment: environment.id });
  for (const { api, plan } of subscriptions) {
    const asked = await admin.post(`${base}/subscriptions`, { application: application.id, api, plan });
    if (asked.state === 'pending') await decide({ admin, base }, asked.id, 'approve');
  }
  return { application, key, credential };
}

/** Approves, rejects, suspends, resumes or ends a subscription as it is now. */
export async function decide({ admin, base }, subscription, decision, reason = '') {
  const path = `${base}/subscriptions/${subscription}`;
  const current = await admin.request('GET', path);
  return admin.post(`${path}/${decision}`, { reason }, { etag: current.headers.get('etag') });
}

/** One call through the gateway. */
export async function call(sluice, path, { key, method = 'GET', headers = {}, body } = {}) {
  const sent = { ...headers, ...(key ? { 'x-api-key': key } : {}) };
  const response = await fetch(`${sluice.gateway}${path}`, { method, headers: sent, body, redirect: 'manual' });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : text };
}

/** Calls until the gateway answers with this status: a change has to reach it first. */
export function callUntil(sluice, path, status, options) {
  return eventually(`${path} answers ${status}`, async () => {
    const answer = await call(sluice, path, options);
    assert.equal(answer.status, status, answer.text);
    return answer;
  });
}
