import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';

import * as issuer from '../verifier/test/support/issuer.mjs';
import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { hourOf, liveStep, nowSeconds, start } from './support/server.mjs';

const FULL = [2, 'Шевченко', 'Тарас Григорович', 34_400, 'ВХА123456', 23_526, 'A,B', null];

let world;
let chromium;
let index = 100;

before(async () => {
  world = await start();
  chromium = await browser.launch();
});
after(async () => {
  await chromium?.close();
  await world?.stop();
});

const code = async (document, shift = 0, list = 1) => {
  const now = nowSeconds();
  return issuer.show(await issuer.newCredential(world, hourOf(now) - 3_600, { document, index: (index += 1), list }), liveStep(now) + shift);
};

for (const [language, theme] of [['en', 'light'], ['en', 'dark'], ['uk', 'light'], ['uk', 'dark']]) {
  test(`WEB-070 axe finds nothing on any view or result (${language}, ${theme})`, async (t) => {
    for (const [size, name] of [[browser.PHONE, 'phone'], [browser.DESKTOP, 'desktop']]) {
      const page = await browser.open(t, chromium, world.origin, { language, theme, size });
      const look = async (what) => {
        assert.deepEqual(await violations(page), [], `${what}, ${language}, ${theme}, ${name}`);
        await browser.shot(page, `${name}-${theme}-${language}-${what}`);
      };
      assert.equal(await page.getAttribute('html', 'lang'), language);
      await look('scan');
      for (const [what, make] of [
        ['green', () => code(FULL)],
        // Of list 2 nothing is known.
        ['amber', () => code([1, 'Ш.Т.Г.', 903, true], 0, 2)],
        ['red', () => code(undefined, -3)],
        ['grey', async () => '12345678'],
      ]) {
        await browser.wedge(page, await make());
        const shown = await browser.result(page);
        assert.equal(shown.result, what);
        await look(what);
        await browser.next(page);
      }
      await page.click('[data-view="history"]');
      await page.waitForFunction(() => document.querySelectorAll('#history-list .what').length === 3);
      await look('history');
      await page.click('[data-view="settings"]');
      await page.waitForFunction(() => document.getElementById('business-key').value.length === 44);
      await look('settings');
      await page.finish();
    }
  });
}

test('WEB-071 everything can be done with the keyboard alone, and the focus is always somewhere sensible', async (t) => {
  const page = await browser.open(t, chromium, world.origin);
  const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.className || document.activeElement?.tagName);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'skip');
  const visited = new Set();
  for (let presses = 0; presses < 20; presses += 1) {
    await page.keyboard.press('Tab');
    visited.add(await focused());
    const outline = await page.evaluate(() => {
      const element = document.activeElement;
      const box = element.closest('.upload') ?? element;
      return element === document.body || getComputedStyle(box).outlineStyle !== 'none';
    });
    assert.ok(outline, `no visible focus on ${await focused()}`);
  }
  for (const id of ['theme', 'language', 'digits', 'picture', 'camera-start']) assert.ok(visited.has(id), `${id} of ${[...visited]}`);
  await page.focus('#digits');
  await page.keyboard.type('12345678', { delay: 80 });
  await page.keyboard.press('Enter');
  assert.equal((await browser.result(page)).result, 'grey');
  assert.equal(await focused(), 'again');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => ['digits', 'main'].includes(document.activeElement?.id));
  await page.keyboard.type('1234567812345678', { delay: 80 });
  await page.keyboard.press('Enter');
  await browser.result(page);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog#result', { state: 'hidden' });
  await page.focus('[data-view="settings"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#settings:not([hidden])');
});

test('WEB-072 a result is announced with its word, sentence and next step, and is told without colour', async (t) => {
  const page = await browser.open(t, chromium, world.origin);
  await browser.wedge(page, await code(undefined, -3));
  const shown = await browser.result(page);
  const dialog = page.locator('dialog#result');
  assert.equal(await dialog.getAttribute('aria-labelledby'), 'verdict');
  assert.equal(await dialog.getAttribute('aria-describedby'), 'sentence next');
  assert.ok(shown.verdict && shown.sentence && shown.next);
  const icons = await page.$$eval('.icon g', (groups) => groups.filter((group) => getComputedStyle(group).display !== 'none').map((group) => group.className.baseVal));
  assert.deepEqual(icons, ['for-red']);
});

test('WEB-073 language and theme are switched on the spot and kept', async (t) => {
  const page = await browser.open(t, chromium, world.origin);
  await page.click('#language');
  assert.equal(await page.getAttribute('html', 'lang'), 'uk');
  assert.match(await page.innerText('#scan-title'), /Наведіть камеру/);
  await page.click('#theme');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
  await page.reload();
  await browser.ready(page);
  assert.deepEqual([await page.getAttribute('html', 'lang'), await page.getAttribute('html', 'data-theme'), await page.title()], ['uk', 'dark', 'Перевірка документа']);
});

test('WEB-074 nothing of a page is inline and nothing comes from elsewhere', async (t) => {
  const answer = await fetch(`${world.origin}/verify/`);
  const policy = answer.headers.get('content-security-policy');
  assert.match(policy, /default-src 'self'; script-src 'self' 'wasm-unsafe-eval'/);
  assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|https?:/);
  const html = await answer.text();
  assert.doesNotMatch(html, /<style|style=|<script(?![^>]*src=)|\son\w+=|https?:/);
  const page = await browser.open(t, chromium, world.origin);
  // The policy holds in the page: an inline script does not run, and says so.
  await page.evaluate(() => {
    const script = document.createElement('script');
    try {
      script.textContent = 'globalThis.ran = true';
      document.head.append(script);
    } catch {
      globalThis.refused = true;
    }
  });
  assert.equal(await page.evaluate(() => globalThis.ran), undefined);
  page.problems.length = 0;
  await page.finish();
});
