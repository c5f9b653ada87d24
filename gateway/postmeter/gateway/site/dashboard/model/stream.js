/** A stream of server-sent events, opened again by itself from where it ended. */

import { open } from "../api.js";

/** Milliseconds before it is opened again; each time in vain doubles them. */
const FIRST = 1000;
const LONGEST = 30_000;
/** Milliseconds without a byte after which a stream counts as cut: the server tells something each second. */
const SILENCE = 15_000;

/** The frames of a stream's text, as far as they are whole: {id, event, data}. Comments and `retry` are left out. */
function* whole(parts) {
  for (const part of parts) {
    const frame = { event: "message", data: "" };
    for (const line of part.split("\n")) {
      const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
      if (field === "data") frame.data += value;
      else if (field === "id" || field === "event") frame[field] = value;
    }
    if (frame.data) yield { ...frame, data: JSON.parse(frame.data) };
  }
}

async function* framesOf(answer, alive) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    yield* whole(parts);
  }
}

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => clearTimeout(timer) ?? resolve());
  });

/** What will not be otherwise the next time. */
const isFinal = ({ status }) => status >= 400 && status < 500 && status !== 429;

/** One connection: until it ends. Returns the last event's id, and whether the server has said that it is over. */
async function connection(path, last, given, signal) {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), SILENCE);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE);
  };
  const place = { last, over: null, opened: false };
  try {
    const answer = await open(path, last, AbortSignal.any([signal, silent.signal]));
    place.opened = true;
    given.state({ kind: "open" });
    for await (const frame of framesOf(answer, alive)) {
      place.last = frame.id ?? place.last;
      if (frame.event === "end") place.over = frame.data;
      else given.frame(frame);
    }
  } catch (error) {
    if (error.status && isFinal(error)) place.failure = error;
  } finally {
    clearTimeout(timer);
  }
  return place;
}

/**
 * Follows a stream until the signal says stop, or the server that it is not to come again.
 * @param {{frame: (frame: {event: string, data: any}) => void, state: (state: object) => void}} given
 *   state: {kind: "connecting" | "open" | "cut" | "over" | "failed"}; `cut` has `seconds` until the next try, `failed`
 *   has an `error`
 */
export async function follow(path, given, signal) {
  let last = null;
  let wait = FIRST;
  given.state({ kind: "connecting" });
  while (!signal.aborted) {
    const place = await connection(path, last, given, signal);
    if (signal.aborted) return;
    if (place.over) return given.state({ kind: "over", error: place.over });
    if (place.failure) return given.state({ kind: "failed", error: place.failure });
    wait = place.opened ? FIRST : Math.min(wait * 2, LONGEST);
    last = place.last;
    given.state({ kind: "cut", seconds: Math.round(wait / 1000) });
    await pause(wait, signal);
  }
}
