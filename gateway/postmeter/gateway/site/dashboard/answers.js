/** Answers of the API as components need them: what is there already at once, what is new when it comes. */

import { createContext, useContext, useEffect, useState } from "./htm/standalone.module.js";
import { askWhole } from "./api.js";
import { leave } from "./signing_in.js";

/** Counts up when everything is to be asked anew. */
export const Round = createContext(0);
/** Asks everything anew; where there is no frame, the page is loaded again. */
export const Again = createContext(() => location.reload());

/** Answers that were given before, by their request. */
const KEPT = 200;
const kept = new Map();

function keep(key, answer) {
  kept.delete(key);
  kept.set(key, answer);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

const NOTHING = { of: null, value: null, at: null };

/**
 * The answer to a request, which is asked again when it changes and at each round. Until a new answer is there, the one
 * before stays, so that nothing jumps.
 * @param {object | null} request null: nothing is asked
 * @param {string} [about] what it is about, where the request says it otherwise each time; the request itself
 * @returns {{value: any, at: number | null, isStale: boolean, error: Failure | null, loading: boolean}} at: when it came.
 *   isStale: it is the answer to the request before, about something else
 */
export function useAnswer(request, about) {
  const round = useContext(Round);
  const key = request && JSON.stringify(request);
  const of = about ?? key;
  const [state, setState] = useState({ ...NOTHING, error: null, loading: true });
  useEffect(() => {
    if (!key) return undefined;
    const stop = new AbortController();
    setState((now) => ({ ...now, ...kept.get(key), error: null, loading: true }));
    askWhole(request, stop.signal).then(
      (value) => {
        const answer = { of, value, at: Date.now() };
        keep(key, answer);
        if (!stop.signal.aborted) setState({ ...answer, error: null, loading: false });
      },
      (error) => {
        if (stop.signal.aborted) return;
        if (error.status === 401) leave();
        setState((now) => ({ ...now, error, loading: false }));
      },
    );
    return () => stop.abort();
  }, [key, round]);
  return { ...state, isStale: state.of !== of };
}
