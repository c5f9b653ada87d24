"""Threads that hash passwords give way to those that answer, however urgent the process itself is."""

import os
import subprocess
import sys

import pytest

HASHED = """
import asyncio, os, threading
from postmeter.gateway.people.passwords import Passwords

async def main():
    passwords = Passwords()
    print(await passwords.verify(await passwords.hash("correct horse"), "correct horse"))
    print(await passwords._work(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    passwords.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has the process's urgency")
@pytest.mark.parametrize("nicer", [0, 15])
def test_hashing_gives_way_however_nice_the_process_is(nicer: int) -> None:
    """A gateway under `nice -n 15` could not make its threads less nice, so that nobody could sign in."""
    command = ["nice", "-n", str(nicer), sys.executable, "-c", HASHED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    process = min(19, os.getpriority(os.PRIO_PROCESS, 0) + nicer)
    assert done.stdout.split() == ["True", str(min(19, process + 10))]
