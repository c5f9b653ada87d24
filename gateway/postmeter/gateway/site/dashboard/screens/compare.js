/** Compare: is it really better? Campaigns side by side, each rate with its interval, and how sure the difference is. */

import { html, useEffect } from "../htm/standalone.module.js";
import { go, here, to, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { LEAST, MOST, RATES, compared, proposed, sureness, young } from "../model/comparison.js";
import { count, percent } from "../model/numbers.js";
import { segment } from "../model/requests.js";
import { ago, day } from "../model/times.js";
import { Dialog } from "../parts/dialog.js";
import { Freshness } from "../parts/freshness.js";
import { firstMessage } from "../parts/nothing.js";
import { Panel } from "../parts/panel.js";
import { Scale } from "../parts/scale.js";
import { Answered, Empty, Failed, Loading } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { t } from "../texts.js";

/** A campaign's name with the day of its sending: names are used again. */
function titleOf(campaign, zone) {
  return campaign.sent_at ? `${campaign.name} · ${day(Date.parse(campaign.sent_at), zone)}` : campaign.name;
}

function Chosen({ ids, chosen, list, view }) {
  const rest = list.filter((one) => !ids.includes(one.id)).sort((a, b) => (b.sent_at ?? "").localeCompare(a.sent_at ?? ""));
  const add = (event) => event.target.value && go(here({ campaign: [...ids, event.target.value] }));
  return html`<div class="controls inner"><div class="group filters" role="group" aria-label=${t("compare.chosen")}>
      ${chosen.map((one) => html`<a key=${one.id} class="filter" href=${here({ campaign: ids.filter((id) => id !== one.id) })}
        aria-label=${t("compare.remove", { name: titleOf(one, view.zone) })}>${titleOf(one, view.zone)} <span aria-hidden="true">×</span></a>`)}</div>
    ${ids.length < MOST ? html`<label class="choice"><span>${t("compare.add")}</span><select value="" onChange=${add}>
      <option value="">${t("compare.choose")}</option>
      ${rest.map((one) => html`<option key=${one.id} value=${one.id}>${titleOf(one, view.zone)}</option>`)}</select></label>` : html`<span class="soft">${t("compare.most", { n: MOST })}</span>`}
  </div>`;
}

/** The rows of one metric: {campaign, name, value, interval}. */
function rowsOf(data, metric) {
  return data.comparison.map((one) => ({ id: one.campaign_id, name: one.campaign_name, value: one.metrics[metric], interval: one.intervals[metric] }));
}

/** `48.8–52.7 %`, its sign once. */
const span = ({ lower, upper }, digits) => (lower === null ? "" : `${percent(lower, digits).slice(0, -2)}\u2013${percent(upper, digits)}`);

/** How sure the difference is, in words; children: where the numbers are. */
function Verdict({ metric, test, rows, children }) {
  const winner = rows.find(({ id }) => id === test.winner);
  const { kind, values } = sureness(test, rows.map(({ interval }) => interval));
  const most = winner && t(`compare.${metric}.most`, { name: winner.name });
  return html`<p class="verdict"><b>${t(`compare.${kind}`)}</b> ${t(`compare.${kind}.why`, { most, ...values })} ${children}</p>`;
}

function Numbers({ metric, test, rows }) {
  const columns = [
    { key: "name", title: t("dimension.campaign") },
    { key: "counts", title: t("compare.counts"), numeric: true, cell: ({ interval }) => t("compare.of", { count: count(interval.successes), of: count(interval.trials) }) },
    { key: "value", title: t("compare.rate"), numeric: true, cell: ({ value, interval }) => (interval.trials ? percent(value, 2) : "\u2013") },
    { key: "interval", title: t("compare.interval"), numeric: true, cell: ({ interval }) => span(interval, 2) },
  ];
  const title = t("compare.how", { what: t(`compare.${metric}`) });
  return html`<${Dialog} title=${title} close=${() => go(here({ explain: null }))}>
    <${Verdict} metric=${metric} test=${test} rows=${rows} />
    <p class="formula">p ${test.p_value < 1e-6 ? "< 0.000001" : `= ${test.p_value}`}</p>
    <p>${t("compare.p.what")} ${t(rows.length > 2 ? "compare.p.several" : "compare.p.two")}</p>
    <${Table} columns=${columns} rows=${rows.map((row) => ({ ...row, key: row.id }))} caption=${title} />
    <p class="soft">${t("compare.interval.what")}</p>
  </${Dialog}>`;
}

function Metric({ metric, data, chosen, view }) {
  const [, params] = useAddress();
  const rows = rowsOf(data, metric);
  const test = data.statistical_significance.find((one) => one.metric === metric);
  const most = Math.max(0.5, ...rows.map(({ interval }) => interval.upper ?? 0));
  const digits = most < 4 ? 2 : 1;
  const sent = new Map(chosen.map((one) => [one.id, one.sent_at]));
  const scaled = rows.map(({ id, name, value, interval }) => ({
    key: id,
    name: html`<a href=${to(`/campaigns/${segment(id)}`, { campaign: null })}>${name}</a>${sent.get(id) && html` <span class="soft">${day(Date.parse(sent.get(id)), view.zone)}</span>`}`,
    value: interval.trials ? value : null,
    low: interval.lower ?? 0,
    high: interval.upper ?? 0,
    label: html`<b>${interval.trials ? percent(value, digits) : "\u2013"}</b> <span class="soft">${t("figure.of", { of: count(interval.trials) })}</span> <span class="soft">${span(interval, digits)}</span>`,
  }));
  return html`<section class="metric" aria-label=${t(`compare.${metric}`)}><h3>${t(`compare.${metric}`)} <span class="soft">${t(`compare.${metric}.of`)}</span></h3>
    <${Verdict} metric=${metric} test=${test} rows=${rows}>${test.p_value !== null && html`<button class="plain" onClick=${() => go(here({ explain: metric }))}
      aria-label=${t("compare.how", { what: t(`compare.${metric}`) })}>${t("compare.numbers")}</button>`}</${Verdict}>
    <${Scale} rows=${scaled} most=${most} format=${(value) => (value ? percent(value, Number.isInteger(value) ? 0 : 1) : "0")} />
    ${params.get("explain") === metric && test.p_value !== null && html`<${Numbers} metric=${metric} test=${test} rows=${rows} />`}
  </section>`;
}

/** The answer as the rows of a file. */
function fileOf(data) {
  return data.comparison.flatMap((one) => RATES.map((metric) => ({ campaign_id: one.campaign_id, campaign_name: one.campaign_name, metric, rate: one.metrics[metric], ...one.intervals[metric] })));
}

function Comparison({ request, answer, chosen, view }) {
  const fresh = young(chosen);
  return html`<${Panel} title=${t("compare.title")} note=${t("compare.what")} requests=${[request]} rows=${() => fileOf(answer.value.data)} name="comparison">
    ${fresh.map((one) => html`<p key=${one.id} class="note">${t("compare.young", { name: one.name, ago: ago(Date.parse(one.sent_at), view.zone) })}</p>`)}
    <${Answered} answer=${answer} lines=${30}>${({ data }) => RATES.map((metric) => html`<${Metric} key=${metric} metric=${metric} data=${data} chosen=${chosen} view=${view} />`)}</${Answered}>
  </${Panel}>`;
}

/** The screen. */
export default function Compare({ view, session }) {
  const { list, error } = useCampaigns();
  const ids = (view.filters.campaign ?? []).slice(0, MOST);
  const first = list && ids.length === 0 ? proposed(list) : [];
  useEffect(() => {
    if (first.length >= LEAST) go(here({ campaign: first }), { replace: true });
  }, [first.join("\n")]);
  const chosen = ids.map((id) => list?.find((one) => one.id === id) ?? { id, name: id });
  const request = list && ids.length >= LEAST ? compared(session.workspace, ids, chosen) : null;
  const answer = useAnswer(request);
  if (error) return html`<${Failed} error=${error} />`;
  if (!list || first.length >= LEAST) return html`<${Loading} lines=${24} />`;
  const few = list.length < LEAST;
  return html`<div class="title"><div><h1>${t("screen.compare")}</h1><p class="soft">${t("compare.question", { least: LEAST, most: MOST })}</p></div>
      <${Freshness} at=${answer.at} /></div>
    ${few ? html`<${Empty} title=${t("compare.few")} what=${t("compare.few.do")} command=${firstMessage()} />` : html`<${Chosen} ids=${ids} chosen=${chosen} list=${list} view=${view} />`}
    ${!few && ids.length < LEAST && html`<${Empty} title=${t("compare.more")} what=${t("compare.more.do")} />`}
    ${request && html`<${Comparison} request=${request} answer=${answer} chosen=${chosen} view=${view} />`}`;
}
