/**
 * The week as 7 x 24 cells, of a stronger colour where more; hours with little mail are pale, the best one is ringed.
 * Pointing, tapping and the arrow keys show the same. Where the page is narrow, hours go down and days go across.
 */

import { html, useLayoutEffect, useRef, useState } from "../htm/standalone.module.js";
import { brief, clock, dayName } from "../model/week.js";
import { t } from "../texts.js";

const NARROW = "(max-width: 900px)";
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
/** Where no hour is the best, one begins at a Monday's morning. */
const START = [0, 9];
/** How much of its colour a cell has at most, in percent: text on it stays legible. */
const STRONGEST = 45;
/** Steps of the keys, in rows and columns. */
const STEPS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, -24],
  End: [0, 24],
  PageUp: [-24, 0],
  PageDown: [24, 0],
};

const within = (value, last) => Math.min(Math.max(value, 0), last);
const isSame = (a, b) => Boolean(a && b) && a[0] === b[0] && a[1] === b[1];

/** Where a key leads to, or null. */
function moved([day, hour], key) {
  const step = STEPS[key];
  if (!step) return null;
  const [days, hours] = matchMedia(NARROW).matches ? [step[1], step[0]] : step;
  return [within(day + days, 6), within(hour + hours, 23)];
}

function Cell({ at, found, isBest, isHere, heat, text, words, choose }) {
  const kinds = ["cell", !found && "none", found && !found.compared && "pale", isBest && "best"];
  return html`<div role="gridcell" class=${kinds.filter(Boolean).join(" ")} tabindex=${isHere ? 0 : -1}
    aria-selected=${isHere ? "true" : "false"} aria-label=${`${dayName(at[0])} ${clock(at[1])}: ${words}`}
    style=${{ "--heat": `${heat}%` }} onMouseEnter=${choose} onFocus=${choose} onClick=${choose}>${text}</div>`;
}

function Reading({ at: [day, hour], words }) {
  return html`<p class="reading cells" aria-hidden="true">
    <b>${dayName(day)}, ${clock(hour)}\u2013${clock(hour + 1)}</b> <span>${words}</span></p>`;
}

function Hours() {
  const name = (hour) => html`<span key=${hour} role="columnheader">${String(hour).padStart(2, "0")}</span>`;
  return html`<div role="row"><span role="columnheader"><span class="hidden">${t("week.day")}</span></span>
    ${HOURS.map(name)}</div>`;
}

/**
 * @param {object} given
 * @param {(object | null)[][]} given.week as `weekOf` has it
 * @param {[number, number] | null} given.best where the best hour is
 * @param {(hour: object) => number} given.value what cells show
 * @param {(hour: object | null) => string} given.say a cell in words
 */
export function Week({ title, week, best, value, say }) {
  const place = useRef(null);
  const [at, setAt] = useState(best ?? START);
  const [turns, setTurns] = useState(0);
  useLayoutEffect(() => {
    if (turns) place.current.querySelector("[tabindex='0']").focus();
  }, [turns]);
  const turn = (event) => {
    const next = moved(at, event.key);
    if (!next) return;
    event.preventDefault();
    setAt(next);
    setTurns((n) => n + 1);
  };
  const most = Math.max(0, ...week.flat().map((hour) => (hour?.compared ? value(hour) : 0)));
  const cell = (day, hour) => {
    const found = week[day][hour];
    return html`<${Cell} key=${hour} at=${[day, hour]} found=${found} isBest=${isSame(best, [day, hour])}
      isHere=${isSame(at, [day, hour])} heat=${found?.compared && most ? (value(found) / most) * STRONGEST : 0}
      text=${found ? brief(value(found)) : ""} words=${say(found)} choose=${() => setAt([day, hour])} />`;
  };
  const row = (_, day) => html`<div role="row" key=${day}>
    <span role="rowheader" aria-label=${dayName(day)}>${dayName(day, "short")}</span>
    ${HOURS.map((hour) => cell(day, hour))}</div>`;
  return html`<${Reading} at=${at} words=${say(week[at[0]][at[1]])} />
    <div class="week" role="grid" aria-label=${t("week.keys", { title })} ref=${place} onKeyDown=${turn}>
      <${Hours} />${week.map(row)}</div>`;
}
