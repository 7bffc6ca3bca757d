// A real Chromium: pages whose console errors are collected, screenshots, and axe-core's verdict.

import assert from 'node:assert/strict';

import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';

import { artifact } from './places.mjs';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts Chromium. Close it with `close()`. */
export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
}

/** One person at one browser: an own cookie jar, and everything that went wrong on their pages. */
export class Person {
  /** Errors of the console (content security policy among them), uncaught exceptions and failed loads. */
  errors = [];

  static async start(browser, { name, baseURL, width = 1440, height = 900, theme = 'light' }) {
    const context = await browser.newContext({ baseURL, viewport: { width, height }, colorScheme: theme });
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: baseURL });
    const person = new Person();
    person.name = name;
    person.context = context;
    person.page = await context.newPage();
    person.page.setDefaultTimeout(45_000);
    person.page.on('console', (message) => {
      if (message.type() === 'error') person.errors.push(`${message.text()} (${message.location().url})`);
    });
    person.page.on('pageerror', (error) => person.errors.push(`uncaught: ${error.message} (${person.page.url()})`));
    return person;
  }

  /** Opens a path of the console and waits until the app has mounted. */
  async open(path) {
    await this.page.goto(path);
    await this.ready();
  }

  /** The app says so itself: a console whose program did not load must not pass for a quiet one. */
  async ready() {
    await this.page.waitForFunction(() => document.documentElement.dataset.ready === 'true');
  }

  /** Leaves the console: no page asks a server that is about to go. */
  async leave() {
    await this.page.goto('about:blank');
  }

  /** Everything that was asked for has arrived: no skeleton is left, and nothing says that it is busy. */
  async settled() {
    await this.page.waitForFunction(() => !document.querySelector('.skeleton, [aria-busy="true"]'));
  }

  /** Prefers light or dark from now on; the page has changed its colours when this returns. */
  async prefers(theme) {
    await this.page.emulateMedia({ colorScheme: theme });
    await this.page.evaluate(async () => {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const ending = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity);
      await Promise.allSettled(ending.map((one) => one.finished));
    });
  }

  async screenshot(name) {
    await this.page.screenshot({ path: artifact('screenshots', `${name}.png`), fullPage: true });
  }

  /** Fails when axe-core finds a violation on the page as it is now. */
  async assertAccessible(where) {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    const found = violations.map((v) => `${v.id}: ${v.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
    assert.deepEqual(found, [], `axe-core on ${where}`);
  }

  /** Fails when anything went wrong on a page; errors that the test provoked are named by `expected`. */
  assertQuiet(expected = []) {
    const loud = this.errors.filter((error) => !expected.some((part) => error.includes(part)));
    assert.deepEqual(loud, [], `errors in the console of ${this.name}`);
  }

  async setTheme(theme) {
    await this.page.emulateMedia({ colorScheme: theme });
  }

  async close() {
    await this.context.close();
  }
}
