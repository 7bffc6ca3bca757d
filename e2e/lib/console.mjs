// What people do in the console that several scenarios need: sign in, fill a dialog, pick from a menu.

import { Person } from './browser.mjs';
import { PASSWORD } from './publishing.mjs';

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

/** Waits for the message that says that something was done. */
export async function seeToast({ page }, text) {
  await page.getByText(text).first().waitFor();
}
