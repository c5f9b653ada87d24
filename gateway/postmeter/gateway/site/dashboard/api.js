/** The one client of the public API: every number of the page comes from here. */

/** How often a request is sent again that was told to wait. */
const TRIES = 3;
/** Seconds that it waits for at most; beyond them the person decides. */
const PATIENCE = 10;

/** What went wrong. code: the API's own, or OFFLINE where nobody answered. wait: seconds, if some are to pass. */
export class Failure extends Error {
  constructor(status, code, message, field, wait, requestId) {
    super(message);
    Object.assign(this, { status, code, field, wait, requestId });
  }
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/**
 * Sends a request and gives its answer's JSON, null where it has none. A 429 or 503 that says how long to wait is sent
 * again after that. Throws a Failure; after a 401 the page is on its way to /login.
 * @param {{method: string, path: string, body?: object}} request
 */
export async function ask(request, signal) {
  for (let tried = 1; ; tried++) {
    const answer = await send(request, signal);
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const failure = await failureOf(answer);
    const waits = (answer.status === 429 || answer.status === 503) && failure.wait <= PATIENCE && tried < TRIES;
    if (!waits) throw failure;
    await pause(Math.max(failure.wait, 0.5));
    signal?.throwIfAborted();
  }
}

/**
 * The same with all rows of a query that sets no limit: POST /v1/query counts up to 20,000, and has 10,000 on a page. Of
 * what is one page, and of all other requests, the answer as it is.
 */
export async function askWhole(request, signal) {
  const first = await ask(request, signal);
  if (request.path !== "/v1/query" || request.body.limit !== undefined) return first;
  let { data, next_cursor: cursor } = first;
  while (cursor) {
    const more = await ask({ ...request, body: { ...request.body, cursor } }, signal);
    data = [...data, ...more.data];
    cursor = more.next_cursor;
  }
  return { ...first, data, next_cursor: null };
}

/**
 * Opens a stream: its answer, whose body comes as it comes. Throws a Failure.
 * @param {string | null} last the id of the last event that was seen; none: from now on
 */
export async function open(path, last, signal) {
  const answer = await send({ method: "GET", path }, signal, last === null ? {} : { "Last-Event-ID": last });
  if (!answer.ok) throw await failureOf(answer);
  return answer;
}

async function send({ method, path, body }, signal, more = {}) {
  const headers = body === undefined ? more : { "Content-Type": "application/json", ...more };
  try {
    return await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "OFFLINE", "", null, null, null);
  }
}

async function failureOf(answer) {
  const error = (await answer.json().catch(() => ({}))).error ?? {};
  const wait = Number(answer.headers.get("Retry-After") ?? NaN);
  const id = answer.headers.get("X-Request-Id");
  const code = error.code ?? "UNKNOWN";
  return new Failure(
    answer.status,
    code,
    error.message ?? "",
    error.field ?? null,
    Number.isNaN(wait) ? null : wait,
    id,
  );
}

/**
 * Who looks, or null where nobody is signed in: {email, role, workspace, scopes, name, timezone}; the last two are the
 * workspace's, and missing where the rights do not reach that far.
 */
export async function session() {
  try {
    const { data } = await ask({ method: "GET", path: "/session" });
    const about = await ask({ method: "GET", path: "/v1/workspace" }).catch(() => ({ data: {} }));
    return { ...about.data, ...data };
  } catch (failure) {
    if (failure.status === 401) return null;
    throw failure;
  }
}

/** A text as one word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The command that asks the same. The key is the reader's own, so that it is named and not shown. */
export function curl({ method, path, body }) {
  const parts = ["curl -s", quoted(location.origin + path), '-H "Authorization: Bearer $KEY"'];
  if (method !== "GET" && body === undefined) parts.splice(1, 0, `-X ${method}`);
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" ");
}
