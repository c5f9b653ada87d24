/** Campaigns: those that did something in the period, side by side. */

import { html } from "../htm/standalone.module.js";
import { go, here, to, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { metricWhat } from "../model/declared.js";
import { MEASURES, METRICS, fractionOf, valueOf } from "../model/measures.js";
import { count, money, percentOf } from "../model/numbers.js";
import { beginOf } from "../model/periods.js";
import { query, segment, viewed } from "../model/requests.js";
import { SEEN, seenOf } from "../model/seen.js";
import { ago } from "../model/times.js";
import { daysOf } from "../parts/controls.js";
import { Figure } from "../parts/figure.js";
import { Heading } from "../parts/heading.js";
import { Meaning } from "../parts/meaning.js";
import { Panel } from "../parts/panel.js";
import { Hidden, HiddenPart } from "../parts/seen.js";
import { Answered, Empty, Missing } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { t } from "../texts.js";

const MOST = 1000;
const ASKED = [...new Set([...METRICS, ...SEEN])];

/** A query as it is of one campaign. */
const ofOne = (request, campaign) =>
  query({
    ...request.body,
    dimensions: [],
    order_by: undefined,
    limit: undefined,
    filters: { ...request.body.filters, campaign: [campaign] },
  });

/** Where the page is narrow: when it was sent, and what its rates are of. */
function about(row, view) {
  const sent = row.sent_at && ago(Date.parse(row.sent_at), view.zone);
  return [sent, t("campaigns.delivered", { count: count(row.delivered) })].filter(Boolean).join(" · ");
}

/** Revenue by campaign and currency, sorted in the currency of most purchases: what is of several has no sum, and no order. */
function revenueColumn(purchases) {
  const bought = {};
  for (const { currency, conversions } of purchases) bought[currency] = (bought[currency] ?? 0) + conversions;
  const [first, ...others] = Object.keys(bought).sort((a, b) => bought[b] - bought[a] || a.localeCompare(b));
  const sums = (row) =>
    purchases
      .filter(({ campaign }) => campaign === row.key)
      .sort((a, b) => (b.currency === first) - (a.currency === first));
  const title = t("overview.revenue");
  return {
    key: "revenue",
    title: others.length ? html`${title} <span class="of">${t("campaigns.sorted", { currency: first })}</span>` : title,
    numeric: true,
    minor: true,
    value: (row) => sums(row).find(({ currency }) => currency === first)?.revenue,
    cell: (row) =>
      sums(row)
        .map((one) => money(one.revenue, one.currency))
        .join(", "),
  };
}

function columns({ view, request, purchases }) {
  const begin = beginOf(view);
  const isEarlier = (row) => row.status !== "running" && Date.parse(row.sent_at) < begin;
  const figure = (measure, as, minor) => ({
    key: measure,
    title: html`${t(`measure.${measure}`)}${as === "rate" && html` <span class="of">${t(`of.${MEASURES[measure].of}`)}</span>`}`,
    numeric: true,
    minor,
    value: (row) => (as === "rate" ? fractionOf : valueOf)(measure, row, view.who),
    cell: (row) =>
      html`<${Figure} measure=${measure} as=${as} counts=${row} view=${view} id=${`${measure}.${row.key}`}
        request=${ofOne(request, row.key)} />${measure === "opened" && html`<${HiddenPart} counts=${row} />`}`,
  });
  return [
    {
      key: "name",
      title: t("dimension.campaign"),
      cell: (row) => html`<a href=${to(`/campaigns/${segment(row.key)}`)}>${row.name}</a>
        <div class="soft note narrow">${about(row, view)}</div>
        ${isEarlier(row) && html`<div class="soft note">${t("campaigns.earlier")}</div>`}`,
    },
    {
      key: "sent_at",
      title: t("campaigns.sent_at"),
      minor: true,
      numeric: true,
      value: (row) => row.sent_at ?? "",
      cell: (row) => (row.sent_at ? ago(Date.parse(row.sent_at), view.zone) : ""),
    },
    figure("delivered", "count", true),
    figure("opened", "rate"),
    figure("clicked", "rate"),
    figure("opens", "count", true),
    figure("bounced", "rate", true),
    revenueColumn(purchases),
  ];
}

function Search({ text }) {
  const search = (event) => go(here({ q: event.target.value || null }), { replace: true });
  return html`<label>${t("campaigns.find")}<input type="search" value=${text} onInput=${search} /></label>`;
}

function None({ list, error }) {
  if (!list) return html`<${Missing} error=${error} />`;
  if (list.length)
    return html`<${Empty} title=${t("campaigns.quiet")}
      what=${t("campaigns.quiet.do", { n: list.length, count: count(list.length) })} />`;
  const command = `curl -s -X PUT ${location.origin}/v1/campaigns/spring -H "Authorization: Bearer $KEY" \\
  -H 'Content-Type: application/json' -d '{"name": "Spring sale"}'`;
  return html`<${Empty} title=${t("campaigns.empty")} what=${t("campaigns.empty.do")} command=${command} />`;
}

/** A row of the file. */
function filed(row) {
  const counts = Object.fromEntries(ASKED.map((metric) => [metric, row[metric]]));
  const opened = percentOf(row.unique_opens, row.delivered);
  const clicked = percentOf(row.unique_clicks, row.delivered);
  const about = { campaign: row.campaign, name: row.name, sent_at: row.sent_at };
  return { ...about, ...counts, opened_percent: opened, clicked_percent: clicked };
}

/** The screen. */
export default function Campaigns({ view }) {
  const [, params] = useAddress();
  const { list, named, error } = useCampaigns();
  const request = query(viewed(view, { metrics: ASKED, dimensions: ["campaign"], order_by: "-sent", limit: MOST }));
  const bought = query(viewed(view, { metrics: ["conversions", "revenue"], dimensions: ["campaign", "currency"] }));
  const answer = useAnswer(request);
  const purchases = useAnswer(bought).value?.data ?? [];
  const text = params.get("q") ?? "";
  const known = new Map((list ?? []).map(({ id, sent_at, status }) => [id, { sent_at, status }]));
  const fits = (row) => `${row.name} ${row.key}`.toLowerCase().includes(text.toLowerCase());
  return html`<${Heading} name=${t("screen.campaigns")} about=${daysOf(view)} at=${answer.at} />
    <${Answered} answer=${answer} lines=${16}>${({ data, next_cursor: more }) => {
      const all = data
        .filter((row) => row.campaign)
        .map((row) => ({ ...row, key: row.campaign, name: named(row.campaign), ...known.get(row.campaign) }));
      if (!all.length) return html`<${None} list=${list} error=${error} />`;
      const rows = all.filter(fits);
      // Of more campaigns than are asked for nobody knows how many did nothing.
      const rest = more ? 0 : (list?.length ?? all.length) - all.length;
      return html`<${Panel} title=${t("campaigns.list", { n: rows.length, count: count(rows.length) })}
        requests=${[request, bought]} rows=${rows.map(filed)} name="campaigns">
        <${Search} text=${text} />
        <${Hidden} counts=${seenOf(rows)} />
        <${Table} columns=${columns({ view, request, purchases })} rows=${rows} caption=${t("screen.campaigns")}
          sort="sort" usual="-sent_at" />
        <${Meaning} of=${[[t("overview.revenue"), metricWhat("revenue")]]} />
        ${rest > 0 && html`<p class="soft note">${t("campaigns.rest", { n: rest, count: count(rest) })}</p>`}
      </${Panel}>`;
    }}</${Answered}>`;
}
