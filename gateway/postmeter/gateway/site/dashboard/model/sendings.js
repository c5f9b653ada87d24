/** Campaigns on a curve: in which of its buckets each was sent. */

/**
 * The campaigns of each bucket, the earliest first. Only those that sent some of the mail that is looked at; what is sent
 * for ever, such as a welcome, belongs to no bucket.
 * @param {{timestamp: string}[]} rows the buckets
 * @param {object[]} counts by campaign, of the same mail
 * @param {object[] | null} list all campaigns, null where they are not known
 * @returns {object[][]}
 */
export function sendings(rows, counts, list) {
  const starts = rows.map(({ timestamp }) => Date.parse(timestamp));
  const sent = new Set(counts.filter((row) => row.sent > 0).map((row) => row.campaign));
  const found = rows.map(() => []);
  const campaigns = (list ?? []).filter(({ id, sent_at: at, status }) => at && status !== "running" && sent.has(id));
  for (const one of campaigns.sort((a, b) => a.sent_at.localeCompare(b.sent_at))) {
    found[starts.findLastIndex((start) => start <= Date.parse(one.sent_at))]?.push(one);
  }
  return found;
}
