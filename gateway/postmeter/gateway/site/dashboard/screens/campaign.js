/** One campaign: how did it do, and why? All of its life, whatever period other screens look at. */

import { html } from "../htm/standalone.module.js";
import { here, to, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { predecessors, useCampaigns } from "../model/campaigns.js";
import { metricName, metricWhat } from "../model/declared.js";
import { METRICS, total } from "../model/measures.js";
import { count, money } from "../model/numbers.js";
import { get, query, search, segment, viewed } from "../model/requests.js";
import { SEEN } from "../model/seen.js";
import { ago, exact, zoneName } from "../model/times.js";
import { reasonColumns } from "../parts/bounces.js";
import { Figure, Rate } from "../parts/figure.js";
import { Heading, useTitle } from "../parts/heading.js";
import { Mailboxes } from "../parts/mailboxes.js";
import { Meaning } from "../parts/meaning.js";
import { allMessages, foundBy, Messages } from "../parts/messages.js";
import { Panel } from "../parts/panel.js";
import { Hidden, Seen } from "../parts/seen.js";
import { Since } from "../parts/since.js";
import { Split } from "../parts/split.js";
import { Answered, Empty, Missing, Trouble } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { say, t } from "../texts.js";

const LISTS = ["opened", "clicked", "not_opened", "not_clicked", "replied", "bounced", "complained", "unsubscribed"];
const PREDECESSORS = 3;
/** Messages of a file; all of a large campaign are an export's (docs/api/exports.md). */
const FILE = 10_000;
/** Links that are listed; the file has all of them. */
const LINKS = 50;
const WEEKS_BEFORE = 5;

/** The view of a campaign's whole life; its mail may be registered some weeks before the first of it is sent. */
function lifeOf(view, campaign) {
  const first = Math.min(...[campaign.created_at, campaign.sent_at].filter(Boolean).map(Date.parse));
  const from = new Date(first - WEEKS_BEFORE * 7 * 86_400_000).toISOString();
  return { ...view, filters: { campaign: [campaign.id] }, period: { from, to: undefined } };
}

function Funnel({ counts, seen, view, request }) {
  const figure = (measure) =>
    html`<b><${Figure} measure=${measure} counts=${counts} view=${view} request=${request} /></b>`;
  const part = (measure) => html`<${Rate} measure=${measure} counts=${counts} view=${view} />`;
  const named = (...measures) =>
    Object.fromEntries(
      measures.flatMap((name) => [
        [name, figure(name)],
        [`${name}_rate`, part(name)],
      ]),
    );
  return html`<p class="sentence">${say("campaign.funnel", named("sent", "delivered", "opened", "clicked"))}</p>
    <${Hidden} counts=${seen} />
    <p>${say("campaign.lost", named("bounced", "complained", "unsubscribed", "replied"))}</p>
    <div class="desk"><div class="half"><h3>${t("campaign.opens")} <${Figure} measure="opens" counts=${counts}
      view=${view} request=${request} /></h3><${Split} what="opens" counts=${counts} who=${view.who} /></div>
    <div class="half"><h3>${t("campaign.clicks")} <${Figure} measure="clicks" counts=${counts} view=${view}
      request=${request} /></h3><${Split} what="clicks" counts=${counts} who=${view.who} /></div></div>`;
}

function Links({ life }) {
  const request = query(
    viewed(life, { metrics: ["clicks", "machine_clicks"], dimensions: ["link"], order_by: "-clicks" }),
  );
  const answer = useAnswer(request);
  const rows = (answer.value?.data ?? []).map((row) => ({ ...row, key: row.link }));
  const most = Math.max(1, ...rows.map((row) => row.clicks));
  const columns = [
    {
      key: "link",
      title: t("dimension.link"),
      cell: (row) => html`${row.link}<span class="share" style=${{ width: `${(row.clicks / most) * 100}%` }}></span>`,
    },
    { key: "clicks", title: t("metric.clicks"), numeric: true, cell: (row) => count(row.clicks) },
    {
      key: "machine_clicks",
      title: t("metric.machine_clicks"),
      numeric: true,
      minor: true,
      cell: (row) => count(row.machine_clicks),
    },
  ];
  return html`<${Panel} title=${t("campaign.links")} requests=${[request]} rows=${answer.value?.data} name="links">
    <${Answered} answer=${answer}>${() => html`<${Table} columns=${columns} rows=${rows}
      caption=${t("campaign.links")} none=${t("campaign.no_links")} most=${LINKS} />`}</${Answered}>
    <${Meaning} of=${["clicks", "machine_clicks"].map((name) => [metricName(name), metricWhat(name)])} /></${Panel}>`;
}

function Providers({ life }) {
  const request = query(
    viewed(life, { metrics: METRICS, dimensions: ["mailbox_provider"], order_by: "-sent", limit: 100 }),
  );
  return html`<${Mailboxes} answer=${useAnswer(request)} view=${life} request=${request}
    measures=${["opened", "clicked", "bounced"]} />`;
}

function Reasons({ campaign, session }) {
  const workspace = `/api/v1/workspaces/${segment(session.workspace)}`;
  const request = get(`${workspace}/analytics/deliverability?timeRange=90d&campaignId=${segment(campaign.id)}`);
  const answer = useAnswer(request);
  const rows = answer.value?.data.bounce_analysis.top_bounce_reasons ?? [];
  return html`<${Panel} title=${t("campaign.reasons")} note=${t("campaign.reasons.days")} requests=${[request]}
    rows=${rows} name="bounce-reasons">
    <${Answered} answer=${answer}>${() => html`<${Table} columns=${reasonColumns()} rows=${rows}
      caption=${t("campaign.reasons")} none=${t("campaign.no_reasons")} />`}</${Answered}></${Panel}>`;
}

function Revenue({ life }) {
  const request = query(viewed(life, { metrics: ["conversions", "revenue"], dimensions: ["currency"] }));
  const answer = useAnswer(request);
  const columns = [
    { key: "currency", title: t("dimension.currency") },
    { key: "conversions", title: t("metric.conversions"), numeric: true, cell: (row) => count(row.conversions) },
    { key: "revenue", title: t("overview.revenue"), numeric: true, cell: (row) => money(row.revenue, row.currency) },
  ];
  return html`<${Panel} title=${t("overview.revenue")} note=${metricWhat("conversions")} requests=${[request]}
    rows=${answer.value?.data} name="revenue">
    <${Answered} answer=${answer}>${({ data }) => html`<${Table} columns=${columns} rows=${data}
      caption=${t("overview.revenue")} none=${t("campaign.no_revenue")} />`}</${Answered}></${Panel}>`;
}

function Who({ life, campaign }) {
  const [, params] = useAddress();
  const list = LISTS.includes(params.get("list")) ? params.get("list") : LISTS[0];
  const request = search({ engagement: list, filters: { campaign: [campaign.id] }, from: life.period.from });
  const note = `${foundBy(list, life.who)} ${t("campaign.file", { n: count(FILE) })}`;
  return html`<${Panel} title=${t("campaign.who")} note=${note} requests=${[request]}
    rows=${() => allMessages(request, FILE)} name=${`who-${list}`}>
    <div class="group" role="group" aria-label=${t("campaign.lists")}>${LISTS.map(
      (name) => html`<a key=${name} href=${here({ list: name })}
      aria-current=${name === list ? "true" : null}>${t(`list.${name}`)}</a>`,
    )}</div>
    <${Messages} request=${request} view=${life} without=${["campaign"]} />
  </${Panel}>`;
}

/** `3 hours ago (29 Nov 2026, 10:00)`; what is older than a day says that it is so by its date. */
function whenOf(moment, zone) {
  const [said, date] = [ago(moment, zone), exact(moment, zone)];
  return said === date ? date : `${said} (${date})`;
}

function Parts({ campaign, list, view, session }) {
  useTitle(campaign.name);
  const life = lifeOf(view, campaign);
  const request = query(viewed(life, { metrics: [...new Set([...METRICS, ...SEEN])] }));
  const answer = useAnswer(request);
  const sent = campaign.sent_at ? Date.parse(campaign.sent_at) : null;
  const values = { when: sent && whenOf(sent, view.zone), zone: zoneName(view.zone) };
  const about = html`${t(sent ? "campaign.sent" : "campaign.unsent", values)}
    ${campaign.status !== "sent" && ` · ${campaign.status}`}`;
  return html`<${Heading} name=${campaign.name} about=${about} at=${answer.at} />
    <${Answered} answer=${answer} lines=${12}>${({ data }) => {
      const counts = total(data);
      if (METRICS.every((metric) => counts[metric] === 0))
        return html`<${Empty} title=${t("campaign.empty")} what=${t("campaign.empty.do")} />`;
      return html`<${Funnel} counts=${counts} seen=${data[0]} view=${life} request=${request} />`;
    }}</${Answered}>
    <div class="desk parts">
      ${
        sent &&
        html`<${Since} campaign=${campaign} before=${predecessors(list, campaign, PREDECESSORS)}
        zone=${view.zone} />`
      }
      <div class="most"><${Links} life=${life} /></div><div class="rest"><${Revenue} life=${life} /></div>
      <div class="most"><${Providers} life=${life} /></div><div class="rest"><${Reasons} campaign=${campaign}
        session=${session} /></div>
      <${Who} life=${life} campaign=${campaign} />
      ${answer.value && html`<${Seen} counts=${answer.value.data[0]} request=${request} session=${session} />`}
    </div>`;
}

/** The screen. */
export default function Campaign({ view, id, session }) {
  const { list, error } = useCampaigns();
  if (!list) return html`<${Missing} error=${error} lines=${24} />`;
  const campaign = list.find((one) => one.id === id);
  if (!campaign)
    return html`<${Trouble} title=${t("campaign.unknown")} what=${t("campaign.unknown.do")}><a
      href=${to("/campaigns")}>${t("screen.campaigns")}</a></${Trouble}>`;
  return html`<${Parts} campaign=${campaign} list=${list} view=${view} session=${session} />`;
}
