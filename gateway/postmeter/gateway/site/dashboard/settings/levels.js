/** Levels: how much of opens and clicks may be kept, of all mail and by what recipients have chosen. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { count } from "../model/numbers.js";
import { get, query } from "../model/requests.js";
import { dayOf, shifted } from "../model/times.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";
import { Choice, Form, Setting, useWrite } from "./parts.js";

export const PRIVACY = get("/v1/privacy");
/** The levels, from everything to nothing; `last_date` is of opens only. */
export const LEVELS = ["full", "pseudonymous", "last_date", "anonymous", "off"];
const CHOICES = { opens: LEVELS, clicks: LEVELS.filter((level) => level !== "last_date") };
const REFUSED = ["off", "anonymous"];
const GROUPS = ["", "unknown", "denied"];
const DAYS = 30;

/** A level to choose. group: "" or a field of the API that holds levels. kind: opens, clicks. */
export function LevelChoice({ form, group, kind, value, error, onChange }) {
  const levels = group === "denied" ? REFUSED : CHOICES[kind];
  const name = group ? `${group}.${kind}` : kind;
  return html`<${Choice} form=${form} name=${name} label=${t(`levels.${kind}`)} hint=${t(`level.${value}.what`)} error=${error} value=${value}
    options=${levels.map((level) => [level, t(`level.${level}`)])} onChange=${onChange} />`;
}

const levelsOf = (told, group) => (group ? told[group] : { opens: told.opens, clicks: told.clicks });

/** What is to be sent: what was chosen and is not so yet. */
function changed(told, chosen) {
  const body = {};
  for (const group of GROUPS) {
    const before = levelsOf(told, group);
    const kinds = Object.keys(CHOICES).filter((kind) => chosen[group][kind] !== before[kind]);
    const now = Object.fromEntries(kinds.map((kind) => [kind, chosen[group][kind]]));
    if (kinds.length) Object.assign(body, group ? { [group]: now } : now);
  }
  return body;
}

function Change({ told, done }) {
  const { busy, error, write } = useWrite();
  const [chosen, choose] = useState(Object.fromEntries(GROUPS.map((group) => [group, levelsOf(told, group)])));
  const send = async () => {
    if (await write({ method: "PUT", path: PRIVACY.path, body: changed(told, chosen) })) done();
  };
  const one = (group, kind) => html`<${LevelChoice} form="levels" group=${group} kind=${kind} value=${chosen[group][kind]} error=${error}
    onChange=${(event) => choose({ ...chosen, [group]: { ...chosen[group], [kind]: event.target.value } })} />`;
  return html`<${Form} send=${send} action=${t("settings.save")} busy=${busy} error=${error} fields=${[]}>
    ${GROUPS.map(
      (group) => html`<fieldset class="field" key=${group}><legend>${t(`levels.of.${group || "all"}`)}</legend>
      ${one(group, "opens")}${one(group, "clicks")}
      <p class="soft note">${t(group ? "levels.acts.chosen" : "levels.acts.all")}</p></fieldset>`,
    )}</${Form}>`;
}

/** What the levels did to the numbers of late. */
function Costs({ zone }) {
  const metrics = ["delivered", "trackable", "opens", "anonymous_opens", "clicks", "anonymous_clicks"];
  const request = query({ metrics, from: shifted(dayOf(Date.now(), zone), -DAYS), timezone: zone });
  const answer = useAnswer(request);
  return html`<h3>${t("levels.costs", { n: DAYS })}</h3><${Answered} answer=${answer} lines=${2}>${({ data: [row] }) =>
    html`<p>${t("levels.costs.now", Object.fromEntries(metrics.map((name) => [name, count(row[name])])))}</p>`}</${Answered}>`;
}

/** The setting. */
export function Levels({ zone, again }) {
  const answer = useAnswer(PRIVACY);
  const [said, say] = useState(null);
  const done = () => {
    say({ text: t("levels.saved") });
    again();
  };
  return html`<${Setting} id="levels" requests=${[PRIVACY]} said=${said}>
    <dl class="facts">${LEVELS.map((level) => html`<dt key=${level}>${t(`level.${level}`)}</dt>
      <dd>${t(`level.${level}.what`)} <span class="soft">${t(`level.${level}.costs`)}</span></dd>`)}</dl>
    <${Costs} zone=${zone} />
    <${Answered} answer=${answer} lines=${16}>${(told) => html`<${Change} told=${told} done=${done} />`}</${Answered}>
  </${Setting}>`;
}
