/** The API's own page before the real server. */

import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';

import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { startReal } from './support/server.mjs';

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

for (const [theme, size, name] of [['light', browser.DESKTOP, 'desktop'], ['dark', browser.PHONE, 'phone']]) {
  test(`OAP-007 the page shows every operation and schema of the document (${theme}, ${name})`, async (t) => {
    const document = await (await fetch(`${origin}/openapi.json`)).json();
    const operations = Object.values(document.paths).flatMap((item) => Object.values(item)).map((one) => one.operationId);
    const schemas = Object.keys(document.components.schemas).map((schema) => `schema-${schema}`);
    const page = await browser.open(t, chromium, origin, { at: '/docs/#create_request', camera: false, theme, size });
    assert.deepEqual((await page.$$eval('main details', (all) => all.map((one) => one.id))).sort(), [...operations, ...schemas].sort());
    const linked = await page.$$eval('main a[href^="#"]', (all) => all.map((one) => one.getAttribute('href').slice(1)));
    assert.deepEqual(linked.filter((to) => !schemas.includes(to)), []);
    const text = await page.textContent('#create_request');
    for (const said of ['POST', '/v1/requests', 'Idempotency-Key', 'CreateRequest', '201', '422', 'idempotency_mismatch']) {
      assert.ok(text.includes(said), said);
    }
    assert.equal(await page.getAttribute('#create_request', 'open'), '', 'the address opens it');
    assert.deepEqual(await violations(page), []);
    await browser.shot(page, `docs-${theme}-${name}`);
    await page.fill('#filter', 'signHash');
    assert.deepEqual(await page.$$eval('main section:not(:last-child) details:not([hidden])', (all) => all.map((one) => one.id)), ['csc_sign_hash']);
  });
}
