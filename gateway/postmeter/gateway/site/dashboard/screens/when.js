/** When: when should I send? The hours of the week by how the mail did that was sent in them. */

import { html } from "../htm/standalone.module.js";
import { here, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { count, rate } from "../model/numbers.js";
import { get, segment } from "../model/requests.js";
import { SHOWN, clock, dayName, placeOf, weekOf, whole } from "../model/week.js";
import { CampaignChoice } from "../parts/choice.js";
import { Freshness } from "../parts/freshness.js";
import { Nothing } from "../parts/nothing.js";
import { Panel } from "../parts/panel.js";
import { Answered, Empty } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { Week } from "../parts/week.js";
import { say, t } from "../texts.js";

/** The windows that the report knows, with their days. */
const WINDOWS = { "30d": 30, "90d": 90 };

const opened = (hour) => rate(hour.emails_opened, hour.emails_sent);
const clicked = (hour) => rate(hour.emails_clicked, hour.emails_sent);

/** A cell in words. */
function inWords(hour) {
  if (!hour) return t("when.no_mail");
  const values = { sent: count(hour.emails_sent), opened: opened(hour), clicked: clicked(hour), score: SHOWN.score.words(hour) };
  return t(hour.compared ? "when.cell" : "when.cell.pale", values);
}

function Best({ report, week }) {
  const place = placeOf(report.optimal_send_time);
  if (!place) return html`<p class="sentence">${t("when.no_best")}</p>`;
  const [day, hour] = place;
  const best = week[day][hour];
  const all = whole(report.hours);
  const values = { day: html`<b>${dayName(day)}</b>`, from: html`<b>${clock(hour)}</b>`, to: html`<b>${clock(hour + 1)}</b>` };
  return html`<p class="sentence">${say("when.best", values)}</p>
    <p>${t("when.best.counts", { sent: count(best.emails_sent), opened: opened(best), clicked: clicked(best), all_opened: opened(all), all_clicked: clicked(all) })}</p>`;
}

function Hours({ report }) {
  const number = (key, cell, value) => ({ key, title: t(`when.${key}`), numeric: true, cell, value });
  const columns = [
    { key: "day", title: t("when.hour"), value: (row) => row.place, cell: (row) => html`${dayName(row.day, "short")} ${clock(row.hour)}${!row.compared && html` <span class="soft">${t("when.little")}</span>`}` },
    number("sent", (row) => count(row.emails_sent), (row) => row.emails_sent),
    number("opened", opened, (row) => row.emails_opened / row.emails_sent),
    number("clicked", clicked, (row) => row.emails_clicked / row.emails_sent),
    { ...number("replied", (row) => rate(row.emails_replied, row.emails_sent), (row) => row.emails_replied / row.emails_sent), minor: true },
    // Hours with little mail come last: they cannot be the best.
    number("score", SHOWN.score.words, (row) => row.engagement_score - (row.compared ? 0 : 1000)),
  ];
  const rows = weekOf(report.hours).flatMap((hours, day) => hours.filter(Boolean).map((hour) => ({ ...hour, day, place: day * 24 + hour.hour, key: day * 24 + hour.hour })));
  return html`<details class="same"><summary>${t("chart.table")}</summary><${Table} columns=${columns} rows=${rows} caption=${t("when.title")} sort="hours" usual="-score" /></details>`;
}

function Report({ report, requests }) {
  const [, params] = useAddress();
  const show = Object.hasOwn(SHOWN, params.get("show") ?? "") ? params.get("show") : "score";
  const week = weekOf(report.hours);
  const title = t("when.title");
  return html`<${Panel} title=${title} requests=${requests} rows=${report.hours} name="hours">
    <${Best} report=${report} week=${week} />
    <div class="group" role="group" aria-label=${t("when.show")}>${Object.keys(SHOWN).map((name) => html`<a key=${name} href=${here({ show: name })}
      aria-current=${name === show ? "true" : null}>${t(`when.${name}`)}</a>`)}</div>
    <p class="soft note">${t(`when.${show}.what`)}</p>
    <${Week} title=${title} week=${week} best=${placeOf(report.optimal_send_time)} shown=${SHOWN[show]} say=${inWords} />
    <p class="soft note">${t("when.legend")}</p>
    <${Hours} report=${report} />
    <p class="soft note">${t("when.counted")} ${t("when.cause")}</p>
  </${Panel}>`;
}

/** The screen. */
export default function When({ view, session }) {
  const { list } = useCampaigns();
  const window = view.period.days > WINDOWS["30d"] ? "90d" : "30d";
  const campaign = view.filters.campaign?.length === 1 ? view.filters.campaign[0] : null;
  const query = new URLSearchParams({ timeRange: window, timezone: view.zone, ...(campaign && { campaignId: campaign }) });
  const request = get(`/api/v1/workspaces/${segment(session.workspace)}/analytics/engagement-heatmap?${query}`);
  const answer = useAnswer(request);
  return html`<div class="title"><div><h1>${t("screen.when")}</h1>
      <p class="soft">${t(campaign ? "when.of_one" : "when.of_all", { days: WINDOWS[window], zone: view.zone.replaceAll("_", " ") })}</p></div>
      <${Freshness} at=${answer.at} /></div>
    <div class="controls inner"><div class="group" role="group" aria-label=${t("control.period")}>${Object.keys(WINDOWS).map((name) => html`<a key=${name} href=${here({ period: name, from: null, to: null })}
        aria-current=${name === window ? "true" : null}>${t(`period.${name}`)}</a>`)}</div>
      <${CampaignChoice} label=${t("dimension.campaign")} all=${t("when.all")} chosen=${campaign} list=${list} /></div>
    <${Answered} answer=${answer} lines=${24}>${({ data }) => {
      if (data.hours.length) return html`<${Report} report=${data} requests=${[request]} />`;
      if (window === "30d" && !campaign) return html`<${Nothing} longer="90d" />`;
      return html`<${Empty} title=${t("when.empty")} what=${t("when.empty.do")} />`;
    }}</${Answered}>`;
}
