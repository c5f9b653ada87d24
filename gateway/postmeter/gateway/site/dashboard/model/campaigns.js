/** The workspace's campaigns, all of them, kept for a minute: their names stand beside numbers everywhere. */

import { useContext, useEffect, useState } from "../htm/standalone.module.js";
import { Round } from "../answers.js";
import { ask } from "../api.js";
import { leave } from "../signing_in.js";
import { get } from "./requests.js";

const PAGE = 1000;
/** Beyond so many pages a list is no longer what a person looks through. */
const PAGES = 10;
const KEPT = 60_000;

let last = { at: 0, list: null };
/** What all who ask at once wait for. */
let coming = null;

async function all() {
  if (Date.now() - last.at < KEPT) return last.list;
  coming ??= read().finally(() => {
    coming = null;
  });
  return coming;
}

async function read() {
  const found = [];
  let cursor = null;
  for (let page = 0; page < PAGES; page++) {
    const more = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const answer = await ask(get(`/v1/campaigns?limit=${PAGE}${more}`));
    found.push(...answer.data);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  last = { at: Date.now(), list: found };
  return found;
}

/**
 * All campaigns, asked for again at each round: names come while one looks, and after an error.
 * @returns {{list: object[] | null, named: (id: string) => string, error: Failure | null}} named: a campaign's name, or
 *   its id where it has none. error: why there is no list
 */
export function useCampaigns() {
  const round = useContext(Round);
  const [state, setState] = useState({ list: last.list, error: null });
  useEffect(() => {
    let gone = false;
    all().then(
      (list) => gone || setState({ list, error: null }),
      (error) => {
        if (error.status === 401) leave();
        if (!gone) setState(({ list }) => ({ list, error: list ? null : error }));
      },
    );
    return () => {
      gone = true;
    };
  }, [round]);
  const names = new Map((state.list ?? []).map(({ id, name }) => [id, name]));
  return { ...state, named: (id) => names.get(id) ?? id };
}

/** Campaigns, the latest first. */
export const latestFirst = (list) => [...list].sort((a, b) => (b.sent_at ?? "").localeCompare(a.sent_at ?? ""));

/** The campaigns that were sent before one, the latest first. */
export function predecessors(list, campaign, most) {
  const earlier = list.filter((one) => one.id !== campaign.id && one.sent_at && one.sent_at < campaign.sent_at);
  return latestFirst(earlier).slice(0, most);
}

/**
 * The campaigns that were sent in each bucket of a curve, the earliest first: of those that sent some of what is looked at.
 * What is sent for ever, such as a welcome, belongs to no bucket, nor does what was sent before the period.
 * @param {{timestamp: string}[]} rows
 * @param {number} begin when the period begins, in milliseconds since 1970: the first bucket may begin before it
 * @param {object[]} counts by campaign, of the same mail
 * @param {object[] | null} list all campaigns
 */
export function sendings(rows, begin, counts, list) {
  const starts = rows.map(({ timestamp }) => Math.max(Date.parse(timestamp), begin));
  const sent = new Set(counts.filter((row) => row.sent > 0).map((row) => row.campaign));
  const found = rows.map(() => []);
  const campaigns = (list ?? []).filter(({ id, sent_at: at, status }) => at && status !== "running" && sent.has(id));
  for (const one of campaigns.sort((a, b) => a.sent_at.localeCompare(b.sent_at))) {
    const at = Date.parse(one.sent_at);
    found[starts.findLastIndex((start) => start <= at)]?.push(one);
  }
  return found;
}
