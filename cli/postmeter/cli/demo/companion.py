"""Runs the demo beside the product (`postmeter demo`)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from postmeter.cli.demo.model import company, mailboxes
from postmeter.cli.demo.progress import FOLDER
from postmeter.cli.local.companion import Companion
from postmeter.cli.local.database import Workspace
from postmeter.cli.local.folders import make_folder, write_private
from postmeter.cli.local.processes.process import Process, spawn

_LIST = "mailbox_providers.txt"
_SETTING = "POSTMETER_MAILBOX_PROVIDERS"


def companion(people: int) -> Companion:
    """The demo, with this many people on the lists if none was begun yet."""

    def start(data: Path) -> Process:
        return spawn("demo", [sys.executable, "-m", "postmeter.cli.demo", data, str(people)])

    workspace = Workspace(company.WORKSPACE, company.NAME, company.ZONE)
    return Companion("demo", workspace, _prepare, start)


def _prepare(data: Path) -> Mapping[str, str]:
    """Write the list that names the demo's domains of mailboxes, in place of the one that is set."""
    path = make_folder(data / FOLDER, 0o700) / _LIST
    write_private(path, mailboxes.provider_list(os.environ.get(_SETTING, "")).encode())
    return {_SETTING: str(path)}
