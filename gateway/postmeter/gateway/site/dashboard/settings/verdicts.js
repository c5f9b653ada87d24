/** When clicks count as a machine's: the rules as sentences whose numbers can be changed. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { count } from "../model/numbers.js";
import { get } from "../model/requests.js";
import { Answered } from "../parts/states.js";
import { say as filled, t } from "../texts.js";
import { Form, Setting, Wrong, isOf, useWrite } from "./parts.js";

const ALL = get("/v1/verdicts");
/** The rules, each with its thresholds. */
const RULES = {
  burst: ["burst_milliseconds", "burst_links", "burst_clicks"],
  scan: ["all_links", "scan_seconds"],
  early: ["early_seconds"],
};

/** A number as the API takes it; what is not a number goes as it is, so that the API says what is wrong with it. */
const number = (text) => (/^\s*-?\d+\s*$/.test(text) ? Number(text) : text);

/** A rule; one(name) is what stands for a threshold. */
function Rule({ rule, told, error, one }) {
  const defaults = Object.fromEntries(RULES[rule].map((name) => [name, count(told.defaults[name])]));
  const wrong = RULES[rule].filter((name) => isOf(error, name));
  return html`<div class="field"><p class="rule">${filled(`verdicts.${rule}`, Object.fromEntries(RULES[rule].map((name) => [name, one(name)])))}</p>
    <p class="soft note">${t(`verdicts.${rule}.usual`, defaults)}</p>
    ${wrong.map((name) => html`<${Wrong} key=${name} form="verdicts" name=${name} error=${error} />`)}</div>`;
}

const rules = (given) => Object.keys(RULES).map((rule) => html`<${Rule} key=${rule} rule=${rule} ...${given} />`);

function Change({ told, done }) {
  const { busy, error, write } = useWrite();
  const fields = Object.keys(told.data);
  const send = async (data) => {
    const body = Object.fromEntries(
      fields.map((name) => [name, number(data.get(name))]).filter(([name, value]) => value !== told.data[name]),
    );
    if (await write({ method: "PUT", path: ALL.path, body })) done();
  };
  const one = (name) => {
    const wrong = isOf(error, name);
    return html`<input name=${name} defaultValue=${told.data[name]} inputmode="numeric" autocomplete="off" aria-label=${t(`verdicts.${name}`)}
      aria-invalid=${wrong ? "true" : null} aria-describedby=${wrong ? `verdicts-${name}-wrong` : null} />`;
  };
  return html`<${Form} send=${send} action=${t("settings.save")} busy=${busy} error=${error} fields=${fields}>
    ${rules({ told, error, one })}<p class="soft note">${t("verdicts.zero")}</p></${Form}>`;
}

/** The same for whoever only looks. */
function Shown({ told }) {
  return rules({ told, one: (name) => html`<b>${told.data[name] ? count(told.data[name]) : t("verdicts.off")}</b>` });
}

/** The setting. */
export function Verdicts({ rights, again }) {
  const answer = useAnswer(ALL);
  const [said, say] = useState(null);
  const done = () => {
    say({ text: t("verdicts.saved") });
    again();
  };
  return html`<${Setting} id="verdicts" requests=${[ALL]} said=${said}>
    <${Answered} answer=${answer} lines=${12}>${(told) => (rights.tracks ? html`<${Change} told=${told} done=${done} />` : html`<${Shown} told=${told} />`)}</${Answered}>
  </${Setting}>`;
}
