/** Events as they are counted, the newest first: a bounded list that stands still while it is paused or pointed at. */

import { html, useEffect, useRef, useState } from "../htm/standalone.module.js";
import { go, here, to } from "../address.js";
import { useCampaigns } from "../model/campaigns.js";
import { KINDS, happened, reasonOf, verdictOf } from "../model/events.js";
import { PATH, fits } from "../model/live.js";
import { valueOf } from "../model/measures.js";
import { count } from "../model/numbers.js";
import { get, segment } from "../model/requests.js";
import { clockOf } from "../model/times.js";
import { t } from "../texts.js";
import { Panel } from "./panel.js";
import { Empty } from "./states.js";

/** Rows that stand on the page. */
const ROWS = 100;
/** Milliseconds between two times that counters are said aloud: each second would let nobody hear anything else. */
const SAID = 30_000;

const command = () => `curl -s ${location.origin}/v1/messages -H "Authorization: Bearer $KEY" \\
  -H 'Content-Type: application/json' -d '{"from_address": "news@shop.example", "to": "reader@example.org"}' |
  sed 's/.*"open_url":"\\([^"]*\\)".*/\\1/' | xargs curl -s -o /dev/null`;

/** What is to be known first of an event: where a link led, why something bounced, what program fetched the image. */
function detailOf(event) {
  if (event.type === "clicked") return event.url;
  if (event.verdict === "machine" && event.verdict_reason) return reasonOf(event.verdict_reason);
  return event.reason ?? event.user_agent;
}

function Event({ event, view, named }) {
  const verdict = verdictOf(event);
  const what = html`${happened(event)}${verdict && html` <span class=${KINDS[event.verdict]}>${verdict}</span>`}`;
  const address = event.message_id && to(`/messages/${segment(event.message_id)}`);
  return html`<li class=${event.verdict === "machine" || !event.counted ? "aside" : null}>
    <time datetime=${event.at}>${clockOf(Date.parse(event.at), view.zone)}</time>
    <span class="what">${address ? html`<a href=${address}>${what}</a>` : what}</span>
    <span class="of">${event.campaign ? named(event.campaign) : event.domain}</span>
    <span class="soft minor">${detailOf(event)}</span></li>`;
}

function Row({ row, view, named }) {
  if (row.kind === "event") return html`<${Event} event=${row.event} view=${view} named=${named} />`;
  const left = row.kind === "skipped" ? t("live.skipped", { n: row.events, count: count(row.events) }) : t("live.gap");
  return html`<li class="missing">${left}</li>`;
}

/** What is said aloud: whether the list stands still, when that changes, and the counters now and then. */
function Said({ live, paused, view }) {
  const [said, setSaid] = useState("");
  const now = useRef(live);
  now.current = live;
  useEffect(() => setSaid(t(paused ? "live.paused" : "live.going")), [paused]);
  useEffect(() => {
    const words = (name) => `${t(`measure.${name}`)} ${count(valueOf(name, now.current.counters, view.who))}`;
    const say = () => now.current.counters && setSaid(["opens", "clicks"].map(words).join(", "));
    const timer = setInterval(say, SAID);
    return () => clearInterval(timer);
  }, [view.who]);
  return html`<p class="hidden" role="status">${said}</p>`;
}

/** The state of the stream in words, the button that lets the list stand still, and one that brings it up to now. */
function Head({ live, paused, pointed, waiting, take }) {
  const { kind, seconds } = live.state;
  const still = paused ? "live.paused" : pointed ? "live.held" : "live.going";
  const turn = () => go(here({ pause: paused ? "0" : "1" }), { replace: true });
  const came = waiting ? t("live.waiting", { n: waiting, count: count(waiting) }) : "";
  return html`<div class="live-head">
    <button class="main" onClick=${turn}>${t(paused ? "live.go_on" : "live.pause")}</button>
    <span class=${kind === "cut" ? "alarm" : "soft"}>${t(kind === "open" ? still : `live.${kind}`, { seconds })}</span>
    <button class="plain" disabled=${!waiting} onClick=${take}>${came}</button></div>`;
}

/** The rows that are shown: the present ones, or those that were when the list was stopped; and how many came since. */
function useShown(rows, isStill, filter) {
  const [stopped, setStopped] = useState(isStill ? [] : null);
  useEffect(() => setStopped(isStill ? rows : null), [isStill]);
  const newest = stopped ? (stopped[0]?.key ?? 0) : Infinity;
  const fitting = (list) => list.filter((row) => fits(row, filter));
  const waiting = fitting(rows).filter(({ key }) => key > newest).length;
  return { shown: fitting(stopped ?? rows).slice(0, ROWS), waiting, take: () => setStopped(rows) };
}

function None({ filter }) {
  const isFiltered = filter.type || filter.verdict || filter.campaigns.length;
  if (isFiltered) return html`<p class="soft">${t("live.none")}</p>`;
  return html`<${Empty} title=${t("live.empty")} what=${t("live.empty.do")} command=${command()} />`;
}

/**
 * @param {object} given
 * @param {object} given.live as `useLive` has it
 * @param {{type: string, verdict: string, campaigns: string[]}} given.filter
 */
export function Stream({ live, paused, filter, view }) {
  const { named } = useCampaigns();
  const [pointed, setPointed] = useState(false);
  const { shown, waiting, take } = useShown(live.rows, paused || pointed, filter);
  const file = () => shown.flatMap(({ kind, event }) => (kind === "event" ? [event] : []));
  const point = () => setPointed(true);
  const leave = () => setPointed(false);
  const row = (one) => html`<${Row} key=${one.key} row=${one} view=${view} named=${named} />`;
  return html`<${Panel} title=${t("live.events")} note=${t("live.what", { n: ROWS })} requests=${[get(PATH)]}
      rows=${file} name="live">
    <${Said} live=${live} paused=${paused} view=${view} />
    <${Head} live=${live} paused=${paused} pointed=${pointed} waiting=${waiting} take=${take} />
    <div class="live" onMouseEnter=${point} onMouseLeave=${leave} onFocusIn=${point} onFocusOut=${leave}>
      ${shown.length > 0 && html`<ol>${shown.map(row)}</ol>`}
      ${shown.length === 0 && waiting === 0 && live.state.kind === "open" && html`<${None} filter=${filter} />`}
    </div>
  </${Panel}>`;
}
