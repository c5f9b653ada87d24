/** How a campaign went since its sending, beside those that were sent before it. */

import { html } from "../htm/standalone.module.js";
import { here, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { percent, percentOf } from "../model/numbers.js";
import { query } from "../model/requests.js";
import { day, dayOf, duration, shifted } from "../model/times.js";
import { apart, t } from "../texts.js";
import { Chart } from "./chart.js";
import { Panel } from "./panel.js";
import { Answered, Loading } from "./states.js";

/** Hours that can be looked at. */
const SPANS = [24, 72, 168, 720];
const USUAL = 72;
const WHAT = { opened: "unique_opens", clicked: "unique_clicks" };
const HOUR = 3_600_000;
const QUARTER = HOUR / 4;
/** Beyond so many hours a bucket is a day. */
const HOURLY = 168;

/** The first buckets of a campaign: hours of the clock, the first that in which it was sent; or days, likewise. */
function windowOf(sent, span, zone) {
  if (span <= HOURLY) {
    const from = Math.floor(sent / HOUR) * HOUR;
    const now = Math.ceil(Date.now() / QUARTER) * QUARTER;
    const to = Math.min(from + span * HOUR, Math.max(now, from + QUARTER));
    return { from: new Date(from).toISOString(), to: new Date(to).toISOString(), timezone: "UTC", resolution: "hour" };
  }
  const from = dayOf(sent, zone);
  const last = shifted(from, span / 24 - 1);
  const to = last < dayOf(Date.now(), zone) ? last : undefined;
  return { from, to, timezone: zone, resolution: "day" };
}

function requestOf(campaign, span, zone) {
  return query({
    metrics: ["delivered", ...Object.values(WHAT)],
    filters: { campaign: [campaign.id] },
    ...windowOf(Date.parse(campaign.sent_at), span, zone),
  });
}

/** The part of what was delivered, in percent, that had been opened (clicked) by the end of each bucket. */
export function grown(rows, metric) {
  const delivered = rows.reduce((sum, row) => sum + row.delivered, 0);
  let sum = 0;
  return rows.map((row) => {
    sum += row[metric];
    return percentOf(sum, delivered);
  });
}

/** A request's answer for each campaign; as many hooks as there may be campaigns, whatever their number. */
function useRows(campaigns, span, zone) {
  const requests = [0, 1, 2, 3].map((n) => (campaigns[n] ? requestOf(campaigns[n], span, zone) : null));
  // What it asks for grows with time, and is about the same.
  const about = (n) => JSON.stringify([campaigns[n]?.id, span, zone]);
  return { requests: requests.filter(Boolean), answers: requests.map((request, n) => useAnswer(request, about(n))) };
}

/** Campaigns' names, with the day of sending where another one is called the same. */
function titlesOf(campaigns, zone) {
  const names = campaigns.map(({ name }) => name);
  const isShared = (name) => names.indexOf(name) !== names.lastIndexOf(name);
  return campaigns.map(({ name, sent_at: at }) => (isShared(name) ? `${apart(name)} · ${day(Date.parse(at), zone)}` : name));
}

/** before: its predecessors, the latest first. */
export function Since({ campaign, before, zone }) {
  const [, params] = useAddress();
  const span = SPANS.includes(Number(params.get("span"))) ? Number(params.get("span")) : USUAL;
  const what = Object.hasOwn(WHAT, params.get("since") ?? "") ? params.get("since") : "opened";
  const campaigns = [campaign, ...before];
  const titles = titlesOf(campaigns, zone);
  const { requests, answers } = useRows(campaigns, span, zone);
  const title = t(`since.${what}`);
  const step = span <= HOURLY ? 1 : 24;
  const choice = (name, value, label, chosen) =>
    html`<a key=${value} href=${here({ [name]: value })} aria-current=${chosen ? "true" : null}>${label}</a>`;
  // An answer of another span has other buckets.
  const lines = answers.flatMap(({ value, isStale }, n) =>
    value && !isStale
      ? [{ name: titles[n], kind: n === 0 ? "people" : "before", values: grown(value.data, WHAT[what]) }]
      : [],
  );
  const names = Array.from({ length: Math.max(1, ...lines.map(({ values }) => values.length)) }, (_, n) =>
    duration((n + 1) * step, "narrow"),
  );
  const rows = names.map((name, at) => ({
    after: name,
    ...Object.fromEntries(lines.map((line) => [line.name, line.values[at] ?? ""])),
  }));
  return html`<${Panel} title=${title} note=${t("since.what")} requests=${requests} rows=${rows} name="since-sending">
    <div class="group" role="group" aria-label=${t("since.choose")}>
      ${Object.keys(WHAT).map((name) => choice("since", name, t(`measure.${name}`), name === what))}
      <span class="soft" aria-hidden="true">·</span>
      ${SPANS.map((hours) => choice("span", hours, duration(hours), hours === span))}</div>
    <${Answered} answer=${answers[0]} lines=${12}>${() =>
      answers[0].isStale
        ? html`<${Loading} lines=${12} />`
        : html`<${Chart} title=${title} names=${names} lines=${lines}
      first=${t("since.after")}
      format=${(value) => percent(value)} mark=${(value) => percent(value, 0)} />`}</${Answered}>
  </${Panel}>`;
}
