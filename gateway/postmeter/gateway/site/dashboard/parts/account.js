/** Who is signed in, the language, and the way out. */

import { html } from "../htm/standalone.module.js";
import { signOut } from "../signing_in.js";
import { LANGUAGES, chooseLanguage, language, t } from "../texts.js";

/** The choice of the language; the page is loaded in it. */
export function Language() {
  return html`<label class="choice"><span>${t("frame.language")}</span>
    <select value=${language()} onChange=${(event) => chooseLanguage(event.target.value)}>
      ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} lang=${code}>${name}</option>`)}
    </select></label>`;
}

/** The end of the head. */
export function Account({ session }) {
  return html`<div class="account">
    <span class="soft">${session.email ?? session.workspace}</span>
    <${Language} />
    <a href="/docs" data-leave>${t("frame.api")}</a>
    <button class="plain" onClick=${signOut}>${t("frame.signout")}</button>
  </div>`;
}
