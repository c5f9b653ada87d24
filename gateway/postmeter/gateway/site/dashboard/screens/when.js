/** When: when should I send? The hours of the week by how the mail did that was sent in them. */

import { html } from "../htm/standalone.module.js";
import { here, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { count, percent, rate } from "../model/numbers.js";
import { get, segment } from "../model/requests.js";
import { range, rivals } from "../model/sureness.js";
import { SHOWN, clock, dayName, placeOf, points, weekOf, whole } from "../model/week.js";
import { zoneName } from "../model/times.js";
import { CampaignChoice } from "../parts/choice.js";
import { Heading } from "../parts/heading.js";
import { Nothing } from "../parts/nothing.js";
import { Panel } from "../parts/panel.js";
import { Answered, Empty } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { Week } from "../parts/week.js";
import { say, t } from "../texts.js";

/** The windows that the report knows, with their days. */
const WINDOWS = { "30d": 30, "90d": 90 };
/** What hours with little mail stand behind, in the order of the score: they cannot be the best. */
const BEHIND = 1000;

const opened = (hour) => rate(hour.emails_opened, hour.emails_sent);
const clicked = (hour) => rate(hour.emails_clicked, hour.emails_sent);
const replied = (hour) => rate(hour.emails_replied, hour.emails_sent);

/** Rivals of the best hour that are named. */
const NAMED = 3;

/** A cell in words. */
function inWords(hour) {
  if (!hour) return t("when.no_mail");
  const [low, high] = range(hour).map((end) => percent(end).slice(0, -2));
  const score = hour.compared ? `${points(hour)} (${low}\u2013${high})` : points(hour);
  const values = { opened: opened(hour), clicked: clicked(hour), score };
  return t(hour.compared ? "when.cell" : "when.cell.pale", { sent: count(hour.emails_sent), ...values });
}

/** How sure it is. */
function Sureness({ best, hours }) {
  const compared = hours.filter((hour) => hour.compared);
  if (compared.length < 2) return null;
  const found = rivals(best, hours);
  if (!found.length) return html`<p><b>${t("compare.sure")}</b> ${t("when.sure")}</p>`;
  const name = (hour) => `${dayName(placeOf(hour)[0])} ${clock(hour.hour)} (${points(hour)})`;
  const rest = found.length - NAMED;
  const named = [...found.slice(0, NAMED).map(name), ...(rest > 0 ? [t("when.more", { n: rest })] : [])];
  return html`<p><b>${t("compare.unsure")}</b> ${t("when.unsure", { score: points(best), hours: named.join(", ") })}</p>`;
}

function Best({ report, week }) {
  const place = placeOf(report.optimal_send_time);
  if (!place) return html`<p class="sentence">${t("when.no_best")}</p>`;
  const [day, hour] = place;
  const best = week[day][hour];
  const all = whole(report.hours);
  const when = { day: dayName(day), from: clock(hour), to: clock(hour + 1) };
  const bold = Object.fromEntries(Object.entries(when).map(([name, words]) => [name, html`<b>${words}</b>`]));
  const counts = { sent: count(best.emails_sent), opened: opened(best), clicked: clicked(best) };
  const isAlone = report.hours.filter((one) => one.compared).length < 2;
  return html`<p class="sentence">${say(isAlone ? "when.alone" : "when.best", bold)}</p>
    <p>${t("when.best.counts", { ...counts, all_opened: opened(all), all_clicked: clicked(all) })}</p>
    <${Sureness} best=${best} hours=${report.hours} />`;
}

function Hour({ row }) {
  const little = !row.compared && html` <span class="soft">${t("when.little")}</span>`;
  return html`${dayName(row.day, "short")} ${clock(row.hour)}${little}`;
}

/** The same as a table, the best hours first. */
function Hours({ report }) {
  const numeric = (key, cell, value) => ({ key, title: t(`when.${key}`), numeric: true, cell, value });
  const score = (row) => row.engagement_score - (row.compared ? 0 : BEHIND);
  const columns = [
    { key: "hour", title: t("when.hour"), value: (row) => row.key, cell: (row) => html`<${Hour} row=${row} />` },
    numeric("sent", (row) => count(row.emails_sent), SHOWN.sent),
    numeric("opened", opened, SHOWN.opened),
    numeric("clicked", clicked, SHOWN.clicked),
    { ...numeric("replied", replied, (row) => row.emails_replied / row.emails_sent), minor: true },
    numeric("score", points, score),
  ];
  const listed = (hours, day) => hours.filter(Boolean).map((hour) => ({ ...hour, day, key: day * 24 + hour.hour }));
  return html`<details class="same"><summary>${t("chart.table")}</summary>
    <${Table} columns=${columns} rows=${weekOf(report.hours).flatMap(listed)} caption=${t("when.title")} sort="hours"
      usual="-score" /></details>`;
}

function Shown({ show }) {
  const link = (name) => html`<a key=${name} href=${here({ show: name })}
    aria-current=${name === show ? "true" : null}>${t(`when.${name}`)}</a>`;
  return html`<div class="group" role="group" aria-label=${t("when.show")}>${Object.keys(SHOWN).map(link)}</div>
    <p class="soft note">${t(`when.${show}.what`)}</p>`;
}

function Report({ report, request }) {
  const [, params] = useAddress();
  const show = Object.hasOwn(SHOWN, params.get("show") ?? "") ? params.get("show") : "score";
  const week = weekOf(report.hours);
  const title = t("when.title");
  const best = placeOf(report.optimal_send_time);
  return html`<${Panel} title=${title} requests=${[request]} rows=${report.hours} name="hours">
    <${Best} report=${report} week=${week} />
    <${Shown} show=${show} />
    <${Week} title=${title} week=${week} best=${best} value=${SHOWN[show]} say=${inWords} />
    <p class="soft note">${t("when.legend")}</p>
    <${Hours} report=${report} />
    <p class="soft note">${t("when.counted")} ${t("when.cause")}</p>
  </${Panel}>`;
}

function Choices({ window, campaign, list }) {
  const link = (name) => html`<a key=${name} href=${here({ period: name, from: null, to: null })}
    aria-current=${name === window ? "true" : null}>${t(`period.${name}`)}</a>`;
  return html`<div class="controls inner">
    <div class="group" role="group" aria-label=${t("control.period")}>${Object.keys(WINDOWS).map(link)}</div>
    <${CampaignChoice} label=${t("dimension.campaign")} all=${t("when.all")} chosen=${campaign} list=${list} /></div>`;
}

/** The screen. */
export default function When({ view, session }) {
  const { list } = useCampaigns();
  const window = view.period.days > WINDOWS["30d"] ? "90d" : "30d";
  const campaign = view.filters.campaign?.length === 1 ? view.filters.campaign[0] : undefined;
  const asked = { timeRange: window, timezone: view.zone, ...(campaign && { campaignId: campaign }) };
  const path = `/api/v1/workspaces/${segment(session.workspace)}/analytics/engagement-heatmap`;
  const request = get(`${path}?${new URLSearchParams(asked)}`);
  const answer = useAnswer(request);
  const about = t(campaign ? "when.of_one" : "when.of_all", { days: WINDOWS[window], zone: zoneName(view.zone) });
  return html`<${Heading} name=${t("screen.when")} about=${about} at=${answer.at} />
    <${Choices} window=${window} campaign=${campaign} list=${list} />
    <${Answered} answer=${answer} lines=${24}>${({ data }) => {
      if (data.hours.length) return html`<${Report} report=${data} request=${request} />`;
      if (window === "30d" && !campaign) return html`<${Nothing} longer="90d" />`;
      return html`<${Empty} title=${t("when.empty")} what=${t("when.empty.do")} />`;
    }}</${Answered}>`;
}
