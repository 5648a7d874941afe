/** Settings: the token for online checks, the shop's own request, what this device trusts. */

import { t, when } from './i18n.js';
import * as request from './request.js';
import * as store from './store.js';
import { replaceRoot, trust } from './trust.js';

/** @param {string} id */
const node = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/** @type {import('./check.js').Settings} */
let settings = { token: null, ask: '', onlineOnly: false };

export const current = () => settings;

export async function load() {
  settings = { ...settings, ...(await store.get('online')) };
}

/** A token to show in its field until it is saved. */
let offered = '';

/** @param {string} token */
export function offer(token) {
  offered = token;
  return render();
}

/** @param {Partial<import('./check.js').Settings>} change */
async function change(change) {
  settings = { ...settings, ...change };
  await store.set('online', settings);
}

export async function render() {
  renderFacts();
  node('token').value = offered;
  node('ask').value = settings.ask;
  node('online-only').checked = settings.onlineOnly;
  const [point, profile] = [await request.devicePoint(), await request.keptProfile()];
  node('business-key').value = point;
  node('business-profile').value = String(profile);
}

/** All but what a person fills in: what is half typed stays. */
export function renderFacts() {
  const { list } = trust;
  node('token').placeholder = settings.token ? t('token_kept') : '';
  node('token-forget').hidden = !settings.token;
  node('root-replace').hidden = !trust.otherRoot;
  node('business-forget').hidden = !request.isReady();
  const none = t('trust_none');
  const rows = [
    [t('trust_server'), trust.server],
    [t('trust_root'), trust.root ?? none],
    [t('trust_number'), list ? t('trust_number_value', { n: list.number, when: when(list.issued) }) : none],
    [t('trust_issuers'), list ? Array.from(list.issuers.values(), (issuer) => issuer.name).join(', ') || none : none],
    [t('trust_lists'), trust.statusLists.size ? String(trust.statusLists.size) : none],
  ];
  const cells = rows.flatMap(([name, value]) => [
    Object.assign(document.createElement('dt'), { textContent: name }),
    Object.assign(document.createElement('dd'), { textContent: value }),
  ]);
  document.getElementById('trust')?.replaceChildren(...cells);
}

/** @param {string} text */
function tell(text) {
  const announce = document.getElementById('announce');
  if (announce) announce.textContent = text;
}

/** @param {{ onChange: () => void, onRefresh: () => Promise<void> }} page */
export function connect({ onChange, onRefresh }) {
  const then = async () => {
    await render();
    onChange();
  };
  node('online').addEventListener('submit', async (event) => {
    event.preventDefault();
    const token = node('token').value.trim() || settings.token;
    offered = '';
    await change({ token, ask: node('ask').value, onlineOnly: node('online-only').checked });
    await navigator.storage?.persist?.().catch(() => false);
    tell(t('saved'));
    await then();
  });
  node('token-forget').addEventListener('click', async () => {
    await change({ token: null });
    await then();
  });
  node('business').addEventListener('submit', async (event) => {
    event.preventDefault();
    const field = node('business-credential');
    const kept = await request.keep(field.value, Number(node('business-profile').value));
    field.setCustomValidity(kept ? '' : t('business_bad'));
    if (kept) field.value = '';
    else field.reportValidity();
    tell(t(kept ? 'saved' : 'business_bad'));
    await then();
  });
  node('business-credential').addEventListener('input', () => node('business-credential').setCustomValidity(''));
  node('business-forget').addEventListener('click', async () => {
    await request.forget();
    await then();
  });
  node('root-replace').addEventListener('click', async () => {
    await replaceRoot();
    await then();
  });
  node('refresh').addEventListener('click', onRefresh);
}
