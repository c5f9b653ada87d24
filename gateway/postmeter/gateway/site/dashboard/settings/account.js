/** The own account: who one is here, what one may do, and the password. */

import { html, useMemo, useState } from "../htm/standalone.module.js";
import { get } from "../model/requests.js";
import { t } from "../texts.js";
import { Form, Line, Setting, Unfold, useWrite } from "./parts.js";

const WHO = get("/session");

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
    <${Line} form="account" name="password" label=${t("account.present")} error=${shown} type="password" autocomplete="current-password" />
    <${Line} form="account" name="new_password" label=${t("login.new_password")} hint=${t("account.new.hint")} error=${shown} type="password" autocomplete="new-password" />
  </${Form}>`;
}

/** The setting. */
export function Account({ session }) {
  const [said, say] = useState(null);
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
  return html`<${Setting} id="account" requests=${[WHO]} said=${said}>
    <dl class="facts">${facts.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${value}</dd>`)}</dl>
    ${isPerson && html`<${Unfold} title=${t("account.password")}><${Password} session=${session} done=${() => say({ text: t("account.changed") })} /></${Unfold}>`}
  </${Setting}>`;
}
