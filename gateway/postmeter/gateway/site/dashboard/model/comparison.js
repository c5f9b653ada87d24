/** Campaigns side by side: what is compared, and how sure a difference is, in words. */

import { latestFirst } from "./campaigns.js";
import { count } from "./numbers.js";
import { query, segment } from "./requests.js";
import { SEEN, isHidden } from "./seen.js";
import { QUANTILE } from "./sureness.js";

export const LEAST = 2;
export const MOST = 5;
/** What is compared, in the order in which it is shown. Delivered is left out: bounced says the same from 0 on. */
export const RATES = [
  "open_rate",
  "click_rate",
  "click_to_open_rate",
  "reply_rate",
  "unsubscribe_rate",
  "bounce_rate",
  "spam_rate",
];
/** Milliseconds in which most of a campaign's opens come. */
const YOUNG = 3 * 86_400_000;
/** Milliseconds that a campaign is old before it is proposed. */
const SETTLED = 86_400_000;
const PROPOSED = 3;

const since = (campaign) => campaign.sent_at ?? campaign.created_at;
const firstDay = (campaigns) => campaigns.map(since).filter(Boolean).sort()[0]?.slice(0, 10);

/** Campaigns for a first look: the last ones that were sent whole and have had a day. */
export function proposed(list, now = Date.now()) {
  const sent = latestFirst(list.filter((one) => one.sent_at));
  const settled = sent.filter((one) => one.status === "sent" && now - Date.parse(one.sent_at) > SETTLED);
  return (settled.length >= LEAST ? settled : sent).slice(0, PROPOSED).map(({ id }) => id);
}

/** Those of the campaigns whose opens still come. */
export function young(campaigns, now = Date.now()) {
  return campaigns.filter((one) => one.status !== "running" && one.sent_at && now - Date.parse(one.sent_at) < YOUNG);
}

/** The request: each campaign's whole life, from the day on which the first of them was sent. */
export function compared(workspace, ids, campaigns) {
  const first = firstDay(campaigns);
  const window = first ? { time_range: "custom", start_date: first } : { time_range: "90d" };
  const body = { campaign_ids: ids, metrics: RATES, ...window };
  return { method: "POST", path: `/api/v1/workspaces/${segment(workspace)}/analytics/compare`, body };
}

/** What can be seen of them in that time. */
export const seenOfThem = (ids, campaigns) =>
  query({ metrics: SEEN, dimensions: ["campaign"], filters: { campaign: ids }, from: firstDay(campaigns) });

/** Whether their opens can be seen to different parts, so that their open rates do not tell which was opened more. */
export function areUnlike(rows) {
  const parts = rows.map((row) => (isHidden(row) ? Math.round((row.trackable / row.delivered) * 100) : 100));
  return new Set(parts).size > 1;
}

/**
 * How sure it is that the first is ahead of all others: a text below `compare.sure.` and its values.
 * @param {{p_value: number | null, is_significant: boolean}} test
 * @param {{successes: number, trials: number}[]} counts
 */
export function sureness({ p_value: p, is_significant: sure }, counts) {
  if (counts.every(({ successes }) => successes === 0)) return { kind: "none", values: {} };
  if (p === null) return { kind: "alone", values: {} };
  const [{ successes, trials }] = counts;
  if (counts.every((one) => one.successes * trials === successes * one.trials)) return { kind: "equal", values: {} };
  if (p < 0.001) return { kind: "very", values: { n: count(1000) } };
  if (p > 0.4) return { kind: "alike", values: { n: count(Math.round(p * 10)) } };
  return { kind: sure ? "sure" : "unsure", values: { n: count(Math.round(1 / p)) } };
}


/**
 * The ends of a rate's interval in percent, as the report reckons them (Wilson, 95 %), but not rounded yet; null without
 * trials. More successes than trials are as many: docs/semantics.md.
 * @param {{successes: number, trials: number}} counts
 */
export function between({ successes, trials }) {
  if (!trials) return null;
  const rate = Math.min(successes, trials) / trials;
  const squared = QUANTILE ** 2;
  const middle = rate + squared / (2 * trials);
  const spread = QUANTILE * Math.sqrt((rate * (1 - rate)) / trials + squared / (4 * trials ** 2));
  const whole = 1 + squared / trials;
  return [Math.max((middle - spread) / whole, 0) * 100, Math.min((middle + spread) / whole, 1) * 100];
}
