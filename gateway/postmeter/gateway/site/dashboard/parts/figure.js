/** A number that explains itself: opened, it says what it is, of what, and who is behind it. */

import { html } from "../htm/standalone.module.js";
import { fold, parameters, unfold } from "../address.js";
import { MEASURES, rateOf, valueOf, wholeOf } from "../model/measures.js";
import { change, count } from "../model/numbers.js";
import { t } from "../texts.js";
import { Explanation } from "./explanation.js";

/** A number, and what explains it where the address asks for that; children: gives the explanation. */
export function Explained({ measure, text, id, children }) {
  const label = t("figure.explain", { number: text, what: t(`measure.${measure}`) });
  return html`<button class="figure" onClick=${() => unfold({ explain: id })} aria-label=${label}>${text}</button>
    ${parameters().get("explain") === id && children()}`;
}

/** Closes an explanation. */
export const close = () => fold({ explain: null });

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
  const value = valueOf(measure, counts, view.who);
  const text = as === "rate" ? rateOf(measure, counts, view.who) : count(value);
  return html`<${Explained} measure=${measure} text=${text} id=${id}>${() => html`<${Explanation}
    measure=${measure} counts=${counts} view=${view} request=${request} close=${close} />`}</${Explained}>`;
}

/** `34.2 % of 4 900 delivered`; nothing where the measure has no rate, and why where it is of more than the whole. */
export function Rate({ measure, counts, view }) {
  const whole = wholeOf(measure, counts);
  if (whole === null) return null;
  if (whole && valueOf(measure, counts, view.who) > whole) return html`<span class="soft">${t("figure.beyond")}</span>`;
  return html`<span
    class="soft">${t(`rate.${MEASURES[measure].of}`, { rate: rateOf(measure, counts, view.who), of: count(whole) })}</span>`;
}

/** What a rate is of, behind it, where a column says of what: `of 4 900`. */
export function Whole({ measure, counts }) {
  return html`<span class="soft">${t("figure.of", { of: count(wholeOf(measure, counts)) })}</span>`;
}

/** A rate that grew by less than this part is no worse. */
const WORSE = 1.2;

/** Whether more of what nobody wants came back than before, measured by what was sent; few say nothing. */
function isWorse(measure, now, before, who) {
  const share = (counts) => valueOf(measure, counts, who) / (wholeOf(measure, counts) || 1);
  return MEASURES[measure].good < 0 && valueOf(measure, now, who) >= 20 && share(now) > share(before) * WORSE;
}

/** The change of a measure's counts against those of the days before, null where there are none. */
export function Change({ measure, now, before, view }) {
  if (before === null) return null;
  const [value, past] = [now, before].map((counts) => valueOf(measure, counts, view.who));
  const changed = change(value, past);
  if (!changed) return html`<span class="soft">${t("figure.nothing_before")}</span>`;
  const direction = changed.direction === 0 ? "same" : changed.direction > 0 ? "up" : "down";
  const bad = isWorse(measure, now, before, view.who);
  return html`<span
    class=${bad ? "change bad" : "change soft"}>${changed.text} ${t("figure.against", { before: count(past) })}
    <span class="hidden">${t(`figure.${direction}`)}</span></span>`;
}
