/** Explain this number: formula in words, filters and window, the counts that enter, the split, the messages behind. */

import { html } from "../htm/standalone.module.js";
import { curl } from "../api.js";
import { useCampaigns } from "../model/campaigns.js";
import { FILTERS, dimensionName, metricName, valueName } from "../model/declared.js";
import { MEASURES, rateOf, valueOf, whatOf, wholeOf } from "../model/measures.js";
import { count } from "../model/numbers.js";
import { search, windowOf } from "../model/requests.js";
import { day, exact, isDay, zoneName } from "../model/times.js";
import { t } from "../texts.js";
import { Command } from "./command.js";
import { Dialog } from "./dialog.js";
import { Messages, foundBy } from "./messages.js";
import { Split } from "./split.js";

/** An end of a window in words: a day as a day, an instant in its zone. */
const end = (text, zone) => (isDay(text) ? day(Date.parse(text), "UTC") : exact(Date.parse(text), zone));

function Formula({ measure, counts, who }) {
  const value = valueOf(measure, counts, who);
  const whole = wholeOf(measure, counts);
  const { of } = MEASURES[measure];
  if (whole === null) return null;
  return html`<p class="formula">${t(`measure.${measure}`)} ÷ ${t(`measure.${of}`)}${" "}
    = ${count(value)} ÷ ${count(whole)} = <b>${rateOf(measure, counts, who)}</b></p>
    ${value > whole && html`<p>${t("explain.beyond")}</p>`}`;
}

function Counts({ measure, counts, who }) {
  const parts = MEASURES[measure].parts(who);
  const { of } = MEASURES[measure];
  return html`<table class="numbers"><caption>${t("explain.counts")}</caption>
    <tbody>${parts.map((metric) => html`<tr key=${metric}><th scope="row">${metricName(metric)}</th>
      <td>${count(counts[metric] ?? 0)}</td></tr>`)}
    ${parts.length > 1 && html`<tr class="sum"><th scope="row">${t(`measure.${measure}`)}</th>
      <td>${count(valueOf(measure, counts, who))}</td></tr>`}
    ${of && html`<tr><th scope="row">${metricName(of)}</th><td>${count(counts[of] ?? 0)}</td></tr>`}</tbody>
      </table>`;
}

function Window({ body }) {
  const { named } = useCampaigns();
  const words = (name) => body.filters[name].map((value) => valueName(name, value, named));
  const chosen = FILTERS.filter((name) => body.filters?.[name]?.length);
  const filters = chosen.map((name) => `${dimensionName(name)}: ${words(name).join(", ")}`);
  const zone = body.timezone ?? "UTC";
  const until = body.to ? end(body.to, zone) : t("explain.now");
  return html`<p>${t("explain.window", { from: end(body.from, zone), to: until, zone: zoneName(zone) })}
    ${" "}${filters.length ? filters.join("; ") : t("explain.no_filter")}</p>`;
}

/** Messages are searched by when they were created; what happened in a window may be of older ones, which is said. */
function Behind({ measure, request, view }) {
  const { found } = MEASURES[measure];
  const body = { filters: request.body.filters, ...windowOf(request.body), ...(found && { engagement: found }) };
  return html`<h3>${t("explain.behind")}</h3>
    <p class="soft">${found ? `${foundBy(found, view.who)} ${t("explain.behind.found")}` : t("explain.behind.any")}</p>
    <${Messages} request=${search(body)} view=${view} most=${10} without=${["sent_at", "first_clicked_at"]} />`;
}

/** The dialog. request: the query whose counts these are. */
export function Explanation({ measure, counts, view, request, close }) {
  const { split } = MEASURES[measure];
  const kind = split ?? { opened: "opens", clicked: "clicks" }[measure];
  const title = `${count(valueOf(measure, counts, view.who))} · ${t(`measure.${measure}`)}`;
  return html`<${Dialog} title=${title} close=${close}>
    <p>${whatOf(measure, view.who)}</p>
    <${Formula} measure=${measure} counts=${counts} who=${view.who} />
    <${Window} body=${request.body} />
    <${Counts} measure=${measure} counts=${counts} who=${view.who} />
    ${kind && html`<h3>${t(`explain.split.${kind}`)}</h3><${Split} what=${kind} counts=${counts} who=${view.who} />`}
    <${Behind} measure=${measure} request=${request} view=${view} />
    <h3>${t("panel.curl")}</h3><${Command} text=${curl(request)} />
  </${Dialog}>`;
}
