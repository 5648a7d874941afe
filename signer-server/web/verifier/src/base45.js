/** Base45 (RFC 9285), with one form for each byte string. */

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

/** @param {Uint8Array} bytes */
export function encode(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 2) {
    const pair = at + 1 < bytes.length;
    let number = pair ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    for (let digits = pair ? 3 : 2; digits > 0; digits -= 1) {
      text += ALPHABET[number % 45];
      number = Math.floor(number / 45);
    }
  }
  return text;
}

/**
 * The bytes behind `text`, or `null` if `encode` does not write it so.
 * @param {string} text
 * @returns {import('./bytes.js').Bytes | null}
 */
export function decode(text) {
  const bytes = [];
  for (let at = 0; at < text.length; at += 3) {
    const group = text.slice(at, at + 3);
    if (group.length === 1) return null;
    let number = 0;
    for (const letter of Array.from(group).reverse()) {
      const digit = ALPHABET.indexOf(letter);
      if (digit < 0) return null;
      number = number * 45 + digit;
    }
    if (number >= 256 ** (group.length - 1)) return null;
    if (group.length === 3) bytes.push(number >> 8);
    bytes.push(number & 255);
  }
  return Uint8Array.from(bytes);
}
