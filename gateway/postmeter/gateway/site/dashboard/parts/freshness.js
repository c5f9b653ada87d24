/** How old what is shown is: counted in seconds while one looks. */

import { html, useEffect, useState } from "../htm/standalone.module.js";
import { ago } from "../model/times.js";
import { t } from "../texts.js";

/** at: milliseconds since 1970, null where nothing has come yet. */
export function Freshness({ at }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return html`<p class="soft">${at === null ? "" : t("freshness", { ago: ago(at, "UTC", Math.max(now, at)) })}</p>`;
}
