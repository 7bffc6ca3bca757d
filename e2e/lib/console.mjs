// What people do in the console that several scenarios need: sign in, fill a dialog, pick from a menu.

import assert from 'node:assert/strict';

import { Person } from './browser.mjs';
import { PASSWORD } from './publishing.mjs';
import { eventually } from './wait.mjs';

/** A person at a new browser, signed in on the console's front page. */
export async function signedIn(browser, sluice, { name, email, password = PASSWORD, ...screen }) {
  const person = await Person.start(browser, { name, baseURL: sluice.origin, ...screen });
  await person.open('/login');
  await signIn(person, email, password);
  return person;
}

export async function signIn({ page }, email, password = PASSWORD) {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
}

/** The dialog that is open. */
export function dialog({ page }) {
  return page.locator('dialog[open]');
}

/** Fills fields of the open dialog by their labels, presses the button, and waits until the dialog has closed. */
export async function submitDialog(person, fields, button, { stays = false } = {}) {
  const open = dialog(person);
  for (const [label, value] of Object.entries(fields)) await open.getByLabel(label, { exact: false }).first().fill(value);
  await open.getByRole('button', { name: button, exact: true }).click();
  if (!stays) await open.waitFor({ state: 'hidden' });
}

/** The row of a table that has this text. */
export function row({ page }, text) {
  return page.getByRole('row').filter({ hasText: text });
}

/** Waits for a table's row, or for it to be gone. */
export async function seeRow(person, text) {
  await row(person, text).first().waitFor();
}

export async function seeNoRow(person, text) {
  await row(person, text).first().waitFor({ state: 'detached' });
}

/** Picks from the menu that a button of this name opens. */
export async function pick({ page }, menu, item) {
  await page.getByRole('button', { name: menu }).click();
  await page.getByRole('menuitem', { name: item }).or(page.getByRole('menuitemradio', { name: item })).click();
}

/**
 * Sorts the list on the page by a column, in both directions: the address says so, and the rows are those of the admin
 * API in its order, also after a reload. `read` gives the items for a query.
 */
export async function sortsBy({ page }, column, field, read) {
  const first = page.locator('tbody tr td:first-child');
  const head = page.getByRole('columnheader', { name: column });
  const orders = [];
  for (const [sort, direction] of [[field, 'ascending'], [`-${field}`, 'descending']]) {
    await head.getByRole('button').click();
    await page.waitForURL((url) => url.searchParams.get('sort') === sort);
    const wanted = (await read(`sort=${sort}`)).map(({ name }) => name);
    const inOrder = async () => {
      const shown = await first.allTextContents();
      return (await head.getAttribute('aria-sort')) === direction && shown.length === wanted.length && shown.every((text, i) => text.includes(wanted[i]));
    };
    await eventually(`rows by ${sort}`, inOrder);
    await page.reload();
    await eventually(`rows by ${sort} after a reload`, inOrder);
    orders.push(wanted.join());
  }
  assert.notEqual(orders[0], orders[1], 'both orders look the same');
}

/** Waits for the message that says that something was done. */
export async function seeToast({ page }, text) {
  await page.getByText(text).first().waitFor();
}
