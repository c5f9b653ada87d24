/** A number that explains itself: opened, it says what it is, of what, and who is behind it. */

import { html } from "../htm/standalone.module.js";
import { go, here, useAddress } from "../address.js";
import { valueOf, wholeOf } from "../model/measures.js";
import { change, count, rate } from "../model/numbers.js";
import { t } from "../texts.js";
import { Explanation } from "./explanation.js";

/**
 * @param {object} given
 * @param {string} given.measure a name of MEASURES
 * @param {object} given.counts the counts that it is made of, metric by metric
 * @param {object} given.view what is looked at
 * @param {object} given.request the query that gives the counts
 * @param {string} [given.id] which figure of the screen it is, in the address; the measure unless it stands there twice
 * @param {"count" | "rate"} [given.as]
 */
export function Figure({ measure, counts, view, request, id = measure, as = "count" }) {
  const [, params] = useAddress();
  const value = valueOf(measure, counts, view.who);
  const text = as === "rate" ? rate(value, wholeOf(measure, counts)) : count(value);
  const label = t("figure.explain", { number: text, what: t(`measure.${measure}`) });
  return html`<button class="figure" onClick=${() => go(here({ explain: id }))} aria-label=${label}>${text}</button>
    ${params.get("explain") === id && html`<${Explanation} measure=${measure} counts=${counts} view=${view}
      request=${request} close=${() => go(here({ explain: null }))} />`}`;
}

/** `34.2 % of 4 900 delivered`; nothing where the measure has no rate. */
export function Rate({ measure, counts, view }) {
  const whole = wholeOf(measure, counts);
  if (whole === null) return null;
  return html`<span class="soft">${t(`measure.${measure}.rate`, { rate: rate(valueOf(measure, counts, view.who), whole), of: count(whole) })}</span>`;
}

/** The same where a column says what it is of: `34.2 % of 4 900`. */
export function Part({ measure, counts, view }) {
  const whole = wholeOf(measure, counts);
  return html`${rate(valueOf(measure, counts, view.who), whole)} <span class="soft">${t("figure.of", { of: count(whole) })}</span>`;
}

/** The change against the days before, in words and with its direction. */
export function Change({ now, before, good = 0 }) {
  if (before === null) return null;
  const changed = change(now, before);
  if (!changed) return html`<span class="soft">${t("figure.nothing_before")}</span>`;
  const direction = changed.direction === 0 ? "same" : changed.direction > 0 ? "up" : "down";
  const bad = changed.direction * good < 0 && Math.abs(now - before) / before > 0.2 && good < 0;
  return html`<span class=${bad ? "change bad" : "change soft"}>${changed.text} <span>${t("figure.against", { before: count(before) })}</span>
    <span class="hidden">${t(`figure.${direction}`)}</span></span>`;
}
