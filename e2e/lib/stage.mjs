// Where the scenarios of the console begin: one server that is set up, two upstreams, and people at their browsers.

import { launch } from './browser.mjs';
import { signedIn } from './console.mjs';
import { addPerson, callUntil, setUp } from './publishing.mjs';
import { startSluice } from './sluice.mjs';
import { startUpstream } from './upstream.mjs';

/** Starts all of it. What people did to the console is checked by `assertQuiet` when the scenario ends. */
export async function startStage({ database = 'sqlite', environment } = {}) {
  const upstreams = [await startUpstream({ name: 'a' }), await startUpstream({ name: 'b' })];
  const sluice = await startSluice({ database, environment });
  const scene = await setUp(sluice);
  const browser = await launch();
  const people = [];
  const { admin, base } = scene;

  return {
    sluice,
    scene,
    upstreams,
    admin,
    base,
    /** The items of a list of the tenant. */
    items: async (path) => (await admin.get(`${base}${path}`)).items,
    /** The platform admin at a browser. */
    ada: (screen) => enter({ name: 'Ada', email: 'ada@example.com', ...screen }),
    /** A new person with these roles: their name is their e-mail address before the `@`. */
    person: async (name, roles) => {
      const email = `${name.toLowerCase()}@example.com`;
      await addPerson(scene, { name, email, roles });
      return enter({ name, email });
    },
    /** What the gateway answers below the tenant, once it answers with this status. */
    answers: (path, status, options) => callUntil(sluice, `/${scene.tenant.slug}${path}`, status, options),
    /** Fails when a page said anything but what was provoked. */
    assertQuiet: (expected) => people.forEach((person) => person.assertQuiet(expected)),
    stop: async () => {
      await browser.close();
      await sluice.stop();
      await Promise.all(upstreams.map((upstream) => upstream.stop()));
    },
  };

  async function enter(who) {
    const person = await signedIn(browser, sluice, who);
    people.push(person);
    return person;
  }
}
