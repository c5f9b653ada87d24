/** Answers of the API as components need them: what is there already at once, what is new when it comes. */

import { createContext, useContext, useEffect, useState } from "./htm/standalone.module.js";
import { ask } from "./api.js";
import { leave } from "./signing_in.js";

/** Counts up when everything is to be asked anew. */
export const Round = createContext(0);

/** Answers that were given before, by their request. */
const KEPT = 200;
const kept = new Map();

function keep(key, answer) {
  kept.delete(key);
  kept.set(key, answer);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/**
 * The answer to a request, which is asked again when it changes and at each round. Until a new answer is there, the one
 * before stays, so that nothing jumps.
 * @param {object | null} request null: nothing is asked
 * @returns {{value: any, error: Failure | null, loading: boolean, at: number | null}} at: when it came
 */
export function useAnswer(request) {
  const round = useContext(Round);
  const key = request && JSON.stringify(request);
  const [state, setState] = useState({ key: null, value: null, error: null, loading: true, at: null });
  useEffect(() => {
    if (!key) return undefined;
    const stop = new AbortController();
    const before = kept.get(key);
    setState((now) => ({ ...(before ?? { value: now.value, at: now.at }), key, error: null, loading: true }));
    ask(request, stop.signal).then(
      (value) => {
        const answer = { value, at: Date.now() };
        keep(key, answer);
        setState({ ...answer, key, error: null, loading: false });
      },
      (error) => {
        if (stop.signal.aborted) return;
        if (error.status === 401) leave();
        setState((now) => ({ ...now, error, loading: false }));
      },
    );
    return () => stop.abort();
  }, [key, round]);
  return state;
}
