/** A choice of one value of a parameter of the address. */

import { html } from "../htm/standalone.module.js";
import { go, here } from "../address.js";

/**
 * @param {{name: string, label: string, value: string, options: [string, string][]}} given
 *   name: the parameter. options: values with their words; the value "" takes the parameter away.
 */
export function Choice({ name, label, value, options }) {
  return html`<label class="choice"><span>${label}</span>
    <select value=${value} onChange=${(event) => go(here({ [name]: event.target.value || null }))}>
      ${options.map(([one, words]) => html`<option key=${one} value=${one}>${words}</option>`)}
    </select></label>`;
}

/** The choice of one campaign, or of all. */
export function CampaignChoice({ label, all, chosen, list }) {
  const known = (list ?? []).map(({ id, name, sent_at: at }) => [id, name, at ?? ""]).sort((a, b) => b[2].localeCompare(a[2]));
  const missing = chosen && !known.some(([id]) => id === chosen) ? [[chosen, chosen]] : [];
  return html`<${Choice} name="campaign" label=${label} value=${chosen ?? ""} options=${[["", all], ...missing, ...known]} />`;
}
