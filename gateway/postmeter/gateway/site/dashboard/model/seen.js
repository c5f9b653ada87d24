/** What rates leave out: opens and clicks that may not be seen one by one (docs/privacy.md). */

/** What POST /v1/query is asked for it. */
export const SEEN = ["unique_opens", "delivered", "opens", "clicks", "trackable", "anonymous_opens", "anonymous_clicks"];

/** The sum of rows of SEEN. */
export function seenOf(rows) {
  return Object.fromEntries(SEEN.map((name) => [name, rows.reduce((sum, row) => sum + (row[name] ?? 0), 0)]));
}

/** Whether opens or clicks in a row of SEEN are of nobody that could be told. */
export const isAnonymous = (counts) => counts.anonymous_opens + counts.anonymous_clicks > 0;

/** Whether all messages that are known to have been opened are among those whose opens can be seen. */
export const isWithin = ({ trackable, unique_opens: opened }) => opened <= trackable;

/**
 * Whether opens of a row of SEEN cannot be seen. Of mail that was delivered before there were levels nothing says whether
 * they could: then more was opened than that, and nothing is anonymous.
 */
export const isHidden = (counts) =>
  counts.trackable < counts.delivered && (isWithin(counts) || counts.anonymous_opens > 0);
