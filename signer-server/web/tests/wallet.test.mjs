/** The holder's demo page alone, before a phone that says what each test wants. */

import assert from 'node:assert/strict';
import test, { after, before, beforeEach } from 'node:test';

import { TEXTS as SHOP_TEXTS } from '../verify/i18n.js';
import { TEXTS } from '../wallet/texts.js';
import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { asked, mock, resting, shown, wanted } from './support/wallet-mock.mjs';

let chromium;
let phone;

before(async () => {
  phone = await mock();
  chromium = await browser.launch();
});
after(async () => {
  await chromium?.close();
  await phone?.close();
});
beforeEach(() => Object.assign(phone, { state: resting(), entries: [], fault: null, posts: [], onPost: () => undefined }));

const open = (t, options = {}) => browser.open(t, chromium, phone.origin, { size: browser.PHONE, at: '/wallet/', ...options });
const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName);

/** The phone says something new; waits until the page shows it. */
async function now(page, changes, selector) {
  Object.assign(phone.state, changes);
  phone.change();
  await page.waitForSelector(selector);
}

const at = (seconds) => Math.floor(Date.now() / 1000) - seconds;
const ENTRIES = [
  { at: at(40), kind: 'verified', who: 'Corner Shop', what: 'identity_card', claims: ['over'] },
  { at: at(3000), kind: 'denied', who: 'Night Club Neon', what: 'driving_licence', claims: [] },
  { at: at(4000), kind: 'wrong_pin', who: null, what: null, claims: [] },
  { at: at(4100), kind: 'signed', who: 'Bank of Examples', what: 'agreement.pdf', claims: [] },
  { at: null, kind: 'unreadable', who: null, what: null, claims: [] },
  { at: at(90000), kind: 'shown', who: null, what: null, claims: ['initials', 'birthday', 'over'] },
];

async function openRequest(page, request) {
  await now(page, { requests: [request] }, '#wanted button');
  await page.click('#wanted button');
  await page.waitForSelector('#signing:not([hidden])');
}

/** Every view of the page, and how to get there. */
const VIEWS = {
  documents: async () => {},
  choose: (page) => page.click('[data-document="identity_card"]'),
  full: async (page) => {
    await page.click('[data-document="identity_card"]');
    await page.check('input[value="full"]');
  },
  request: async (page) => {
    await page.click('[data-document="identity_card"]');
    await page.click('#request-open');
  },
  code: (page) => now(page, { show: shown() }, '#code:not([hidden])'),
  used: (page) => now(page, { show: shown({ turn: 1, used_at: at(0) }) }, '#used:not([hidden])'),
  offline: (page) => now(page, { online: false, show: shown({ bar: null, bar_svg: null, number: null, online: false, linkable: true }) }, '#linkable:not([hidden])'),
  whoever: (page) => now(page, { show: shown({ profile: 'full', whoever: true, qr_side: 77 }) }, '#code-whoever:not([hidden])'),
  ask: (page) => now(page, { show: shown(), checks: [asked()] }, '#ask[open]'),
  'ask-full': (page) => now(page, { show: shown(), checks: [asked({ profile: 'full' })] }, '#ask[open]'),
  history: async (page) => {
    Object.assign(phone, { entries: ENTRIES, fault: 'gap' });
    await page.click('[data-view="history"]');
    await page.waitForSelector('.entries');
  },
  safety: (page) => page.click('[data-view="safety"]'),
  wanted: (page) => now(page, { requests: [wanted()] }, '#wanted button'),
  codes: (page) => openRequest(page, wanted()),
  pin: (page) => openRequest(page, wanted({ codes: null })),
  'pin-wrong': async (page) => {
    phone.onPost = () => ({ signed: false, left: 2 });
    await openRequest(page, wanted({ codes: null }));
    await page.fill('#pin', '000000');
    await page.click('#pin-form button');
    await page.waitForSelector('#pin-error:not(:empty)');
  },
  link: (page) => page.click('#link-open'),
};

/** On a desktop the same views stand in a drawn phone; these show what is different there. */
const IN_FRAME = ['documents', 'code', 'ask'];

for (const [language, theme] of [['en', 'light'], ['en', 'dark'], ['uk', 'light'], ['uk', 'dark']]) {
  test(`WEB-100 axe finds nothing on any view of the holder's page (${language}, ${theme})`, async (t) => {
    for (const [size, name] of [[browser.PHONE, 'phone'], [browser.DESKTOP, 'desktop']]) {
      for (const [view, go] of Object.entries(VIEWS)) {
        if (size === browser.DESKTOP && !IN_FRAME.includes(view)) continue;
        phone.state = resting();
        const page = await open(t, { language, theme, size });
        await go(page);
        // Nothing is cut off at the side.
        assert.equal(await page.evaluate(() => document.querySelector('main').scrollWidth > document.querySelector('main').clientWidth), false, view);
        await browser.shot(page, `wallet-${name}-${theme}-${language}-${view}`);
        assert.deepEqual(await violations(page), [], `${view}, ${language}, ${theme}, ${name}`);
        await page.finish();
      }
    }
  });
}

test('WEB-101 what scanners read is black on white in both themes, a whole number of pixels to a module', async (t) => {
  for (const theme of ['light', 'dark']) {
    const page = await open(t, { theme });
    await now(page, { show: shown() }, '#qr[src]');
    const paper = await page.$eval('.paper', (element) => [getComputedStyle(element).backgroundColor, getComputedStyle(element).color]);
    assert.deepEqual(paper, ['rgb(255, 255, 255)', 'rgb(0, 0, 0)']);
    for (const [id, modules] of [['qr', 69], ['bar', 143]]) {
      const width = await page.$eval(`#${id}`, (image) => image.getBoundingClientRect().width * devicePixelRatio);
      assert.ok(width > 250 && Number.isInteger(width / modules), `${id}: ${width}`);
    }
    await page.finish();
  }
});

test('WEB-102 the number is announced once for each code, digit by digit, and the countdown never', async (t) => {
  const page = await open(t);
  await page.evaluate(() => {
    globalThis.said = [];
    new MutationObserver(() => {
      const text = document.getElementById('announce').textContent;
      if (text) globalThis.said.push(text);
    }).observe(document.getElementById('announce'), { childList: true, characterData: true, subtree: true });
  });
  await now(page, { show: shown({ number: '48210739' }) }, '#qr[src]');
  // The countdown goes on, and the same code is drawn again.
  for (let seconds = 0; seconds < 2; seconds += 1) {
    const left = await page.innerText('#changes');
    await page.waitForFunction((left) => document.getElementById('changes').innerText !== left, left);
  }
  await now(page, { show: shown({ number: '48210739', used_at: at(0) }) }, '#used:not([hidden])');
  await now(page, { show: shown({ number: '11223344', turn: 1 }) }, '#turn:not([hidden])');
  assert.deepEqual(await page.evaluate(() => globalThis.said), ['Number code: 4 8 2 1, 0 7 3 9.', 'Number code: 1 1 2 2, 3 3 4 4.']);
  assert.equal(await page.getAttribute('#announce', 'aria-live'), 'polite');
  for (const id of ['changes', 'ask-left']) {
    assert.deepEqual([await page.getAttribute(`#${id}`, 'role'), await page.getAttribute(`#${id}`, 'aria-live')], ['timer', 'off']);
  }
});

test('WEB-103 a question takes the focus, lets nothing behind it be reached, and gives the focus back', async (t) => {
  const page = await open(t);
  await now(page, { show: shown() }, '#code:not([hidden])');
  await page.focus('#done');
  await now(page, { checks: [asked()] }, '#ask[open]');
  assert.equal(await focused(page), 'ask-title');
  assert.equal(await page.getAttribute('#ask', 'aria-modal'), 'true');
  const reached = new Set();
  for (let presses = 0; presses < 8; presses += 1) {
    await page.keyboard.press('Tab');
    reached.add(await focused(page));
  }
  reached.delete('BODY');
  assert.deepEqual([...reached].sort(), ['allow', 'deny']);
  const text = await page.innerText('#ask');
  for (const part of ['Corner Shop asks', 'That you are at least 18.', '47', 'Identity card', 'The question ends in 1:']) assert.ok(text.includes(part), `${part} in ${text}`);
  phone.onPost = () => {
    phone.state.checks = [];
  };
  await page.focus('#allow');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#ask', { state: 'hidden' });
  assert.deepEqual(phone.posts, [{ path: `checks/${'0f'.repeat(16)}`, body: { allow: true } }]);
  assert.equal(await focused(page), 'done');
});

test('WEB-104 age is what is offered first, and the full document needs its own word', async (t) => {
  const page = await open(t);
  phone.onPost = (_, body) => {
    phone.state.show = shown({ profile: body.profile, whoever: body.to_whoever_scans });
  };
  await page.click('[data-document="driving_licence"]');
  assert.equal(await page.inputValue('input[name="profile"]:checked'), 'age');
  assert.equal(await page.innerText('#choose-show'), 'Show code');
  await page.check('input[value="full"]');
  assert.equal(await page.innerText('#choose-show'), 'Show to whoever scans');
  assert.match(await page.innerText('#whoever-warning'), /reads the full document/);
  await page.click('#choose-show');
  await page.waitForSelector('#code-whoever:not([hidden])');
  assert.deepEqual(phone.posts.at(-1).body, { document_type: 'driving_licence', profile: 'full', to_whoever_scans: true });
  phone.state.show = null;
  phone.change();
  await page.click('[data-document="driving_licence"]');
  assert.equal(await page.inputValue('input[name="profile"]:checked'), 'age');
  await page.click('#choose-show');
  await page.waitForSelector('#code:not([hidden])');
  assert.deepEqual(phone.posts.at(-1).body, { document_type: 'driving_licence', profile: 'age', to_whoever_scans: false });
});

test('WEB-105 without a network there is the QR code alone, and a repeated code is said to be one', async (t) => {
  const page = await open(t);
  await VIEWS.offline(page);
  assert.equal(await page.innerText('#network'), 'Offline');
  for (const id of ['bar', 'number']) assert.equal(await page.isVisible(`#${id}`), false);
  await page.waitForSelector('#qr', { state: 'visible' });
  assert.match(await page.innerText('#no-short'), /^QR code only\. Bar code and number need a network/);
  assert.match(await page.innerText('#linkable'), /^This code was shown before\./);
});

test('WEB-106 a use is told, and the next code takes its place', async (t) => {
  const page = await open(t);
  await now(page, { show: shown() }, '#qr[src]');
  assert.equal(await page.isVisible('#used'), false);
  await now(page, { show: shown({ number: '11223344', turn: 1, qr: 'qr.svg?v=2', used_at: at(0) }) }, '#used:not([hidden])');
  assert.match(await page.innerText('#used'), /^Used just now\./);
  assert.equal(await page.innerText('#turn'), 'Code no. 2');
  assert.equal(await page.innerText('#number'), '1122\u20023344');
  assert.equal(await page.getAttribute('#qr', 'src'), 'qr.svg?v=2');
});

test('WEB-107 the history says who, what, when and which claims, and what the server did to it', async (t) => {
  const page = await open(t);
  await VIEWS.history(page);
  const [first, second, , fourth] = await page.$$eval('.entries > li', (items) => items.map((item) => item.innerText.split('\n').filter(Boolean)));
  assert.deepEqual([first[0], first[2], first[3]], ['Corner Shop', 'Checked: Identity card', '18 or over']);
  assert.match(first[1], /^\d\d:\d\d$/);
  assert.deepEqual([second[0], second[2]], ['Night Club Neon', 'You denied: Driving licence']);
  assert.deepEqual([fourth[0], fourth[2]], ['Bank of Examples', 'You signed: agreement.pdf']);
  assert.match(await page.innerText('#entries [role="alert"]'), /does not fit what this phone has seen/);
});

test('WEB-108 both languages of both pages have every text, and the choice of language and theme is kept', async (t) => {
  for (const texts of [TEXTS, SHOP_TEXTS]) {
    assert.deepEqual(Object.keys(texts.uk), Object.keys(texts.en));
    for (const [key, text] of Object.entries(texts.uk)) {
      assert.deepEqual(text.match(/\{\w+\}/g)?.sort(), texts.en[key].match(/\{\w+\}/g)?.sort(), key);
    }
  }
  const page = await open(t);
  await page.click('#language');
  await page.click('#theme');
  await page.reload();
  await browser.ready(page);
  const html = await page.$eval('html', (element) => [element.lang, element.dataset.theme]);
  assert.deepEqual([...html, await page.innerText('#documents-title')], ['uk', 'dark', 'Документи']);
});

test('WEB-109 an answer that did not arrive leaves the question open, and a page without its phone says so', async (t) => {
  const page = await open(t);
  phone.onPost = () => 'offline';
  await now(page, { checks: [asked()] }, '#ask[open]');
  await page.click('#deny');
  await page.waitForFunction(() => document.getElementById('notice').textContent.startsWith('The server cannot be reached'));
  assert.ok(await page.isVisible('#ask'));
  await page.context().setOffline(true);
  await page.evaluate(() => dispatchEvent(new Event('visibilitychange')));
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.waitForFunction(() => document.getElementById('notice').textContent.startsWith('The demo has stopped'));
  page.problems.length = 0;
  await page.finish();
});

test('WEB-110 everything can be done with the keyboard, and the focus is seen', async (t) => {
  const page = await open(t);
  phone.onPost = (path) => {
    phone.state.show = path === 'show' ? shown() : null;
  };
  await page.keyboard.press('Tab');
  for (const id of ['theme', 'language', 'BUTTON']) {
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), id);
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
  }
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'choose-title');
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowDown');
  assert.equal(await page.inputValue('input[name="profile"]:checked'), 'minimal');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#code:not([hidden])');
  assert.equal(await focused(page), 'code-title');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#documents:not([hidden])');
  assert.deepEqual(phone.posts.map(({ path }) => path), ['show', 'hide']);
});

test('WEB-118 a request is shown whole; its code comes before the PIN, and a wrong one has ended it', async (t) => {
  const page = await open(t);
  phone.onPost = (path, { code }) => {
    const right = code === '8830';
    if (path.endsWith('/code')) phone.state.requests = right ? [wanted({ codes: null })] : [];
    return path.endsWith('/code') ? { right } : undefined;
  };
  await openRequest(page, wanted());
  const text = await page.innerText('#signing');
  for (const part of ['Bank of Examples asks you to sign', 'Credit agreement 4711 over 5 000 €', 'Amount', 'agreement.pdf', 'SHA-256 9f86d081884c7d65']) {
    assert.ok(text.includes(part), part);
  }
  assert.equal(await focused(page), 'signing-title');
  assert.ok(await page.isHidden('#pin-form'));
  assert.deepEqual(await page.$$eval('#codes button', (buttons) => buttons.map((button) => button.innerText)), ['0417', '8830', '5521']);
  await page.click('#codes button[value="8830"]');
  await page.waitForSelector('#pin-form:not([hidden])');
  assert.ok(await page.isHidden('#codes-choice'));
  await page.waitForFunction(() => document.activeElement?.id === 'pin');
  assert.deepEqual(phone.posts, [{ path: `requests/${'7c'.repeat(16)}/code`, body: { code: '8830' } }]);
  await page.click('#signing [data-back]');

  await openRequest(page, wanted());
  await page.click('#codes button[value="0417"]');
  await browser.says(page, '#notice', /not the code of Bank of Examples. The request has ended, and nothing was signed/);
  assert.ok(await page.isHidden('#signing'));
  assert.ok(await page.isHidden('#wanted'));
});

test('WEB-119 a wrong PIN says how many tries are left and stays nowhere; none of the codes declines', async (t) => {
  const page = await open(t);
  phone.onPost = (path, { pin }) => {
    if (!path.endsWith('/sign')) return void (phone.state.requests = []);
    if (pin === '730194') phone.state.requests = [];
    return pin === '730194' ? { signed: true } : { signed: false, left: 2 };
  };
  await openRequest(page, wanted({ codes: null }));
  await page.keyboard.press('Tab');
  await page.keyboard.type('111222');
  await page.keyboard.press('Enter');
  await browser.says(page, '#pin-error', /Tries left before a lock: 2/);
  assert.equal(await page.inputValue('#pin'), '');
  assert.equal(await focused(page), 'pin');
  await page.keyboard.type('730194');
  await page.keyboard.press('Enter');
  await browser.says(page, '#notice', /Signed. Bank of Examples has the signature/);
  assert.equal(await page.inputValue('#pin'), '');
  assert.ok(await page.isHidden('#signing'));

  await openRequest(page, wanted());
  assert.equal(await page.innerText('#decline'), 'None of these: decline');
  await page.click('#decline');
  await browser.says(page, '#notice', /Declined. Nothing was signed/);
  assert.deepEqual(phone.posts.at(-1), { path: `requests/${'7c'.repeat(16)}/decline`, body: {} });

  // Taken back by who asked, while it is open.
  await openRequest(page, wanted());
  await now(page, { requests: [], notice: { code: 'request_gone', who: 'Bank of Examples' } }, '#documents:not([hidden])');
  await browser.says(page, '#notice', /The request of Bank of Examples has ended/);
});
