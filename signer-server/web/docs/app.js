/** The API's own page: what openapi.json says, for reading. It calls nothing. */

import { make, node, say } from '../verify/dom.js';
import { prose, resolve, schemaEntry, table, typeOf } from './schema.js';

/** @typedef {import('./schema.js').Json} Json */

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
/** Who may call, by security scheme. */
const CALLERS = /** @type {Record<string, string>} */ ({
  relying_party: 'a relying party by its token',
  oauth2: 'a relying party by an access token',
  client_basic: 'a client by its secret',
  admin: 'the operator',
});

/** @param {Json} operation */
function callers(operation) {
  const security = operation.security ?? [];
  if (!security.length) return 'Anybody may call.';
  const named = security.map((/** @type {Json} */ one) => {
    const [[scheme, rights] = ['', []]] = Object.entries(one);
    if (!scheme) return 'a client by what is in the body';
    return (CALLERS[scheme] ?? scheme) + (rights.length ? ` (${rights.join(', ')})` : '');
  });
  return `Called by ${named.join(', or ')}.`;
}

/** Bodies by media type. @param {Json} document @param {Json} content */
function bodies(document, content) {
  return Object.entries(content ?? {}).flatMap(([type, body]) => {
    const schema = resolve(document, body.schema);
    const example = schema?.examples?.[0];
    const said = [make('p', {}, make('code', {}, type), ': ', ...typeOf(body.schema))];
    if (example) said.push(make('pre', { tabindex: '0' }, JSON.stringify(example, null, 2)));
    return said;
  });
}

/** Status, what it means, and the body or the codes. @param {Json} document @param {[string, Json]} entry */
function response(document, [status, found]) {
  const answer = resolve(document, found);
  const content = Object.values(answer.content ?? {});
  const codes = content.flatMap((body) => body.schema?.allOf?.[1]?.properties).flatMap((members) => members?.code?.enum ?? members?.error?.enum ?? []);
  const what = codes.length
    ? codes.flatMap((code, at) => [at ? ', ' : '', make('code', {}, code)])
    : Object.entries(answer.content ?? {}).flatMap(([type, body]) => [make('code', {}, type), ' ', ...typeOf(body.schema)]);
  return [[status], what, prose(answer.description)];
}

/** @param {Json} document @param {string} method @param {string} path @param {Json} operation */
function operationEntry(document, method, path, operation) {
  const within = [make('p', {}, ...prose(operation.description)), make('p', { class: 'hint' }, callers(operation))];
  if (operation.parameters?.length) {
    const rows = operation.parameters.map((/** @type {Json} */ one) => [
      [make('code', {}, one.name), one.required ? '' : ' (optional)'], [one.in], typeOf(one.schema), prose(one.description),
    ]);
    within.push(make('h3', {}, 'Parameters'), table(['Name', 'In', 'Type', 'Meaning'], rows, 'Parameters'));
  }
  if (operation.requestBody) within.push(make('h3', {}, 'Body'), ...bodies(document, operation.requestBody.content));
  const answers = Object.entries(operation.responses).map((entry) => response(document, entry));
  within.push(make('h3', {}, 'Answers'), table(['Status', 'Body or code', 'Meaning'], answers, 'Answers'));
  const head = [make('span', { class: 'method' }, method.toUpperCase()), make('code', {}, path), make('span', {}, operation.summary ?? '')];
  return make('details', { id: operation.operationId }, make('summary', {}, ...head), make('div', {}, ...within));
}

/** @param {Json} document */
function draw(document) {
  say(node('brand'), `${document.info.title} API ${document.info.version}`);
  node('about').replaceChildren(...prose(document.info.description));
  const contents = [];
  for (const tag of document.tags) {
    const links = [];
    const section = make('section', {}, make('h2', {}, tag.name), make('p', { class: 'hint' }, tag.description));
    for (const [path, item] of Object.entries(document.paths)) {
      for (const method of METHODS.filter((method) => item[method]?.tags?.[0] === tag.name)) {
        section.append(operationEntry(document, method, path, item[method]));
        links.push(make('li', {}, make('a', { href: `#${item[method].operationId}` }, item[method].summary ?? path)));
      }
    }
    node('main').append(section);
    contents.push(make('h2', {}, tag.name), make('ul', {}, ...links));
  }
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) => schemaEntry(name, schema));
  node('main').append(make('section', {}, make('h2', {}, 'Schemas'), ...schemas));
  node('contents').replaceChildren(...contents);
}

/** Opens what the address names. */
function follow() {
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted instanceof HTMLDetailsElement) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

function filter() {
  const words = /** @type {HTMLInputElement} */ (node('filter')).value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const entry of document.querySelectorAll('details')) {
    const text = entry.textContent.toLowerCase();
    entry.hidden = !words.every((word) => text.includes(word));
  }
}

const root = document.documentElement;
root.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
node('theme').addEventListener('click', () => { root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark'; });
node('filter').addEventListener('input', filter);
addEventListener('hashchange', follow);
try {
  draw(await (await fetch('/openapi.json')).json());
  follow();
  root.dataset.ready = 'true';
} catch (error) {
  say(node('notice'), `The description could not be shown: ${error instanceof Error ? error.message : error}`);
}
