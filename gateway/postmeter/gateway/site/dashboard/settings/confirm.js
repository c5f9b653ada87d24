/** Asks once before something ends, and says what will stop working. */

import { html } from "../htm/standalone.module.js";
import { Dialog } from "../parts/dialog.js";
import { t } from "../texts.js";
import { Refused, useWrite } from "./form.js";

/** action: what is done. request: the write. done: called with the answer, once it is done. */
export function Confirm({ title, what, action, request, close, done }) {
  const { busy, error, write } = useWrite();
  const go = async () => {
    const answer = await write(request);
    if (!answer) return;
    close();
    done(answer);
  };
  return html`<${Dialog} title=${title} close=${close}>
    <p>${what}</p>
    <${Refused} error=${error} />
    <div class="choices"><button class="danger" disabled=${busy} onClick=${go}>${action}</button>
      <button onClick=${close}>${t("settings.keep")}</button></div></${Dialog}>`;
}
