/**
 * A curve: zero line always, lines named where they end, machines dashed, the days before thin and grey, what is not
 * over yet dotted, a gap where nothing is known. Hovering, tapping, the arrow keys and the table beneath show the same. A
 * click, Enter and a name in the table lead to a bucket.
 */

import { html, useEffect, useMemo, useRef, useState } from "../htm/standalone.module.js";
import { go } from "../address.js";
import { count } from "../model/numbers.js";
import { t } from "../texts.js";
import { Plot, isKnown } from "./plot.js";
import { useScheme } from "./scheme.js";

const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -7, PageDown: 7, Home: -Infinity, End: Infinity };

/** The bucket that is read where nobody points at one: the last that is known of what the chart is about. */
const restOf = (lines, names) => {
  const known = (lines[0]?.values ?? []).slice(0, names.length).findLastIndex(isKnown);
  return known < 0 ? names.length - 1 : known;
};

function Reading({ lines, names, at, format }) {
  const named = lines.filter(({ values, fixed }) => !fixed && isKnown(values[at]));
  return html`<p class="reading" aria-live="polite"><b>${names[at] ?? ""}</b>
    ${named.map(
      (line) => html`<span key=${line.name}
      class=${line.kind}> ${lines.length > 1 && html`<bdi>${line.name}</bdi> `}<b>${format(line.values[at])}</b></span>`,
    )}</p>`;
}

function Numbers({ title, lines, names, format, first, zoom, notes }) {
  return html`<details class="same"><summary>${t("chart.table")}</summary><div class="table"><table class="rows">
    <caption class="hidden">${title}</caption>
    <thead><tr><th scope="col">${first}</th>${lines.map(
      ({ name }) => html`<th scope="col" class="number"
      key=${name}>${name}</th>`,
    )}${notes && html`<th scope="col" class="text">${notes.title}</th>`}</tr></thead>
    <tbody>${names.map(
      (name, at) => html`<tr key=${at}><th scope="row">${zoom ? html`<a href=${zoom(at, at)}>${name}</a>` : name}</th>
      ${lines.map(
        (line) => html`<td class="number"
        key=${line.name}>${isKnown(line.values[at]) ? format(line.values[at]) : ""}</td>`,
      )}${notes && html`<td class="text">${notes.links[at]}</td>`}</tr>`,
    )}</tbody>
  </table></div></details>`;
}

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {"plain" | "people" | "proxies" | "machines" | "before"} kind
 * @property {(number | null)[]} values null: nothing is known
 * @property {boolean} [fixed] a limit, that says the same everywhere: drawn, and not told
 */

/**
 * @param {object} given
 * @param {string} given.title what it shows
 * @param {string[]} given.names its buckets
 * @param {string[]} [given.short] the same, as they are written beneath it
 * @param {Line[]} given.lines at most three, and those of before
 * @param {boolean} [given.unfinished] whether the last bucket is not over yet
 * @param {boolean} [given.cut] whether the first bucket began before what is shown
 * @param {string} [given.first] what a bucket is
 * @param {(first: number, last: number) => string} [given.zoom] the address of what is from one bucket to another
 * @param {string} [given.widen] the address of the way back
 * @param {{title: string, names: string[], links: any[]}} [given.notes] what else was in each bucket; it has a mark then
 * @param {number} [given.most] what the scale reaches to, where several charts are to have the same
 * @param {(n: number) => string} [given.mark] how a number is written beside a line of the grid
 */
export function Chart({
  title,
  names,
  short = names,
  lines,
  unfinished = false,
  cut = false,
  first,
  format = count,
  mark,
  most,
  height = 260,
  zoom,
  widen,
  notes,
}) {
  const place = useRef(null);
  const plot = useRef(null);
  const rest = restOf(lines, names);
  const [at, setAt] = useState(rest);
  const scheme = useScheme();
  const marked = notes?.names.map(Boolean) ?? [];
  const content = JSON.stringify([names, short, lines, unfinished, cut, height, most, scheme, marked]);
  // What buckets are may have changed since the chart was drawn.
  const look = useRef(null);
  look.current = zoom && ((from, to) => go(zoom(from, to)));
  useEffect(() => {
    setAt(rest);
    plot.current = new Plot(place.current, { names, short, lines, unfinished, cut, height, format, mark, most, marked, look: setAt, rest, zoom: zoom && ((from, to) => look.current(from, to)) });
    const watch = new ResizeObserver(() => plot.current.fit());
    watch.observe(place.current);
    return () => {
      watch.disconnect();
      plot.current.destroy();
    };
  }, [content]);
  const turn = (event) => {
    const step = KEYS[event.key];
    if (event.key === "Enter") look.current?.(at, at);
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(at + step, 0), names.length - 1);
    setAt(next);
    plot.current.point(next);
  };
  // A finger's tap reads; who has a mouse has read already.
  const chosen = (event) => event.pointerType === "mouse" && look.current?.(at, at);
  // Thousands of rows are not made anew where somebody only points.
  const table = useMemo(
    () => html`<${Numbers} zoom=${zoom} notes=${notes} title=${title} lines=${lines.filter(({ fixed }) => !fixed)} names=${names}
      format=${format} first=${first ?? t("chart.bucket")} />`,
    [content, notes?.names.join(), location.search],
  );
  const middle = zoom && names.length > 3 && zoom(Math.floor(names.length / 4), Math.ceil((names.length * 3) / 4) - 1);
  return html`<div class="chart">
    <${Reading} lines=${lines} names=${names} at=${Math.min(at, names.length - 1)} format=${format} />
    <div class=${zoom ? "plot zooms" : "plot"} tabindex="0" role="group" aria-label=${t(zoom ? "chart.keys.zoom" : "chart.keys", { title })}
      onKeyDown=${turn} onClick=${chosen} ref=${place} style=${{ height: `${height}px` }}></div>
    ${notes && html`<p class="notes">${
      marked.some(Boolean) && html`<span aria-hidden="true">▲ </span>${notes.title} <b aria-live="polite">${notes.names[at]}</b>`
    }</p>`}
    <div class="chart-foot">
      ${middle && html`<a class="plain" href=${middle}>${t("chart.in")}</a>`}
      ${widen && html`<a class="plain" href=${widen}>${t("chart.out")}</a>`}
      ${table}
    </div></div>`;
}
