/** What mail is sent from: domains, which come of themselves, and IPs, which are looked up in blocklists. */

import { html, useState } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { useAnswer } from "../answers.js";
import { get, segment } from "../model/requests.js";
import { ago, day } from "../model/times.js";
import { Answered } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { t } from "../texts.js";
import { Act, Confirm, Form, Line, Row, Setting, Unfold, names, useWrite } from "./parts.js";

const DOMAINS = get("/v1/domains?limit=1000");
const IPS = get("/v1/sending-ips");

/** Domains that mail came from. */
export function Domains({ zone }) {
  const answer = useAnswer(DOMAINS);
  const columns = [
    {
      key: "name",
      title: t("dimension.domain"),
      cell: (row) => html`<a href=${to("/", { domain: row.name })}>${row.name}</a>`,
    },
    { key: "created_at", title: t("domains.since"), cell: (row) => day(Date.parse(row.created_at), zone) },
  ];
  return html`<${Setting} id="domains" requests=${[DOMAINS]} rows=${answer.value?.data}>
    <${Answered} answer=${answer}>${({ data, next_cursor: more }) => html`
      ${data.length ? html`<${Table} columns=${columns} rows=${data} caption=${t("settings.domains")} most=${50} />` : html`<p>${t("domains.empty")}</p>`}
      ${more && html`<p class="soft">${t("domains.more")}</p>`}`}</${Answered}>
  </${Setting}>`;
}

function Add({ added }) {
  const { busy, error, write } = useWrite();
  const send = async (data, form) => {
    const answer = await write({ method: "POST", path: IPS.path, body: { ips: names(data.get("ips")) } });
    if (!answer) return;
    form.reset();
    added(answer.data.map(({ ip }) => ip));
  };
  return html`<${Form} send=${send} action=${t("ips.add")} busy=${busy} error=${error} fields=${["ips"]}>
    <${Line} form="ips" name="ips" label=${t("ips.field")} hint=${t("ips.hint")} error=${error} required /></${Form}>`;
}

/** What the blocklists say of an IP. */
function standing({ checked_at: at, listed_in: lists }, zone) {
  if (!at) return t("ips.unchecked");
  const when = ago(Date.parse(at), zone);
  return lists.length
    ? html`<span class="alarm">${t("ips.listed", { lists: lists.join(", ") })}</span>, ${when}`
    : `${t("ips.clean")}, ${when}`;
}

/** IPs that the workspace sends from. */
export function SendingIps({ rights, zone, again }) {
  const answer = useAnswer(IPS);
  const [ending, setEnding] = useState(null);
  const [said, say] = useState(null);
  const added = (ips) => {
    say({ text: t("ips.added", { ips: ips.join(", ") }) });
    again();
  };
  const removed = () => {
    say({ text: t("ips.removed", { ip: ending.ip }) });
    again();
  };
  const row = (one) => html`<${Row} key=${one.ip} name=${one.ip} notes=${[standing(one, zone)]}
    acts=${rights.tracks && html`<${Act} what=${t("ips.remove")} name=${one.ip} act=${() => setEnding(one)} />`} />`;
  return html`<${Setting} id="sending-ips" requests=${[IPS]} rows=${answer.value?.data.map(({ listed_in: lists, ...row }) => ({ ...row, listed_in: lists.join(" ") }))} said=${said}>
    <${Answered} answer=${answer}>${({ data }) => (data.length ? html`<ul class="list rowed">${data.map(row)}</ul>` : html`<p>${t("ips.empty")}</p>`)}</${Answered}>
    ${rights.tracks && html`<${Unfold} title=${t("ips.new")}><${Add} added=${added} /></${Unfold}>`}
    ${
      ending &&
      html`<${Confirm} title=${t("ips.remove.ask", { ip: ending.ip })} what=${t("ips.remove.what")} action=${t("ips.remove")}
      request=${{ method: "DELETE", path: `${IPS.path}/${segment(ending.ip)}` }} close=${() => setEnding(null)} done=${removed} />`
    }
  </${Setting}>`;
}
