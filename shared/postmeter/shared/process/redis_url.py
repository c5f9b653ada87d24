"""A URL of Redis that names its Sentinels: redis+sentinel://[user:password@]host:port,host:port/service[?db=N]."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from postmeter.shared.auth.secret import Secret

TLS = {"redis+sentinel": False, "rediss+sentinel": True}
"""The schemes, and whether Sentinels and servers are spoken to by TLS."""
FORM = "redis+sentinel://[user:password@]host:port,host:port/service[?db=N]"
_CLUSTER = ("redis+cluster", "rediss+cluster")
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_OPTIONS = ("db", "sentinel_username", "sentinel_password", *_TLS_FILES)


@dataclass(frozen=True)
class SentinelUrl:
    """What such a URL says. service: the name by which the Sentinels know the master.

    master, sentinel: redis-py's options for a connection to each: user and password of the one are not the other's
    (sentinel_username, sentinel_password), the files for TLS are both's.
    """

    sentinels: list[tuple[str, int]]
    service: str
    is_tls: bool
    master: dict[str, Any] = field(repr=False)
    sentinel: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, url: Secret) -> Self:
        """Raises ValueError that says what is wrong, and nothing of what stands there: it may be a password."""
        scheme, _, rest = url.reveal().partition("://")
        place, _, query = rest.partition("?")
        authority, _, service = place.partition("/")
        login, _, hosts = authority.rpartition("@")
        username, _, password = login.partition(":")
        if scheme not in TLS:
            raise _wrong("it begins with another scheme")
        if not service or "/" in service:
            raise _wrong("behind the Sentinels stands one /, and then the service's name")
        options = dict(parse_qsl(query, keep_blank_values=True))
        if not options.keys() <= set(_OPTIONS):
            raise _wrong(f"behind ? it takes {', '.join(_OPTIONS)}, and nothing else")
        number = options.get("db", "0")
        if not (number.isascii() and number.isdecimal()):
            raise _wrong("db is a number")
        files = {name: options[name] for name in _TLS_FILES if name in options}
        if files and not TLS[scheme]:
            raise _wrong(f"{', '.join(_TLS_FILES)} are for rediss+sentinel://")
        return cls(
            sentinels=[_address(text, n) for n, text in enumerate(hosts.split(","), 1)],
            service=unquote(service),
            is_tls=TLS[scheme],
            master={"db": int(number), **_login(unquote(username), unquote(password)), **files},
            sentinel={**_login(options.get("sentinel_username"), options.get("sentinel_password")), **files},
        )


def is_sentinel(url: Secret) -> bool:
    """Whether a URL names Sentinels, and not Redis itself."""
    return url.reveal().partition("://")[0] in TLS


def check(url: Secret) -> bool:
    """Whether it is a URL that redis_clients.py takes. Raises ValueError where it can be said what is wrong with it."""
    if is_sentinel(url):
        given = SentinelUrl.parse(url).sentinel
        for name in _TLS_FILES:
            if name in given and not os.access(given[name], os.R_OK):
                raise _wrong(f"{name} names a file that cannot be read here")
        return True
    if url.reveal().partition("://")[0] in _CLUSTER:
        raise ValueError(f"does not take redis+cluster:// yet: take one server (redis://), or {FORM}")
    try:
        parts = urlsplit(url.reveal())
        number = parts.path.strip("/")
        is_place = parts.scheme == "unix" or not number or number.isdecimal()
        return parts.scheme in ("redis", "rediss", "unix") and parts.port != 0 and is_place
    except ValueError:
        return False


def _address(text: str, number: int) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _wrong(f"Sentinel {number} is an IPv6 address without brackets, or names two ports")
    if not host or any(one in " []/@" for one in host):
        raise _wrong(f"Sentinel {number} is not host:port")
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise _wrong(f"Sentinel {number} has no port from 1 to 65535")
    return host, int(port)


def _login(username: str | None, password: str | None) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}


def _wrong(what: str) -> ValueError:
    return ValueError(f"takes {FORM}: {what}")
