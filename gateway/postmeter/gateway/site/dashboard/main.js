/** Where the page starts: texts and session at once, then the frame. */

import { html, render } from "./htm/standalone.module.js";
import { App } from "./app.js";
import { followLinks } from "./address.js";
import { session } from "./api.js";
import { foldDrops } from "./parts/drops.js";
import { followScrolling } from "./scrolling.js";
import { resume } from "./signing_in.js";
import { loadTexts } from "./texts.js";

const place = document.getElementById("page");

async function start() {
  // Who is about to sign in is not asked who they are.
  const [found] = await Promise.all([location.pathname === "/login" ? null : session(), loadTexts()]);
  if (found) resume();
  followLinks();
  foldDrops();
  followScrolling(place);
  render(html`<${App} session=${found} />`, place);
}

// A browser that keeps pages alive behind "back" would show them to whoever comes after a sign-out.
addEventListener("pageshow", (event) => event.persisted && location.reload());

start().catch(() => {
  // Texts could not be had, so that this one stands here.
  render(
    html`<main class="bare"><h1>Postmeter</h1><p>The page could not be loaded. Is Postmeter running?
    <a href=${location.href}>Try again</a>.</p></main>`,
    place,
  );
});
