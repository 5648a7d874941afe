/** The audit log on the operator's page: the newest entries, or those about one id, and the key of the log. */

import { make, node } from '../verify/dom.js';
import * as api from './api.js';

const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (node(id));

/**
 * @param {{ t: (key: string, values?: Record<string, string | number>) => string, hasText: (key: string) => boolean,
 *   locale: () => string, nameOf: (id: string) => string }} words and the names of relying parties
 */
export function auditLog({ t, hasText, locale, nameOf }) {
  /** @type {api.AuditLine[]} */
  let lines = [];
  /** What the lines are about: what is in the field may be half typed by now. */
  let about = '';
  let more = false;

  const search = () => load(field('about').value.trim().toLowerCase());

  async function load(wanted = about) {
    const [found, { key }] = await Promise.all([api.audit(wanted), api.auditKey()]);
    [lines, about, more] = [found, wanted, found.length === api.AUDIT_LINES];
    field('audit-key').value = key;
    draw();
  }

  async function older() {
    const found = await api.audit(about, lines.at(-1)?.index);
    [lines, more] = [[...lines, ...found], found.length === api.AUDIT_LINES];
    draw();
    if (!more) node('audit-title').focus();
  }

  function forget() {
    [lines, about, more] = [[], '', false];
    field('about').value = '';
    field('audit-key').value = '';
  }

  function draw() {
    const none = make('tr', {}, make('td', { colspan: '6', class: 'hint' }, t(about ? 'audit_none' : 'none')));
    node('audit-rows').replaceChildren(...(lines.length ? lines.map(row) : [none]));
    node('older').hidden = !more;
  }

  /** @param {api.AuditLine} line */
  function row({ index, at, act, subject, relying_party, object, detail }) {
    const when = new Date(at * 1000);
    const time = make('time', { datetime: when.toISOString() }, when.toLocaleString(locale(), { dateStyle: 'short', timeStyle: 'medium' }));
    const what = make('td', {}, hasText(`act_${act}`) ? t(`act_${act}`) : act);
    if (detail) what.append(' ', make('code', {}, detail));
    return make('tr', { 'data-act': act }, make('td', {}, String(index)), make('td', {}, time), what, idCell(subject), make('td', {}, relying_party ? nameOf(relying_party) : ''), idCell(object));
  }

  /** An id, and a press that asks for what else is about it. @param {string | undefined} id */
  function idCell(id) {
    if (!id) return make('td');
    return make('td', {}, make('button', { type: 'button', class: 'about', value: id, 'aria-label': t('about_this', { id }) }, make('code', {}, id)));
  }

  return { load, search, older, forget, draw };
}
