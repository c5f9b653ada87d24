/** Mailbox providers as they call themselves; the API has them in lower case, without blanks. */

import { METRICS } from "./measures.js";
import { query, viewed } from "./requests.js";
import { t } from "../texts.js";

const NAMES = {
  aol: "AOL",
  att: "AT&T",
  bt: "BT",
  centurylink: "CenturyLink",
  gmail: "Gmail",
  gmx: "GMX",
  google_workspace: "Google Workspace",
  icloud: "iCloud",
  laposte: "La Poste",
  mail_com: "mail.com",
  mail_ru: "Mail.ru",
  mailbox_org: "mailbox.org",
  microsoft_365: "Microsoft 365",
  netease: "NetEase",
  ovh: "OVH",
  qq: "QQ",
  sfr: "SFR",
  softbank: "SoftBank",
  t_online: "T-Online",
  talktalk: "TalkTalk",
  telus: "TELUS",
  tim: "TIM",
  uol: "UOL",
  virgin_media: "Virgin Media",
  web_de: "WEB.DE",
  wp: "WP",
  yahoo_japan: "Yahoo Japan",
};

/** A provider's name; of one that is not known, that it is so. */
export function mailboxName(provider) {
  if (!provider) return t("value.unknown");
  const words = provider.replaceAll("_", " ");
  return NAMES[provider] ?? words[0].toUpperCase() + words.slice(1);
}

/** The query of what is looked at, of one provider alone. */
export const ofProvider = (view, provider) =>
  query(viewed(view, { metrics: METRICS, filters: { mailbox_provider: [provider] } }));
