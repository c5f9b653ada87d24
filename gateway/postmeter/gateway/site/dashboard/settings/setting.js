/** One setting: its name and what it changes beside it; what was done is said, and read out. */

import { html, useContext, useEffect, useRef, useState } from "../htm/standalone.module.js";
import { Round } from "../answers.js";
import { Panel } from "../parts/panel.js";
import { t } from "../texts.js";

/** A part of the screen whose answers are asked anew alone: Part gets `again`. */
export function Own({ Part, ...given }) {
  const round = useContext(Round);
  const [count, setCount] = useState(0);
  return html`<${Round.Provider} value=${`${round}.${count}`}><${Part} again=${() => setCount((n) => n + 1)} ...${given} /></${Round.Provider}>`;
}

/** id: of its texts and its place. said: {text}, what was just done. */
export function Setting({ id, requests, rows, said, children }) {
  const place = useRef(null);
  useEffect(() => {
    if (said) place.current.focus();
  }, [said]);
  return html`<div class="setting" id=${id}>
    <${Panel} title=${t(`settings.${id}`)} note=${t(`settings.${id}.what`)} requests=${requests} rows=${rows} name=${id}>
      <div class="body"><p class="said" role="status" tabindex="-1" ref=${place}>${said?.text}</p>${children}</div>
    </${Panel}></div>`;
}

/** One of several things: its name, notes under it, and what can be done with it. children: what is unfolded under it. */
export function Row({ name, notes, acts, children }) {
  return html`<li><div class="grow"><p>${name}</p>${notes.filter(Boolean).map((note) => html`<p class="soft note">${note}</p>`)}</div>
    ${acts && html`<div class="acts">${acts}</div>`}${children}</li>`;
}

/** A button beside a thing; it names both what it does and what with. */
export function Act({ what, name, act }) {
  return html`<button class="plain" onClick=${act} aria-label=${t("settings.of", { what, name })}>${what}</button>`;
}

/** What can be unfolded: a form for something new. */
export function Unfold({ title, open, children }) {
  return html`<details class="unfold" open=${open}><summary>${title}</summary>${children}</details>`;
}
