/** Privacy: what may be kept of readers, who decides, and what became of it. */

import { html } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { AuditLog } from "../settings/audit.js";
import { Erasures } from "../settings/erasures.js";
import { Levels } from "../settings/levels.js";
import { LevelDomains } from "../settings/level_domains.js";
import { Own } from "../settings/parts.js";
import { Recipient } from "../settings/recipient.js";
import { Retention } from "../settings/retention.js";
import { rightsOf } from "../settings/rights.js";
import { Trouble } from "../parts/states.js";
import { t } from "../texts.js";

const PARTS = [
  ["levels", Levels],
  ["level-domains", LevelDomains],
  ["retention", Retention],
  ["recipient", Recipient],
  ["erasures", Erasures],
  ["audit", AuditLog],
];

/** The screen. */
export default function Privacy({ view, session }) {
  const head = html`<div class="title"><div><h1>${t("screen.privacy")}</h1>
    <p class="soft">${t("privacy.lead")}</p></div></div>`;
  if (!rightsOf(session).privacy)
    return html`${head}<${Trouble} title=${t("privacy.admins")} what=${t(session.domains ? "privacy.admins.domains" : "privacy.admins.why")}><a
      href=${to("/settings")}>${t("screen.settings")}</a></${Trouble}>`;
  return html`${head}
    <nav aria-label=${t("settings.contents")}><ul class="contents">${PARTS.map(([id]) => html`<li key=${id}><a href=${`#${id}`} data-leave>${t(`settings.${id}`)}</a></li>`)}</ul></nav>
    ${PARTS.map(([id, Part]) => html`<${Own} key=${id} Part=${Part} zone=${view.zone} />`)}`;
}
