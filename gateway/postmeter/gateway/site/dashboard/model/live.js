/** What happens now: GET /v1/live as rows and counters, a bounded number of them. */

import { useEffect, useRef, useState } from "../htm/standalone.module.js";
import { leave } from "../signing_in.js";
import { follow } from "./stream.js";

export const PATH = "/v1/live?events=1";
/** Rows that are kept, so that a filter that is changed finds some. Older ones leave. */
const KEPT = 1000;
/** Milliseconds between two looks at what has come: many events at once are one change of the page. */
const LOOK = 200;
/** Kinds of events, in the order of a message's life. */
export const TYPES = [
  "queued",
  "sending",
  "sent",
  "deferred",
  "delivered",
  "bounced",
  "failed",
  "complained",
  "opened",
  "clicked",
  "replied",
  "unsubscribed",
  "received",
];
export const VERDICTS = ["human", "proxy", "machine"];

/** Whether a row is shown: what is missing is told whatever the filter. */
export function fits(row, { type, verdict, campaigns }) {
  if (row.kind !== "event") return true;
  const { event } = row;
  const isOf = (wanted, value) => !wanted || wanted === value;
  return (
    isOf(type, event.type) && isOf(verdict, event.verdict) && (!campaigns.length || campaigns.includes(event.campaign))
  );
}

/** A frame as a row; null: it is not an event. */
function rowOf({ event: kind, data }, key) {
  if (kind === "event") return { kind, key, event: data };
  if (kind === "skipped") return { kind, key, events: data.events };
  return kind === "gap" ? { kind, key } : null;
}

/**
 * The stream, while a component stands there.
 * @returns {{state: object, rows: object[], counters: object | null, first: object | null, at: number | null}}
 *   rows: the newest first. first: the counters when one began to look, at `at`
 */
export function useLive() {
  const [seen, setSeen] = useState({ state: { kind: "connecting" }, rows: [], counters: null, first: null, at: null });
  const came = useRef({ rows: [], counters: null });
  useEffect(() => {
    const stop = new AbortController();
    let number = 0;
    const look = setInterval(() => {
      const { rows, counters } = came.current;
      if (!rows.length && !counters) return;
      came.current = { rows: [], counters: null };
      setSeen((now) => ({
        ...now,
        rows: [...rows.reverse(), ...now.rows].slice(0, KEPT),
        counters: counters ?? now.counters,
        first: now.first ?? counters,
        at: now.at ?? (counters ? Date.now() : null),
      }));
    }, LOOK);
    const frame = (one) => {
      if (one.event === "counters") came.current.counters = one.data;
      const row = rowOf(one, ++number);
      if (row) came.current.rows.push(row);
      if (came.current.rows.length > KEPT) came.current.rows.shift();
    };
    const state = (told) => {
      if (told.error?.status === 401) leave();
      setSeen((now) => ({ ...now, state: told }));
    };
    follow(PATH, { frame, state }, stop.signal);
    return () => {
      clearInterval(look);
      stop.abort();
    };
  }, []);
  return seen;
}
