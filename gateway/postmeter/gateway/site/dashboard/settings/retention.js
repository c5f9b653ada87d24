/** How long what identifies recipients is kept. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";
import { PRIVACY } from "./levels.js";
import { Form, Line, Setting, useWrite } from "./parts.js";

/** Months as the API takes them: none is null; what is no number is NaN. */
const months = (text) => (text.trim() === "" ? null : /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN);

function Change({ told, done }) {
  const { busy, error: refused, write } = useWrite();
  const [wrong, setWrong] = useState(null);
  const error = wrong ?? refused;
  const names = Object.keys(told.retention);
  const fields = names.map((name) => `retention.${name}`);
  const send = async (data) => {
    const given = names.map((name) => [name, months(data.get(`retention.${name}`))]);
    const [noNumber] = given.find(([, value]) => Number.isNaN(value)) ?? [];
    setWrong(noNumber ? { field: `retention.${noNumber}`, message: t("retention.number"), isOurs: true } : null);
    if (noNumber) return;
    const retention = Object.fromEntries(given.filter(([name, value]) => value !== told.retention[name]));
    if (await write({ method: "PUT", path: PRIVACY.path, body: { retention } })) done();
  };
  return html`<${Form} send=${send} action=${t("settings.save")} busy=${busy} error=${error} fields=${fields}>
    ${names.map((name) => html`<${Line} key=${name} form="retention" name=${`retention.${name}`} label=${t(`retention.${name}`)}
      hint=${t(`retention.${name}.what`)} error=${error} inputmode="numeric" defaultValue=${told.retention[name] ?? ""} />`)}
    <p class="soft note">${t("retention.empty")}</p></${Form}>`;
}

/** The setting. */
export function Retention({ again }) {
  const answer = useAnswer(PRIVACY);
  const [said, say] = useState(null);
  const done = () => {
    say({ text: t("retention.saved") });
    again();
  };
  return html`<${Setting} id="retention" requests=${[PRIVACY]} said=${said}>
    <${Answered} answer=${answer} lines=${12}>${(told) => html`<${Change} told=${told} done=${done} />`}</${Answered}></${Setting}>`;
}
