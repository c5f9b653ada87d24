"""Ways to sign in. Each ends in a session that is new, whatever the browser had before."""

from __future__ import annotations

from postmeter.gateway.keys.holders import Keys
from postmeter.gateway.people import links, passwords, sessions, users
from postmeter.gateway.people.browser.kinds import Browser
from postmeter.gateway.people.links import Link, Purpose
from postmeter.gateway.people.passwords import Passwords
from postmeter.gateway.people.throttle import Throttle
from postmeter.shared.apis.people.session import KeySignIn, LinkSignIn, PasswordSignIn
from postmeter.shared.errors import RequestError
from postmeter.shared.http.fields import invalid
from postmeter.shared.storage.postgres import Connection, Pool, transaction


class SignIn:
    """Each way returns the token of a session that a browser begins, or raises RequestError: 401 for what does not let
    in, 400, 503.
    """

    def __init__(self, writes: Pool, keys: Keys, passwords: Passwords, throttle: Throttle) -> None:
        self._writes = writes
        self._keys = keys
        self._passwords = passwords
        self._throttle = throttle

    async def with_key(self, given: KeySignIn, browser: Browser) -> str:
        """The session has the key's rights, as long as the key has."""
        caller = await self._keys.verify(given.api_key)
        async with self._writes.acquire() as connection, transaction(connection):
            return await sessions.begin(connection, caller.workspace, None, caller.key_id, browser)

    async def with_password(self, given: PasswordSignIn, address: str, browser: Browser) -> str:
        """One hash is worked out whatever the email is, so that an unknown one is not told by the time.

        A new password ends the user's other sessions and links. address: the client's. Raises RequestError 429 too.
        """
        if len(given.password.encode(errors="replace")) > passwords.MOST:
            raise invalid("password", f"{passwords.MOST} bytes at most")
        email = _normal(given.email)
        if given.new_password is not None:
            passwords.check(given.new_password, email, "new_password")
        await self._throttle.count(email, address)
        workspace = given.workspace
        is_text = "\0" not in email + (workspace or "")  # what Postgres cannot store is nobody's
        account = await users.by_email(self._writes, email, workspace) if is_text else None
        stored = None if account is None else account.password
        if not await self._passwords.verify(stored, given.password) or account is None:
            raise _wrong()
        chosen = given.new_password
        if chosen is None and self._passwords.is_outdated(account.password):
            chosen = given.password
        digest = None if chosen is None else await self._passwords.hash(chosen)
        async with self._writes.acquire() as connection, transaction(connection):
            if not await users.note_sign_in(connection, *account.place, account.password):
                raise _wrong()
            if digest is not None:
                await users.set_password(connection, *account.place, digest)
            if given.new_password is not None:
                await _end_what_was_before(connection, account.place)
            token = await sessions.begin(connection, *account.place, None, browser)
        await self._throttle.succeeded(email, address)
        return token

    async def look_at_link(self, token: str, address: str) -> Link:
        """Whose link it is; it is not used up. address: the client's. Raises RequestError 401, 429, 503."""
        await self._throttle.count_link(address)
        link = await links.find(self._writes, token)
        if link is None:
            raise _spent()
        return link

    async def with_link(self, given: LinkSignIn, browser: Browser) -> str:
        """Uses the link up. A password that it sets ends the user's other sessions and links."""
        link = await links.find(self._writes, given.link)
        if link is None:
            raise _spent()
        if link.purpose is Purpose.SIGN_IN:
            if given.password is not None:
                raise invalid("password", "this link signs in and sets none")
            digest = None
        else:
            if given.password is None:
                raise invalid("password", "choose one")
            passwords.check(given.password, link.email)
            digest = await self._passwords.hash(given.password)
        async with self._writes.acquire() as connection, transaction(connection):
            if not await users.note_sign_in(connection, *link.user) or not await links.use(connection, given.link):
                raise _spent()
            if digest is not None:
                await users.set_password(connection, *link.user, digest)
                await _end_what_was_before(connection, link.user)
            return await sessions.begin(connection, *link.user, None, browser)


async def _end_what_was_before(connection: Connection, user: tuple[int, str]) -> None:
    """With a new password: whoever had the old one is out."""
    await sessions.end_all(connection, *user)
    await links.void(connection, *user)


def _normal(email: str) -> str:
    """As it is stored; what is not an email is as unknown as any."""
    try:
        return users.normal(email)
    except ValueError:
        return email


def _wrong() -> RequestError:
    message = (
        "The email or the password is wrong, or the account is closed. An email that is in several workspaces needs"
        " `workspace`."
    )
    return RequestError(401, "UNAUTHORIZED", message, None, {"WWW-Authenticate": "Bearer"})


def _spent() -> RequestError:
    message = "This link was used, has expired or was replaced by a newer one; ask for a new one."
    return RequestError(401, "UNAUTHORIZED", message, None, {"WWW-Authenticate": "Bearer"})
