/** A number that explains itself, and asks for what its explanation holds when it is opened. */

import { html } from "../htm/standalone.module.js";
import { fold, unfold, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { total } from "../model/measures.js";
import { t } from "../texts.js";
import { Dialog } from "./dialog.js";
import { Explanation } from "./explanation.js";
import { Answered } from "./states.js";

function Opened({ measure, view, request }) {
  const answer = useAnswer(request);
  const close = () => fold({ explain: null });
  // The explanation is a dialog of its own.
  if (!answer.value || answer.isStale)
    return html`<${Dialog} title=${t(`measure.${measure}`)} close=${close}><${Answered} answer=${answer} lines=${12}>${() => null}</${Answered}>
      </${Dialog}>`;
  return html`<${Explanation} measure=${measure} counts=${total(answer.value.data)} view=${view} request=${request} close=${close} />`;
}

/**
 * @param {object} given
 * @param {string} given.measure a name of MEASURES
 * @param {string} given.text the number
 * @param {object} given.view
 * @param {object} given.request the query of METRICS that has it
 * @param {string} given.id which one it is, in the address
 */
export function Asked({ measure, text, view, request, id }) {
  const [, params] = useAddress();
  const label = t("figure.explain", { number: text, what: t(`measure.${measure}`) });
  return html`<button class="figure" onClick=${() => unfold({ explain: id })} aria-label=${label}>${text}</button>
    ${params.get("explain") === id && html`<${Opened} measure=${measure} view=${view} request=${request} />`}`;
}
