import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';

import * as browser from './support/browser.mjs';
import { film } from './support/camera.mjs';
import { startWithPhone } from './support/phone.mjs';

let real;

before(async () => {
  real = await startWithPhone();
});
after(() => real?.stop());

async function setUp(page) {
  await page.click('[data-view="settings"]');
  await page.fill('#token', real.token);
  await page.click('#online button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('token').value === '');
  await page.click('[data-view="scan"]');
}

test('WEB-080 a code of a real phone before the camera: green online, once; offline by the lists of the server', async () => {
  const text = await real.show();
  const file = path.join(tmpdir(), `signer-film-${process.pid}.y4m`);
  await film(file, ['', text], { seconds: 3 });
  const camera = await browser.launch(file);
  try {
    const page = await browser.open(camera, real.origin, { camera: false });
    await setUp(page);
    await browser.kept(page);
    await page.context().grantPermissions(['camera']);
    await page.click('#camera-start');
    const online = await browser.result(page);
    assert.deepEqual([online.result, online.verdict], ['green', 'Valid'], JSON.stringify(online));
    assert.match(online.when, /Checked online/);
    assert.match(online.claims, /At least 18 years old/);
    await browser.next(page);
    await browser.wedge(page, text);
    assert.equal((await browser.result(page)).result, 'red');
    assert.equal(await browser.lastReason(page), 'used');
    await browser.next(page);
    // With the cable cut, the lists fetched before decide.
    await page.context().setOffline(true);
    await browser.wedge(page, await real.show());
    const offline = await browser.result(page);
    assert.match(offline.when, /Checked offline/);
    assert.notEqual(offline.result, 'red', JSON.stringify(offline));
    await page.finish();
  } finally {
    await camera.close();
    rmSync(file, { force: true });
  }
});

test('WEB-081 a business credential of the server makes a request that the page draws', async () => {
  const plain = await browser.launch();
  try {
    const page = await browser.open(plain, real.origin);
    await page.click('[data-view="settings"]');
    await page.waitForFunction(() => document.getElementById('business-key').value.length === 44);
    const key = await page.inputValue('#business-key');
    const { credential } = await real.operator('business-credential', '--name', 'Corner Shop', '--key', key, '--profiles', 'age,minimal');
    await page.fill('#business-credential', credential);
    await page.click('#business button[type="submit"]');
    await page.waitForFunction(() => document.getElementById('business-credential').value === '');
    await page.click('[data-view="scan"]');
    await page.click('#request-toggle');
    assert.match(await browser.readCanvas(page, '#request-code'), /^DR1:/);
    await page.finish();
  } finally {
    await plain.close();
  }
});
