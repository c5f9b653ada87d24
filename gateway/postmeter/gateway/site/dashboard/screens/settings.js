/** Settings: who, what, from where? One column, each setting with what it changes. */

import { html, useEffect } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { Account } from "../settings/account.js";
import { Domains, SendingIps } from "../settings/addresses.js";
import { Exports } from "../settings/exports.js";
import { Keys } from "../settings/keys.js";
import { rightsOf } from "../settings/rights.js";
import { Own } from "../settings/parts.js";
import { Sources } from "../settings/sources.js";
import { Users } from "../settings/users.js";
import { Verdicts } from "../settings/verdicts.js";
import { t } from "../texts.js";

/** The settings in their order, each with the right that it needs to be seen. */
const SETTINGS = [
  ["keys", Keys, "people"],
  ["sources", Sources, "tracks"],
  ["users", Users, "people"],
  ["verdicts", Verdicts, "reads"],
  ["domains", Domains, "reads"],
  ["sending-ips", SendingIps, "ips"],
  ["exports", Exports, "reads"],
  ["account", Account],
];

/** The screen. */
export default function Settings({ view, session }) {
  const rights = rightsOf(session);
  const shown = SETTINGS.filter(([, , right]) => !right || rights[right]);
  useEffect(() => document.getElementById(location.hash.slice(1))?.scrollIntoView(), []);
  return html`<div class="title"><div><h1>${t("screen.settings")}</h1>
      <p class="soft">${session.name ?? session.workspace}${shown.length < SETTINGS.length && ` · ${t("settings.others")}`}</p></div></div>
    <nav aria-label=${t("settings.contents")}><ul class="contents">${shown.map(([id]) => html`<li key=${id}><a href=${`#${id}`} data-leave>${t(`settings.${id}`)}</a></li>`)}
      <li><a href=${to("/settings/privacy")}>${t("screen.privacy")}</a></li></ul></nav>
    ${shown.map(([id, Part]) => html`<${Own} key=${id} Part=${Part} session=${session} rights=${rights} zone=${view.zone} />`)}`;
}
