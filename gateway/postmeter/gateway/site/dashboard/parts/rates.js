/** One rate of several campaigns: which is ahead, how sure that is, and each with its interval on one axis. */

import { html } from "../htm/standalone.module.js";
import { fold, to, unfold, useAddress } from "../address.js";
import { between, sureness } from "../model/comparison.js";
import { count, percent, rate } from "../model/numbers.js";
import { segment } from "../model/requests.js";
import { day } from "../model/times.js";
import { t } from "../texts.js";
import { Dialog } from "./dialog.js";
import { Scale } from "./scale.js";
import { Table } from "./table.js";

/** Percent below which a rate is written with two decimals. */
const FINE = 4;
/** Percent that an axis reaches to at least. */
const SHORTEST = 0.5;
/** What rates are of that are not of what was delivered. */
const OF = { click_to_open_rate: "opened", bounce_rate: "sent" };

/** Rows of one metric: {key, name, value, interval}. */
function rowsOf({ comparison }, metric) {
  return comparison.map(({ campaign_id: key, campaign_name: name, metrics, intervals }) => ({
    key,
    name,
    value: metrics[metric],
    interval: intervals[metric],
  }));
}

/** `48.8–52.7 %`, its sign once; from the counts, as the rate: the report's ends are rounded already. */
function span(counts, digits) {
  const ends = between(counts);
  return ends ? `${percent(ends[0], digits).slice(0, -2)}\u2013${percent(ends[1], digits)}` : "";
}

/** How sure the difference is, in words. children: the way to the numbers. */
function Verdict({ metric, test, rows, children }) {
  const counts = rows.map(({ interval }) => interval);
  const { kind, values } = sureness(test, counts);
  const winner = rows.find(({ key }) => key === test.winner);
  const most = winner && t(`compare.${metric}.most`, { name: winner.name });
  const why = t(`compare.${kind}.why`, { most, ...values });
  return html`<p class="verdict"><b>${t(`compare.${kind}`)}</b> ${why} ${children}</p>`;
}

/** The numbers behind the words. */
function Numbers({ metric, test, rows }) {
  const columns = [
    { key: "name", title: t("dimension.campaign") },
    {
      key: "counts",
      title: t("compare.counts"),
      numeric: true,
      cell: ({ interval: { successes, trials } }) => t("compare.of", { count: count(successes), of: count(trials) }),
    },
    {
      key: "value",
      title: t("compare.rate"),
      numeric: true,
      cell: ({ interval }) => html`${rate(interval.successes, interval.trials, 2)}
        <div class="soft">${span(interval, 2)}</div>`,
    },
  ];
  const title = t("compare.how", { what: t(`compare.${metric}`) });
  return html`<${Dialog} title=${title} close=${() => fold({ explain: null })}>
    <${Verdict} metric=${metric} test=${test} rows=${rows} />
    <p class="formula">p ${test.p_value < 1e-6 ? "< 0.000001" : `= ${test.p_value}`}</p>
    <p>${t("compare.p.what")} ${t(rows.length > 2 ? "compare.p.several" : "compare.p.two")}</p>
    <${Table} columns=${columns} rows=${rows} caption=${title} />
    <p class="soft">${t("compare.interval.what")}</p>
  </${Dialog}>`;
}

function Name({ id, name, sent, zone }) {
  return html`<a href=${to(`/campaigns/${segment(id)}`, { campaign: null })}>${name}</a>
    ${sent && html`<span class="soft"> ${day(Date.parse(sent), zone)}</span>`}`;
}

/** From the counts: the report's rate is rounded already, and rounded again it may be another than other screens'. */
function Label({ interval, digits }) {
  return html`<b>${rate(interval.successes, interval.trials, digits)}</b>
    <span class="soft">${t("figure.of", { of: count(interval.trials) })}</span>
    <span class="soft">${span(interval, digits)}</span>`;
}

/**
 * @param {object} given
 * @param {string} given.metric a rate's name
 * @param {object} given.data the comparison, as the API answers it
 * @param {object[]} given.chosen the campaigns
 */
export function ComparedRate({ metric, data, chosen, view }) {
  const [, params] = useAddress();
  const rows = rowsOf(data, metric);
  const test = data.statistical_significance.find((one) => one.metric === metric);
  const most = Math.max(SHORTEST, ...rows.map(({ interval }) => interval.upper ?? 0));
  const digits = most < FINE ? 2 : 1;
  const sentAt = (id) => chosen.find((one) => one.id === id)?.sent_at;
  const scaled = rows.map(({ key, name, value, interval }) => ({
    key,
    name: html`<${Name} id=${key} name=${name} sent=${sentAt(key)} zone=${view.zone} />`,
    value: interval.trials ? value : null,
    low: interval.lower ?? 0,
    high: interval.upper ?? 0,
    label: html`<${Label} interval=${interval} digits=${digits} />`,
  }));
  const mark = (value) => (value ? percent(value, Number.isInteger(value) ? 0 : 1) : "0");
  const title = t(`compare.${metric}`);
  const hasNumbers = test.p_value !== null;
  return html`<section class="metric" aria-label=${title}>
    <h3>${title} <span class="soft">${t(`of.${OF[metric] ?? "delivered"}`)}</span></h3>
    <${Verdict} metric=${metric} test=${test} rows=${rows}>${
      hasNumbers &&
      html`<button class="plain" onClick=${() => unfold({ explain: metric })}
      aria-label=${t("compare.numbers.of", { what: title })}>${t("compare.numbers")}</button>`
    }</${Verdict}>
    <${Scale} rows=${scaled} most=${most} format=${mark} />
    ${hasNumbers && params.get("explain") === metric && html`<${Numbers} metric=${metric} test=${test} rows=${rows} />`}
  </section>`;
}
