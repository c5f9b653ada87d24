/** What somebody may do here, so that nothing is offered which would be refused; the API decides (docs/people.md). */

/** By role: those that it may give. */
const BELOW = {
  super_admin: ["super_admin", "admin", "member", "domain_admin"],
  admin: ["admin", "member", "domain_admin"],
  domain_admin: ["domain_admin"],
};

/** What a user's role means in scopes. */
const SCOPES = {
  admin: ["analytics", "track", "mail:read", "access", "privacy"],
  member: ["analytics", "track", "mail:read"],
  viewer: ["analytics"],
};

/** The role that the API sees: whoever has domains is confined to them, and a viewer is a member who only reads. */
function roleOf({ role, domains }) {
  if (domains) return "domain_admin";
  return role === "viewer" ? "member" : role;
}

/**
 * @param {{role: string, scopes: string[], domains: string[] | null}} session
 * @returns {{people: boolean, tracks: boolean, reads: boolean, ips: boolean, privacy: boolean}} people: users and keys. tracks: sources,
 *   and writes of thresholds and sending IPs. reads: what is counted. ips: sees the sending IPs. privacy: levels, erasure, audit.
 */
export function rightsOf(session) {
  const role = roleOf(session);
  const has = (scope) => session.scopes.includes(scope);
  const isAdmin = role === "super_admin" || role === "admin";
  return {
    people: has("access") && (isAdmin || role === "domain_admin"),
    tracks: has("track") && isAdmin,
    reads: has("analytics"),
    ips: has("analytics") && role !== "domain_admin",
    privacy: has("privacy") && isAdmin,
  };
}

/** Whether somebody has all that a key or a user has, or is to have: {role, scopes}. */
export function mayGive(session, { role, scopes }) {
  return (BELOW[roleOf(session)] ?? []).includes(role) && scopes.every((scope) => session.scopes.includes(scope));
}

/** Roles of keys that somebody may give. */
export const keyRoles = (session) => BELOW[roleOf(session)] ?? [];

/** Whether somebody may give a user's role, with domains or without. */
export function mayGiveRole(session, role, domains) {
  const confined = Boolean(domains);
  return mayGive(session, {
    role: confined ? "domain_admin" : role === "admin" ? "admin" : "member",
    scopes: SCOPES[role] ?? [],
  });
}

/** Roles of users that somebody may give. */
export const userRoles = (session) => Object.keys(SCOPES).filter((role) => mayGiveRole(session, role, session.domains));
