/** Live figures on the operator's page: one node's counts, asked for every two seconds, and what they were in the last minutes. */

import { make, node, say } from '../verify/dom.js';
import * as api from './api.js';

/** How often the figures are asked for, milliseconds. */
const EVERY = 2000;
/** Snapshots that are kept: three minutes. */
const KEPT = 90;
/** Size of a chart in its own units. */
const [WIDTH, HEIGHT] = [120, 32];

/** @typedef {{ at: number, figures: api.Figures }} Snapshot */
/** @typedef {(now: Snapshot, before: Snapshot) => number | null} Measure */

/** A count per second between two snapshots. @param {(figures: api.Figures) => number} count @returns {Measure} */
const perSecond = (count) => (now, before) => ((count(now.figures) - count(before.figures)) * 1000) / (now.at - before.at);

/** A state as it is. @param {(figures: api.Figures) => number} state @returns {Measure} */
const state = (state) => (now) => state(now.figures);

/** The time that this share of the answers between two snapshots did not exceed, milliseconds. @param {number} share @returns {Measure} */
const quantile = (share) => (now, before) => {
  const counts = now.figures.call_seconds.map(({ count }, place) => count - (before.figures.call_seconds[place]?.count ?? 0));
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  let [left, low] = [share * all, 0];
  for (const [place, { at_most: high }] of now.figures.call_seconds.entries()) {
    const count = counts[place] ?? 0;
    if (high === undefined) break;
    if (left <= count) return 1000 * (low + ((high - low) * left) / Math.max(count, 1));
    [left, low] = [left - count, high];
  }
  return 1000 * low;
};

/** What is shown, in order: the key of its text, its unit, and how it is found. @type {[string, string, Measure][]} */
const SHOWN = [
  ['calls', 'per_second', perSecond(({ totals }) => totals.calls)],
  ['median', 'ms', quantile(0.5)],
  ['slowest', 'ms', quantile(0.99)],
  ['signatures', 'per_second', perSecond(({ totals }) => totals.signatures)],
  ['codes_good', 'per_second', perSecond(({ totals }) => totals.codes_good)],
  ['wrong_pins', 'per_second', perSecond(({ totals }) => totals.wrong_pins)],
  ['refused', 'per_second', perSecond(({ totals }) => totals.refused)],
  ['failed', 'per_second', perSecond(({ totals }) => totals.failed)],
  ['group', 'number', (now, before) => {
    const commits = now.figures.totals.commits - before.figures.totals.commits;
    return commits > 0 ? (now.figures.totals.acts - before.figures.totals.acts) / commits : null;
  }],
  ['turns', 'number', state(({ now }) => now.turns)],
  ['connections', 'number', state(({ now }) => now.connections)],
  ['waiting', 'number', state(({ now }) => now.waiting)],
  ['store_waiting', 'number', state(({ now }) => now.store_waiting)],
  ['webhooks_waiting', 'number', state(({ now }) => now.webhooks_waiting)],
  ['audit_entries', 'number', state(({ now }) => now.audit_entries)],
  ['memory', 'mib', state(({ now }) => now.memory / 2 ** 20)],
];

/**
 * @param {{ t: (key: string, values?: Record<string, string | number>) => string, hasText: (key: string) => boolean, locale: () => string }} words
 * @param {(act: () => Promise<void>) => Promise<void>} doing says what went wrong
 */
export function liveFigures({ t, hasText, locale }, doing) {
  /** Of each node and start by itself: behind a balancer every call may find another. @type {Map<string, Snapshot[]>} */
  const nodes = new Map();
  /** The one that answered last. */
  let latest = '';
  /** Another one ends those before it. */
  let run = 0;

  /** Asks until it is ended. */
  async function watch() {
    run += 1;
    const own = run;
    while (own === run) {
      // Nobody looks at a page in the background.
      if (!document.hidden) await ask(own);
      await new Promise((done) => setTimeout(done, EVERY));
    }
  }

  /** @param {number} own */
  async function ask(own) {
    try {
      const figures = await api.figures();
      if (own !== run) return;
      latest = `${figures.node} ${figures.started}`;
      const kept = nodes.get(latest) ?? [];
      nodes.set(latest, [...kept, { at: performance.now(), figures }].slice(-KEPT));
      draw();
    } catch (error) {
      if (own !== run) return;
      if (error instanceof api.Problem && error.code === 'unreached') say(node('live-state'), t('problem_unreached'));
      else await doing(() => Promise.reject(error));
    }
  }

  function forget() {
    run += 1;
    nodes.clear();
    latest = '';
    draw();
  }

  function draw() {
    const kept = nodes.get(latest) ?? [];
    const now = kept.at(-1)?.figures;
    node('live').hidden = !now;
    if (!now) return node('live-figures').replaceChildren();
    const since = new Date(now.started * 1000).toLocaleString(locale(), { dateStyle: 'short', timeStyle: 'short' });
    say(node('live-node'), t('live_node', { node: now.node, version: now.version, since }));
    const why = now.unready.map((reason) => (hasText(`unready_${reason}`) ? t(`unready_${reason}`) : reason));
    say(node('live-state'), why.length ? t('live_unready', { why: why.join(', ') }) : t('live_ready'));
    node('live-figures').replaceChildren(...SHOWN.map(([key, unit, measure]) => tile(kept, key, unit, measure)));
  }

  /** @param {Snapshot[]} kept @param {string} key @param {string} unit @param {Measure} measure */
  function tile(kept, key, unit, measure) {
    const values = kept.slice(1).map((now, place) => measure(now, /** @type {Snapshot} */ (kept[place])));
    const value = values.at(-1) ?? null;
    const digits = unit === 'number' || value === null || value >= 100 ? 0 : 1;
    const text = value === null ? '–' : value.toLocaleString(locale(), { maximumFractionDigits: key === 'group' ? 1 : digits });
    const shown = make('dd', { 'data-figure': key }, make('span', { class: 'value' }, text), ' ', make('span', { class: 'unit' }, t(`unit_${unit}`)));
    return make('div', { class: 'tile' }, make('dt', {}, t(`figure_${key}`)), shown, make('dd', { class: 'chart' }, chart(values)));
  }

  return { watch, forget, draw };
}

/** A line over the last minutes, for the eye: the number stands beside it. @param {(number | null)[]} values */
function chart(values) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const most = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
  const points = values.map((value, place) => {
    const x = WIDTH - ((values.length - 1 - place) * WIDTH) / (KEPT - 2);
    return `${x.toFixed(1)},${(HEIGHT - 1 - ((value ?? 0) / most) * (HEIGHT - 3)).toFixed(1)}`;
  });
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  line.setAttribute('points', points.join(' '));
  svg.append(line);
  return svg;
}
