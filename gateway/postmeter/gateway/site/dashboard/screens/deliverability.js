/** Deliverability: are we welcome? Complaints by mailbox provider against their lines, then health and its parts. */

import { html } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { METRICS, total } from "../model/measures.js";
import { get, query, segment, viewed } from "../model/requests.js";
import { day } from "../model/times.js";
import { Blocklists } from "../parts/blocklists.js";
import { Bounces } from "../parts/bounces.js";
import { Complaints, ComplaintsTrend } from "../parts/complaints.js";
import { daysOf } from "../parts/controls.js";
import { Heading } from "../parts/heading.js";
import { Health, Reputation } from "../parts/health.js";
import { Nothing } from "../parts/nothing.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";

/** The windows that the report behind health, reasons and lists knows, with their days. */
const WINDOWS = { "7d": 7, "30d": 30, "90d": 90 };
const PROVIDERS = 100;

/** The report of health, reasons and lists. It can be of one campaign, and knows no other filter. */
function reportOf(view, session) {
  const window = Object.keys(WINDOWS).find((name) => WINDOWS[name] >= view.period.days) ?? "90d";
  const { campaign } = view.filters;
  const query = new URLSearchParams({ timeRange: window, ...(campaign?.length === 1 && { campaignId: campaign[0] }) });
  return get(`/api/v1/workspaces/${segment(session.workspace)}/analytics/deliverability?${query}`);
}

/** How many days the report is of, and which filters it does not know. */
function Scope({ report, view }) {
  const { start, end } = report.time_range;
  const days = { from: day(new Date(start), "UTC"), to: day(new Date(end), "UTC") };
  const others = Object.keys(view.filters).filter((name) => name !== "campaign" || view.filters.campaign.length > 1);
  return html`<p class="soft note scope">${t("deliverability.report", days)}
    ${others.length > 0 && ` ${t("deliverability.report.whole")}`}</p>`;
}

function Report({ report, request, view, session }) {
  const given = { report, request };
  return html`<div class="desk parts">
    <${Scope} report=${report} view=${view} />
    <div class="half"><${Health} ...${given} /></div>
    <div class="half"><${Reputation} ...${given} /></div>
    <div class="half"><${Bounces} ...${given} /></div>
    <div class="half"><${Blocklists} ...${given} view=${view} session=${session} /></div></div>`;
}

/** The screen. */
export default function Deliverability({ view, session }) {
  const whole = query(viewed(view, { metrics: METRICS }));
  const by = { dimensions: ["mailbox_provider"], order_by: "-sent", limit: PROVIDERS };
  const byProvider = query(viewed(view, { metrics: METRICS, ...by }));
  const request = reportOf(view, session);
  const answer = useAnswer(whole);
  const providers = useAnswer(byProvider);
  const report = useAnswer(request);
  const complaints = (rows, all) =>
    html`<${Complaints} rows=${rows} all=${all} view=${view} requests=${[whole, byProvider]} />`;
  return html`<${Heading} name=${t("screen.deliverability")} about=${daysOf(view)} at=${answer.at} />
    <${Answered} answer=${answer} lines=${24}>${({ data }) => {
      const all = total(data);
      if (all.sent === 0 && all.delivered === 0) return html`<${Nothing} />`;
      return html`<div class="desk">
        <${Answered} answer=${providers} lines=${16}>${(found) => complaints(found.data, all)}</${Answered}>
        <${ComplaintsTrend} view=${view} /></div>`;
    }}</${Answered}>
    <${Answered} answer=${report} lines=${24}>${({ data }) =>
      html`<${Report} report=${data} request=${request} view=${view} session=${session} />`}</${Answered}>`;
}
