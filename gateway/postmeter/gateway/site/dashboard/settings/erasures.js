/** An erasure: how far it is, and its proof. The address names it by its number, which says nothing of whom. */

import { html } from "../htm/standalone.module.js";
import { go, here, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { count } from "../model/numbers.js";
import { get, segment } from "../model/requests.js";
import { exact } from "../model/times.js";
import { Command } from "../parts/command.js";
import { Answered } from "../parts/states.js";
import { t, wordsOf } from "../texts.js";
import { Form, Line, Setting, useProgress } from "./parts.js";

function Proof({ erasure, zone }) {
  const tables = Object.entries(erasure.removed);
  const done = erasure.status === "completed";
  return html`<p class="lead" role="status">${done ? t("erasures.done", { at: exact(Date.parse(erasure.completed_at), zone) }) : t("erasures.working")}</p>
    ${
      tables.length
        ? html`<dl class="facts">${tables.map(([table, n]) => html`<dt key=${table}>${wordsOf("erased", table)}</dt><dd>${count(n)}</dd>`)}</dl>`
        : html`<p>${t(done ? "erasures.nothing" : "erasures.yet")}</p>`
    }
    <${Command} text=${erasure.id} label=${t("erasures.id")} /><p class="soft note">${t("erasures.keep")}</p>`;
}

/** The setting. */
export function Erasures({ zone, again }) {
  const [, params] = useAddress();
  const id = params.get("erasure");
  const request = id && get(`/v1/recipients/erasures/${segment(id)}`);
  const answer = useAnswer(request);
  const erasure = answer.isStale ? null : answer.value?.data;
  useProgress(erasure?.status === "processing", answer, again);
  const send = (data) => go(here({ erasure: data.get("id").trim() || null }));
  const rows = erasure && Object.entries(erasure.removed).map(([table, removed]) => ({ erasure: erasure.id, table, removed }));
  return html`<${Setting} id="erasures" requests=${request ? [request] : []} rows=${rows}>
    ${request && html`<${Answered} answer=${answer}>${({ data }) => html`<${Proof} erasure=${data} zone=${zone} />`}</${Answered}>`}
    <${Form} send=${send} action=${t("recipient.show")} fields=${["id"]}>
      <${Line} form="erasures" name="id" label=${t("erasures.id")} hint=${t("erasures.id.hint")} spellcheck="false" /></${Form}>
  </${Setting}>`;
}
