/** Why mail bounces. */

import { html } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { count, percent } from "../model/numbers.js";
import { say, t, wordsOf } from "../texts.js";
import { Panel } from "./panel.js";
import { Table } from "./table.js";

/** Columns of reasons, and of how many bounces had each. */
export const reasonColumns = () => [
  {
    key: "reason",
    title: t("deliverability.reason"),
    cell: (row) => html`${wordsOf("bounce", row.reason)}
      <span class="share" style=${{ width: `${row.percentage}%` }}></span>`,
  },
  {
    key: "count",
    title: t("measure.bounced"),
    numeric: true,
    cell: (row) => html`${count(row.count)}
      <span class="soft"> ${t("deliverability.share", { rate: percent(row.percentage) })}</span>`,
  },
];

/** report: the deliverability report. */
export function Bounces({ report, request }) {
  const found = report.bounce_analysis;
  const values = {
    hard: html`<b>${count(found.hard_bounces)}</b>`,
    hard_rate: percent(found.hard_bounce_rate, 2),
    soft: html`<b>${count(found.soft_bounces)}</b>`,
    soft_rate: percent(found.soft_bounce_rate, 2),
  };
  const reasons = found.top_bounce_reasons;
  const title = t("deliverability.reasons");
  const where = to("/explore", { metric: ["hard_bounced", "soft_bounced", "sent"], by: "mailbox_provider" });
  return html`<${Panel} title=${title} note=${t("deliverability.reasons.what")} requests=${[request]}
      rows=${reasons} name="bounce-reasons">
    <p>${say("deliverability.bounces", values)}</p>
    <${Table} columns=${reasonColumns()} rows=${reasons} caption=${title} none=${t("deliverability.no_reasons")} />
    <p class="note"><a href=${where}>${t("deliverability.where")}</a></p>
  </${Panel}>`;
}
