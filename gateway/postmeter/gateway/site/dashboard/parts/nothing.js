/** What stands on a screen where no mail was sent: in these days, or ever. */

import { html } from "../htm/standalone.module.js";
import { here } from "../address.js";
import { useCampaigns } from "../model/campaigns.js";
import { say, t } from "../texts.js";
import { Empty, Missing } from "./states.js";

/** The command that registers a first message. */
export const firstMessage = () => `curl -s ${location.origin}/v1/messages -H "Authorization: Bearer $KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{"from_address": "news@shop.example", "to": "reader@example.org", "campaign_id": "spring",
       "subject": "Half off", "html": "<a href=\\"https://shop.example/\\">Look</a>"}'`;

/** longer: the period that a click chooses. */
export function Nothing({ longer = "12m" }) {
  const { list, error } = useCampaigns();
  if (!list) return html`<${Missing} error=${error} />`;
  const link = html`<a href=${here({ period: longer, from: null, to: null })}>${t(`period.${longer}`)}</a>`;
  if (list.length)
    return html`<${Empty} title=${t("overview.quiet")}
    what=${say("overview.quiet.do", { year: link })} />`;
  return html`<${Empty} title=${t("overview.empty")} what=${t("overview.empty.do")} command=${firstMessage()} />`;
}
