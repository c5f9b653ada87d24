/** Counters as they rise, each with what came since one began to look. */

import { html } from "../htm/standalone.module.js";
import { valueOf, whatOf } from "../model/measures.js";
import { count } from "../model/numbers.js";
import { clockOf } from "../model/times.js";
import { t } from "../texts.js";
import { Meaning } from "./meaning.js";

const COUNTERS = ["sent", "delivered", "opens", "clicks", "bounced", "complained", "unsubscribed"];

/** live: as `useLive` has it. */
export function Counters({ live: { counters, first, at }, view }) {
  const counter = (name) => {
    const now = counters && valueOf(name, counters, view.who);
    const came = counters && now - valueOf(name, first, view.who);
    return html`<li key=${name}><h2>${t(`measure.${name}`)}</h2>
      <p class="big">${counters ? count(now) : "\u2013"}</p>
      <p class="soft minor">${
        counters ? t("live.since", { count: count(came), at: clockOf(at, view.zone) }) : "\u00a0"
      }</p></li>`;
  };
  return html`<ul class="figures small counters">${COUNTERS.map(counter)}</ul>
    <${Meaning} of=${COUNTERS.map((name) => [t(`measure.${name}`), whatOf(name, view.who)])}>${t("live.counters")}</${Meaning}>`;
}
