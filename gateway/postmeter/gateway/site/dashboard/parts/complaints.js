/** Complaints against the lines of 0.1 % and 0.3 %: by mailbox provider, and over time. */

import { html } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { TELLING, saysLittle } from "../model/attention.js";
import { LINES, level, printed, said, share, trails, trend, trendRequest } from "../model/complaints.js";
import { mailboxName, ofProvider } from "../model/mailboxes.js";
import { count, percent } from "../model/numbers.js";
import { bucket, mark } from "../model/times.js";
import { say, t } from "../texts.js";
import { Chart } from "./chart.js";
import { Figure } from "./figure.js";
import { Panel } from "./panel.js";
import { Scale } from "./scale.js";
import { Answered } from "./states.js";

const GROUPS = 12;
/** Percent that the axis reaches to at most: one provider with little mail must not flatten all others. */
const AXIS = 1;

/** A row's rate, which explains itself, its counts, and which line it has reached. */
function Told({ counts, words, view, id, request }) {
  const of = t("deliverability.of", { count: count(counts.complained), of: count(counts.delivered) });
  return html`<${Figure} measure="complained" as="rate" counts=${counts} view=${view} id=${id} request=${request} />
    <span class="soft">${of}</span>
    <span class=${kindOf(counts) === "alarm" ? "alarm" : "soft"}>${t(`deliverability.${words}`)}</span>`;
}

function kindOf(counts) {
  if (saysLittle(counts)) return "pale";
  return level(counts) === "far" ? "alarm" : null;
}

function scaleRows(rows, all, words, view, request) {
  const whole = {
    key: "all",
    name: html`<b>${t("deliverability.all")}</b>`,
    value: share(all),
    kind: kindOf(all),
    label: html`<${Told} counts=${all} words=${words} view=${view} id="complained" request=${request} />`,
  };
  const providers = rows.map((row) => ({
    key: `of ${row.mailbox_provider}`,
    name: mailboxName(row.mailbox_provider),
    value: share(row),
    kind: kindOf(row),
    label: html`<${Told} counts=${row} words=${said(row)} view=${view} id=${`complained.${row.mailbox_provider}`}
      request=${ofProvider(view, row.mailbox_provider)} />`,
  }));
  return [whole, ...providers];
}

/**
 * @param {object} given
 * @param {object[]} given.rows counts by mailbox provider, the one with most mail first
 * @param {object} given.all counts of all mail
 * @param {object[]} given.requests those that gave `all` and `rows`
 */
export function Complaints({ rows, all, view, requests }) {
  const listed = rows.filter(({ delivered }) => delivered).slice(0, GROUPS);
  const words = listed.length && listed.every((row) => said(row) === "none") ? "none" : said(all);
  const scaled = scaleRows(listed, all, words, view, requests[0]);
  const most = Math.min(AXIS, Math.max(LINES[1] * 1.3, ...scaled.map(({ value }) => value ?? 0)));
  const values = { rate: html`<b>${printed(all)}</b>`, of: count(all.delivered) };
  const file = () =>
    rows.map((row) => ({
      mailbox_provider: row.mailbox_provider,
      delivered: row.delivered,
      complained: row.complained,
      percent: share(row),
    }));
  const kind = words === "little" && all.complained ? "few" : words;
  const some = scaled.some(({ kind }) => kind === "pale");
  return html`<${Panel} title=${t("deliverability.complaints")} note=${t("deliverability.complaints.what")}
      requests=${requests} rows=${file} name="complaints">
    <p class="sentence">${say(`deliverability.sentence.${kind}`, values)}</p>
    <${Scale} rows=${scaled} most=${most} limits=${LINES} format=${(value) => (value ? percent(value) : "0")} />
    ${some && html`<p class="soft note">${t("deliverability.pale", { n: count(TELLING) })}</p>`}
  </${Panel}>`;
}

/** The same over time. */
export function ComplaintsTrend({ view }) {
  const request = trendRequest(view);
  const answer = useAnswer(request);
  const title = t("deliverability.trend");
  const chart = ({ data }) => {
    const points = trend(data, view);
    const resolution = trails(view) ? "day" : view.period.resolution;
    const limits = LINES.map((line) => ({ name: percent(line), kind: "before", values: points.map(() => line), fixed: true }));
    const complaints = { name: t("measure.complained"), kind: "plain", values: points.map(share) };
    const named = (words) => points.map(({ timestamp }) => words(timestamp, resolution, view.zone));
    return html`<${Chart} title=${title} names=${named(bucket)} short=${named(mark)} lines=${[complaints, ...limits]} height=${220}
      format=${(value) => percent(value, 2)} mark=${(value) => percent(value)} />`;
  };
  return html`<${Panel} title=${title} note=${t(`deliverability.trend.${trails(view) ? "days" : "buckets"}`)}
      requests=${[request]} rows=${() => trend(answer.value?.data ?? [], view)} name="complaints-trend">
    <${Answered} answer=${answer} lines=${14}>${chart}</${Answered}></${Panel}>`;
}
