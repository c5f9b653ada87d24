/**
 * The screens. Each is one module in screens/, loaded when it is looked at, whose default export is a component that
 * gets `{view, id, session}`; its texts begin with its name.
 *
 * controls: what of the head it takes: the period, whom to count (`who`), the filters, the zone alone.
 * inMenu: stands in the menu.
 * The same paths stand in shared/apis/pages.py.
 */

const ALL = ["period", "who", "filters"];

export const SCREENS = [
  { name: "overview", path: "/", controls: ALL, inMenu: true, load: () => import("./screens/overview.js") },
  { name: "campaigns", path: "/campaigns", controls: ALL, inMenu: true, load: () => import("./screens/campaigns.js") },
  { name: "campaign", path: "/campaigns/{id}", controls: ["who"], load: () => import("./screens/campaign.js") },
  { name: "message", path: "/messages/{id}", controls: [], load: () => import("./screens/message.js") },
  {
    name: "deliverability",
    path: "/deliverability",
    controls: ["period", "filters"],
    inMenu: true,
    load: () => import("./screens/deliverability.js"),
  },
  { name: "when", path: "/when", controls: ["zone"], inMenu: true, load: () => import("./screens/when.js") },
  { name: "compare", path: "/compare", controls: ["zone"], inMenu: true, load: () => import("./screens/compare.js") },
  { name: "explore", path: "/explore", controls: ALL, inMenu: true, load: () => import("./screens/explore.js") },
  { name: "live", path: "/live", controls: ["who", "zone"], inMenu: true, load: () => import("./screens/live.js") },
  { name: "settings", path: "/settings", controls: [], inMenu: true, load: () => import("./screens/settings.js") },
  { name: "privacy", path: "/settings/privacy", controls: [], load: () => import("./screens/privacy.js") },
  { name: "login", path: "/login", controls: [], isOpen: true, load: () => import("./screens/login.js") },
];

/** The screen at a path and the `{id}` in it, or undefined. */
export function screenAt(path) {
  for (const screen of SCREENS) {
    const id = matched(screen.path, path);
    if (id !== undefined) return { screen, id };
  }
  return undefined;
}

function matched(template, path) {
  const [head, tail] = template.split("{id}");
  if (tail === undefined) return template === path ? null : undefined;
  const rest = path.startsWith(head) ? path.slice(head.length) : "";
  if (!rest || rest.includes("/")) return undefined;
  try {
    return decodeURIComponent(rest);
  } catch {
    return rest;
  }
}
