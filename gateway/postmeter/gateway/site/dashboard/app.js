/** The frame: head with menu and controls, and in it the screen that the address names. */

import { html, useEffect, useRef, useState } from "./htm/standalone.module.js";
import { to, useAddress } from "./address.js";
import { Again, Round } from "./answers.js";
import { viewOf } from "./model/views.js";
import { Controls } from "./parts/controls.js";
import { Account } from "./parts/account.js";
import { Loading, Trouble } from "./parts/states.js";
import { SCREENS, screenAt } from "./screens.js";
import { leave } from "./signing_in.js";
import { t } from "./texts.js";

/** Milliseconds after which what goes on is asked for again. */
const AGAIN = 60_000;

function useRound() {
  const [round, setRound] = useState(0);
  useEffect(() => {
    const next = () => document.visibilityState === "visible" && setRound((n) => n + 1);
    const timer = setInterval(next, AGAIN);
    return () => clearInterval(timer);
  }, []);
  return [round, () => setRound((n) => n + 1)];
}

function useModule(screen) {
  const [state, setState] = useState({});
  useEffect(() => {
    screen?.load().then(
      (module) => setState({ screen, Screen: module.default }),
      (error) => setState({ screen, error }),
    );
  }, [screen]);
  return state.screen === screen ? state : {};
}

/** Whether the menu's screen is the present one, or the present one is below it. */
function currentOf(path, current) {
  if (path === current) return "page";
  return path !== "/" && current.startsWith(`${path}/`) ? "true" : null;
}

function Menu({ current }) {
  const place = useRef(null);
  useEffect(() => {
    // Where it is one line that is longer than the page is wide, the present screen is in sight.
    const chosen = place.current.querySelector("[aria-current]");
    if (chosen) place.current.scrollLeft = chosen.offsetLeft - place.current.offsetLeft - 64;
  }, [current]);
  const items = SCREENS.filter(({ inMenu }) => inMenu);
  return html`<nav class="screens" aria-label=${t("frame.menu")}><ul class="menu" ref=${place}>
    ${items.map(
      ({ name, path }) => html`<li key=${name}>
      <a href=${to(path)} aria-current=${currentOf(path, current)}>${t(`screen.${name}`)}</a></li>`,
    )}
  </ul></nav>`;
}

/** All of the page. session: null where nobody is signed in. */
export function App({ session }) {
  const [path, params] = useAddress();
  const { screen, id } = screenAt(path) ?? {};
  const { Screen, error } = useModule(screen);
  const [round, again] = useRound();
  const mayLook = Boolean(session) || screen?.isOpen;
  useEffect(() => {
    if (!mayLook) leave();
  }, [mayLook]);
  useEffect(() => {
    document.title = screen ? `${t(`screen.${screen.name}`)} · Postmeter` : "Postmeter";
  }, [screen]);
  const first = useRef(true);
  useEffect(() => {
    // Who comes from another screen goes on reading at its head.
    if (!first.current) document.getElementById("main")?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  if (!mayLook) return null;
  if (screen?.isOpen) return html`<main class="bare">${Screen && html`<${Screen} session=${session} />`}</main>`;
  const view = viewOf(params, session);
  return html`<${Again.Provider} value=${again}><${Round.Provider} value=${round}>
    <a class="skip" href="#main" data-leave>${t("frame.skip")}</a>
    <header class="head">
      <div class="brand"><a href=${to("/")}>Postmeter</a></div>
      <${Menu} current=${path} />
      <${Account} session=${session} />
    </header>
    ${screen && html`<${Controls} shown=${screen.controls} view=${view} again=${again} />`}
    <main id="main" tabindex="-1">
      ${!screen && html`<${Trouble} title=${t("frame.nowhere")} what=${t("frame.nowhere.do")} />`}
      ${error && html`<${Trouble} title=${t("frame.broken")} what=${t("frame.broken.do")} />`}
      ${Screen && html`<${Screen} key=${screen.name + (id ?? "")} view=${view} id=${id} session=${session} />`}
      ${screen && !Screen && !error && html`<${Loading} />`}
    </main>
  </${Round.Provider}></${Again.Provider}>`;
}
