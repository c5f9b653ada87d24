/** Opens or clicks by who they are of, as one bar whose parts are named: people, proxies hatched, machines dashed. */

import { html } from "../htm/standalone.module.js";
import { splitOf } from "../model/measures.js";
import { count, rate } from "../model/numbers.js";
import { t } from "../texts.js";

/** what: `opens` or `clicks`. */
export function Split({ what, counts, who }) {
  const parts = splitOf(what, counts, who);
  const whole = parts.reduce((sum, { value }) => sum + value, 0);
  return html`<div class="split">
    ${
      whole > 0 &&
      html`<div class="bar" aria-hidden="true">
      ${parts
        .filter(({ value }) => value)
        .map(
          ({ kind, value }) => html`<span class=${kind}
        style=${{ flexGrow: value }}></span>`,
        )}</div>`
    }
    <ul>${parts.map(
      ({ kind, value, counted }) => html`<li key=${kind} class=${kind}>
      <span class="mark" aria-hidden="true"></span>
      ${t(`split.${kind}`)} <b>${count(value)}</b> <span
        class="soft">${rate(value, whole)}${counted ? "" : `, ${t("split.left_out")}`}</span></li>`,
    )}</ul>
    ${parts.some(({ value, counted }) => value && !counted) && html`<p class="soft note">${t("split.of", { of: count(whole) })}</p>`}
  </div>`;
}
