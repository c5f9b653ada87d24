/** Mailbox providers as they call themselves; the API has them in lower case, without blanks. */

import { METRICS } from "./measures.js";
import { query, viewed } from "./requests.js";
import { t } from "../texts.js";

const NAMES = {
  aol: "AOL",
  gmail: "Gmail",
  gmx: "GMX",
  google_workspace: "Google Workspace",
  icloud: "iCloud",
  mail_ru: "Mail.ru",
  microsoft_365: "Microsoft 365",
  ovh: "OVH",
  qq: "QQ",
  t_online: "T-Online",
  web_de: "WEB.DE",
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
