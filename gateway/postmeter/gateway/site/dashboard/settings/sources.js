/** Webhook sources: where email providers send their events, what they brought last, and what could not be taken. */

import { html, useState } from "../htm/standalone.module.js";
import { go, here, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { count } from "../model/numbers.js";
import { get, segment } from "../model/requests.js";
import { ago } from "../model/times.js";
import { Command } from "../parts/command.js";
import { Dialog } from "../parts/dialog.js";
import { Answered } from "../parts/states.js";
import { Table } from "../parts/table.js";
import { t } from "../texts.js";
import { Act, Choice, Confirm, Field, Form, Line, Row, Secret, Setting, Unfold, names, useWrite } from "./parts.js";

const FIELDS = ["provider", "name", "secret", "options", "engagement", "rotate_secret"];
const ALL = get("/v1/sources");
/** Providers as they write themselves. */
const PROVIDERS = {
  ses: "Amazon SES",
  sendgrid: "SendGrid",
  mailgun: "Mailgun",
  postmark: "Postmark",
  sparkpost: "SparkPost",
  resend: "Resend",
  mandrill: "Mandrill",
  brevo: "Brevo",
  mailjet: "Mailjet",
  mailersend: "MailerSend",
  mailtrap: "Mailtrap",
  postal: "Postal",
};
const ENGAGEMENT = ["own", "provider"];
const MOST = 10;
const one = (source) => `${ALL.path}/${segment(source.id)}`;
const sourceName = (source) => [PROVIDERS[source.provider] ?? source.provider, source.name].filter(Boolean).join(" · ");

/** The fields that a new source and a changed one have in common. topics: those of SES, where it has some. */
function Common({ form, error, name = "", engagement, setEngagement, topics }) {
  return html`<${Line} form=${form} name="name" label=${t("sources.name")} hint=${t("sources.name.hint")} error=${error} defaultValue=${name} maxlength="200" />
    ${topics !== undefined && html`<${Line} form=${form} name="options" label=${t("sources.topics")} hint=${t("sources.topics.hint")} error=${error} defaultValue=${topics} />`}
    <${Line} form=${form} name="secret" label=${t("sources.secret")} hint=${t("sources.secret.hint")} error=${error} type="password" autocomplete="off" />
    <${Choice} form=${form} name="engagement" label=${t("sources.engagement")} hint=${t(`sources.engagement.${engagement}.hint`)} error=${error} value=${engagement}
      options=${ENGAGEMENT.map((value) => [value, t(`sources.engagement.${value}`)])} onChange=${(event) => setEngagement(event.target.value)} />`;
}

const optionsOf = (data) => (data.get("options")?.trim() ? { topics: names(data.get("options")).join(",") } : {});

function New({ made }) {
  const { busy, error, write } = useWrite();
  const [provider, setProvider] = useState("postmark");
  const [engagement, setEngagement] = useState(ENGAGEMENT[0]);
  const send = async (data, form) => {
    const body = { provider, name: data.get("name").trim(), engagement, options: optionsOf(data) };
    if (data.get("secret")) body.secret = data.get("secret");
    const answer = await write({ method: "POST", path: ALL.path, body });
    if (!answer) return;
    form.reset();
    made(answer.data);
  };
  return html`<${Form} send=${send} action=${t("sources.make")} busy=${busy} error=${error} fields=${FIELDS}>
    <${Choice} form="sources" name="provider" label=${t("dimension.provider")} error=${error} value=${provider}
      options=${Object.entries(PROVIDERS)} onChange=${(event) => setProvider(event.target.value)} />
    <${Common} form="sources" error=${error} engagement=${engagement} setEngagement=${setEngagement} topics=${provider === "ses" ? "" : undefined} />
  </${Form}>`;
}

function Change({ source, close, done }) {
  const { busy, error, write } = useWrite();
  const [engagement, setEngagement] = useState(source.engagement);
  const send = async (data) => {
    const body = { name: data.get("name").trim(), engagement };
    if (data.get("options") !== null) body.options = optionsOf(data);
    if (data.get("secret")) body.secret = data.get("secret");
    if (data.get("rotate_secret")) body.rotate_secret = true;
    const answer = await write({ method: "PATCH", path: one(source), body });
    if (!answer) return;
    close();
    done(answer.data);
  };
  const topics = source.provider === "ses" ? (source.options.topics ?? "") : undefined;
  return html`<${Dialog} title=${t("sources.change.of", { name: sourceName(source) })} close=${close}>
    <${Form} send=${send} action=${t("settings.save")} busy=${busy} error=${error} fields=${FIELDS}>
      <${Common} form="source" error=${error} name=${source.name} engagement=${engagement} setEngagement=${setEngagement} topics=${topics} />
      <${Field} form="source" name="rotate_secret" label=${t("sources.rotate")} hint=${t("sources.rotate.hint")} error=${error}>
        ${(attributes) => html`<input type="checkbox" value="1" ...${attributes} />`}</${Field}>
    </${Form}></${Dialog}>`;
}

function Moments({ title, rows, columns, none }) {
  return html`<h4>${title}</h4>
    ${rows.length ? html`<${Table} columns=${columns} rows=${rows} caption=${title} most=${MOST} />` : html`<p class="soft">${none}</p>`}`;
}

/** What a source brought last, and what was not taken. */
function Detail({ source, zone }) {
  const request = get(one(source));
  const answer = useAnswer(request);
  const at = { key: "at", title: t("sources.at"), cell: (row) => ago(Date.parse(row.at), zone) };
  const events = [
    at,
    { key: "events", title: t("sources.events"), numeric: true, cell: (row) => count(row.events) },
    {
      key: "not_understood",
      title: t("sources.not_understood"),
      numeric: true,
      cell: (row) => count(row.not_understood),
    },
  ];
  const failures = [
    at,
    {
      key: "reason",
      title: t("sources.reason"),
      text: true,
      cell: (row) => html`${row.reason}${row.item && html`<code class="item">${row.item}</code>`}`,
    },
  ];
  return html`<div class="detail"><p class="soft note">${t("sources.url")}</p><${Command} text=${source.url} label=${t("sources.url")} />
    <${Answered} answer=${answer}>${({ data }) => html`
      <${Moments} title=${t("sources.deliveries")} rows=${data.deliveries} columns=${events} none=${t("sources.silent")} />
      <${Moments} title=${t("sources.refused")} rows=${data.refused} columns=${failures} none=${t("sources.none")} />
      <${Moments} title=${t("sources.unread")} rows=${data.not_understood} columns=${failures} none=${t("sources.none")} />`}</${Answered}></div>`;
}

function Source({ source, zone, isOpen, act }) {
  const { last_delivery: last, last_error: error } = source;
  const name = sourceName(source);
  const brought = last
    ? t("sources.last", {
        ago: ago(Date.parse(last.at), zone),
        events: t("sources.count", { n: last.events, count: count(last.events) }),
      })
    : t("sources.silent");
  const button = (what) =>
    html`<${Act} what=${t(`sources.${what}`)} name=${name} act=${() => act({ what, source })} />`;
  const unfold = html`<button class="plain" aria-expanded=${String(isOpen)} aria-label=${t("settings.of", { what: t("sources.detail"), name })}
    onClick=${() => go(here({ source: isOpen ? null : source.id }))}>${t("sources.detail")}</button>`;
  return html`<${Row} name=${name} acts=${html`${unfold}${button("change")}${button("revoke")}`}
    notes=${[`${brought} · ${t(`sources.engagement.${source.engagement}`)}`, error && html`<span class="alarm">${t("sources.error", { ago: ago(Date.parse(error.at), zone), reason: error.reason })}</span>`]}>
    ${isOpen && html`<${Detail} source=${source} zone=${zone} />`}</${Row}>`;
}

function Made({ source, close }) {
  const parts = [
    [t("sources.url"), source.url],
    source.secret && [t("sources.secret"), source.secret],
    source.paste && [t("sources.paste"), source.paste],
  ].filter(Boolean);
  const what = source.secret_missing ? "sources.missing" : source.secret ? "secret.once" : "sources.made";
  return html`<${Secret} title=${sourceName(source)} what=${t(what)} parts=${parts} close=${close} />`;
}

/** The setting. */
export function Sources({ zone, again }) {
  const [, params] = useAddress();
  const answer = useAnswer(ALL);
  const [made, setMade] = useState(null);
  const [acting, setActing] = useState(null);
  const [said, say] = useState(null);
  const { what, source } = acting ?? {};
  const shown = (told) => {
    setMade(told);
    again();
  };
  const changed = (told) => {
    if (told.secret || told.secret_missing) setMade(told);
    else say({ text: t("sources.changed", { name: sourceName(told) }) });
    again();
  };
  const revoked = () => {
    if (made?.id === source.id) setMade(null);
    say({ text: t("sources.revoked", { name: sourceName(source) }) });
    again();
  };
  const close = () => setActing(null);
  return html`<${Setting} id="sources" requests=${[ALL]} rows=${answer.value?.data.map(({ last_delivery: last, last_error: error, options, ...row }) => ({ ...row, last_delivery: last?.at, last_error: error?.reason }))} said=${said}>
    ${made && html`<${Made} source=${made} close=${() => setMade(null)} />`}
    <${Answered} answer=${answer}>${({ data }) =>
      data.length
        ? html`<ul class="list rowed">${data.map((row) => html`<${Source} key=${row.id} source=${row} zone=${zone} isOpen=${params.get("source") === row.id} act=${setActing} />`)}</ul>`
        : html`<p>${t("sources.empty")}</p>`}</${Answered}>
    <${Unfold} title=${t("sources.new")}><${New} made=${shown} /></${Unfold}>
    ${what === "change" && html`<${Change} source=${source} close=${close} done=${changed} />`}
    ${
      what === "revoke" &&
      html`<${Confirm} title=${t("sources.revoke.ask", { name: sourceName(source) })} what=${t("sources.revoke.what")} action=${t("sources.revoke")}
      request=${{ method: "DELETE", path: one(source) }} close=${close} done=${revoked} />`
    }
  </${Setting}>`;
}
