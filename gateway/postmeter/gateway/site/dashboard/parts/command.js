/** A command to copy. */

import { html, useState } from "../htm/standalone.module.js";
import { t } from "../texts.js";

/** Copies a text; false where the browser does not let a page do so. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A command, or what `label` says, with a button that copies it; where that is not allowed, it is selected. */
export function Command({ text, label }) {
  const [state, setState] = useState("copy");
  const copy = async (event) => {
    const command = event.target.closest(".command").querySelector("code");
    if (await copied(text)) return setState("copied");
    getSelection().selectAllChildren(command);
    return setState("selected");
  };
  return html`<div class="command"><pre tabindex="0" aria-label=${label ?? t("command.label")}><code>${text}</code></pre>
    <button onClick=${copy}>${t(`command.${state}`)}${label && html`<span class="hidden">: ${label}</span>`}</button></div>`;
}
