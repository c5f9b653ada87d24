/** A choice of one value of a parameter of the address. */

import { html } from "../htm/standalone.module.js";
import { go, here } from "../address.js";
import { latestFirst } from "../model/campaigns.js";

/**
 * @param {object} given
 * @param {string} given.name the parameter
 * @param {string} given.value the present one
 * @param {[string, string][]} given.options values with their words; the value "" takes the parameter away
 */
export function Choice({ name, label, value, options }) {
  return html`<label class="choice"><span>${label}</span>
    <select value=${value} onChange=${(event) => go(here({ [name]: event.target.value || null }))}>
      ${options.map(([one, words]) => html`<option key=${one} value=${one}>${words}</option>`)}
    </select></label>`;
}

/** The choice of one campaign, or of all. chosen: its id. list: all campaigns, null where they are not known yet. */
export function CampaignChoice({ label, all, chosen = "", list }) {
  const known = latestFirst(list ?? []).map(({ id, name }) => [id, name]);
  const missing = chosen && !known.some(([id]) => id === chosen) ? [[chosen, chosen]] : [];
  const options = [["", all], ...missing, ...known];
  return html`<${Choice} name="campaign" label=${label} value=${chosen} options=${options} />`;
}
