/** What an ordinary camera finds behind a device link, before the real server. */

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';

import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { startReal } from './support/server.mjs';

const QUERY = 'v=1&t=17&s=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8&a=gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8';

let chromium;
let server;
let origin;

before(async () => {
  server = await startReal();
  origin = `http://127.0.0.1:${server.port}`;
  chromium = await browser.launch();
});
after(async () => {
  await chromium?.close();
  await server?.stop();
});

for (const [theme, language] of [['light', 'en'], ['dark', 'uk']]) {
  test(`WEB-151 axe finds nothing on the page behind a device link, and the link stays in the address (${theme})`, async (t) => {
    for (const [size, name] of [[{ width: 320, height: 640 }, 'phone'], [browser.DESKTOP, 'desktop']]) {
      const page = await browser.open(t, chromium, origin, { at: '/verify/', size, theme, language, camera: false });
      /** @type {string[]} */
      const told = [];
      page.on('request', (request) => {
        if (!request.isNavigationRequest()) told.push(`${request.url()} ${JSON.stringify(request.headers())}`);
      });
      await page.goto(`${origin}/link?${QUERY}`, { waitUntil: 'networkidle' });
      assert.ok(told.some((request) => request.includes('/link/style.css')), String(told));
      assert.deepEqual(told.filter((request) => request.includes('t=17') || request.includes('AAECAwQF')), []);
      assert.equal(await page.isVisible('text=Scan this from inside the app'), true);
      assert.equal(await page.isVisible('text=Скануйте із самого застосунку'), true);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      assert.equal(wide, false);
      assert.equal((await page.innerText('main')).includes('AAECAwQF'), false);
      assert.deepEqual(await violations(page), []);
      await browser.shot(page, `link-${name}-${theme}`);
      await page.finish();
    }
  });
}
