/** What may be seen of mail and why, so that no rate is misread (docs/privacy.md). */

import { html } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { useAnswer } from "../answers.js";
import { count, rate } from "../model/numbers.js";
import { get } from "../model/requests.js";
import { SEEN, isAnonymous, isHidden, isWithin } from "../model/seen.js";
import { rightsOf } from "../settings/rights.js";
import { t } from "../texts.js";
import { Panel } from "./panel.js";

/** Domains with levels of their own that are shown. */
const DOMAINS = 20;
const PRIVACY = get("/v1/privacy");

function Ceilings({ told }) {
  const { domains, unknown, denied } = told;
  const rows = [
    [t("seen.workspace"), told],
    ...Object.entries(domains).slice(0, DOMAINS),
    [t("seen.unknown"), unknown],
    [t("seen.denied"), denied],
  ];
  const levels = ({ opens, clicks }) =>
    t("seen.levels", { opens: t(`level.${opens}`), clicks: t(`level.${clicks}`) });
  return html`<dl class="facts">${rows.map(([name, one]) => html`<dt key=${name}>${name}</dt><dd>${levels(one)}</dd>`)}</dl>
    <p class="soft note">${t("seen.why")} <a href=${to("/settings/privacy")}>${t("screen.privacy")}</a></p>`;
}

/** Which opens cannot be seen, in words. */
function inWords(counts, said) {
  if (!counts.trackable) return t("seen.none", said);
  const share = isWithin(counts) && t("seen.rate", { rate: rate(counts.unique_opens, counts.trackable) });
  return html`${t("seen.opens", said)} ${share}`;
}

/** Beside open rates, where these do not hold all: counts is a row of SEEN. name: whose it is, where that is not plain. */
export function Hidden({ counts, name }) {
  if (!isAnonymous(counts) && !isHidden(counts)) return null;
  const said = Object.fromEntries(SEEN.map((one) => [one, count(counts[one])]));
  return html`<div class="seen" role="note">
    ${name && html`<p><b>${name}</b></p>`}
    ${isHidden(counts) && html`<p>${inWords(counts, said)}</p>`}
    ${isAnonymous(counts) && html`<p>${t("seen.anonymous", said)}</p>`}</div>`;
}

/** The same in short, beside one rate of many: `40 % can be seen`. */
export function HiddenPart({ counts }) {
  if (!isHidden(counts)) return null;
  return html`<div class="soft">${t("seen.part", { rate: rate(counts.trackable, counts.delivered) })}</div>`;
}

/** Why that is so, for whoever may know. */
export function Seen({ counts, request, session }) {
  const { privacy } = rightsOf(session);
  const answer = useAnswer(privacy ? PRIVACY : null);
  if (!Hidden({ counts })) return null;
  return html`<${Panel} title=${t("seen.title")} requests=${privacy ? [request, PRIVACY] : [request]}>
    ${privacy ? answer.value && html`<${Ceilings} told=${answer.value} />` : html`<p>${t("seen.admins")}</p>`}</${Panel}>`;
}
