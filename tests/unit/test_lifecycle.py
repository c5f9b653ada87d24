"""How a service waits for its end: for the signal, for whoever goes by /readyz, or for what cannot go on."""

import asyncio
import subprocess
import sys

import pytest

from postmeter.shared.errors import SettingsError
from postmeter.shared.process import lifecycle
from postmeter.shared.process.settings import AnsweringSettings


async def turns() -> None:
    """Let all that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_goes_on_for_the_delay_after_it_was_told() -> None:
    for delay, ended in ((0.0, True), (600.0, False)):
        stop = asyncio.Event()
        stopping = asyncio.create_task(lifecycle.stopping(AnsweringSettings(stop_delay=delay), stop))
        await turns()
        assert not stopping.done()
        stop.set()
        await turns()
        assert stopping.done() is ended
        stopping.cancel()


async def test_what_ends_a_task_ends_it_and_one_that_has_nothing_more_to_do_does_not() -> None:
    async def fine() -> None:
        return

    async def fails() -> None:
        await failing.wait()
        raise SettingsError("another pepper")

    failing, tasks = asyncio.Event(), [asyncio.create_task(fine())]
    tasks.append(asyncio.create_task(fails()))
    stopping = asyncio.create_task(lifecycle.stopping(AnsweringSettings(), asyncio.Event(), *tasks))
    await turns()
    assert not stopping.done()
    failing.set()
    with pytest.raises(SettingsError, match="another pepper"):
        await stopping


FREED = """
import ctypes
from postmeter.shared.process import heap
class Mallinfo(ctypes.Structure):  # glibc's struct mallinfo2; the fourth counts what is the system's own
    _fields_ = [("before", ctypes.c_size_t * 3), ("pieces", ctypes.c_size_t), ("more", ctypes.c_size_t * 8)]
try:
    told = ctypes.CDLL(None).mallinfo2
except AttributeError:
    raise SystemExit("not glibc")
told.restype = Mallinfo
heap.settle()
del (freed := bytearray(8 << 20))[:]
before = told().pieces
kept = bytearray(2 * heap.LARGE)
print(told().pieces - before)
"""
"""In a process of its own: what a heap has free is used first."""


def test_what_is_large_goes_back_to_the_system_whatever_was_freed_before() -> None:
    told = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=False)
    assert (told.stdout, told.stderr) in (("1\n", ""), ("", "not glibc\n"))
