/** The window's title, where it is not that of the screen: of what is looked at, so that tabs and bookmarks can be told apart. */

import { useEffect } from "../htm/standalone.module.js";

export function useTitle(name) {
  useEffect(() => {
    document.title = `${name} \u00b7 Postmeter`;
  }, [name]);
}
