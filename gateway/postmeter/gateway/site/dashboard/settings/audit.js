/** The audit log: who changed, erased and exported what, the latest first. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { get, segment } from "../model/requests.js";
import { exact } from "../model/times.js";
import { Answered } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { has, t } from "../texts.js";
import { Setting } from "./parts.js";

const PAGE = 20;

const worded = (key, text) => (has(key) ? t(key) : text);
const told = (details) => (Object.keys(details).length ? JSON.stringify(details) : "");

/** The setting. */
export function AuditLog({ zone }) {
  const [cursor, setCursor] = useState(null);
  const request = get(`/v1/audit?limit=${PAGE}${cursor ? `&cursor=${segment(cursor)}` : ""}`);
  const answer = useAnswer(request);
  const columns = [
    { key: "at", title: t("audit.at"), cell: (row) => exact(Date.parse(row.at), zone) },
    { key: "action", title: t("audit.what"), cell: (row) => worded(`audit.${row.action}`, row.action) },
    { key: "actor", title: t("audit.who"), text: true, cell: (row) => worded(`audit.${row.actor}`, row.actor) },
    { key: "target", title: t("audit.target"), text: true, minor: true },
    { key: "details", title: t("audit.details"), text: true, minor: true, cell: (row) => told(row.details) },
  ];
  const rows = answer.value?.data.map((row) => ({ ...row, details: told(row.details) }));
  return html`<${Setting} id="audit" requests=${[request]} rows=${rows}>
    <${Answered} answer=${answer} lines=${12}>${({ data, next_cursor: next }) => html`
      <${Table} columns=${columns} rows=${data} caption=${t("settings.audit")} none=${t("audit.empty")} />
      <div class="choices">${cursor && html`<button onClick=${() => setCursor(null)}>${t("audit.latest")}</button>`}
        ${next && html`<button onClick=${() => setCursor(next)}>${t("audit.older")}</button>`}</div>`}</${Answered}>
  </${Setting}>`;
}
