/**
 * Scanners that play a keyboard: a fast burst of keys that ends in Enter. Keys are also read by their place, as on a US
 * keyboard, so that a code comes through while the keyboard is set to Ukrainian.
 */

const GAP_MS = 250;
const LENGTH_MIN = 8;
const BASE45 = /^[0-9A-Z $%*+\-./:]$/;

/** Place of a key to its characters on a US keyboard, without and with Shift. @type {Record<string, string>} */
const PLACES = {
  Space: '  ', Minus: '-_', Equal: '=+', Period: '.>', Slash: '/?', Semicolon: ';:',
  Digit4: '4$', Digit5: '5%', Digit8: '8*',
  NumpadMultiply: '**', NumpadAdd: '++', NumpadSubtract: '--', NumpadDecimal: '..', NumpadDivide: '//',
};

/** @param {KeyboardEvent} event */
function byPlace(event) {
  const letter = /^(?:Key([A-Z])|Digit([0-9])|Numpad([0-9]))$/.exec(event.code);
  const pair = PLACES[event.code] ?? (letter ? letter.slice(1).join('').repeat(2) : '');
  return pair[event.shiftKey ? 1 : 0] ?? '';
}

/**
 * What a burst says: as the keys said, or by their places if that is a code of ours.
 * @param {{ key: string, place: string }[]} keys
 */
export function textOf(keys) {
  const said = keys.map(({ key }) => key).join('').toUpperCase();
  const placed = keys.map(({ place }) => place).join('');
  const fits = (/** @type {string} */ text) => text.startsWith('DQ1:') && Array.from(text).every((letter) => BASE45.test(letter));
  return fits(said) ? said : fits(placed) ? placed : said;
}

/**
 * @param {(text: string) => void} onText
 * @param {(target: EventTarget | null) => boolean} isFree whether keys typed at this element may be a scanner's
 */
export function listen(onText, isFree) {
  /** @type {{ key: string, place: string }[]} */
  let keys = [];
  let last = 0;
  const isBurst = () => keys.length >= 3;

  document.addEventListener(
    'keydown',
    (event) => {
      if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || !isFree(event.target)) return;
      if (event.timeStamp - last > GAP_MS) keys = [];
      last = event.timeStamp;
      if (event.key === 'Enter') {
        const text = keys.length >= LENGTH_MIN ? textOf(keys) : null;
        keys = [];
        if (text === null) return;
        event.preventDefault();
        event.stopPropagation();
        onText(text);
      } else if (event.key.length === 1) {
        keys.push({ key: event.key, place: byPlace(event) });
        // A space in a code presses no button.
        if (isBurst() && !(event.target instanceof HTMLInputElement)) event.preventDefault();
      }
    },
    true,
  );
  document.addEventListener(
    'keyup',
    (event) => {
      if (event.key === ' ' && isBurst() && !(event.target instanceof HTMLInputElement)) event.preventDefault();
    },
    true,
  );
}
