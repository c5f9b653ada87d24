/** Levels of single sending domains, where they are stricter than the workspace's. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";
import { LevelChoice, PRIVACY } from "./levels.js";
import { Act, Confirm, Form, Line, Row, Setting, Unfold, useWrite } from "./parts.js";

const put = (domains) => ({ method: "PUT", path: PRIVACY.path, body: { domains } });

function Add({ told, added }) {
  const { busy, error, write } = useWrite();
  const [levels, choose] = useState({ opens: "anonymous", clicks: "anonymous" });
  const send = async (data, form) => {
    const name = data.get("domains").trim();
    if (!(await write(put({ ...told.domains, [name]: levels })))) return;
    form.reset();
    added(name);
  };
  const one = (kind) => html`<${LevelChoice} form="level-domains" group="" kind=${kind} value=${levels[kind]} error=${error}
    onChange=${(event) => choose({ ...levels, [kind]: event.target.value })} />`;
  return html`<${Form} send=${send} action=${t("settings.save")} busy=${busy} error=${error} fields=${["domains"]}>
    <${Line} form="level-domains" name="domains" label=${t("dimension.domain")} error=${error} required />${one("opens")}${one("clicks")}</${Form}>`;
}

/** The setting. */
export function LevelDomains({ again }) {
  const answer = useAnswer(PRIVACY);
  const [ending, setEnding] = useState(null);
  const [said, say] = useState(null);
  const done = (key) => (name) => {
    say({ text: t(key, { name }) });
    again();
  };
  const shown = (told) => {
    const names = Object.keys(told.domains).sort();
    const { [ending]: _, ...others } = told.domains;
    const row = (name) => html`<${Row} key=${name} name=${name}
      notes=${[["opens", "clicks"].map((kind) => `${t(`levels.${kind}`)}: ${t(`level.${told.domains[name][kind]}`)}`).join(" · ")]}
      acts=${html`<${Act} what=${t("ips.remove")} name=${name} act=${() => setEnding(name)} />`} />`;
    return html`${names.length ? html`<ul class="list rowed">${names.map(row)}</ul>` : html`<p>${t("level-domains.empty")}</p>`}
      <${Unfold} title=${t("level-domains.new")}><${Add} told=${told} added=${done("level-domains.saved")} /></${Unfold}>
      ${
        ending &&
        html`<${Confirm} title=${t("level-domains.ask", { name: ending })} what=${t("level-domains.ask.what")} action=${t("ips.remove")}
        request=${put(others)} close=${() => setEnding(null)} done=${() => done("level-domains.removed")(ending)} />`
      }`;
  };
  return html`<${Setting} id="level-domains" requests=${[PRIVACY]} said=${said}>
    <${Answered} answer=${answer}>${shown}</${Answered}></${Setting}>`;
}
