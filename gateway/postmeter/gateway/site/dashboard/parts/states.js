/** What stands where a number will be, where there is none, and where one could not be had. */

import { html, useContext } from "../htm/standalone.module.js";
import { Again } from "../answers.js";
import { has, t } from "../texts.js";
import { Command } from "./command.js";

/** Something is on its way; it holds the place. lines: how many lines of text it will be. */
export function Loading({ lines = 4 }) {
  return html`<div class="loading" role="status" style=${{ minHeight: `${lines * 24}px` }}>${t("state.loading")}</div>`;
}

/** What stands in the place of what there is not: it could not be had, or it is on its way. */
export const Missing = ({ error, lines }) => (error ? html`<${Failed} error=${error} />` : html`<${Loading} lines=${lines} />`);

/** Nothing is there yet: what would fill it, with the command. */
export function Empty({ title, what, command }) {
  return html`<div class="empty"><p class="lead">${title}</p><p>${what}</p>
    ${command && html`<${Command} text=${command} />`}</div>`;
}

/** Something is wrong: what, and what to do. */
export function Trouble({ title, what, children }) {
  return html`<div class="trouble" role="alert"><p class="lead">${title}</p><p>${what}</p>${children}</div>`;
}

/**
 * A failure of the API in words: the API's own message says which field is wrong, ours what to do. again: asks once more;
 * everything, unless it is said.
 */
export function Failed({ error, again }) {
  const all = useContext(Again);
  const known = [`failure.${error.code}`, `failure.${error.status}`].find(has) ?? "failure.other";
  const said = error.message && html`<p class="soft">${error.message}</p>`;
  const id = error.requestId && html`<p class="soft">${t("failure.id", { id: error.requestId })}</p>`;
  return html`<${Trouble} title=${t(known)}
    what=${t(has(`${known}.do`) ? `${known}.do` : "failure.other.do")}>${said}${id}<button
    onClick=${again ?? all}>${t("control.again")}</button></${Trouble}>`;
}

/**
 * An answer's content, or what stands in its place. What was there stays when it cannot be had anew.
 * @param {{answer: object, lines?: number, children: (value: any) => any}} given lines: of the place that it will take
 */
export function Answered({ answer, lines, children }) {
  const { value, error, loading, isStale } = answer;
  const isThere = value !== null && !(error && isStale);
  // One element that stays, whatever it holds: Preact may put one that is exchanged into the wrong place among its
  // siblings.
  return html`<div aria-busy=${isThere && loading ? "true" : null} class=${isThere && isStale ? "stale" : null}>
    ${error && html`<${Failed} error=${error} />`}
    ${!isThere && !error && html`<${Loading} lines=${lines} />`}
    ${isThere && children(value)}</div>`;
}
