/** Rates side by side on one axis that begins at 0: each a dot at the end of its line, or on its interval. */

import { html } from "../htm/standalone.module.js";
import { ticks } from "./plot.js";

/** Where a value lies on the axis; what is beyond its end lies at its end. */
const place = (value, end) => `${Math.min(value / end, 1) * 100}%`;

function Track({ row, end, limits }) {
  const { low = 0, high = row.value, value } = row;
  return html`<span class="track" aria-hidden="true">
    ${limits.map((limit) => html`<i key=${limit} class="limit" style=${{ left: place(limit, end) }}></i>`)}
    <i class=${row.low === undefined ? "stem" : "interval"} style=${{ left: place(low, end), right: `calc(100% - ${place(high, end)})` }}></i>
    <i class=${value > end ? "dot beyond" : "dot"} style=${{ left: place(value, end) }}></i></span>`;
}

/**
 * @param {object} given
 * @param {{key: string, name: any, value: number | null, low?: number, high?: number, label: any, kind?: "alarm" | "pale"}[]} given.rows
 *   value: what the dot stands at, null where it is not known. low, high: an interval; none: the line comes from 0.
 * @param {number} given.most what the axis reaches to at least; a value beyond its end is drawn at its end, with an arrow
 * @param {number[]} [given.limits] lines to hold the values against; they are named on the axis instead of round numbers
 * @param {(n: number) => string} given.format how the axis is numbered
 */
export function Scale({ rows, most, limits = [], format }) {
  const marks = ticks(most, false);
  const end = marks.at(-1);
  const named = limits.length ? [0, ...limits] : marks;
  return html`<ul class="scale">
    <li class="axis" aria-hidden="true"><span class="track">${named.map((mark) => html`<span key=${mark} style=${{ left: place(mark, end) }}>${format(mark)}</span>`)}</span></li>
    ${rows.map((row) => html`<li key=${row.key} class=${row.kind ?? null}><span class="name">${row.name}</span>
      ${row.value === null ? html`<span class="track" aria-hidden="true"></span>` : html`<${Track} row=${row} end=${end} limits=${limits} />`}
      <span class="label">${row.label}</span></li>`)}
  </ul>`;
}
