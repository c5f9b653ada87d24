/** A part of a screen under its title, with the request that gives it as a command, and its rows as a CSV file. */

import { html, useState } from "../htm/standalone.module.js";
import { curl } from "../api.js";
import { t } from "../texts.js";
import { Command } from "./command.js";
import { Dialog } from "./dialog.js";
import { Failed } from "./states.js";

/** What spreadsheets take for the beginning of a formula, and what they skip before it, as exports have it (cells.py). */
const SIGN = "=+\\-@＝＋－＠";
const SKIPPED = '\\s\\x00-\\x1f\\x7f\\x85\\u180e\\u200b-\\u200f\\u2060\\ufeff"';
const FORMULA = new RegExp(`^(?:[${SKIPPED}]*[${SIGN}]|[\\t\\r\\n])`);
/** A cell may begin in the middle of a text where the file is read with another separator than it was written with. */
const INNER = new RegExp(`([;|${SKIPPED}]+)([${SIGN}]?)`, "g");
const SEPARATOR = /[;|\t\r\n\v\f\x85\u2028\u2029]/;

/** The text, with an apostrophe before all that a spreadsheet would take for the beginning of a formula. */
function neutral(text) {
  const safe = text.replace(INNER, (all, before, sign) => (sign && SEPARATOR.test(before) ? `${before}'${sign}` : all));
  return FORMULA.test(text) ? `'${safe}` : safe;
}

function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "number" ? text : neutral(text);
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as CSV: the first row's fields are the columns. */
export function csv(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [names, ...rows.map((row) => names.map((name) => row[name]))]
    .map((line) => line.map(cell).join(",") + "\r\n")
    .join("");
}

/** Gives a file to whoever looks. */
export function download(name, text, type = "text/csv;charset=utf-8") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/**
 * @param {object} given
 * @param {any} [given.note] what is to be known about it
 * @param {object[]} [given.requests] what "curl" shows
 * @param {object[] | (() => Promise<object[]>)} [given.rows] what the CSV file holds
 * @param {string} [given.name] the file's
 */
export function Panel({ title, note, requests = [], rows, name, children }) {
  const [open, setOpen] = useState(false);
  const [making, setMaking] = useState({ busy: false, error: null });
  const save = async () => {
    setMaking({ busy: true, error: null });
    try {
      download(`${name}.csv`, csv(typeof rows === "function" ? await rows() : rows));
      setMaking({ busy: false, error: null });
    } catch (error) {
      setMaking({ busy: false, error });
    }
  };
  return html`<section class="panel" aria-label=${title}>
    <div class="panel-head"><h2>${title}</h2>
      <div class="actions">
        ${
          requests.length > 0 &&
          html`<button class="plain" onClick=${() => setOpen(true)}
          aria-label=${t("panel.curl.of", { title })}>${t("panel.curl")}</button>`
        }
        ${
          rows &&
          html`<button class="plain" onClick=${save} disabled=${making.busy}
          aria-label=${t("panel.csv.of", { title })}>${t("panel.csv")}</button>`
        }
      </div></div>
    ${making.error && html`<${Failed} error=${making.error} again=${save} />`}
    ${note && html`<p class="soft note">${note}</p>`}
    ${children}
    ${
      open &&
      html`<${Dialog} title=${t("panel.curl.of", { title })} close=${() => setOpen(false)}>
      <p>${t("panel.curl.what")}</p>
      ${requests.map((request) => html`<${Command} text=${curl(request)} />`)}
    </${Dialog}>`
    }
  </section>`;
}
