/** The browser's formats, each made once: to make one takes longer than to use it a hundred times. */

const made = new Map();

/**
 * A format of Intl.
 * @param {"NumberFormat" | "DateTimeFormat" | "RelativeTimeFormat"} kind
 * @param {string} locale
 * @param {object} options
 */
export function formatOf(kind, locale, options) {
  const key = `${kind} ${locale} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](locale, options));
  return made.get(key);
}
