/** A screen's head: its name, what it is of, and how old that is, counted in seconds while one looks. */

import { html, useEffect, useState } from "../htm/standalone.module.js";
import { ago } from "../model/times.js";
import { t } from "../texts.js";

/** The window's title, where it is not that of the screen: of what is looked at, so that tabs and bookmarks can be told apart. */
export function useTitle(name) {
  useEffect(() => {
    document.title = `${name} \u00b7 Postmeter`;
  }, [name]);
}

function Freshness({ at }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return html`<p class="soft">${at === null ? "" : t("freshness", { ago: ago(at, "UTC", Math.max(now, at)) })}</p>`;
}

/** at: milliseconds since 1970, null where nothing has come yet; none: that is not told. */
export function Heading({ name, about, at }) {
  return html`<div class="title"><div><h1>${name}</h1>${about && html`<p class="soft">${about}</p>`}</div>
    ${at !== undefined && html`<${Freshness} at=${at} />`}</div>`;
}
