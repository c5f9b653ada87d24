/** Rates side by side on one axis that begins at 0: each a dot at the end of its line, or on its interval. */

import { html } from "../htm/standalone.module.js";
import { ticks } from "./plot.js";

/** Where a value lies on the axis; what is beyond its end lies at its end. */
const place = (value, end) => `${Math.min(value / end, 1) * 100}%`;

function Track({ row, end, limits }) {
  const { value, low = 0, high = value } = row;
  const line = row.low === undefined ? "stem" : "interval";
  const reach = { left: place(low, end), right: `calc(100% - ${place(high, end)})` };
  return html`<span class="track" aria-hidden="true">
    ${limits.map((limit) => html`<i key=${limit} class="limit" style=${{ left: place(limit, end) }}></i>`)}
    <i class=${line} style=${reach}></i>
    <i class=${value > end ? "dot beyond" : "dot"} style=${{ left: place(value, end) }}></i></span>`;
}

function Axis({ marks, end, format }) {
  const mark = (value) => html`<span key=${value} style=${{ left: place(value, end) }}>${format(value)}</span>`;
  return html`<li class="axis" aria-hidden="true"><span class="track">${marks.map(mark)}</span></li>`;
}

/**
 * @typedef {object} Row
 * @property {string} key
 * @property {any} name
 * @property {number | null} value what the dot stands at; null: it is not known
 * @property {number} [low] the beginning of its interval; none: its line comes from 0
 * @property {number} [high] the end of its interval
 * @property {any} label the same in words
 * @property {"alarm" | "pale" | null} [kind]
 */

/**
 * @param {object} given
 * @param {Row[]} given.rows
 * @param {number} given.most what the axis reaches to at least; what is beyond its end has an arrow there
 * @param {number[]} [given.limits] lines to hold values against; they are named on the axis, not round numbers
 * @param {(n: number) => string} given.format how the axis is numbered
 */
export function Scale({ rows, most, limits = [], format }) {
  const marks = ticks(most, false);
  const end = marks.at(-1);
  return html`<ul class="scale">
    <${Axis} marks=${limits.length ? [0, ...limits] : marks} end=${end} format=${format} />
    ${rows.map(
      (row) => html`<li key=${row.key} class=${row.kind ?? null}><span class="name">${row.name}</span>
      ${
        row.value === null
          ? html`<span class="track" aria-hidden="true"></span>`
          : html`<${Track} row=${row} end=${end} limits=${limits} />`
      }
      <span class="label">${row.label}</span></li>`,
    )}
  </ul>`;
}
