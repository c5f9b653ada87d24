/** The addresses that mail is sent from, and the blocklists that have them. */

import { html } from "../htm/standalone.module.js";
import { count } from "../model/numbers.js";
import { ago } from "../model/times.js";
import { t } from "../texts.js";
import { Panel } from "./panel.js";
import { Empty } from "./states.js";
import { Table } from "./table.js";

function Listed({ ip }) {
  if (ip.listed_in.length) return html`<span class="alarm">${ip.listed_in.join(", ")}</span>`;
  return t(ip.last_check ? "deliverability.unlisted" : "deliverability.unchecked");
}

function Summary({ status }) {
  const values = { n: status.ips_checked, count: count(status.ips_checked) };
  if (status.any_ip_blacklisted) return html`<p class="alarm">${t("deliverability.some_listed")}</p>`;
  return html`<p>${t(status.ips_checked ? "deliverability.none_listed" : "deliverability.none_checked", values)}</p>`;
}

/** report: the deliverability report. */
export function Blocklists({ report, request, view, session }) {
  const { blacklist_status: status, sending_ips: ips } = report;
  const title = t("deliverability.lists");
  const columns = [
    { key: "ip", title: t("deliverability.ip") },
    { key: "listed_in", title: t("deliverability.listed"), text: true, cell: (ip) => html`<${Listed} ip=${ip} />` },
    {
      key: "last_check",
      title: t("deliverability.checked"),
      numeric: true,
      minor: true,
      cell: (ip) => (ip.last_check ? ago(Date.parse(ip.last_check), view.zone) : ""),
    },
  ];
  const command = `postmeter sending-ip add --workspace ${session.workspace} ADDRESS`;
  const file = ips.map((ip) => ({ ...ip, listed_in: ip.listed_in.join(" ") }));
  return html`<${Panel} title=${title} note=${t("deliverability.lists.what")} requests=${[request]}
      rows=${file} name="blocklists">
    ${
      ips.length || status.ips_checked
        ? html`<${Summary} status=${status} />`
        : html`<${Empty} title=${t("deliverability.no_ips")} what=${t("deliverability.no_ips.do")}
          command=${command} />`
    }
    ${ips.length > 0 && html`<${Table} columns=${columns} rows=${ips} caption=${title} />`}
  </${Panel}>`;
}
