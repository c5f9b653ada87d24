/** What needs somebody: rates beyond the limits that mailbox providers hold senders to, and what fell away. */

import { to } from "../address.js";
import { rateOf } from "./measures.js";
import { count } from "./numbers.js";
import { isHidden } from "./seen.js";

/**
 * The limits of the health score (hard bounces, unsubscribes) and of Gmail and Yahoo (complaints), as fractions. Nobody
 * publishes one for soft bounces: one mail in twenty says that somebody turns mail away.
 */
const LIMITS = [
  { measure: "hard_bounced", metric: "hard_bounced", of: "sent", limit: 0.02 },
  { measure: "soft_bounced", metric: "soft_bounced", of: "sent", limit: 0.05 },
  { measure: "complained", metric: "complained", of: "delivered", limit: 0.001 },
  { measure: "unsubscribed", metric: "unique_unsubscribed", of: "delivered", limit: 0.01 },
];
/** Mail below which a rate says little, and how many make one: a single complaint may be anybody's. */
export const ENOUGH = 200;
const LEAST = 2;
/** Delivered messages below which a single complaint is beyond the line of 0.1 %. */
export const TELLING = 1000;
/** A fall in volume to less than this part. */
const FALL = 0.5;
const MOST = 6;

function beyond(counts, limit) {
  const [part, whole] = [counts[limit.metric], counts[limit.of]];
  return whole >= ENOUGH && part >= LEAST && part / whole >= limit.limit;
}

/** Whether a rate of complaints says little: of so little mail that one is beyond that line, with no more than that. */
export const saysLittle = ({ complained, delivered }) => delivered < TELLING && complained <= 1;

const words = (counts, { measure, of }) => ({ rate: rateOf(measure, counts), of: count(counts[of]) });

/**
 * Findings, the worst of their kind first: {text, values, address}; `text` is a text below `attention.`. Of counts of the
 * period, of the days before, and of the period by campaign and by mailbox provider.
 */
export function findings(now, before, campaigns, providers) {
  const found = [];
  for (const limit of LIMITS) {
    if (!beyond(now, limit)) continue;
    found.push({
      text: limit.measure,
      values: words(now, limit),
      address: to("/explore", { metric: [limit.metric, limit.of], by: "mailbox_provider" }),
    });
  }
  const groups = [
    ["campaign", campaigns],
    ["mailbox_provider", providers],
  ];
  for (const [dimension, rows] of groups) {
    for (const limit of LIMITS) {
      const worst = rows.filter((row) => row[dimension] && beyond(row, limit));
      worst.sort((a, b) => b[limit.metric] / b[limit.of] - a[limit.metric] / a[limit.of]);
      for (const row of worst.slice(0, 1)) {
        const address =
          dimension === "campaign"
            ? to(`/campaigns/${encodeURIComponent(row.campaign)}`)
            : to("/", { mailbox_provider: row.mailbox_provider });
        found.push({
          text: `${limit.measure}.in`,
          values: words(row, limit),
          dimension,
          value: row[dimension],
          address,
        });
      }
    }
  }
  if (before.sent >= ENOUGH && now.sent < before.sent * FALL) {
    found.push({
      text: "volume",
      values: { now: count(now.sent), before: count(before.sent) },
      address: to("/explore", { metric: "sent", by: "domain" }),
    });
  }
  return found.slice(0, MOST);
}

/**
 * Campaigns that can be told apart by their opens: large enough to say something, and sent from `begin` on (milliseconds
 * since 1970), for of one that was sent before the period the opens of older mail would count as well. Each with its `sentAt`.
 */
export function comparable(campaigns, list, begin) {
  const sentAt = new Map((list ?? []).map(({ id, sent_at }) => [id, sent_at ? Date.parse(sent_at) : 0]));
  return campaigns
    .filter((row) => row.campaign && row.delivered >= ENOUGH && sentAt.get(row.campaign) >= begin)
    .map((row) => ({ row, sentAt: sentAt.get(row.campaign) }));
}

/** The campaign that was sent last in the period; undefined where there is none. */
export function sentLast(campaigns, list, begin) {
  const found = comparable(campaigns, list, begin);
  return found.reduce((last, one) => (last && last.sentAt >= one.sentAt ? last : one), undefined)?.row;
}

/**
 * Campaigns whose share of opened mail is further from all others' than chance takes it: {row, z}. all: messages of all
 * campaigns, `of` how many, `opened` of these. Of a campaign whose opens cannot be seen nobody knows whether it stands out.
 */
export function outstanding(campaigns, list, begin, all) {
  const overall = all.of ? all.opened / all.of : 0;
  if (overall <= 0 || overall >= 1) return [];
  return comparable(campaigns, list, begin)
    .filter(({ row }) => !isHidden(row))
    .map(({ row }) => ({
      row,
      z: (row.unique_opens / row.delivered - overall) / Math.sqrt((overall * (1 - overall)) / row.delivered),
    }))
    .filter(({ z }) => Math.abs(z) > 3)
    .sort((a, b) => Math.abs(b.z) - Math.abs(a.z))
    .slice(0, 5)
    .sort((a, b) => b.row.unique_opens / b.row.delivered - a.row.unique_opens / a.row.delivered);
}
