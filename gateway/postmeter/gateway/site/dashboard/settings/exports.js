/** Exports: order one, see how far it is, fetch its file. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { short } from "../model/numbers.js";
import { get, segment } from "../model/requests.js";
import { ago, exact } from "../model/times.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";
import { Choice, Form, Line, Row, Setting, Unfold, useProgress, useWrite } from "./parts.js";

const ALL = get("/v1/exports");
const FIELDS = ["export_type", "format", "time_range", "start_date", "end_date"];
const TYPES = ["messages", "events", "campaign_performance", "overview", "deliverability", "engagement_heatmap"];
const FORMATS = { csv: "CSV", json: "JSON", xlsx: "Excel (xlsx)", parquet: "Parquet" };
const RANGES = ["7d", "30d", "90d", "custom"];

/** Those that the server makes, as far as it has said so; Parquet is an extra. */
const offered = (formats) =>
  Object.entries(FORMATS).filter(([name]) => formats?.includes(name) ?? name !== "parquet");

function Order({ session, formats, ordered }) {
  const { busy, error, write } = useWrite();
  const [type, setType] = useState(TYPES[0]);
  const [format, setFormat] = useState("csv");
  const [range, setRange] = useState("30d");
  const send = async (data) => {
    const body = { export_type: type, format, time_range: range };
    if (range === "custom") Object.assign(body, { start_date: data.get("start_date"), end_date: data.get("end_date") });
    const path = `/api/v1/workspaces/${segment(session.workspace)}/analytics/export`;
    if (await write({ method: "POST", path, body })) ordered(type);
  };
  const choice = (
    name,
    value,
    set,
    options,
  ) => html`<${Choice} form="exports" name=${name} label=${t(`exports.${name}`)} error=${error} value=${value}
    hint=${name === "export_type" ? t(`exports.${value}.what`) : null} options=${options} onChange=${(event) => set(event.target.value)} />`;
  return html`<${Form} send=${send} action=${t("exports.order")} busy=${busy} error=${error} fields=${FIELDS}>
    ${choice(
      "export_type",
      type,
      setType,
      TYPES.map((one) => [one, t(`exports.${one}`)]),
    )}
    ${choice("format", format, setFormat, offered(formats))}
    ${choice(
      "time_range",
      range,
      setRange,
      RANGES.map((one) => [one, t(`period.${one}`)]),
    )}
    ${
      range === "custom" &&
      html`<${Line} form="exports" name="start_date" label=${t("control.from")} error=${error} type="date" required />
      <${Line} form="exports" name="end_date" label=${t("control.to")} error=${error} type="date" required />`
    }
  </${Form}>`;
}

/** Bytes in words: `1.2 MB`. */
function size(bytes) {
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  let at = 0;
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1000;
  return `${short(value)} ${units[at]}`;
}

const isLink = (text) => URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol);

function Standing({ row, zone }) {
  if (row.status === "processing")
    return html`${t("exports.processing", { progress: row.progress })} <progress max="100" value=${row.progress} aria-label=${t("exports.progress")}></progress>`;
  if (row.status === "failed")
    return html`<span class="alarm">${t("exports.failed")}</span> <span lang="en">${row.error}</span>`;
  if (row.status === "expired" || !isLink(row.download_url ?? ""))
    return html`<span class="soft">${t("exports.expired")}</span>`;
  const until = t("exports.until", { at: exact(Date.parse(row.expires_at), zone) });
  return html`<a href=${row.download_url} download data-leave>${t("exports.download", { size: size(row.file_size_bytes) })}</a> <span class="soft">${until}</span>`;
}

/** The setting. */
export function Exports({ session, zone, again }) {
  const answer = useAnswer(ALL);
  const [said, say] = useState(null);
  useProgress(answer.value?.data.some(({ status }) => status === "processing"), answer, again);
  const ordered = (type) => {
    say({ text: t("exports.ordered", { what: t(`exports.${type}`) }) });
    again();
  };
  const row = (
    one,
  ) => html`<${Row} key=${one.export_id} name=${`${t(`exports.${one.export_type}`)} · ${FORMATS[one.format] ?? one.format}`}
    notes=${[html`${t("exports.ordered_at", { ago: ago(Date.parse(one.created_at), zone) })} · <${Standing} row=${one} zone=${zone} />`]} />`;
  return html`<${Setting} id="exports" requests=${[ALL]} rows=${answer.value?.data.map(({ download_url, ...row }) => row)} said=${said}>
    <${Answered} answer=${answer}>${({ data }) => (data.length ? html`<ul class="list rowed">${data.map(row)}</ul>` : html`<p>${t("exports.empty")}</p>`)}</${Answered}>
    <${Unfold} title=${t("exports.new")}><${Order} session=${session} formats=${answer.value?.formats} ordered=${ordered} /></${Unfold}>
  </${Setting}>`;
}
