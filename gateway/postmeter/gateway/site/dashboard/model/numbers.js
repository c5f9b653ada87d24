/** Numbers as they are printed: thousands apart by a thin space, rates with one decimal, money with its currency. */

import { formatOf, language } from "../texts.js";

const THIN = "\u202f";

function thin(options, value) {
  return formatOf("NumberFormat", language(), options)
    .formatToParts(value)
    .map(({ type, value: text }) => (type === "group" ? THIN : text))
    .join("");
}

/** A count: `4 900`. */
export function count(value) {
  return thin({ maximumFractionDigits: 0 }, value);
}

/** A number with at most one decimal, for axes. */
export function short(value) {
  return thin({ maximumFractionDigits: 1 }, value);
}

/** `34.2 %`; digits: decimals, 1 or 2. */
export function percent(value, digits = 1) {
  return `${thin({ minimumFractionDigits: digits, maximumFractionDigits: digits }, value)}${THIN}%`;
}

/**
 * A part in percent: 34.2, rounded half-up on whole numbers; null where there is nothing to divide by, and where more happened
 * than the whole: in few days much is of mail from before them.
 */
export function percentOf(part, whole, digits = 1) {
  const steps = 10 ** digits;
  return whole && part <= whole ? Math.floor((part * 200 * steps + whole) / (2 * whole)) / steps : null;
}

/** A rate: `34.2 %`; a dash where there is none. */
export function rate(part, whole, digits = 1) {
  const value = percentOf(part, whole, digits);
  return value === null ? "\u2013" : percent(value, digits);
}

/** Money: `1 204.50 €`. */
export function money(value, currency) {
  try {
    return thin({ style: "currency", currency }, value);
  } catch {
    return `${count(value)} ${currency}`;
  }
}

/** The change from before to now: `+12.4 %`, or null where there was nothing before. */
export function change(now, before) {
  if (!before) return null;
  const value = ((now - before) / before) * 100;
  const size = percent(Math.abs(value), Math.abs(value) < 9.95 ? 1 : 0);
  const sign = value > 0.05 ? "+" : value < -0.05 ? "\u2212" : "±";
  return { text: sign + size, direction: Math.sign(Math.abs(value) < 0.05 ? 0 : value) };
}
