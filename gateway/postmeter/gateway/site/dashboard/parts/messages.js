/** Messages page by page, as POST /v1/messages/search finds them. */

import { html, useEffect, useRef, useState } from "../htm/standalone.module.js";
import { to } from "../address.js";
import { ask } from "../api.js";
import { useCampaigns } from "../model/campaigns.js";
import { segment } from "../model/requests.js";
import { ago } from "../model/times.js";
import { has, t } from "../texts.js";
import { Failed, Loading } from "./states.js";
import { Table } from "./table.js";

/** Whose a list of messages is, by what was searched for: the search knows no machines, and the switch does not change it. */
export function foundBy(engagement, who) {
  const more = `list.${engagement}.${who}`;
  return `${t(`list.${engagement}.what`)}${has(more) ? ` ${t(more)}` : ""}`;
}

/** A page may be empty and others follow; so many are read before the person is asked whether to go on. */
const EMPTY_PAGES = 10;

/** The next messages of a search: from `cursor` on, until there are some. */
async function more(request, cursor, limit, signal) {
  let found = { data: [], next_cursor: cursor };
  for (let page = 0; page < EMPTY_PAGES; page++) {
    const body = { ...request.body, limit, ...(found.next_cursor && { cursor: found.next_cursor }) };
    found = await ask({ ...request, body }, signal);
    if (found.data.length || !found.next_cursor) break;
  }
  return found;
}

/** All messages of a search, up to so many. */
export async function allMessages(request, most) {
  const all = [];
  for (let cursor = null; all.length < most;) {
    const found = await more(request, cursor, 1000);
    all.push(...found.data);
    cursor = found.next_cursor;
    if (!cursor) break;
  }
  return all.slice(0, most);
}

/** The recipient as the sender calls it, or the beginning of its hash. */
function recipient(message) {
  const name = message.recipient_ref ?? `${message.to_hash.slice(0, 12)}…`;
  return html`<a href=${to(`/messages/${segment(message.id)}`)}>${name}</a>`;
}

function columns(zone, named) {
  const when = (moment) => (moment ? ago(Date.parse(moment), zone) : "");
  return [
    { key: "recipient", title: t("message.recipient"), cell: recipient },
    { key: "subject", title: t("message.subject"), minor: true, text: true },
    {
      key: "campaign",
      title: t("dimension.campaign"),
      minor: true,
      text: true,
      cell: (row) => (row.campaign ? named(row.campaign) : ""),
    },
    { key: "status", title: t("message.status"), cell: (row) => t(`status.${row.status}`) },
    { key: "sent_at", title: t("message.sent"), minor: true, cell: (row) => when(row.sent_at) },
    { key: "first_opened_at", title: t("message.opened"), cell: (row) => when(row.first_opened_at) },
    { key: "first_clicked_at", title: t("message.clicked"), minor: true, cell: (row) => when(row.first_clicked_at) },
  ];
}

/** request: a search without limit and cursor. most: messages of a page. without: columns that say nothing here. */
export function Messages({ request, view, most = 20, without = [] }) {
  const { named } = useCampaigns();
  const [state, setState] = useState({ rows: [], cursor: null, loading: true, error: null });
  const key = JSON.stringify(request);
  const current = useRef(null);
  const read = (cursor, rows) => {
    const { signal } = current.current;
    setState((now) => ({ ...now, loading: true, error: null }));
    return more(request, cursor, most, signal).then(
      (found) =>
        signal.aborted ||
        setState({ rows: [...rows, ...found.data], cursor: found.next_cursor, loading: false, error: null }),
      (error) => signal.aborted || setState((now) => ({ ...now, loading: false, error })),
    );
  };
  useEffect(() => {
    // Whatever was asked before this search, its further pages too, is not wanted any more.
    current.current = new AbortController();
    setState({ rows: [], cursor: null, loading: true, error: null });
    read(null, []);
    return () => current.current.abort();
  }, [key]);
  const { rows, cursor, loading, error } = state;
  const shown = columns(view.zone, named).filter((column) => !without.includes(column.key));
  return html`
    ${rows.length > 0 && html`<${Table} columns=${shown} rows=${rows} caption=${t("message.list")} most=${10_000} />`}
    ${error && html`<${Failed} error=${error} again=${() => read(cursor, rows)} />`}
    ${loading && html`<${Loading} lines=${rows.length ? 1 : 4} />`}
    ${
      !loading &&
      !error &&
      rows.length === 0 &&
      html`<p
      class="soft">${t(cursor ? "message.none_yet" : "message.none")}</p>`
    }
    ${!loading && cursor && html`<button onClick=${() => read(cursor, rows)}>${t("message.more")}</button>`}`;
}
