/** Chromium with a film for a camera, and what must hold of every page: nothing from elsewhere, no violation, no error. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { chromium } from 'playwright-core';

import { prepareZXingModule, readBarcodes } from '../../vendor/zxing-wasm/3.1.4/reader/index.js';

const wasmBinary = readFileSync(new URL('../../vendor/zxing-wasm/3.1.4/reader/zxing_reader.wasm', import.meta.url));
prepareZXingModule({ overrides: { wasmBinary } });

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** How many times slower a page runs: `SLOW=6` finds a test that asks before the page can have drawn. */
const SLOW = Number(process.env.SLOW ?? 1);
const WAIT_MS = 30_000 * SLOW;
const SHOTS = process.env.SCREENSHOTS ?? new URL('../../../../target/screenshots', import.meta.url).pathname;

/** Without shared memory, of which containers have little: the browser would wait for ever. A browser whose camera shows `film`; without a film it has no camera. */
export function launch(film = null) {
  const camera = film
    ? ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${film}`]
    : [];
  return chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', ...camera],
  });
}

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 800 };

/**
 * The page of `origin` that lies `at` a path, in a context of its own, until the test `t` ends. `page.problems` gathers what
 * must not happen; `finish` checks it and closes the page, at the latest after the test.
 */
export async function open(t, browser, origin, { size = DESKTOP, theme = 'light', language = 'en', camera = true, at = '/verify/' } = {}) {
  const context = await browser.newContext({
    viewport: size,
    colorScheme: theme,
    locale: language === 'uk' ? 'uk-UA' : 'en-GB',
    timezoneId: 'Europe/Kyiv',
    permissions: camera ? ['camera'] : [],
  });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  page.problems = [];
  let isOpen = true;
  page.finish = async () => {
    if (!isOpen) return;
    isOpen = false;
    await context.close();
    assert.deepEqual(page.problems, []);
  };
  t.after(page.finish);
  if (SLOW > 1) await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate: SLOW });
  context.on('request', (request) => {
    const { protocol, origin: from } = new URL(request.url());
    if (protocol !== 'blob:' && from !== origin) page.problems.push(`a request to ${request.url()}`);
  });
  page.on('pageerror', (error) => page.problems.push(`an error: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    // What the browser itself says of requests that fail is what some tests are about.
    if (message.type() === 'error' && !text.startsWith('Failed to load resource')) page.problems.push(`console: ${text}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(`${origin}${at}`);
  await ready(page);
  return page;
}

/** Until the page has its lists. */
export const ready = (page) => page.waitForSelector('html[data-ready="true"]');

/** Until the service worker has the whole page and serves it. */
export async function kept(page) {
  await page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated');
}

/** Has the settings fetch everything anew, until it is there. */
export async function refresh(page) {
  if (!(await page.isVisible('#settings'))) await page.click('[data-view="settings"]');
  await page.click('#refresh');
  await page.waitForSelector('#refresh:not([aria-busy])');
}

/** Until an element's text matches. */
export const says = (page, selector, pattern) =>
  page.waitForFunction(([selector, source]) => new RegExp(source).test(document.querySelector(selector)?.innerText ?? ''), [selector, pattern.source]);

/** The result on the screen: colour, word, sentence, next step. */
export async function result(page) {
  await page.waitForSelector('dialog#result[open]');
  return page.evaluate(() => {
    const text = (id) => document.getElementById(id).innerText.trim();
    return {
      result: document.getElementById('result').dataset.result,
      verdict: text('verdict'),
      sentence: text('sentence'),
      next: text('next'),
      claims: text('claims'),
      when: text('when'),
      notes: text('notes'),
    };
  });
}

/** Puts the result away. Before a camera the next one may stand there at once. */
export const next = (page) => page.click('#again');

/** The reason of the newest check, from the device's history. */
export const lastReason = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        const open = indexedDB.open('signer-verify');
        open.onsuccess = () => {
          const all = open.result.transaction('history').objectStore('history').getAll();
          all.onsuccess = () => resolve(all.result.at(-1)?.reason ?? null);
        };
      }),
  );

/** What `ask` says once it says something, asked anew until then. */
export async function until(ask) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; ) {
    const said = await ask();
    if (said) return said;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing within ${WAIT_MS} ms: ${ask}`);
}

/** Characters of a code to keys of a US keyboard. */
const PLACES = { ' ': 'Space', '-': 'Minus', '+': 'Equal', '.': 'Period', '/': 'Slash', ':': 'Semicolon', $: 'Digit4', '%': 'Digit5', '*': 'Digit8' };

/** Types a text as a keyboard-wedge scanner does, as fast as one; `said` is what another layout makes of a key. */
export async function wedge(page, text, said = {}) {
  await page.evaluate(
    ([text, places, said]) => {
      // The scanner's times, a millisecond a key: those of this machine may have gaps.
      let time = performance.now();
      const press = (key, code, shiftKey) => {
        const event = new KeyboardEvent('keydown', { key, code, shiftKey, bubbles: true, cancelable: true });
        Object.defineProperty(event, 'timeStamp', { value: (time += 1) });
        document.activeElement.dispatchEvent(event);
      };
      for (const letter of text) {
        const code = places[letter] ?? (/[0-9]/.test(letter) ? `Digit${letter}` : `Key${letter}`);
        press(said[letter] ?? letter, code, /[A-Z$%*+:]/.test(letter));
      }
      press('Enter', 'Enter', false);
    },
    [text, PLACES, said],
  );
}

/** Strikes keys and Enter as fast as a scanner's keyboard: the keys carry its times, not those of the machine the test runs on. */
export async function strike(page, text) {
  const session = await page.context().newCDPSession(page);
  const start = Date.now() / 1000;
  const strokes = [...Array.from(text, (key) => ({ key, text: key, code: `Digit${key}` })), { key: 'Enter', text: '\r', code: 'Enter' }];
  for (const [at, stroke] of strokes.entries()) {
    const timestamp = start + at / 100;
    await session.send('Input.dispatchKeyEvent', { type: 'keyDown', timestamp, ...stroke });
    await session.send('Input.dispatchKeyEvent', { type: 'keyUp', timestamp, key: stroke.key, code: stroke.code });
  }
}

/** Keeps a picture beside the other build output, never in git. */
export async function shot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.waitForTimeout(350);
  await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
}

/** The text of a code drawn on a canvas of the page, once there is one. */
export async function readCanvas(page, selector) {
  return until(async () => {
    const image = await page.locator(selector).screenshot();
    const [found] = await readBarcodes(image, { formats: ['QRCode'] });
    return found?.isValid && found.text;
  });
}

/** The texts of the bar codes drawn in an element. */
export async function readBars(page, selector) {
  const found = await readBarcodes(await page.locator(selector).screenshot(), { formats: ['Code128'] });
  return found.filter(({ isValid }) => isValid).map(({ text }) => text);
}
