/** A dialog over the page, closed by Escape, by its button, and by a click beside it. */

import { html, useEffect, useRef } from "../htm/standalone.module.js";
import { t } from "../texts.js";

/** title: what it is called. close: called when it is to go. */
export function Dialog({ title, close, children }) {
  const place = useRef(null);
  useEffect(() => {
    const dialog = place.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  const beside = (event) => event.target === place.current && close();
  const cancelled = (event) => {
    event.preventDefault();
    close();
  };
  return html`<dialog ref=${place} aria-label=${title} onClick=${beside} onCancel=${cancelled}>
    <div class="dialog">
      <div class="dialog-head"><h2>${title}</h2><button onClick=${close}>${t("dialog.close")}</button></div>
      ${children}
    </div></dialog>`;
}
