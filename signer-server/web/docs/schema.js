/** Schemas as text and tables. */

import { make } from '../verify/dom.js';

/** @typedef {Record<string, any>} Json */

/** What a reference leads to. @param {Json} document @param {Json} value */
export function resolve(document, value) {
  if (!value?.$ref) return value;
  const names = value.$ref.slice(2).split('/').map((/** @type {string} */ name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  return names.reduce((/** @type {Json} */ found, /** @type {string} */ name) => found?.[name], document);
}

/** Text with what stands between backticks as code. @param {string} text */
export function prose(text) {
  return (text ?? '').split('`').map((part, at) => (at % 2 ? make('code', {}, part) : part));
}

/** A type in a few words, with a link to the schema it names. @param {Json} schema @returns {(Node | string)[]} */
export function typeOf(schema) {
  if (!schema) return ['anything'];
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop();
    return [make('a', { href: `#schema-${name}` }, name)];
  }
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return either.filter((/** @type {Json} */ one) => one.type !== 'null').flatMap((/** @type {Json} */ one, /** @type {number} */ at) => [at ? ' or ' : '', ...typeOf(one)]);
  if (schema.allOf) return schema.allOf.flatMap((/** @type {Json} */ one, /** @type {number} */ at) => [at ? ' with ' : '', ...typeOf(one)]);
  const kinds = [schema.type ?? []].flat().filter((kind) => kind !== 'null');
  if (kinds[0] === 'array') return ['list of ', ...typeOf(schema.items), bounds(schema)];
  return [(kinds.join(' or ') || 'value') + bounds(schema)];
}

/** @param {Json} schema */
function bounds(schema) {
  const said = [];
  if (schema.const !== undefined) said.push(`= ${schema.const}`);
  if (schema.enum) said.push(schema.enum.join(', '));
  if (schema.pattern) said.push(schema.pattern);
  const from = schema.minimum ?? schema.minLength ?? schema.minItems;
  const to = schema.maximum ?? schema.maxLength ?? schema.maxItems;
  if (from !== undefined || to !== undefined) said.push(`${from ?? ''}–${to ?? ''}`);
  return said.length ? ` (${said.join('; ')})` : '';
}

/** @param {string[]} heads @param {(Node | string)[][][]} rows @param {string} label */
export function table(heads, rows, label) {
  const head = make('tr', {}, ...heads.map((text) => make('th', { scope: 'col' }, text)));
  const body = rows.map((cells) => make('tr', {}, ...cells.map((cell) => make('td', {}, ...cell))));
  return make('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': label }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...body)));
}

/** A schema of the list below. @param {string} name @param {Json} schema */
export function schemaEntry(name, schema) {
  const parts = [schema, ...(schema.allOf ?? [])];
  const rows = parts.flatMap((part) => Object.entries(part.properties ?? {}).map(([member, inner]) => [
    [make('code', {}, member), (part.required ?? []).includes(member) ? '' : ' (optional)'],
    typeOf(/** @type {Json} */ (inner)),
    prose(/** @type {Json} */ (inner).description),
  ]));
  const within = [make('p', {}, ...prose(schema.description))];
  if (rows.length) within.push(table(['Member', 'Type', 'Meaning'], rows, `Members of ${name}`));
  else within.push(make('p', {}, ...typeOf({ ...schema, description: undefined })));
  for (const example of schema.examples ?? []) within.push(make('pre', { tabindex: '0' }, JSON.stringify(example, null, 2)));
  return make('details', { id: `schema-${name}` }, make('summary', {}, make('code', {}, name)), make('div', {}, ...within));
}
