/** Deliverability: are we welcome? Complaints against their lines by mailbox provider, then health and what makes it. */

import { html } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { useAnswer } from "../answers.js";
import { ENOUGH, LINES, level, printed, share, trails, trend, trendRequest } from "../model/complaints.js";
import { mailboxName } from "../model/mailboxes.js";
import { METRICS, total } from "../model/measures.js";
import { count, percent, short } from "../model/numbers.js";
import { get, query, segment, viewed } from "../model/requests.js";
import { ago, bucket, day } from "../model/times.js";
import { Chart } from "../parts/chart.js";
import { spanOf } from "../parts/controls.js";
import { Figure } from "../parts/figure.js";
import { Freshness } from "../parts/freshness.js";
import { Nothing } from "../parts/nothing.js";
import { Panel } from "../parts/panel.js";
import { Scale } from "../parts/scale.js";
import { Answered, Empty } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { has, say, t } from "../texts.js";

const GROUPS = 12;
/** Percent that the axis reaches to at most: one provider with little mail must not flatten all others. */
const AXIS = 1;
/** The windows that the reports behind health, reasons and lists know, with their days. */
const WINDOWS = { "7d": 7, "30d": 30, "90d": 90 };

/** The shortest window that holds the period, or the longest one. */
const windowOf = ({ days }) => Object.keys(WINDOWS).find((name) => WINDOWS[name] >= days) ?? "90d";

/** The report of health, reasons and lists. It can be of one campaign, and knows no other filter. */
function reportOf(view, session) {
  const campaign = view.filters.campaign?.length === 1 ? `&campaignId=${segment(view.filters.campaign[0])}` : "";
  return get(`/api/v1/workspaces/${segment(session.workspace)}/analytics/deliverability?timeRange=${windowOf(view.period)}${campaign}`);
}

const ofOne = (view, provider) => query(viewed(view, { metrics: METRICS, filters: { mailbox_provider: [provider] } }));

function Complaints({ rows, all, view, requests }) {
  const figure = (row, id, request) => html`<${Figure} measure="complained" as="rate" counts=${row} view=${view} id=${id} request=${request} />`;
  const shown = [{ ...all, whole: true }, ...rows.filter((row) => row.delivered).slice(0, GROUPS)];
  const scaled = shown.map((row) => ({
    key: row.whole ? "all" : `of ${row.mailbox_provider}`,
    name: row.whole ? html`<b>${t("deliverability.all")}</b>` : mailboxName(row.mailbox_provider),
    value: share(row),
    kind: level(row) === "far" ? "alarm" : !row.whole && row.delivered < ENOUGH ? "pale" : null,
    label: html`${figure(row, row.whole ? "complained" : `complained.${row.mailbox_provider}`, row.whole ? requests[0] : ofOne(view, row.mailbox_provider))}
      <span class="soft">${t("deliverability.of", { count: count(row.complained), of: count(row.delivered) })}</span>
      <span class=${level(row) === "far" ? "alarm verdict" : "soft verdict"}>${t(`deliverability.${level(row)}`)}</span>`,
  }));
  const most = Math.min(AXIS, Math.max(LINES[1] * 1.3, ...shown.map((row) => share(row) ?? 0)));
  const file = () => rows.map((row) => ({ mailbox_provider: row.mailbox_provider, delivered: row.delivered, complained: row.complained, percent: share(row) ?? "" }));
  return html`<${Panel} title=${t("deliverability.complaints")} note=${t("deliverability.complaints.what")} requests=${requests} rows=${file} name="complaints">
    <p class="sentence">${say(`deliverability.sentence.${level(all)}`, { rate: html`<b>${printed(all)}</b>`, of: count(all.delivered) })}</p>
    <${Scale} rows=${scaled} most=${most} limits=${LINES} format=${(value) => (value ? percent(value, 1) : "0")} />
    ${scaled.some(({ kind }) => kind === "pale") && html`<p class="soft note">${t("deliverability.pale", { n: count(ENOUGH) })}</p>`}
  </${Panel}>`;
}

function Trend({ view }) {
  const request = trendRequest(view);
  const answer = useAnswer(request);
  const title = t("deliverability.trend");
  return html`<${Panel} title=${title} note=${t(trails(view) ? "deliverability.trend.days" : "deliverability.trend.buckets")} requests=${[request]}
      rows=${() => trend(answer.value?.data ?? [], view)} name="complaints-trend">
    <${Answered} answer=${answer} lines=${14}>${({ data }) => {
      const points = trend(data, view);
      if (!points.length) return null;
      const names = points.map(({ timestamp }) => bucket(timestamp, trails(view) ? "day" : view.period.resolution, view.zone));
      const limits = LINES.map((line) => ({ name: percent(line, 1), kind: "before", values: points.map(() => line) }));
      const lines = [{ name: t("measure.complained"), kind: "plain", values: points.map(share) }, ...limits];
      return html`<${Chart} title=${title} names=${names} lines=${lines} height=${220} format=${(value) => percent(value, 2)} mark=${(value) => percent(value, 1)} />`;
    }}</${Answered}></${Panel}>`;
}

const PARTS = { hard_bounces: "sent", complaints: "delivered", unsubscribes: "delivered", volume: "before" };

function Part({ part }) {
  const values = { count: count(part.count), of: count(part.of), rate: percent(part.rate, 2), none: percent(part.none_at, part.none_at < 1 ? 1 : 0), full: percent(part.full_at, part.full_at < 1 ? 1 : 0), weight: part.weight };
  const fell = part.part === "volume" && part.rate === 0 ? "risen" : PARTS[part.part];
  return html`<b>${t(`deliverability.part.${part.part}`)}</b>
    <div class="soft">${t(`deliverability.part.${fell}`, values)} ${t("deliverability.part.limits", values)}</div>`;
}

function Health({ report, request }) {
  const { overall, health_parts: parts, reputation_trend: days } = report;
  const names = days.map(({ date }) => bucket(`${date}T12:00:00Z`, "day", "UTC"));
  const columns = [
    { key: "part", title: t("deliverability.part"), cell: (part) => html`<${Part} part=${part} />` },
    { key: "points", title: t("deliverability.points"), numeric: true, cell: (part) => html`<span class=${part.points > 0 ? "alarm" : null}>${part.points > 0 ? `\u2212${short(part.points)}` : "0"}</span> <span class="soft">${t("deliverability.points.of", { weight: part.weight })}</span>` },
  ];
  const title = t("deliverability.health");
  return html`<div class="half"><${Panel} title=${title} note=${t("deliverability.health.what")} requests=${[request]} rows=${parts} name="health">
      <p class="score"><b>${overall.health_score}</b> <span class="soft">${t("deliverability.health.of")}</span></p>
      ${parts.length ? html`<${Table} columns=${columns} rows=${parts.map((part) => ({ ...part, key: part.part }))} caption=${title} />` : html`<p>${t("deliverability.health.quiet")}</p>`}
    </${Panel}></div>
    <div class="half"><${Panel} title=${t("deliverability.reputation")} note=${t("deliverability.reputation.what")} requests=${[request]} rows=${days} name="reputation">
      <${Chart} title=${t("deliverability.reputation")} names=${names} lines=${[{ name: t("deliverability.score"), kind: "plain", values: days.map(({ score }) => score) }]} most=${100} height=${220} />
    </${Panel}></div>`;
}

/** A reason's name in words; reasons are a closed list, and what is not on it is shown as it is. */
const reasonOf = (reason) => (has(`bounce.${reason}`) ? t(`bounce.${reason}`) : reason);

function Reasons({ report, request }) {
  const { hard_bounces: hard, soft_bounces: soft, hard_bounce_rate: hardRate, soft_bounce_rate: softRate, top_bounce_reasons: reasons } = report.bounce_analysis;
  const columns = [
    { key: "reason", title: t("deliverability.reason"), cell: (row) => html`${reasonOf(row.reason)}<span class="share" style=${{ width: `${row.percentage}%` }}></span>` },
    { key: "count", title: t("measure.bounced"), numeric: true, cell: (row) => html`${count(row.count)} <span class="soft">${t("deliverability.share", { rate: percent(row.percentage) })}</span>` },
  ];
  const values = { hard: html`<b>${count(hard)}</b>`, hard_rate: percent(hardRate, 2), soft: html`<b>${count(soft)}</b>`, soft_rate: percent(softRate, 2) };
  return html`<${Panel} title=${t("deliverability.reasons")} note=${t("deliverability.reasons.what")} requests=${[request]} rows=${reasons} name="bounce-reasons">
    <p>${say("deliverability.bounces", values)}</p>
    ${reasons.length ? html`<${Table} columns=${columns} rows=${reasons} caption=${t("deliverability.reasons")} />` : html`<p class="soft">${t("deliverability.no_reasons")}</p>`}
    <p class="note"><a href=${to("/explore", { metric: ["hard_bounced", "soft_bounced"], by: "mailbox_provider" })}>${t("deliverability.where")}</a></p>
  </${Panel}>`;
}

function Lists({ report, request, view, session }) {
  const { blacklist_status: status, sending_ips: ips } = report;
  const columns = [
    { key: "ip", title: t("deliverability.ip") },
    { key: "listed_in", title: t("deliverability.listed"), text: true, cell: (row) => (row.listed_in.length ? html`<span class="alarm">${row.listed_in.join(", ")}</span>` : t(row.last_check ? "deliverability.unlisted" : "deliverability.unchecked")) },
    { key: "last_check", title: t("deliverability.checked"), numeric: true, minor: true, cell: (row) => (row.last_check ? ago(Date.parse(row.last_check), view.zone) : "") },
  ];
  const known = ips.length > 0 || status.ips_checked > 0;
  const summary = status.any_ip_blacklisted ? "deliverability.some_listed" : status.ips_checked ? "deliverability.none_listed" : "deliverability.none_checked";
  return html`<${Panel} title=${t("deliverability.lists")} note=${t("deliverability.lists.what")} requests=${[request]} rows=${ips.map((row) => ({ ...row, listed_in: row.listed_in.join(" ") }))} name="blocklists">
    ${known ? html`<p class=${status.any_ip_blacklisted ? "alarm" : null}>${t(summary, { n: status.ips_checked, count: count(status.ips_checked) })}</p>`
      : html`<${Empty} title=${t("deliverability.no_ips")} what=${t("deliverability.no_ips.do")} command=${`postmeter sending-ip add --workspace ${session.workspace} ADDRESS`} />`}
    ${ips.length > 0 && html`<${Table} columns=${columns} rows=${ips.map((row) => ({ ...row, key: row.ip }))} caption=${t("deliverability.lists")} />`}
  </${Panel}>`;
}

/** How many days the report is of, and which filters it does not know. */
function Scope({ report, view }) {
  const { start, end } = report.time_range;
  const others = Object.keys(view.filters).filter((name) => name !== "campaign" || view.filters.campaign.length > 1);
  return html`<p class="soft note scope">${t("deliverability.report", { from: day(new Date(start), "UTC"), to: day(new Date(end), "UTC") })}
    ${others.length > 0 && ` ${t("deliverability.report.whole")}`}</p>`;
}

/** The screen. */
export default function Deliverability({ view, session }) {
  const whole = query(viewed(view, { metrics: METRICS }));
  const byProvider = query(viewed(view, { metrics: METRICS, dimensions: ["mailbox_provider"], order_by: "-sent", limit: 100 }));
  const report = reportOf(view, session);
  const answers = { whole: useAnswer(whole), providers: useAnswer(byProvider), report: useAnswer(report) };
  return html`<div class="title"><div><h1>${t("screen.deliverability")}</h1>
      <p class="soft">${t("overview.days", { days: spanOf(view.period), zone: view.zone.replaceAll("_", " ") })}</p></div>
      <${Freshness} at=${answers.whole.at} /></div>
    <${Answered} answer=${answers.whole} lines=${24}>${({ data }) => {
      const all = total(data);
      if (all.sent === 0 && all.delivered === 0) return html`<${Nothing} />`;
      return html`<div class="desk">
        <${Answered} answer=${answers.providers} lines=${16}>${(found) => html`<${Complaints} rows=${found.data} all=${all} view=${view} requests=${[whole, byProvider]} />`}</${Answered}>
        <${Trend} view=${view} /></div>`;
    }}</${Answered}>
    <div class="desk parts"><${Answered} answer=${answers.report} lines=${24}>${({ data }) => html`<div class="desk">
      <${Scope} report=${data} view=${view} />
      <${Health} report=${data} request=${report} />
      <div class="half"><${Reasons} report=${data} request=${report} /></div>
      <div class="half"><${Lists} report=${data} request=${report} view=${view} session=${session} /></div></div>`}</${Answered}></div>`;
}
