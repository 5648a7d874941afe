/** A page's words in two languages. Elements name theirs: `data-t` for the text, `data-t-label` for screen readers, `data-t-alt` of a picture. */

/**
 * @typedef {'en' | 'uk'} Language
 * @typedef {Record<Language, Record<string, string>>} Texts by language and key
 */

/** @param {Texts} texts */
export function wordsOf(texts) {
  /** @type {Language} */
  let language = 'en';

  /**
   * @param {string} key
   * @param {Record<string, string | number>} [values] for `{name}` in the text
   */
  function t(key, values = {}) {
    const text = texts[language][key] ?? texts.en[key];
    if (text === undefined) throw new Error(`no text for ${key}`);
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  /** @param {string} wanted a language tag; any but Ukrainian is English */
  function setLanguage(wanted) {
    language = wanted.startsWith('uk') ? 'uk' : 'en';
    document.documentElement.lang = language;
    document.title = t('title');
    for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(String(node.getAttribute('data-t')));
    for (const node of document.querySelectorAll('[data-t-alt]')) node.setAttribute('alt', t(String(node.getAttribute('data-t-alt'))));
    for (const node of document.querySelectorAll('[data-t-label]')) {
      const label = t(String(node.getAttribute('data-t-label')));
      node.setAttribute('aria-label', label);
      if (node instanceof HTMLButtonElement) node.title = label;
    }
  }

  return {
    t,
    setLanguage,
    /** @param {string} key */
    hasText: (key) => key in texts.en,
    currentLanguage: () => language,
    /** @returns {Language} */
    otherLanguage: () => (language === 'en' ? 'uk' : 'en'),
    /** For dates and times. */
    locale: () => (language === 'uk' ? 'uk-UA' : 'en-GB'),
  };
}
