import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { promisify } from 'node:util';

import * as browser from './support/browser.mjs';
import { film } from './support/camera.mjs';
import { startWithPhone } from './support/phone.mjs';
import { steady } from './support/server.mjs';

let real;
let plain;

before(async () => {
  real = await startWithPhone();
  plain = await browser.launch();
});
after(async () => {
  await plain?.close();
  await real?.stop();
});

async function setUp(page, token = real.token) {
  await page.click('[data-view="settings"]');
  await page.fill('#token', token);
  await page.click('#online button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('token').value === '');
  await page.click('[data-view="scan"]');
}

test('WEB-080 a code of a real phone before the camera: green online, once; offline by the lists of the server', async (t) => {
  const text = (await real.show()).code;
  const file = path.join(tmpdir(), `signer-film-${process.pid}.y4m`);
  await film(file, ['', text], { seconds: 3 });
  const camera = await browser.launch(file);
  t.after(async () => {
    await camera.close();
    rmSync(file, { force: true });
  });
  const page = await browser.open(t, camera, real.origin, { camera: false });
  await setUp(page);
  await browser.kept(page);
  await page.context().grantPermissions(['camera']);
  await page.click('#camera-start');
  const online = await browser.result(page);
  assert.deepEqual([online.result, online.verdict], ['green', 'Valid'], JSON.stringify(online));
  assert.match(online.when, /Checked online/);
  assert.match(online.claims, /At least 18 years old/);
  // From here on the camera sees nothing.
  await page.evaluate(() => (document.getElementById('video').srcObject = null));
  await browser.next(page);
  await browser.wedge(page, text);
  assert.equal((await browser.result(page)).result, 'red');
  assert.equal(await browser.lastReason(page), 'used');
  await browser.next(page);
  // With the cable cut, the lists fetched before decide.
  await page.context().setOffline(true);
  await browser.wedge(page, (await real.show('--offline')).code);
  const offline = await browser.result(page);
  assert.match(offline.when, /Checked offline/);
  assert.notEqual(offline.result, 'red', JSON.stringify(offline));
});

test('WEB-081 number and bar code of a real phone: the holder sees the digits that the page shows, and agrees or declines', async (t) => {
  const page = await browser.open(t, plain, real.origin, { size: browser.PHONE });
  await setUp(page);
  await page.fill('#digits', (await real.show()).digits);
  await page.press('#digits', 'Enter');
  await page.waitForSelector('#asked:not([hidden])');
  const match = await page.innerText('#asked-match');
  const check = await real.answer('--allow');
  assert.deepEqual([check.match, check.verifier], [match, 'Corner Shop']);
  const agreed = await browser.result(page);
  assert.deepEqual([agreed.result, await browser.lastReason(page)], ['green', 'valid'], JSON.stringify(agreed));
  assert.match(agreed.claims, /18/);
  await browser.next(page);
  await browser.wedge(page, (await real.show()).bar);
  await page.waitForSelector('#asked:not([hidden])');
  await real.answer('--deny');
  assert.equal((await browser.result(page)).result, 'red');
  assert.equal(await browser.lastReason(page), 'declined');
  await browser.next(page);
  await page.fill('#digits', '00000000');
  await page.press('#digits', 'Enter');
  assert.equal((await browser.result(page)).result, 'red');
  assert.equal(await browser.lastReason(page), 'unknown_code');
});

test('WEB-082 the shop shows its request, the phone names the shop and answers it, and the page takes that answer alone', async (t) => {
  const page = await browser.open(t, plain, real.origin);
  await page.click('[data-view="settings"]');
  await page.waitForFunction(() => document.getElementById('business-key').value.length === 44);
  const key = await page.inputValue('#business-key');
  const { credential } = await real.operator('business-credential', '--name', 'Corner Shop', '--key', key, '--profiles', 'age,minimal', '--relying-party', real.shop);
  await page.fill('#business-credential', credential);
  await page.click('#business button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('business-credential').value === '');
  await setUp(page);
  await steady();
  await page.click('#request-toggle');
  const request = await browser.readCanvas(page, '#request-code');
  const shown = await real.show('--request', request, '--yes');
  await browser.wedge(page, shown.code);
  const answered = await browser.result(page);
  assert.deepEqual([answered.result, await browser.lastReason(page)], ['green', 'valid'], JSON.stringify(answered));
  await browser.next(page);
  await browser.wedge(page, (await real.show()).code);
  await browser.result(page);
  assert.equal(await browser.lastReason(page), 'not_for_this_request');
});

test('WEB-083 a phone that was revoked is red online at once, and offline with the next lists', async (t) => {
  // A server of its own, whose lists of this quarter of an hour nobody has fetched yet.
  const other = await startWithPhone();
  t.after(other.stop);
  const { code } = await other.show();
  const { device } = JSON.parse(await other.phone('status'));
  await other.operator('device', 'revoke', device);
  const page = await browser.open(t, plain, other.origin);
  await browser.wedge(page, code);
  const offline = await browser.result(page);
  assert.match(offline.when, /Checked offline/);
  assert.deepEqual([offline.result, await browser.lastReason(page)], ['red', 'revoked']);
  await browser.next(page);
  await setUp(page, other.token);
  await browser.wedge(page, code);
  const online = await browser.result(page);
  assert.match(online.when, /Checked online/);
  assert.deepEqual([online.result, await browser.lastReason(page)], ['red', 'revoked']);
});

test('WEB-084 two decoders that nobody here wrote read every code the phone draws', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'signer-codes-'));
  const file = (name) => path.join(folder, name);
  try {
    const drawn = ['--svg', file('qr.svg'), '--png', file('qr.png'), '--bar-svg', file('bar.svg'), '--bar-png', file('bar.png')];
    const { code, bar } = await real.show(...drawn);
    const full = await real.show('--profile', 'full', '--to-whoever-scans', '--svg', file('full.svg'), '--png', file('full.png'));
    const said = { qr: code, bar: bar.replaceAll(' ', ''), full: full.code };
    const files = readdirSync(folder).map((name) => `${file(name)}=${said[name.split('.')[0]]}`);
    assert.equal(files.length, 6);
    const decoders = path.join(import.meta.dirname, '../../../.ci/web');
    const { stdout } = await promisify(execFile)(decoders, ['codes', ...files]).catch((error) => error);
    assert.match(stdout, /6 passed, 0 failed/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
