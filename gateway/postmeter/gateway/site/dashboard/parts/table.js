/** A table of rows: numbers right-aligned, sorted by the column that the address names. */

import { html } from "../htm/standalone.module.js";
import { here, useAddress } from "../address.js";
import { count } from "../model/numbers.js";
import { t } from "../texts.js";

/** Rows as the address wants them: `sort=opens` ascending, `sort=-opens` descending. */
function sorted(rows, columns, order) {
  const name = order?.replace(/^-/, "");
  const column = columns.find(({ key }) => key === name);
  if (!column) return rows;
  const sign = order.startsWith("-") ? -1 : 1;
  const value = column.value ?? ((row) => row[column.key]);
  const compared = (a, b) =>
    typeof a === "string" || typeof b === "string"
      ? String(a ?? "").localeCompare(String(b ?? ""))
      : (a ?? -1) - (b ?? -1);
  return [...rows].sort((a, b) => sign * compared(value(a), value(b)));
}

/** How a column looks: numbers to the right, texts broken anywhere, what is minor left out where the page is narrow. */
function looks({ numeric, minor, text }, isFirst) {
  return [numeric && "number", minor && "minor", (text || isFirst) && "text"].filter(Boolean).join(" ");
}

function Head({ column, order, sorts, name }) {
  const { key, title, numeric } = column;
  const kind = looks(column);
  if (!sorts || column.fixed) return html`<th scope="col" class=${kind}>${title}</th>`;
  const down = order === `-${key}`;
  const up = order === key;
  const arrow = down ? " ↓" : up ? " ↑" : "";
  const next = down || (!up && !numeric) ? key : `-${key}`;
  return html`<th scope="col" class=${kind} aria-sort=${down ? "descending" : up ? "ascending" : null}>
    <a href=${here({ [name]: next })}>${title}<span aria-hidden="true">${arrow}</span></a></th>`;
}

/**
 * @typedef {object} Column
 * @property {string} key a row's field
 * @property {string} title
 * @property {boolean} [numeric] right-aligned
 * @property {boolean} [minor] left out where the page is narrow
 * @property {boolean} [text] long, and from outside
 * @property {boolean} [fixed] not to be sorted by
 * @property {(row: object) => any} [cell] a row's content
 * @property {(row: object) => any} [value] what it is sorted by
 */

/**
 * @param {object} given
 * @param {Column[]} given.columns
 * @param {object[]} given.rows
 * @param {string} given.caption for those who do not see it
 * @param {string} [given.sort] the parameter of the address that sorts it; none: as it is
 * @param {string} [given.usual] the order where the address names none
 * @param {number} [given.most] rows that are shown
 * @param {string} [given.none] what is said where there are no rows
 */
export function Table({ columns, rows, caption, sort, usual, most = 200, none }) {
  const [, params] = useAddress();
  if (none && rows.length === 0) return html`<p class="soft">${none}</p>`;
  const order = sort ? (params.get(sort) ?? usual) : null;
  const listed = sorted(rows, columns, order);
  const rest = listed.length - most;
  return html`<div class="table"><table class="rows"><caption class="hidden">${caption}</caption>
    <thead><tr>${columns.map(
      (column) => html`<${Head} key=${column.key} column=${column} order=${order}
      sorts=${Boolean(sort)} name=${sort} />`,
    )}</tr></thead>
    <tbody>${listed.slice(0, most).map(
      (row, place) =>
        html`<tr key=${row.key ?? place}>${columns.map((column, at) => {
          const kind = looks(column, at === 0);
          const content = column.cell ? column.cell(row) : row[column.key];
          return at === 0
            ? html`<th scope="row" class=${kind}>${content}</th>`
            : html`<td class=${kind}>${content}</td>`;
        })}</tr>`,
    )}</tbody></table>
    ${rest > 0 && html`<p class="soft">${t("table.more", { n: rest, count: count(rest) })}</p>`}</div>`;
}
