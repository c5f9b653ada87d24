/** Signing in: by email and password, by an API key, or by a one-time link, which is used by pressing a button. */

import { html, useEffect, useState } from "../htm/standalone.module.js";
import { useAnswer } from "../answers.js";
import { ask } from "../api.js";
import { Language } from "../parts/account.js";
import { Failed, Loading, Trouble } from "../parts/states.js";
import { addressAfterSignIn, keepAddress } from "../signing_in.js";
import { t } from "../texts.js";

/** What a one-time link is for, and its token: they stand behind `#`, where no server is told them. */
function linkIn(hash) {
  const [, purpose, token] = /^#(sign-in|invitation|reset)=(.+)$/.exec(hash) ?? [];
  return token ? { purpose, token } : null;
}

function useSignIn() {
  const [state, setState] = useState({ busy: false, error: null });
  const signIn = async (body) => {
    setState({ busy: true, error: null });
    try {
      await ask({ method: "POST", path: "/session", body });
      location.replace(addressAfterSignIn());
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return { ...state, signIn };
}

const fields = (event) => {
  event.preventDefault();
  return Object.fromEntries(new FormData(event.target));
};

function Refused({ error, refused }) {
  if (!error) return null;
  if (error.status === 400) return html`<${Trouble} title=${t("login.change")} what=${error.message} />`;
  if (error.status !== 401 && error.status !== 403) return html`<${Failed} error=${error} />`;
  return html`<${Trouble} title=${t(refused)} what=${t(`${refused}.do`)} />`;
}

/** Whose a link is: undefined while that is asked, null where it cannot be told now. error: it is worth nothing. */
function useOwner(token) {
  const [state, setState] = useState({});
  useEffect(() => {
    ask({ method: "POST", path: "/session/link", body: { link: token } }).then(
      ({ data }) => setState({ owner: data }),
      (error) => setState({ owner: null, error: error.status === 401 ? error : null }),
    );
  }, [token]);
  return state;
}

function ByLink({ link }) {
  const { owner, error } = useOwner(link.token);
  if (owner === undefined) return html`<${Loading} />`;
  return html`
    ${owner && html`<p>${t("login.for")} <b>${owner.email}</b> · ${t("account.workspace")} ${owner.workspace}</p>`}
    ${error ? html`<${Refused} error=${error} refused="login.link_refused" />` : html`<${Use} link=${link} owner=${owner} />`}
    <p><a href="/login" data-leave>${t("login.otherwise")}</a></p>`;
}

function Use({ link, owner }) {
  const { busy, error, signIn } = useSignIn();
  const submit = (event) => {
    const { password } = fields(event);
    signIn({ link: link.token, ...(password && { password }) });
  };
  return html`<p>${t(`login.${link.purpose}.what`)}</p>
    <form class="form" onSubmit=${submit}>
      ${owner && html`<input class="hidden" autocomplete="username" value=${owner.email} readonly tabindex="-1" aria-hidden="true" />`}
      ${
        link.purpose !== "sign-in" &&
        html`<label>${t("login.new_password")}
        <input type="password" name="password" autocomplete="new-password" required minlength="12" /></label>`
      }
      <button class="main" disabled=${busy}>${t(`login.${link.purpose}`)}</button>
    </form>
    <${Refused} error=${error} refused="login.link_refused" />`;
}

function ByPassword() {
  const { busy, error, signIn } = useSignIn();
  const submit = (event) => {
    const { workspace, ...given } = fields(event);
    signIn({ ...given, ...(workspace && { workspace }) });
  };
  return html`<form class="form" onSubmit=${submit}>
      <label>${t("login.email")}<input type="email" name="email" autocomplete="username" required /></label>
      <label>${t("login.password")}<input type="password" name="password" autocomplete="current-password" required />
        </label>
      ${error && html`<label>${t("login.workspace")}<input name="workspace" autocomplete="organization" /></label>`}
      <button class="main" disabled=${busy}>${t("login.do")}</button>
    </form>
    <${Refused} error=${error} refused="login.refused" />`;
}

function ByKey() {
  const { busy, error, signIn } = useSignIn();
  return html`<details class="panel"><summary>${t("login.by_key")}</summary>
    <form class="form" onSubmit=${(event) => signIn(fields(event))}>
      <label>${t("login.key")}<input type="password" name="api_key" autocomplete="off" required /></label>
      <button disabled=${busy}>${t("login.do")}</button>
    </form>
    <${Refused} error=${error} refused="login.key_refused" /></details>`;
}

/** What became of a sign-in at the provider: it comes back with `#oidc=` and a word. */
const returned = (hash) => /^#oidc=(refused|unknown|unavailable|off)$/.exec(hash)?.[1];

/** At the identity provider that the operator has named, if there is one. */
function ByProvider() {
  const { value } = useAnswer({ method: "GET", path: "/session/ways" });
  const provider = value?.data.oidc;
  const word = returned(location.hash);
  const said = word && `login.oidc.${word}`;
  return html`${word && html`<${Trouble} title=${t(said)} what=${t(`${said}.do`)} />`}
    ${
      provider &&
      html`<p><a class="button main" href=${provider.path} data-leave onClick=${keepAddress}>
      ${t("login.by_provider", { label: provider.label })}</a></p>`
    }`;
}

/** The screen. */
export default function Login() {
  const link = linkIn(location.hash);
  return html`<h1>Postmeter</h1>
    ${link ? html`<${ByLink} link=${link} />` : html`<${ByProvider} /><${ByPassword} /><${ByKey} />`}
    <p class="soft"><${Language} /></p>`;
}
