/** Users: who may come in, and what for. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { get, segment } from "../model/requests.js";
import { ago } from "../model/times.js";
import { Dialog } from "../parts/dialog.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";
import { Act, Choice, Confirm, Form, Line, Refused, Row, Secret, Setting, Unfold, names, useWrite } from "./parts.js";
import { mayGiveRole, userRoles } from "./rights.js";

const FIELDS = ["email", "role", "domains"];
const ALL = get("/v1/users");
const one = (user) => `${ALL.path}/${segment(user.id)}`;

function Rights({ form, session, role, domains, error, setRole }) {
  const roles = [...new Set([...userRoles(session), role])];
  return html`<${Choice} form=${form} name="role" label=${t("settings.role")} hint=${t(`users.role.${role}`)} error=${error} value=${role}
      options=${roles.map((name) => [name, t(`role.${name}`)])} onChange=${(event) => setRole(event.target.value)} />
    <${Line} form=${form} name="domains" label=${t("settings.domains.field")} hint=${t("users.domains.hint")} error=${error} defaultValue=${domains.join(" ")} />`;
}

const domainsOf = (data) => {
  const given = names(data.get("domains"));
  return given.length ? given : null;
};

function Invitation({ session, made }) {
  const { busy, error, write } = useWrite();
  const [role, setRole] = useState("viewer");
  const send = async (data, form) => {
    const body = { email: data.get("email").trim(), role, domains: domainsOf(data) };
    const answer = await write({ method: "POST", path: ALL.path, body });
    if (!answer) return;
    form.reset();
    made(answer.data);
  };
  return html`<${Form} send=${send} action=${t("users.invite")} busy=${busy} error=${error} fields=${FIELDS}>
    <${Line} form="users" name="email" label=${t("login.email")} error=${error} type="email" required />
    <${Rights} form="users" session=${session} role=${role} domains=${session.domains ?? []} error=${error} setRole=${setRole} />
  </${Form}>`;
}

function Change({ session, user, close, done }) {
  const { busy, error, write } = useWrite();
  const [role, setRole] = useState(user.role);
  const send = async (data) => {
    const answer = await write({ method: "PATCH", path: one(user), body: { role, domains: domainsOf(data) } });
    if (!answer) return;
    close();
    done(answer.data);
  };
  return html`<${Dialog} title=${t("users.change.of", { email: user.email })} close=${close}>
    <${Form} send=${send} action=${t("settings.save")} busy=${busy} error=${error} fields=${FIELDS}>
      <${Rights} form="user" session=${session} role=${role} domains=${user.domains ?? []} error=${error} setRole=${setRole} />
    </${Form}></${Dialog}>`;
}

/** Where a user stands, in words. */
function state(user, zone) {
  if (user.disabled) return t("users.disabled");
  if (user.signed_in_at) return t("users.signed_in", { ago: ago(Date.parse(user.signed_in_at), zone) });
  return t(user.has_password ? "users.never" : "users.invited", { ago: ago(Date.parse(user.created_at), zone) });
}

function User({ user, session, zone, act }) {
  const isSelf = user.email === session.email;
  const may = mayGiveRole(session, user.role, user.domains);
  const button = (what) =>
    html`<${Act} key=${what} what=${t(`users.${what}`)} name=${user.email} act=${() => act(what, user)} />`;
  const acts = [
    !isSelf && "change",
    !user.disabled && "reset",
    !isSelf && (user.disabled ? "enable" : "disable"),
    !isSelf && "remove",
  ].filter(Boolean);
  return html`<${Row} name=${html`${user.email}${isSelf && html` <span class="soft">${t("users.self")}</span>`}`}
    notes=${[[t(`role.${user.role}`), user.domains?.join(", "), state(user, zone)].filter(Boolean).join(" · ")]} acts=${may && acts.map(button)} />`;
}

/** The writes that are asked about first: by what is done. */
const ASKED = {
  disable: (user) => ({ method: "PATCH", path: one(user), body: { disabled: true } }),
  remove: (user) => ({ method: "DELETE", path: one(user) }),
};
const AT_ONCE = { enable: { disabled: false }, reset: { reset: true } };

/** The setting. */
export function Users({ session, zone, again }) {
  const answer = useAnswer(ALL);
  const { error, write } = useWrite();
  const [made, setMade] = useState(null);
  const [acting, setActing] = useState(null);
  const [said, say] = useState(null);
  const linked = (user) => {
    setMade(user);
    again();
  };
  const done = (what, user) => {
    if (made?.id === user.id) setMade(null);
    say({ text: t(`users.${what}.done`, { email: user.email }) });
    again();
  };
  const act = async (what, user) => {
    if (!AT_ONCE[what]) return setActing({ what, user });
    const told = await write({ method: "PATCH", path: one(user), body: AT_ONCE[what] });
    if (told) what === "reset" ? linked(told.data) : done(what, user);
    return undefined;
  };
  const close = () => setActing(null);
  const { what, user } = acting ?? {};
  return html`<${Setting} id="users" requests=${[ALL]} rows=${answer.value?.data} said=${said}>
    ${
      made &&
      html`<${Secret} title=${t("users.link", { email: made.email })} what=${t(made.has_password ? "users.link.reset" : "users.link.invitation")}
      parts=${[[t("users.link.label"), made.link]]} close=${() => setMade(null)} />`
    }
    <${Refused} error=${error} />
    <${Answered} answer=${answer}>${({ data }) => html`<ul class="list rowed">${data.map((one) => html`<${User} key=${one.id} user=${one} session=${session} zone=${zone} act=${act} />`)}</ul>`}</${Answered}>
    <${Unfold} title=${t("users.new")}><${Invitation} session=${session} made=${linked} /></${Unfold}>
    ${what === "change" && html`<${Change} session=${session} user=${user} close=${close} done=${() => done(what, user)} />`}
    ${
      ASKED[what] &&
      html`<${Confirm} title=${t(`users.${what}.ask`, { email: user.email })} what=${t(`users.${what}.what`)} action=${t(`users.${what}`)}
      request=${ASKED[what](user)} close=${close} done=${() => done(what, user)} />`
    }
  </${Setting}>`;
}
