/** Overview: is all well? Four numbers with their change, one curve, what needs attention. */

import { html } from "../htm/standalone.module.js";
import { here, to, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { ENOUGH, comparable, findings, outstanding, saysLittle, sentLast } from "../model/attention.js";
import { sendings, useCampaigns } from "../model/campaigns.js";
import { alongside, isCut, linesOf, marksOf, namesOf, widened, zoomed } from "../model/curves.js";
import { metricName, metricWhat, valueName } from "../model/declared.js";
import { METRICS, total, valueOf } from "../model/measures.js";
import { change, count, money, rate } from "../model/numbers.js";
import { beginOf } from "../model/periods.js";
import { query, segment, viewed, viewedBefore } from "../model/requests.js";
import { SEEN, isHidden, seenOf } from "../model/seen.js";
import { Chart } from "../parts/chart.js";
import { daysOf, spanOf } from "../parts/controls.js";
import { Change, Figure, Rate } from "../parts/figure.js";
import { Heading } from "../parts/heading.js";
import { Meaning } from "../parts/meaning.js";
import { Nothing } from "../parts/nothing.js";
import { Mailboxes } from "../parts/mailboxes.js";
import { Panel } from "../parts/panel.js";
import { Hidden, HiddenPart } from "../parts/seen.js";
import { Answered, Failed, Missing } from "../parts/states.js";
import { apart, say, t } from "../texts.js";

const FIRST = ["delivered", "opens", "clicks", "bounced"];
const THEN = ["complained", "unsubscribed", "replied"];
const CURVES = ["opens", "clicks", "sent", "delivered", "bounced", "complained"];
/** What stands under opens and clicks: each message once, which has a rate. */
const ONCE = { opens: "opened", clicks: "clicked" };
const MAILBOXES = ["delivered", "opened", "bounced", "complained"];
const GROUPS = 200;
/** Days in which much happens to mail from before them. */
const FEW = 2;
const BOUGHT = { metrics: ["conversions", "revenue"], dimensions: ["currency"] };
const ASKED = [...new Set([...METRICS, ...SEEN])];

function useOverview(view) {
  const { resolution } = view.period;
  const by = (dimension) =>
    query(viewed(view, { metrics: ASKED, dimensions: [dimension], order_by: "-sent", limit: GROUPS }));
  const requests = {
    now: query(viewed(view, { metrics: ASKED, resolution })),
    before: query(viewedBefore(view, { metrics: METRICS, resolution })),
    campaigns: by("campaign"),
    providers: by("mailbox_provider"),
    revenue: query(viewed(view, BOUGHT)),
    revenueBefore: query(viewedBefore(view, BOUGHT)),
  };
  // The days before end at another minute each time, and are those before the same days.
  const about = JSON.stringify(requests.now);
  const answers = Object.fromEntries(
    Object.entries(requests).map(([name, request]) => [name, useAnswer(request, /before$/i.test(name) ? about : undefined)]),
  );
  return { requests, answers };
}

function Headline({ measure, now, before, view, request }) {
  const values = { measure, counts: now, view, request };
  const once = ONCE[measure];
  const words = once === "opened" && view.who === "people" ? "measure.opened.of_people" : `measure.${once}.of_mail`;
  return html`<li><h2>${t(`measure.${measure}`)}${once ? ` ${t(`who.${view.who}.${measure}`)}` : ""}</h2>
    <p class="big"><${Figure} ...${values} /></p>
    <p><${Change} measure=${measure} now=${now} before=${before} view=${view} /></p>
    <p>${
      once
        ? html`<${Figure} ...${values} measure=${once} /> ${t(words, { n: valueOf(once, now, view.who) })}, <${Rate} measure=${once}
          counts=${now} view=${view} />`
        : html`<${Rate} measure=${measure} counts=${now} view=${view} />`
    }</p></li>`;
}

const sold = (rows) => rows.reduce((sum, row) => sum + row.conversions, 0);

/** rows, before: null where they are not there. */
function Revenue({ rows, before, error }) {
  if (!rows)
    return html`<li><h2>${t("overview.revenue")}</h2><p class="big">\u2013</p>
      <p class="soft">${t(error ? "failure.other" : "state.loading")}</p></li>`;
  const purchases = sold(rows);
  const changed = before && change(purchases, sold(before));
  const sums = rows.map((row) => html`<span key=${row.currency} class="sum">${money(row.revenue, row.currency)}</span>${" "}`);
  return html`<li><h2>${t("overview.revenue")}</h2>
    <p class="big">${rows.length ? sums : "0"}</p>
    <p><a href=${to("/explore", { metric: "conversions", by: "campaign" })}>${t("overview.purchases", { n: purchases, count: count(purchases) })}</a></p>
    ${changed && html`<p class="soft">${changed.text} ${t("figure.against", { before: count(sold(before)) })}</p>`}</li>`;
}

function Numbers({ now, seen, before, view, request, children }) {
  const headline = (measure) => html`<${Headline} key=${measure} measure=${measure} now=${now} before=${before} view=${view}
    request=${request} />`;
  return html`<ul class="figures">${FIRST.map(headline)}</ul>
    <${Hidden} counts=${seen} />
    ${view.period.days <= FEW && html`<p class="soft note">${t("overview.few")}</p>`}
    <ul class="figures small">${THEN.map(headline)}${children}</ul>
    <${Meaning} of=${["conversions", "revenue"].map((name) => [metricName(name), metricWhat(name)])} />`;
}

/** Names that are told of a bucket; the table has all of them. */
const NAMED = 3;

/** The campaigns that were sent in each bucket, as a chart takes them. */
function notesOf(found) {
  const names = (list) => list.map(({ name }) => apart(name));
  const told = (list) => {
    const rest = list.length - NAMED;
    return [...names(list.slice(0, NAMED)), ...(rest > 0 ? [`+ ${rest}`] : [])].join(", ");
  };
  const link = ({ id, name }) => html`<a key=${id} href=${to(`/campaigns/${segment(id)}`)}>${name}</a> `;
  return { title: t("overview.sent"), names: found.map(told), links: found.map((list) => list.map(link)) };
}

function Curve({ rows, before, view, requests, campaigns }) {
  const [, params] = useAddress();
  const { list } = useCampaigns();
  const measure = CURVES.includes(params.get("curve")) ? params.get("curve") : CURVES[0];
  const lines = linesOf(measure, rows, before && alongside(rows, before, view), view.who);
  const sent = sendings(rows, beginOf(view), campaigns, list);
  const names = namesOf(rows, view);
  const table = rows.map((row, at) => ({
    from: row.timestamp,
    ...Object.fromEntries(lines.map(({ name, values }) => [name, values[at] ?? ""])),
    [t("overview.sent")]: sent[at].map(({ name }) => name).join("; "),
  }));
  const choices = CURVES.map((name) => {
    const chosen = name === measure ? "true" : null;
    return html`<a key=${name} href=${here({ curve: name })} aria-current=${chosen}>${t(`measure.${name}`)}</a>`;
  });
  const title = t("overview.curve", { what: t(`measure.${measure}`), per: t(`per.${view.period.resolution}`) });
  return html`<${Panel} title=${title} requests=${requests} rows=${table} name=${`overview-${measure}`}>
    <div class="group" role="group" aria-label=${t("overview.curves")}>${choices}</div>
    <${Chart} title=${title} names=${names} short=${marksOf(rows, view)} lines=${lines}
      unfinished=${view.period.endsNow} cut=${isCut(rows, view)} zoom=${zoomed(rows, view)} widen=${widened(view)}
      notes=${notesOf(sent)} />
  </${Panel}>`;
}

function Attention({ now, before, campaigns, providers }) {
  const { named } = useCampaigns();
  const found = findings(now, before, campaigns, providers);
  const items = found.map((one) => {
    const said = t(`attention.${one.text}`, { ...one.values, where: valueName(one.dimension, one.value, named) });
    const advice = t(`attention.${one.text.replace(/\.in$/, "")}.do`);
    return html`<li key=${one.text + one.value}><a href=${one.address}>${said}</a><div class="soft">${advice}</div>
      </li>`;
  });
  if (items.length) return html`<ul class="list">${items}</ul>`;
  const calm = saysLittle(now) ? "overview.calm.few" : "overview.calm";
  return html`<p>${t(now.sent < ENOUGH ? "overview.little" : calm, { n: ENOUGH })}</p>`;
}

function Outstanding({ rows, now, seen, view }) {
  const { list, named, error } = useCampaigns();
  if (!list) return html`<${Missing} error=${error} />`;
  const whole = isHidden(seen) ? seen.trackable : now.delivered;
  const overall = rate(now.unique_opens, whole);
  const link = ({ campaign }) => html`<a href=${to(`/campaigns/${segment(campaign)}`)}>${named(campaign)}</a>`;
  const opened = (row) =>
    t("overview.stands", { rate: rate(row.unique_opens, row.delivered), of: count(row.delivered), overall });
  const begin = beginOf(view);
  const items = outstanding(rows, list, begin, { opened: now.unique_opens, of: whole }).map(
    ({ row }) => html`<li key=${row.campaign}>${link(row)}<div class="soft">${opened(row)}</div></li>`,
  );
  const last = sentLast(rows, list, begin);
  const none = comparable(rows, list, begin).length < 2 ? "overview.single" : "overview.alike";
  return html`${
    last &&
    html`<p>${say("overview.last", { campaign: link(last) })} <span class="soft">${opened(last)}</span></p>
      <${HiddenPart} counts=${last} />`
  }
    ${items.length ? html`<ul class="list">${items}</ul>` : html`<p>${t(none, { n: ENOUGH })}</p>`}`;
}

const isIdle = (counts) => METRICS.every((metric) => counts[metric] === 0);

/** Which days the changes are against. */
function daysBefore({ before, endsNow }) {
  const { first: from, last: to } = before;
  const days = html`<a href=${here({ period: null, from, to })}>${spanOf(before)}</a>`;
  return say(endsNow ? "overview.before.now" : "overview.before", { days });
}

/** The screen. */
export default function Overview({ view }) {
  const { requests, answers } = useOverview(view);
  const about = html`${daysOf(view)}. ${daysBefore(view.period)}`;
  return html`<${Heading} name=${t("screen.overview")} about=${about} at=${answers.now.at} />
    <${Answered} answer=${answers.now} lines=${24}>${({ data }) => {
      const now = total(data);
      const seen = seenOf(data);
      // What is of the days that were looked at before does not fit, and what is not there is not nothing.
      const beside = ({ value, isStale }) => (isStale === answers.now.isStale ? (value?.data ?? null) : null);
      const rowsBefore = beside(answers.before);
      const sumBefore = rowsBefore && total(rowsBefore);
      const before = sumBefore && !isIdle(sumBefore) ? sumBefore : null;
      if (isIdle(now) && sumBefore && !before) return html`<${Nothing} />`;
      return html`${answers.before.error && html`<${Failed} error=${answers.before.error} />`}
        <${Numbers} now=${now} seen=${seen} before=${before} view=${view} request=${requests.now}><${Revenue}
          rows=${beside(answers.revenue)} before=${beside(answers.revenueBefore)} error=${answers.revenue.error} /></${Numbers}>
        <div class="desk">
          <${Curve} rows=${data} before=${before && rowsBefore} view=${view} campaigns=${beside(answers.campaigns) ?? []}
            requests=${[requests.now, requests.before]} />
          <div class="half"><${Panel} title=${t("overview.attention")}>
            <${Answered} answer=${answers.campaigns}>${(campaigns) => html`<${Answered} answer=${answers.providers}>${(
              providers,
            ) => html`<${Attention} now=${now} before=${before ?? now} campaigns=${campaigns.data}
              providers=${providers.data} />`}</${Answered}>`}</${Answered}></${Panel}></div>
          <div class="half"><${Panel} title=${t("overview.outstanding")} requests=${[requests.campaigns]}>
            <${Answered} answer=${answers.campaigns}>${(campaigns) => html`<${Outstanding} rows=${campaigns.data} now=${now}
              seen=${seen} view=${view} />`}</${Answered}></${Panel}></div>
          <${Mailboxes} answer=${answers.providers} view=${view} request=${requests.providers} measures=${MAILBOXES} filters />
        </div>`;
    }}</${Answered}>`;
}
