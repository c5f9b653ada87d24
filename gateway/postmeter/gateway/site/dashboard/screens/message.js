/** One message: what happened to it, in words, each event with its verdict and the reason for it. */

import { html } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { useAnswer } from "../answers.js";
import { useCampaigns } from "../model/campaigns.js";
import { KINDS, happened, reasonOf, verdictOf } from "../model/events.js";
import { mailboxName } from "../model/mailboxes.js";
import { get, segment } from "../model/requests.js";
import { exact, zoneName } from "../model/times.js";
import { Heading, useTitle } from "../parts/heading.js";
import { Panel } from "../parts/panel.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";

function Event({ event, zone }) {
  const verdict = verdictOf(event);
  const notes = [
    event.verdict_reason && reasonOf(event.verdict_reason),
    event.reason && t("event.reason", { reason: event.reason }),
    event.url && t("event.url", { url: event.url }),
    event.user_agent && t("event.agent", { agent: event.user_agent }),
    event.network && t("event.network", { network: event.network }),
    !event.counted && t("event.uncounted"),
    event.claimed_at && t("event.claimed", { at: exact(Date.parse(event.claimed_at), zone, true) }),
  ].filter(Boolean);
  return html`<li class=${event.verdict === "machine" || !event.counted ? "aside" : null}>
    <time datetime=${event.at}>${exact(Date.parse(event.at), zone, true)}</time>
    <div><p>${happened(event)}${
      verdict &&
      html` <span
      class=${KINDS[event.verdict]}>${verdict}</span>`
    }</p>
      ${notes.map((note) => html`<p class="soft" key=${note}>${note}</p>`)}</div></li>`;
}

function Facts({ message, named }) {
  const rows = [
    ["recipient_ref", message.recipient_ref],
    ["from_address", message.from_address],
    [
      "campaign",
      message.campaign && html`<a href=${to(`/campaigns/${segment(message.campaign)}`)}>${named(message.campaign)}</a>`,
    ],
    ["mailbox_provider", message.mailbox_provider && mailboxName(message.mailbox_provider)],
    ["provider", message.provider],
    ["template", message.template],
    ["tags", message.tags.join(", ")],
    ["to_hash", message.to_hash],
    ["provider_message_id", message.provider_message_id],
    ["id", message.id],
  ].filter(([, value]) => value);
  return html`<dl class="facts">${rows.map(
    ([name, value]) => html`<dt key=${name}>${t(`fact.${name}`)}</dt>
    <dd>${value}</dd>`,
  )}</dl>`;
}

function Told({ message, request, view }) {
  const subject = message.subject || t("message.no_subject");
  useTitle(subject);
  const { named } = useCampaigns();
  const zone = t("message.zone", { zone: zoneName(view.zone) });
  const events = message.events.map((event, place) => html`<${Event} key=${place} event=${event} zone=${view.zone} />`);
  return html`<${Heading} name=${subject} about=${`${t(`status.${message.status}`)} · ${zone}`} />
    <div class="desk">
      <div class="most"><${Panel} title=${t("message.life")} requests=${[request]} rows=${message.events} name="message">
        <ol class="life">
          <li><time datetime=${message.created_at}>${exact(Date.parse(message.created_at), view.zone, true)}</time>
            <p>${t("event.registered")}</p></li>
          ${events}
        </ol></${Panel}></div>
      <div class="rest"><${Panel} title=${t("message.facts")}>
        <${Facts} message=${message} named=${named} /></${Panel}></div>
    </div>`;
}

/** The screen. */
export default function Message({ view, id }) {
  const request = get(`/v1/messages/${segment(id)}/events`);
  return html`<${Answered} answer=${useAnswer(request)} lines=${24}>
    ${({ data }) => html`<${Told} message=${data} request=${request} view=${view} />`}</${Answered}>`;
}
