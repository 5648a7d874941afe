import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test, { after, before } from 'node:test';

import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { register } from './support/client.mjs';
import { startWithPhone } from './support/phone.mjs';
import { TEXTS } from '../authorize/words.js';

const hash = (text) => createHash('sha256').update(text).digest('base64url');

let real;
let bank;
let chromium;
let credential;

before(async () => {
  real = await startWithPhone();
  bank = await register(real.origin, real.operator, 'Bank of Examples');
  const listed = await bank.csc('credentials/list', await bank.token(), { userID: 'olena' });
  [credential] = listed.credentialIDs;
  chromium = await browser.launch();
});
after(async () => {
  await chromium?.close();
  await real?.stop();
});

const loan = (more = {}) =>
  bank.page({
    scope: 'credential',
    credentialID: credential,
    numSignatures: '2',
    hashes: `${hash('1')},${hash('2')}`,
    description: 'Loan agreement 17',
    ...more,
  });

/** What the phone is asked, once it is; then what is done about it. */
async function decide(...act) {
  const asked = await browser.until(async () => JSON.parse(await real.phone('requests')).requests[0]);
  await real.phone(...act);
  return asked;
}
/** The holder picks the code that the page shows. */
const approve = async (page) => decide('approve', '--yes', '--pin-stdin', '--code', await page.innerText('#code'));

/** Where the browser was sent back to. */
async function back(page) {
  await page.waitForURL((url) => url.pathname === '/back');
  return new URL(page.url());
}

for (const [language, theme] of [['en', 'light'], ['uk', 'dark']]) {
  test(`WEB-140 a person signs in: says who they are, approves on the phone, and is sent back (${language}, ${theme})`, async (t) => {
    for (const size of [browser.PHONE, browser.DESKTOP]) {
      const page = await browser.open(t, chromium, real.origin, { language, theme, size, at: bank.page({ scope: 'service' }) });
      await page.waitForSelector('#who:not([hidden])');
      assert.match(await page.innerText('h1#who-title'), /Bank of Examples/);
      assert.deepEqual(await violations(page), []);
      await browser.shot(page, `authorize-who-${language}-${theme}-${size.width}`);
      // By the keyboard alone; the heading has the focus first.
      await page.keyboard.press('Tab');
      await page.keyboard.type('olena');
      await page.keyboard.press('Enter');
      await page.waitForSelector('#waiting:not([hidden])');
      assert.equal(await page.evaluate(() => document.activeElement.id), 'waiting-title');
      assert.deepEqual(await violations(page), []);
      await browser.shot(page, `authorize-waiting-${language}-${theme}-${size.width}`);
      const asked = await approve(page);
      assert.match(asked.text, /Let Bank of Examples see your signing certificate/);
      const url = await back(page);
      assert.deepEqual([url.searchParams.get('state'), url.searchParams.get('iss')], ['x', real.origin]);
      const { access_token: token } = await bank.exchange(url);
      assert.deepEqual((await bank.csc('credentials/list', token, {})).credentialIDs, [credential]);
      await page.finish();
    }
  });
}

test('WEB-141 the page says what is to be signed, asks the phone once though it is loaded anew, and goes on by itself', async (t) => {
  const page = await browser.open(t, chromium, real.origin, { size: { width: 320, height: 568 }, at: loan() });
  await page.waitForSelector('#waiting:not([hidden])');
  assert.match(await page.innerText('#asks'), /Bank of Examples asks for your signature/);
  assert.match(await page.innerText('#what'), /Loan agreement 17\s+Documents: 2\s+1 of 2\s+2 of 2/);
  assert.deepEqual(await violations(page), []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the screen');
  await browser.shot(page, 'authorize-credential-320');
  await page.reload();
  await page.waitForSelector('#waiting:not([hidden])');
  await page.click('#language');
  assert.match(await page.innerText('#asks'), /просить ваш підпис/);
  assert.equal(JSON.parse(await real.phone('requests')).requests.length, 1);
  await approve(page);
  const { scope, credentialID } = await bank.exchange(await back(page));
  assert.deepEqual([scope, credentialID], ['credential', credential]);
});

test('WEB-142 declined on the phone or cancelled in the browser, the client learns it', async (t) => {
  const declined = await browser.open(t, chromium, real.origin, { at: loan() });
  await decide('decline');
  assert.equal((await back(declined)).searchParams.get('reason'), 'USER_REFUSED');
  await declined.finish();
  const cancelled = await browser.open(t, chromium, real.origin, { at: loan() });
  await cancelled.waitForSelector('#waiting:not([hidden])');
  await cancelled.click('#cancel');
  const url = await back(cancelled);
  assert.deepEqual([url.searchParams.get('error'), url.searchParams.get('reason')], ['access_denied', 'CANCELLED']);
  assert.deepEqual(JSON.parse(await real.phone('requests')).requests, []);
});

test('WEB-143 a wrong address stays here and says so, another browser has nothing of a visit', async (t) => {
  const page = await browser.open(t, chromium, real.origin, { at: loan({ redirect_uri: 'https://elsewhere.example/' }) });
  await page.waitForSelector('#over:not([hidden])');
  assert.match(await page.innerText('#over'), /wrong address[^]*redirect_uri is none of the client's/);
  assert.deepEqual(await violations(page), []);
  const own = await browser.open(t, chromium, real.origin, { at: loan() });
  await own.waitForSelector('#waiting:not([hidden])');
  const { pathname, search } = new URL(own.url());
  const other = await browser.open(t, chromium, real.origin, { at: pathname + search });
  await other.waitForSelector('#over:not([hidden])');
  assert.match(await other.innerText('#over'), /belongs to another browser/);
  await own.click('#cancel');
  await back(own);
});

test('WEB-144 a connection that breaks is waited for; both languages have every text', async (t) => {
  assert.deepEqual(Object.keys(TEXTS.uk), Object.keys(TEXTS.en));
  const page = await browser.open(t, chromium, real.origin, { at: loan() });
  await page.waitForSelector('#waiting:not([hidden])');
  await page.context().setOffline(true);
  await browser.says(page, '#notice', /No connection/);
  await approve(page);
  await page.context().setOffline(false);
  assert.ok((await back(page)).searchParams.get('code'));
});

test('WEB-145 who finds the phone asked already is told what to do, and goes on once it was declined there', async (t) => {
  const hinted = bank.page({ scope: 'service', login_hint: 'olena' });
  const stranger = await browser.open(t, chromium, real.origin, { at: hinted });
  await stranger.waitForSelector('#code-card:not([hidden])');
  const own = await browser.open(t, chromium, real.origin, { at: hinted });
  await browser.says(own, '#notice', /you did not begin, decline it there/);
  assert.deepEqual(await violations(own), []);
  await decide('decline');
  await back(stranger);
  await own.click('#again');
  await own.waitForSelector('#code-card:not([hidden])');
  await approve(own);
  assert.ok((await back(own)).searchParams.get('code'));
});
