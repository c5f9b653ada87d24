/** What is shown this once: a key, a secret, a link. It is kept nowhere but in the page that shows it. */

import { html, useEffect, useRef } from "../htm/standalone.module.js";
import { Command } from "../parts/command.js";
import { t } from "../texts.js";

/** parts: [label, text] each. close: takes it away for good. */
export function Secret({ title, what, parts, close }) {
  const place = useRef(null);
  useEffect(() => place.current.focus(), [parts]);
  return html`<div class="secret" role="group" aria-label=${title} tabindex="-1" ref=${place}>
    <p class="lead">${title}</p><p>${what}</p>
    ${parts.map(([label, text]) => html`<div key=${label}><p class="soft note">${label}</p><${Command} text=${text} label=${label} /></div>`)}
    <button onClick=${close}>${t("secret.close")}</button></div>`;
}
