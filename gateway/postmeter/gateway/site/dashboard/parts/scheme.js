/** The colours of the present scheme, for what is drawn and not styled. */

import { useEffect, useState } from "../htm/standalone.module.js";

const QUERIES = ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"];

/** Changes when the browser's scheme does. */
export function useScheme() {
  const now = () => QUERIES.map((query) => matchMedia(query).matches).join();
  const [scheme, setScheme] = useState(now());
  useEffect(() => {
    const lists = QUERIES.map((query) => matchMedia(query));
    const change = () => setScheme(now());
    for (const list of lists) list.addEventListener("change", change);
    return () => {
      for (const list of lists) list.removeEventListener("change", change);
    };
  }, []);
  return scheme;
}

/** On paper all is light (style/page.css); what is drawn follows that event by event. */
export const PRINTS = ["beforeprint", "afterprint"];
for (const name of PRINTS) addEventListener(name, () => document.documentElement.classList.toggle("paper", name === PRINTS[0]));

/** A colour by its name in style/page.css. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
