/** The controls of the head: period, zone, the switch of whom to count, filters. Each changes the address. */

import { html, useState } from "../htm/standalone.module.js";
import { go, here } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { FILTERS, dimensionName, valueName } from "../model/declared.js";
import { mailboxName } from "../model/mailboxes.js";
import { AUDIENCES } from "../model/measures.js";
import { query, viewed } from "../model/requests.js";
import { PERIODS } from "../model/periods.js";
import { day, dayOf, zoneName } from "../model/times.js";
import { t } from "../texts.js";

const noon = (date) => new Date(`${date}T12:00:00Z`);

/** A period's days in words, in the zone that they are days of. */
export function spanOf({ first, last }) {
  return first === last ? day(noon(first), "UTC") : `${day(noon(first), "UTC")} \u2013 ${day(noon(last), "UTC")}`;
}

/** The days that a view is of, and whose they are. */
export const daysOf = ({ period, zone }) => t("overview.days", { days: spanOf(period), zone: zoneName(zone) });

function chosenDays(event) {
  event.preventDefault();
  const { from, to } = Object.fromEntries(new FormData(event.target));
  if (from && to) go(here({ period: null, from: from < to ? from : to, to: from < to ? to : from }));
}

function Period({ period, zone }) {
  const today = dayOf(Date.now(), zone);
  return html`<div class="group" role="group" aria-label=${t("control.period")}>
    ${Object.keys(PERIODS).map((name) => html`<a key=${name} href=${here({ period: name, from: null, to: null })}
      aria-current=${period.name === name ? "true" : null}>${t(`period.${name}`)}</a>`)}
    <details class="drop"><summary>${period.name === "custom" ? spanOf(period) : t("period.custom")}</summary>
      <form class="dropped" onSubmit=${chosenDays}>
        <label>${t("control.from")}<input type="date" name="from" value=${period.first} max=${today} required /></label>
        <label>${t("control.to")}<input type="date" name="to" value=${period.last} max=${today} required /></label>
        <button>${t("control.show")}</button>
      </form></details>
  </div>`;
}

function Who({ who }) {
  return html`<div class="group" role="group" aria-label=${t("control.who")}>
    <span class="soft">${t("control.count")}</span>
    ${AUDIENCES.map((name) => html`<a key=${name} href=${here({ who: name })}
      aria-current=${who === name ? "true" : null}>${t(`who.${name}`)}</a>`)}
  </div>`;
}

/** Zones that browsers know; the one that is looked at among them. */
function zones(zone) {
  const known = Intl.supportedValuesOf?.("timeZone") ?? [];
  return [...new Set(["UTC", zone, ...known])];
}

/** Folds up what an element is in, and leaves the focus where it was unfolded. */
function foldUp(element) {
  const drop = element.closest("details");
  drop.open = false;
  drop.querySelector("summary").focus();
}

/** The choice is made when it is unfolded: it has hundreds of zones, of which each page would carry every one. */
function Zone({ zone }) {
  const [open, setOpen] = useState(false);
  const choose = (event) => {
    event.preventDefault();
    const { zone: chosen } = Object.fromEntries(new FormData(event.target));
    foldUp(event.target);
    go(here({ zone: chosen }));
  };
  return html`<details class="drop" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>${t("control.zone")}: ${zoneName(zone)}</summary>
    ${
      open &&
      html`<form class="dropped" onSubmit=${choose}><label>${t("control.zone")}<select name="zone" value=${zone}>
      ${zones(zone).map((name) => html`<option key=${name} value=${name}>${zoneName(name)}</option>`)}</select></label>
      <button>${t("control.show")}</button></form>`
    }</details>`;
}

/** Values that are offered at most; others can be typed. */
const OFFERED = 500;

/** A form that adds a filter, and offers what there was in the period. */
function Filtering({ view, named }) {
  const [dimension, setDimension] = useState(FILTERS[0]);
  const body = { metrics: ["sent"], dimensions: [dimension], order_by: "-sent", limit: OFFERED };
  const answer = useAnswer(query({ ...viewed(view, body), filters: {} }));
  const values = (answer.value?.data ?? []).map((row) => row[dimension]).filter(Boolean);
  const names = { campaign: named, mailbox_provider: mailboxName }[dimension];
  const add = (event) => {
    event.preventDefault();
    const typed = new FormData(event.target).get("value").trim();
    // Who types the name that stands everywhere means what is called so.
    const isCalled = (one) => names?.(one).toLowerCase() === typed.toLowerCase();
    const called = values.includes(typed) ? [typed] : values.filter(isCalled);
    go(here({ [dimension]: [...new Set([...(view.filters[dimension] ?? []), ...(called.length ? called : [typed])])] }));
    event.target.reset();
    foldUp(event.target);
  };
  return html`<form class="dropped" onSubmit=${add}>
    <label>${t("control.dimension")}<select value=${dimension} onChange=${(event) => setDimension(event.target.value)}>
      ${FILTERS.map((name) => html`<option value=${name}>${dimensionName(name)}</option>`)}</select></label>
    <label>${t("control.value")}<input name="value" list="filter-values" maxlength="200" autocomplete="off"
      aria-describedby="filter-hint" /></label>
    <datalist id="filter-values">${values.map((value) => html`<option key=${value} value=${value}>${names?.(value)}</option>`)}</datalist>
    <button>${t("control.add")}</button>
    <p class="soft note" id="filter-hint">${t("control.value.hint")}</p>
  </form>`;
}

function Filters({ view }) {
  const { filters } = view;
  const [open, setOpen] = useState(false);
  const { named } = useCampaigns();
  // What is taken away cannot keep the focus.
  const toFilter = (event) => event.currentTarget.closest(".filters").querySelector("summary").focus();
  const chosen = FILTERS.flatMap((name) => (filters[name] ?? []).map((value) => [name, value]));
  const words = (name, value) => valueName(name, value, named);
  return html`<div class="group filters" role="group" aria-label=${t("control.filters")}>
    ${chosen.map(([name, value]) => html`<a key=${name + value} class="filter"
      href=${here({ [name]: filters[name].filter((one) => one !== value) })} onClick=${toFilter}
      aria-label=${t("control.unfilter", { name: dimensionName(name), value: words(name, value) })}>
      ${dimensionName(name)}: <bdi>${words(name, value)}</bdi> <span aria-hidden="true">×</span></a>`)}
    <details class="drop" onToggle=${(event) => setOpen(event.target.open)}><summary>${t("control.filter")}</summary>
      ${open && html`<${Filtering} view=${view} named=${named} />`}</details>
  </div>`;
}

/** The controls that a screen takes: `period` (and with it the zone), `who`, `filters`, `zone`. */
export function Controls({ shown, view, again }) {
  if (!shown.length) return null;
  const has = (name) => shown.includes(name);
  return html`<section class="controls" aria-label=${t("control.all")}>
    ${has("period") && html`<${Period} period=${view.period} zone=${view.zone} />`}
    ${has("who") && html`<${Who} who=${view.who} />`}
    ${has("filters") && html`<${Filters} view=${view} />`}
    ${(has("period") || has("zone")) && html`<${Zone} zone=${view.zone} />`}
    <button class="plain" onClick=${again}>${t("control.again")}</button>
  </section>`;
}
