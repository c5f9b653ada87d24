"""The dashboard's files (ADR 0043): site/dashboard as it stands there, and the two libraries that it uses.

Nothing is built. All files but the page itself lie below a path that is named by the content of all of them, so
that a browser keeps them for ever, and asks for none of them with one of another release. The page names in its head
the modules that its screen needs, and no others: else a browser learns of one by another, a round trip for each level.
There, too, stand the names of what is counted, and by what: they are declared in one place (ADR 0061).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from postmeter.gateway.pages.files import FOR_EVER, Page, digest
from postmeter.shared.apis.pages import ASSETS_PATH
from postmeter.shared.storage.rollups import MESSAGE_DIMENSIONS, METRICS

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # No text becomes markup or script, and nobody may make a policy by which it could.
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_MEDIA = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml"}
_LIBRARIES = ("htm/standalone.module.js", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css")
_INDEX = "index.html"
_PLACE_OF_ASSETS = b"{assets}"
_PLACE_OF_MODULES = b"<!-- modules -->"
_MAIN = "main.js"
_TABLE = "screens.js"
_PATH = re.compile(rb' path: "([^"]+)"')
_SCREEN = re.compile(rb' import\("\./([^"]+)"\)')
_IMPORT = re.compile(rb' from "(\.[^"]+)";')


def pages() -> dict[str, Page]:
    """Every file by its path; the page itself by the path of each screen."""
    site = resources.files("postmeter.gateway") / "site"
    index = (site / "dashboard" / _INDEX).read_bytes()
    for place, names in ((b"{metrics}", METRICS), (b"{dimensions}", MESSAGE_DIMENSIONS)):
        index = index.replace(place, " ".join(names).encode())
    assets = dict(_files(site / "dashboard")) | {name: (site / name).read_bytes() for name in _LIBRARIES}
    del assets[_INDEX]
    assets["icon.svg"] = (site / "icon.svg").read_bytes()
    base = f"{ASSETS_PATH}/{digest(b''.join(name.encode() + assets[name] for name in sorted(assets)))}"
    found = {f"{base}/{name}": Page.of(_media(name), content, POLICY, FOR_EVER) for name, content in assets.items()}
    return found | {path: Page.of("text/html", content, POLICY) for path, content in _screens(index, base, assets)}


def _screens(index: bytes, base: str, assets: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The page of each screen, by the screen's path."""
    table = assets[_TABLE]
    for path, module in zip(_PATH.findall(table), _SCREEN.findall(table), strict=True):
        needed = sorted(_needed([_MAIN, module.decode()], assets) - {_MAIN})  # the page's own script
        tags = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in needed)
        yield path.decode(), index.replace(_PLACE_OF_MODULES, tags.encode()).replace(_PLACE_OF_ASSETS, base.encode())


def _needed(modules: list[str], assets: dict[str, bytes]) -> set[str]:
    """These modules and all that they import, which those import, and so on."""
    found = set[str]()
    while modules:
        name = modules.pop()
        if name not in found:
            found.add(name)
            imported = (
                posixpath.join(posixpath.dirname(name), path.decode()) for path in _IMPORT.findall(assets[name])
            )
            modules += map(posixpath.normpath, imported)
    return found


def _files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for file in folder.iterdir():
        if file.is_dir():
            yield from _files(file, f"{prefix}{file.name}/")
        else:
            yield prefix + file.name, file.read_bytes()


def _media(name: str) -> str:
    return _MEDIA[name[name.rindex(".") :]]
