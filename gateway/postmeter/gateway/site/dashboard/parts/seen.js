/** What may be seen of a campaign and why, so that no rate is misread (docs/privacy.md). */

import { html } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { useAnswer } from "../answers.js";
import { count, rate } from "../model/numbers.js";
import { get } from "../model/requests.js";
import { rightsOf } from "../settings/rights.js";
import { t } from "../texts.js";
import { Panel } from "./panel.js";

/** What POST /v1/query is asked for it. */
export const SEEN = ["unique_opens", "delivered", "opens", "clicks", "trackable", "anonymous_opens", "anonymous_clicks"];
/** Domains with levels of their own that are shown. */
const DOMAINS = 20;
const PRIVACY = get("/v1/privacy");

/** Of mail that was delivered before there were levels nothing says whether it could be seen: then more was opened than that. */
const isHidden = ({ trackable, delivered, unique_opens: opened }) => trackable < delivered && opened <= trackable;

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

/** Beside the open rate, where that does not hold all: counts is a row of SEEN. */
export function Hidden({ counts }) {
  const anonymous = counts.anonymous_opens + counts.anonymous_clicks > 0;
  if (!anonymous && !isHidden(counts)) return null;
  const said = Object.fromEntries(SEEN.map((name) => [name, count(counts[name])]));
  const opens = counts.trackable ? "seen.opens" : "seen.none";
  return html`<div class="seen" role="note">
    ${isHidden(counts) && html`<p>${t(opens, { ...said, rate: rate(counts.unique_opens, counts.trackable) })}</p>`}
    ${anonymous && html`<p>${t("seen.anonymous", said)}</p>`}</div>`;
}

/** Why that is so, for whoever may know. */
export function Seen({ counts, request, session }) {
  const { privacy } = rightsOf(session);
  const answer = useAnswer(privacy ? PRIVACY : null);
  if (!Hidden({ counts })) return null;
  return html`<${Panel} title=${t("seen.title")} requests=${privacy ? [request, PRIVACY] : [request]}>
    ${privacy ? answer.value && html`<${Ceilings} told=${answer.value} />` : html`<p>${t("seen.admins")}</p>`}</${Panel}>`;
}
