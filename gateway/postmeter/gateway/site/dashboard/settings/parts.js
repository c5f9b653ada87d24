/** What settings are made of: their frame, rows, forms that say what is wrong at the field, questions before an end, secrets. */

import { html, useContext, useEffect, useRef, useState } from "../htm/standalone.module.js";
import { Round } from "../answers.js";
import { ask } from "../api.js";
import { Command } from "../parts/command.js";
import { Dialog } from "../parts/dialog.js";
import { Panel } from "../parts/panel.js";
import { leave } from "../signing_in.js";
import { has, language, t } from "../texts.js";

/** A part of the screen whose answers are asked anew alone: Part gets `again`. */
export function Own({ Part, ...given }) {
  const round = useContext(Round);
  const [count, setCount] = useState(0);
  return html`<${Round.Provider} value=${`${round}.${count}`}><${Part} again=${() => setCount((n) => n + 1)} ...${given} /></${Round.Provider}>`;
}

/** Milliseconds after which what is at work is looked at again. */
const SOON = 2000;

/** Asks anew, soon after each answer, while it is of something at work. */
export function useProgress(isWorking, { loading, at }, again) {
  useEffect(() => {
    if (!isWorking || loading) return undefined;
    const timer = setTimeout(again, SOON);
    return () => clearTimeout(timer);
  }, [isWorking, loading, at]);
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

/** Sends writes. `write` gives the answer, or null where it was refused; `error` says why. stays: a 401 is an answer, too. */
export function useWrite() {
  const [state, setState] = useState({ busy: false, error: null });
  const write = async (request, { stays = false } = {}) => {
    setState({ busy: true, error: null });
    try {
      const value = await ask(request);
      setState({ busy: false, error: null });
      return value ?? {};
    } catch (error) {
      if (error.status === 401 && !stays) leave();
      setState({ busy: false, error });
      return null;
    }
  };
  return { ...state, write };
}

/** Names in a text, apart by spaces or commas. */
export const names = (text) => text.split(/[\s,;]+/).filter(Boolean);

/** Whether an error is about a field, or about an item in it: `ips[2]`. */
export const isOf = (error, name) =>
  error?.field === name || error?.field?.startsWith(`${name}[`) || error?.field?.startsWith(`${name}.`);

/** What the API says of a field, without the field's name, which stands above it. */
const said = ({ field, message }) =>
  field && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;

/** What was refused and stands at none of the form's fields. */
export function Refused({ error, fields = [] }) {
  if (!error || fields.some((name) => isOf(error, name))) return null;
  const known = [`failure.${error.code}`, `failure.${error.status}`].find(has);
  const own = error.status === 403 ? "refused.403" : (known ?? "failure.other");
  return html`<div class="wrong" role="alert"><p>${error.status === 400 || error.status === 409 ? said(error) : t(own)}</p>
    ${error.status === 403 && html`<p class="soft" lang="en">${error.message}</p>`}</div>`;
}

/** What is wrong with a field: the API's words, which are English; in other languages ours before them. */
export function Wrong({ form, name, error }) {
  const own = `wrong.${name}`;
  return html`<p class="wrong" id=${`${form}-${name}-wrong`} role="alert">${language() !== "en" && has(own) && `${t(own)} `}<span lang=${error.isOurs ? null : "en"}>${said(error)}</span></p>`;
}

/**
 * A field under its name, with what it is for, and what is wrong with it. form: the form's name; with the field's it is an id.
 * name: as the API calls it. children: gives the control, of its attributes.
 */
export function Field({ form, name, label, hint, error, children }) {
  const id = `${form}-${name}`;
  const wrong = isOf(error, name);
  const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  return html`<div class="field"><label for=${id}>${label}</label>
    ${children({ id, name, "aria-describedby": described || null, "aria-invalid": wrong ? "true" : null })}
    ${hint && html`<p class="soft note" id=${`${id}-hint`}>${hint}</p>`}
    ${wrong && html`<${Wrong} form=${form} name=${name} error=${error} />`}
  </div>`;
}

/** One of several values. options: [value, text] */
export function Choice({ options, value, onChange, ...field }) {
  return html`<${Field} ...${field}>${(attributes) => html`<select ...${attributes} value=${value} onChange=${onChange}>
    ${options.map(([one, text]) => html`<option key=${one} value=${one}>${text}</option>`)}</select>`}</${Field}>`;
}

/** A line of text. */
export function Line({ form, name, label, hint, error, ...input }) {
  return html`<${Field} form=${form} name=${name} label=${label} hint=${hint} error=${error}>
    ${(attributes) => html`<input autocomplete="off" ...${input} ...${attributes} />`}</${Field}>`;
}

/**
 * A form; the first field that is wrong gets the focus. What is required and missing the browser says, in its language. send: called with its fields, by name (a list for several).
 * @param {{send: Function, action: string, busy: boolean, error: Failure | null, fields: string[], children: any}} given
 */
export function Form({ send, action, busy, error, fields, children }) {
  const place = useRef(null);
  useEffect(() => {
    if (error) place.current.querySelector("[aria-invalid=true]")?.focus();
  }, [error]);
  const submit = (event) => {
    event.preventDefault();
    const missing = [...event.target.elements].find(({ validity }) => validity?.valueMissing);
    if (missing) missing.reportValidity();
    else if (!busy) send(new FormData(event.target), event.target);
  };
  return html`<form class="form" novalidate onSubmit=${submit} ref=${place}>${children}
    <${Refused} error=${error} fields=${fields} />
    <div><button class="main" disabled=${busy}>${action}</button></div></form>`;
}

/** Asks once before something ends, and says what will stop working. action: what is done. request: the write. done: called with the answer. */
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

/** What is shown this once: a key, a secret, a link. It is kept nowhere but in the page that shows it. parts: [label, text] each. */
export function Secret({ title, what, parts, close }) {
  const place = useRef(null);
  useEffect(() => place.current.focus(), [parts]);
  return html`<div class="secret" role="group" aria-label=${title} tabindex="-1" ref=${place}>
    <p class="lead">${title}</p><p>${what}</p>
    ${parts.map(([label, text]) => html`<div key=${label}><p class="soft note">${label}</p><${Command} text=${text} label=${label} /></div>`)}
    <button onClick=${close}>${t("secret.close")}</button></div>`;
}
