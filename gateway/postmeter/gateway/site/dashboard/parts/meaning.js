/** What words mean, folded up beneath the numbers that they name. */

import { html } from "../htm/standalone.module.js";
import { t } from "../texts.js";

/**
 * @param {object} given
 * @param {[string, string][]} given.of words, each with what it means
 * @param {any} [given.children] what is to be known of all of them
 */
export function Meaning({ of, children }) {
  return html`<details class="meaning"><summary>${t("meaning")}</summary>
    ${children && html`<p class="soft note">${children}</p>`}
    <dl class="facts">${of.map(([word, what]) => html`<dt key=${word}>${word}</dt><dd>${what}</dd>`)}</dl></details>`;
}
