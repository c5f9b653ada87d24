/** The own account: who one is here, what one may do, the password, and where one is signed in. */

import { html, useMemo, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { get } from "../model/requests.js";
import { ago } from "../model/times.js";
import { Answered } from "../parts/states.js";
import { leaveSignedOut } from "../signing_in.js";
import { t } from "../texts.js";
import { Act, Confirm, Form, Line, Row, Setting, Unfold, useWrite } from "./parts.js";

const WHO = get("/session");
const WHERE = get("/sessions");

/** A password is changed as one signs in anew; who gives a wrong one is told so at its field. */
function Password({ session, done }) {
  const { busy, error, write } = useWrite();
  const send = async (data, form) => {
    const { email, workspace } = session;
    const body = { email, workspace, password: data.get("password"), new_password: data.get("new_password") };
    if (!(await write({ method: "POST", path: WHO.path, body }, { stays: true }))) return;
    form.reset();
    done();
  };
  const refused = { status: 401, field: "password", message: t("account.wrong"), isOurs: true };
  const shown = useMemo(() => (error?.status === 401 ? refused : error), [error]);
  return html`<${Form} send=${send} action=${t("account.change")} busy=${busy} error=${shown} fields=${["password", "new_password"]}>
    <input class="hidden" autocomplete="username" value=${session.email} readonly tabindex="-1" aria-hidden="true" />
    <${Line} form="account" name="password" label=${t("account.present")} error=${shown} type="password" autocomplete="current-password" required />
    <${Line} form="account" name="new_password" label=${t("login.new_password")} hint=${t("account.new.hint")} error=${shown} type="password" autocomplete="new-password" />
  </${Form}>`;
}

const sessionName = ({ browser, system }) =>
  browser && system ? t("account.session", { browser, system }) : (browser ?? system ?? t("account.session.unknown"));

/** Where one is signed in. ended: called with what is to be said. */
function Sessions({ zone, ended }) {
  const answer = useAnswer(WHERE);
  const [ending, setEnding] = useState(null);
  const [everywhere, setEverywhere] = useState(false);
  const since = (moment) => ago(Date.parse(moment), zone);
  const row = (one) => html`<${Row} key=${one.id} name=${sessionName(one)}
    notes=${[[one.current && t("account.session.current"), t("account.session.since", { ago: since(one.created_at) }), t("account.session.seen", { ago: since(one.seen_at) })].filter(Boolean).join(" · ")]}
    acts=${!one.current && html`<${Act} what=${t("account.session.end")} name=${sessionName(one)} act=${() => setEnding(one)} />`} />`;
  return html`<h3>${t("account.sessions")}</h3>
    <${Answered} answer=${answer}>${({ data }) => html`<ul class="list rowed">${data.map(row)}</ul>`}</${Answered}>
    <button onClick=${() => setEverywhere(true)}>${t("account.everywhere")}</button>
    ${
      ending &&
      html`<${Confirm} title=${t("account.session.ask", { name: sessionName(ending) })} what=${t("account.session.what")} action=${t("account.session.end")}
      request=${{ method: "DELETE", path: `${WHERE.path}/${ending.id}` }} close=${() => setEnding(null)} done=${() => ended(t("account.session.ended", { name: sessionName(ending) }))} />`
    }
    ${
      everywhere &&
      html`<${Confirm} title=${t("account.everywhere.ask")} what=${t("account.everywhere.what")} action=${t("account.everywhere")}
      request=${{ method: "DELETE", path: WHERE.path }} close=${() => setEverywhere(false)} done=${leaveSignedOut} />`
    }`;
}

/** The setting. */
export function Account({ session, zone, again }) {
  const [said, say] = useState(null);
  const ended = (text) => {
    say({ text });
    again();
  };
  const isPerson = Boolean(session.email);
  const facts = [
    [t("login.email"), session.email ?? t("account.key")],
    [
      t("account.workspace"),
      session.name && session.name !== session.workspace ? `${session.name} (${session.workspace})` : session.workspace,
    ],
    [
      t("settings.role"),
      html`${t(`role.${session.role}`)}<span class="soft under">${t(`${isPerson ? "users" : "keys"}.role.${session.role}`)}</span>`,
    ],
    [t("keys.scopes"), session.scopes.map((scope) => t(`scope.${scope}`)).join(", ")],
    session.domains && [t("settings.domains.field"), session.domains.join(", ")],
  ].filter(Boolean);
  return html`<${Setting} id="account" requests=${[WHO, WHERE]} said=${said}>
    <dl class="facts">${facts.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${value}</dd>`)}</dl>
    ${isPerson && html`<${Unfold} title=${t("account.password")}><${Password} session=${session} done=${() => say({ text: t("account.changed") })} /></${Unfold}>`}
    <${Sessions} zone=${zone} ended=${ended} />
  </${Setting}>`;
}
