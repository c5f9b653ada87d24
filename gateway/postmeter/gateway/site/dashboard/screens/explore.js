/** Explore: any other question, as a sentence that can be edited; its address is the saved view. */

import { html } from "../htm/standalone.module.js";
import { go, here, to, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { isCut, marksOf, namesOf, zoomed } from "../model/curves.js";
import { FILTERS, METRICS, dimensionName, valueName } from "../model/declared.js";
import { total } from "../model/measures.js";
import { count, money, rate, short } from "../model/numbers.js";
import {
  DIMENSIONS,
  MOST,
  RESOLUTIONS,
  dimensionsOf,
  kindOf,
  meaningOf,
  measureOf,
  nameOf,
  ofRow,
  partsOf,
  questionOf,
  summed,
  wholeOf,
} from "../model/questions.js";
import { query, segment, viewed } from "../model/requests.js";
import { Chart } from "../parts/chart.js";
import { spanOf } from "../parts/controls.js";
import { Dialog } from "../parts/dialog.js";
import { Explanation } from "../parts/explanation.js";
import { Explained, close } from "../parts/figure.js";
import { Heading } from "../parts/heading.js";
import { Meaning } from "../parts/meaning.js";
import { Panel } from "../parts/panel.js";
import { Answered, Empty, Loading } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { say, t } from "../texts.js";

/** Charts beside each other at most, and rows of the table. */
const CHARTS = 12;
const ROWS = 500;

function Choice({ label, value, options, words, choose }) {
  return html`<select aria-label=${label} value=${value} onChange=${(event) => choose(event.target.value)}>
    ${options.map(
      (one) => html`<option key=${one} value=${one}
      selected=${one === value}>${words(one)}</option>`,
    )}</select>`;
}

function Question({ question, view }) {
  const { metrics, by, per } = question;
  const change = (at) => (name) =>
    go(here({ metric: metrics.map((one, n) => (n === at ? name : one)).filter(Boolean) }));
  const free = METRICS.filter(
    (name) => kindOf(name) === kindOf(metrics[0]) && !metrics.includes(name) && dimensionsOf(name).includes(by),
  );
  const chosen = metrics.map(
    (metric, at) => html`${at > 0 && `${t("explore.and")} `}<${Choice} label=${t("explore.metric")} value=${metric}
    options=${at === 0 ? METRICS : [metric, "", ...free]}
      words=${(name) => (name ? nameOf(name, view.who) : t("explore.without"))} choose=${change(at)} />${" "}`,
  );
  const more =
    metrics.length < MOST &&
    free.length > 0 &&
    html`<button class="plain"
      onClick=${() => go(here({ metric: [...metrics, free[0]] }))}>${t("explore.more")}</button>`;
  const values = {
    metrics: html`${chosen}${more}`,
    by: html`<${Choice} label=${t("explore.dimension")} value=${by}
      options=${DIMENSIONS.filter((one) => dimensionsOf(metrics[0]).includes(one))}
      words=${(name) => (name ? t("explore.by", { dimension: dimensionName(name) }) : t("explore.whole"))}
        choose=${(name) => go(here({ by: name || null }))} />`,
    per: html`<${Choice} label=${t("explore.resolution")} value=${per} options=${RESOLUTIONS}
      words=${(name) => t(`explore.per.${name}`)}
      choose=${(name) => go(here({ per: name }))} />`,
    days: spanOf(view.period),
  };
  return html`<p class="question">${say("explore.question", values)}</p>`;
}

const written = (metric, row) => (metric === "revenue" ? money(row.revenue, row.currency) : count(row[metric]));

/** A metric's name, with what the share beside its number is of. */
function titleOf(metric, metrics, who) {
  const [what, of] = [nameOf(metric, who), wholeOf(metric, metrics)];
  return of ? t("explore.share", { what, of: nameOf(of, who) }) : what;
}

/** Decimals of a share that is held against lines of 0.1 %. */
const FINE = { complained: 2 };

function shareOf(metric, metrics, row) {
  const whole = wholeOf(metric, metrics);
  return whole && html` <span class="soft">${rate(row[metric], row[whole], FINE[metric])}</span>`;
}

/** An explanation, whose counts are asked for when it is opened. */
function Opened({ measure, view, request }) {
  const answer = useAnswer(request);
  // The explanation is a dialog of its own.
  if (!answer.value || answer.isStale)
    return html`<${Dialog} title=${t(`measure.${measure}`)} close=${close}><${Answered} answer=${answer} lines=${12}>${() => null}</${Answered}>
      </${Dialog}>`;
  return html`<${Explanation} measure=${measure} counts=${total(answer.value.data)} view=${view} request=${request} close=${close} />`;
}

function Rows({ rows, question, view, words, title }) {
  const { metrics, by } = question;
  const most = Math.max(1, ...rows.map((row) => row[metrics[0]]));
  // A campaign has its screen; other names lead to what is of them, under the same question.
  const alone = (row) => here({ [by]: row[by], by: null, sort: null });
  const link = (row) => {
    if (!FILTERS.includes(by)) return words(row[by]);
    const address = by === "campaign" && row.campaign ? to(`/campaigns/${segment(row.campaign)}`) : alone(row);
    return html`<a href=${address}>${words(row[by])}</a>`;
  };
  const number = (metric, row) => {
    const [measure, text] = [measureOf(metric), written(metric, row)];
    if (!measure || (by && !FILTERS.includes(by))) return text;
    const request = ofRow(view, by, row[by]);
    return html`<${Explained} measure=${measure} text=${text} id=${by ? `${measure}.${row[by]}` : measure}>${() =>
      html`<${Opened} measure=${measure} view=${view} request=${request} />`}</${Explained}>`;
  };
  const columns = [
    ...(by
      ? [
          {
            key: by,
            title: dimensionName(by),
            cell: (row) =>
              html`${link(row)}<span class="share" style=${{ width: `${(row[metrics[0]] / most) * 100}%` }}></span>`,
          },
        ]
      : [{ key: "whole", title: t("explore.days"), fixed: true, cell: () => spanOf(view.period) }]),
    ...metrics.map((metric) => ({
      key: metric,
      title: titleOf(metric, metrics, view.who),
      numeric: true,
      cell: (row) => html`${number(metric, row)}${shareOf(metric, metrics, row)}`,
    })),
  ];
  return html`<${Table} columns=${columns} rows=${rows} caption=${title} sort="sort" usual=${`-${metrics[0]}`}
    most=${ROWS} />`;
}

/** One chart for each metric; by a dimension, one for each group, of the first metric: small multiples. */
function Charts({ rows, question, view, words, title }) {
  const { metrics, by, per } = question;
  const charts = by
    ? groups(rows, by, metrics[0]).map(([value, list]) => [words(value), list, metrics[0]])
    : metrics.map((metric) => [nameOf(metric, view.who), rows, metric]);
  const one = charts.length === 1;
  const seen = { ...view, period: { ...view.period, resolution: per } };
  const most = by ? Math.max(0, ...rows.map((row) => row[metrics[0]])) : undefined;
  const drawn = charts.slice(0, CHARTS).map(([name, list, metric]) => {
    const lines = [{ name: nameOf(metric, view.who), kind: "plain", values: list.map((row) => row[metric]) }];
    const chart = html`<${Chart} title=${`${title}: ${name}`} names=${namesOf(list, seen)} short=${marksOf(list, seen)}
      lines=${lines} height=${one ? 260 : 140} most=${most} unfinished=${view.period.endsNow} cut=${isCut(list, seen)}
      format=${metric === "revenue" ? short : count} zoom=${one ? zoomed(list, seen) : undefined} />`;
    return one ? chart : html`<section key=${name}><h3>${name}</h3>${chart}</section>`;
  });
  return html`${
    by && metrics.length > 1 && html`<p class="soft">${t("explore.first", { what: nameOf(metrics[0], view.who) })}</p>`
  }<div class=${one ? null : "multiples"}>${drawn}</div>${
    charts.length > CHARTS &&
    html`<p
    class="soft">${t("explore.more_groups", { n: charts.length - CHARTS })}</p>`
  }`;
}

/** Rows by group, the largest first. */
function groups(rows, by, metric) {
  const found = new Map();
  for (const row of rows) found.set(row[by], [...(found.get(row[by]) ?? []), row]);
  const size = ([, list]) => list.reduce((sum, row) => sum + row[metric], 0);
  return [...found].sort((a, b) => size(b) - size(a));
}

const QUESTIONS = {
  bounces: { metric: ["hard_bounced", "soft_bounced", "sent"], by: "mailbox_provider", per: null },
  machines: { metric: ["human_opens", "proxy_opens", "machine_opens"], by: null, per: "day" },
  links: { metric: ["clicks", "machine_clicks"], by: "link", per: null },
  hours: { metric: "clicks", by: null, per: "hour" },
  domains: { metric: ["sent", "delivered", "complained"], by: "domain", per: null },
};

function Suggestions() {
  return html`<${Panel} title=${t("explore.questions")} note=${t("explore.questions.what")}>
    <ul class="list">${Object.entries(QUESTIONS).map(
      ([name, changes]) => html`<li key=${name}><a
      href=${here({ ...changes, sort: null })}>${t(`explore.question.${name}`)}</a></li>`,
    )}</ul></${Panel}>`;
}

/** The screen. */
export default function Explore({ view }) {
  const [, params] = useAddress();
  const { named } = useCampaigns();
  const question = questionOf(params);
  const { metrics, by, per } = question;
  const parts = [...new Set(metrics.flatMap((metric) => partsOf(metric, view.who)))];
  const request = query(viewed(view, { metrics: parts, dimensions: by ? [by] : [], resolution: per }));
  const answer = useAnswer(request);
  const lines = per !== "total" ? 14 : by ? 16 : 3;
  const words = (value) => valueName(by, value, named);
  const title = metrics.map((metric) => nameOf(metric, view.who)).join(", ");
  // The answer to the question before does not fit this one.
  const rows = answer.isStale ? [] : summed(answer.value.data, metrics, view.who);
  return html`<${Heading} name=${t("screen.explore")} at=${answer.at} />
    <${Question} question=${question} view=${view} />
    <div class="desk"><${Panel} title=${title} requests=${[request]} rows=${rows} name="explore">
      <${Answered} answer=${answer} lines=${lines}>${() => {
        if (answer.isStale) return html`<${Loading} lines=${lines} />`;
        if (!rows.length) return html`<${Empty} title=${t("explore.nothing")} what=${t("explore.nothing.do")} />`;
        const given = { rows, question, view, words, title };
        return per === "total" ? html`<${Rows} ...${given} />` : html`<${Charts} ...${given} />`;
      }}</${Answered}>
      <${Meaning} of=${metrics.map((metric) => [nameOf(metric, view.who), meaningOf(metric, view.who)])}>${
        by === "tag" && t("explore.tags")
      }</${Meaning}></${Panel}>
    <${Suggestions} /></div>`;
}
