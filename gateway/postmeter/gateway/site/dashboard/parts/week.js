/**
 * The week as 7 x 24 cells, darker where more; hours with little mail are pale, the best one is ringed. Pointing, tapping
 * and the arrow keys show the same. Where the page is narrow, hours go down and days go across.
 */

import { html, useEffect, useRef, useState } from "../htm/standalone.module.js";
import { brief, clock, dayName } from "../model/week.js";
import { t } from "../texts.js";

const NARROW = "(max-width: 900px)";
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -24], End: [0, 24], PageUp: [-7, 0], PageDown: [7, 0] };
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/** How dark a cell is, in percent of its colour: text on it stays legible. */
const DARKEST = 45;

const within = (value, last) => Math.min(Math.max(value, 0), last);
const isSame = (a, b) => Boolean(a && b) && a[0] === b[0] && a[1] === b[1];

/**
 * @param {object} given
 * @param {string} given.title
 * @param {(object | null)[][]} given.week as `weekOf` has it
 * @param {[number, number] | null} given.best where the best hour is
 * @param {{value: (hour: object) => number}} given.shown what cells show
 * @param {(hour: object | null) => string} given.say a cell in words
 */
export function Week({ title, week, best, shown, say }) {
  const place = useRef(null);
  const [at, setAt] = useState(best ?? [0, 9]);
  const [moved, setMoved] = useState(0);
  const most = Math.max(0, ...week.flat().map((hour) => (hour?.compared ? shown.value(hour) : 0)));
  useEffect(() => {
    if (moved) place.current.querySelector("[tabindex='0']").focus();
  }, [moved]);
  const turn = (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const [days, hours] = matchMedia(NARROW).matches ? [step[1], step[0]] : step;
    setAt([within(at[0] + days, 6), within(at[1] + hours, 23)]);
    setMoved((n) => n + 1);
  };
  const cell = (day, hour) => {
    const found = week[day][hour];
    const kind = ["cell", !found && "none", found && !found.compared && "pale", isSame(best, [day, hour]) && "best"].filter(Boolean).join(" ");
    const heat = found?.compared && most ? (shown.value(found) / most) * DARKEST : 0;
    const here = isSame(at, [day, hour]);
    return html`<div key=${hour} role="gridcell" class=${kind} tabindex=${here ? 0 : -1} aria-selected=${here ? "true" : "false"}
      aria-label=${`${dayName(day)} ${clock(hour)}: ${say(found)}`} style=${{ "--heat": `${heat}%` }}
      onMouseEnter=${() => setAt([day, hour])} onFocus=${() => setAt([day, hour])} onClick=${() => setAt([day, hour])}>${found ? brief(shown.value(found)) : ""}</div>`;
  };
  const [day, hour] = at;
  return html`<p class="reading cells" aria-hidden="true"><b>${dayName(day)}, ${clock(hour)}\u2013${clock(hour + 1)}</b> <span>${say(week[day][hour])}</span></p>
    <div class="week" role="grid" aria-label=${t("week.keys", { title })} ref=${place} onKeyDown=${turn}>
      <div role="row"><span role="columnheader"><span class="hidden">${t("week.day")}</span></span>${HOURS.map((one) => html`<span key=${one} role="columnheader">${String(one).padStart(2, "0")}</span>`)}</div>
      ${week.map((_, one) => html`<div role="row" key=${one}><span role="rowheader" aria-label=${dayName(one)}>${dayName(one, "short")}</span>${HOURS.map((of) => cell(one, of))}</div>`)}
    </div>`;
}
