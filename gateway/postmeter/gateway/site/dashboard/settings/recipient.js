/** One recipient: what they chose, all that is kept of them, and its end. */

import { html, useState } from "../htm/standalone.module.js";
import { go, here } from "../address.js";
import { get } from "../model/requests.js";
import { exact } from "../model/times.js";
import { download } from "../parts/panel.js";
import { Table } from "../parts/table.js";
import { t } from "../texts.js";
import { Confirm, Form, Line, Refused, Setting, useWrite } from "./parts.js";

const HASH = /^[0-9a-f]{64}$/i;
/** How the API calls somebody: an address is hashed by the server alone, for hashes may be keyed (docs/privacy.md). */
const named = (text) => (HASH.test(text) ? { to_hash: text.toLowerCase() } : { to: text });
const exported = (who) => ({ method: "POST", path: "/v1/recipients/export", body: who });

/** What somebody has chosen: {who, to_hash, consent}; null where it was refused. */
async function look(write, text) {
  const who = named(text);
  if (who.to_hash) {
    const told = await write(get(`/v1/recipients/consent?to_hash=${who.to_hash}`));
    return told && { who, to_hash: who.to_hash, consent: told.data };
  }
  const told = await write(exported(who));
  return told && { who, to_hash: told.data.to_hash, consent: told.data.consent };
}

const choice = (value) => (value === null ? "" : t(`choice.${value}`));

function Chosen({ consent, zone }) {
  const when = (moment) => exact(Date.parse(moment), zone);
  const columns = [
    { key: "at", title: t("recipient.at"), cell: (row) => when(row.at) },
    { key: "opens", title: t("levels.opens"), cell: (row) => choice(row.opens) },
    { key: "clicks", title: t("levels.clicks"), cell: (row) => choice(row.clicks) },
    {
      key: "method",
      title: t("recipient.how"),
      text: true,
      cell: (row) => [row.method, row.text_version, row.source].filter(Boolean).join(" · "),
    },
    {
      key: "recorded_by",
      title: t("recipient.by"),
      text: true,
      minor: true,
      cell: (row) => `${row.recorded_by}, ${when(row.recorded_at)}`,
    },
  ];
  return html`<p>${t("recipient.now", { opens: choice(consent.opens), clicks: choice(consent.clicks) })}</p>
    <${Table} columns=${columns} rows=${consent.history} caption=${t("recipient.history")} none=${t("recipient.none")} />`;
}

function Found({ found, zone, erased }) {
  const { busy, error, write } = useWrite();
  const [ending, setEnding] = useState(false);
  const [left, setLeft] = useState(false);
  const save = async () => {
    const told = await write(exported(found.who));
    if (!told) return;
    download("recipient.json", JSON.stringify(told.data, null, 1), "application/json");
    setLeft(Object.keys(told.data.left_out).length > 0);
  };
  return html`<div class="detail" role="group" aria-label=${t("recipient.found")}><p class="item">${found.to_hash}</p>
    <${Chosen} consent=${found.consent} zone=${zone} />
    <${Refused} error=${error} />${left && html`<p class="soft" role="status">${t("recipient.left")}</p>`}
    <div class="choices"><button disabled=${busy} onClick=${save}>${t("recipient.file")}</button>
      <button class="danger" onClick=${() => setEnding(true)}>${t("recipient.erase")}</button></div>
    ${
      ending &&
      html`<${Confirm} title=${t("recipient.erase.ask")} what=${t("recipient.erase.what")} action=${t("recipient.erase")}
      request=${{ method: "POST", path: "/v1/recipients/erase", body: found.who }} close=${() => setEnding(false)} done=${erased} />`
    }</div>`;
}

/** The setting. */
export function Recipient({ zone }) {
  const { busy, error, write } = useWrite();
  const [found, setFound] = useState(null);
  const [said, say] = useState(null);
  const send = async (data) => {
    say(null);
    setFound(await look(write, data.get("to").trim()));
  };
  const erased = ({ data }) => {
    setFound(null);
    say({ text: t("recipient.ordered") });
    go(here({ erasure: data.id }));
  };
  return html`<${Setting} id="recipient" said=${said}>
    <${Form} send=${send} action=${t("recipient.show")} busy=${busy} error=${error} fields=${["to"]}>
      <${Line} form="recipient" name="to" label=${t("recipient.to")} hint=${t("recipient.to.hint")} error=${error} spellcheck="false" required /></${Form}>
    ${found && html`<${Found} key=${found.to_hash} found=${found} zone=${zone} erased=${erased} />`}
  </${Setting}>`;
}
