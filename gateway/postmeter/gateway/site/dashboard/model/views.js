/** What is looked at: period, zone, whom to count, filters. Read from the address, the same for all of a screen. */

import { FILTERS } from "./declared.js";
import { audienceOf } from "./measures.js";
import { periodOf } from "./periods.js";
import { isZone } from "./times.js";

/** The zone of the browser. */
const here = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/**
 * The view that an address asks for.
 * @param {object | null} session whose workspace's zone is the usual one
 */
export function viewOf(params, session) {
  const asked = params.get("zone");
  const zone = asked && isZone(asked) ? asked : (session?.timezone ?? here());
  const filters = {};
  for (const name of FILTERS) if (params.has(name)) filters[name] = params.getAll(name);
  return { period: periodOf(params, zone), zone, who: audienceOf(params), filters };
}
