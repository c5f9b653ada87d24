/** API keys: which programs may do what. */

import { html, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { get, segment } from "../model/requests.js";
import { ago } from "../model/times.js";
import { Answered } from "../parts/states.js";
import { t } from "../texts.js";
import { Act, Choice, Confirm, Form, Line, Row, Secret, Setting, Unfold, names, useWrite } from "./parts.js";
import { keyRoles, mayGive } from "./rights.js";

const FIELDS = ["name", "role", "scopes", "domains"];
const ALL = get("/v1/keys");

const scopesOf = (key) => key.scopes.map((scope) => t(`scope.${scope}`)).join(", ");
const keyName = (key) => key.name || t("keys.unnamed", { id: key.id });

function Scopes({ session, error }) {
  const wrong = error?.field?.startsWith("scopes");
  return html`<fieldset class="field" aria-describedby=${wrong ? "keys-scopes-wrong" : null}><legend>${t("keys.scopes")}</legend>
    ${session.scopes.map(
      (scope) => html`<label class="check" key=${scope}>
      <input type="checkbox" name="scopes" value=${scope} defaultChecked=${scope === "analytics"} aria-invalid=${wrong ? "true" : null} />
      <span>${t(`scope.${scope}`)}</span></label>`,
    )}
    ${wrong && html`<p class="wrong" id="keys-scopes-wrong" role="alert">${t("wrong.scopes")}</p>`}</fieldset>`;
}

function New({ session, made }) {
  const { busy, error, write } = useWrite();
  const roles = keyRoles(session);
  const [role, setRole] = useState(roles.includes("member") ? "member" : roles[0]);
  const send = async (data, form) => {
    const body = { name: data.get("name").trim(), role, scopes: data.getAll("scopes") };
    if (role === "domain_admin") body.domains = names(data.get("domains"));
    const answer = await write({ method: "POST", path: ALL.path, body });
    if (!answer) return;
    form.reset();
    made(answer.data);
  };
  return html`<${Form} send=${send} action=${t("keys.make")} busy=${busy} error=${error} fields=${FIELDS}>
    <${Line} form="keys" name="name" label=${t("keys.name")} hint=${t("keys.name.hint")} error=${error} maxlength="200" />
    <${Choice} form="keys" name="role" label=${t("settings.role")} hint=${t(`keys.role.${role}`)} error=${error} value=${role}
      options=${roles.map((one) => [one, t(`role.${one}`)])} onChange=${(event) => setRole(event.target.value)} />
    ${
      role === "domain_admin" &&
      html`<${Line} form="keys" name="domains" label=${t("settings.domains.field")} hint=${t("settings.domains.hint")}
      error=${error} defaultValue=${(session.domains ?? []).join(" ")} />`
    }
    <${Scopes} session=${session} error=${error} />
  </${Form}>`;
}

/** The setting. */
export function Keys({ session, zone, again }) {
  const answer = useAnswer(ALL);
  const [made, setMade] = useState(null);
  const [ending, setEnding] = useState(null);
  const [said, say] = useState(null);
  const shown = (key) => {
    setMade(key);
    again();
  };
  const revoked = () => {
    if (made?.id === ending.id) setMade(null);
    say({ text: t("keys.revoked", { name: keyName(ending) }) });
    again();
  };
  const row = (key) => html`<${Row} key=${key.id} name=${keyName(key)}
    notes=${[`${[t(`role.${key.role}`), key.domains?.join(", ")].filter(Boolean).join(" · ")} · ${scopesOf(key)}`, [t("keys.made", { ago: ago(Date.parse(key.created_at), zone) }), key.name && t("keys.id", { id: key.id })].filter(Boolean).join(" · ")]}
    acts=${mayGive(session, key) && html`<${Act} what=${t("keys.revoke")} name=${keyName(key)} act=${() => setEnding(key)} />`} />`;
  return html`<${Setting} id="keys" requests=${[ALL]} rows=${answer.value?.data} said=${said}>
    ${made && html`<${Secret} title=${t("keys.secret", { name: keyName(made) })} what=${t("secret.once")} parts=${[[t("keys.key"), made.key]]} close=${() => setMade(null)} />`}
    <${Answered} answer=${answer}>${({ data }) => html`<ul class="list rowed">${data.map(row)}</ul>`}</${Answered}>
    <${Unfold} title=${t("keys.new")}><${New} session=${session} made=${shown} /></${Unfold}>
    ${
      ending &&
      html`<${Confirm} title=${t("keys.revoke.ask", { name: keyName(ending) })} what=${t("keys.revoke.what")} action=${t("keys.revoke")}
      request=${{ method: "DELETE", path: `${ALL.path}/${segment(ending.id)}` }} close=${() => setEnding(null)} done=${revoked} />`
    }
  </${Setting}>`;
}
