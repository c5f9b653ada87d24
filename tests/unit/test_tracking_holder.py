"""A spool belongs to one host: another one's process is seen by its lock or, where locks do not hold, by its beats."""

import asyncio
import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from postmeter.tracking.durable import holder
from postmeter.tracking.durable.holder import Holder, SpoolTaken
from postmeter.tracking.durable.spool import Spool
from tests.product import wait_for

NAME = "0123456789abcdef"
OTHERS = [Holder("tracking-1", "b", 7, "tracking-service"), Holder(socket.gethostname(), "another boot", 7, "x")]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], None]]]:
    """What happens elsewhere, one after the other, each time that somebody waits for beats."""
    happens: list[Callable[[], None]] = []
    monkeypatch.setattr(time, "sleep", lambda _: happens.pop(0)())
    yield happens
    assert happens == []


def left_by(root: Path, who: Holder) -> int:
    """A folder with a note of another host; its lock."""
    (root / NAME).mkdir(parents=True)
    lock = holder.try_lock(root / NAME)
    assert lock is not None
    os.pwrite(lock, msgspec.json.encode(who).ljust(512, b"\0"), 0)
    return lock


def spool(root: Path) -> Spool:
    return Spool(root, "fedcba9876543210", 1 << 20, 0)


@pytest.mark.parametrize("who", OTHERS)
def test_a_lock_of_another_host_is_told_at_once(tmp_path: Path, waits: list[Callable[[], None]], who: Holder) -> None:
    lock = left_by(tmp_path, who)
    with pytest.raises(SpoolTaken) as refused:
        spool(tmp_path)
    said = str(refused.value)
    assert str(tmp_path / NAME) in said
    assert f"{who.work} of host {who.host}, process 7" in said
    assert "a PersistentVolumeClaim of its own" in said
    os.close(lock)


@pytest.mark.parametrize("who", OTHERS)
def test_where_locks_do_not_hold_beats_tell_who_lives(
    tmp_path: Path, waits: list[Callable[[], None]], who: Holder
) -> None:
    os.close(left_by(tmp_path, who))
    waits.append(lambda: os.utime(tmp_path / NAME / "lock", (1, 1)))  # the file system's clock may not have gone on
    with pytest.raises(SpoolTaken):
        spool(tmp_path)
    waits.append(lambda: None)
    heir = spool(tmp_path)
    assert heir.folder == tmp_path / NAME
    heir.close()


def test_of_this_host_and_after_a_clean_stop_nobody_has_to_wait(
    tmp_path: Path, waits: list[Callable[[], None]]
) -> None:
    """Processes of one host share a spool; what one leaves behind, killed or not, another one takes."""
    first, second = spool(tmp_path), Spool(tmp_path, NAME, 1 << 20, 0)
    assert first.folder != second.folder
    found = holder.holder(second.folder)
    assert found is not None
    assert (found.host, found.pid, found.is_here) == (socket.gethostname(), os.getpid(), True)
    for one in (first, second):
        one.folder.joinpath("x.segment").touch()  # else the folder goes, too
        one.close()
        assert holder.holder(one.folder) is None


async def test_a_living_process_takes_nothing_that_another_host_may_hold(tmp_path: Path) -> None:
    """Two that start at the same moment do not see each other; then the second look tells."""
    own = spool(tmp_path)
    os.close(left_by(tmp_path, OTHERS[0]))
    assert await own.adopt() == []
    os.utime(tmp_path / NAME / "lock")
    assert await own.adopt() == []
    assert await own.adopt() == [tmp_path / NAME]
    await own.abandon(tmp_path / NAME, keep=False)
    assert [one.name for one in holder.folders(tmp_path)] == [own.folder.name]
    own.close()


async def test_a_living_process_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "BEAT_SECONDS", 0.01)
    own = spool(tmp_path)
    os.utime(own.folder / "lock", (0, 0))
    living = asyncio.create_task(own.live())
    await asyncio.to_thread(wait_for, "a beat", lambda: holder.last_beat(own.folder) > 0)
    living.cancel()
    own.close()


@pytest.mark.parametrize("note", [b"", b"\0" * 512, b"{", b'{"host": 1}', b"\xff" * 2000])
def test_a_note_that_is_not_one_is_nobody_s(tmp_path: Path, waits: list[Callable[[], None]], note: bytes) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "lock").write_bytes(note)
    (tmp_path / "lost+found").mkdir()
    own = spool(tmp_path)
    assert own.folder == tmp_path / NAME
    own.close()
    assert [one.name for one in (tmp_path / "lost+found").iterdir()] == []


@pytest.mark.parametrize("left", [False, True], ids=("empty", "with a folder"))
def test_a_disk_that_takes_no_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: bool) -> None:
    """Not tried for ever, with a new folder each time."""
    tries = 0

    def fail(*_: object) -> None:
        nonlocal tries
        tries += 1
        assert tries < 10
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if left:
        os.close(left_by(tmp_path, OTHERS[0]))
    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="No locks available"):
        spool(tmp_path)


async def test_a_folder_that_cannot_be_used_keeps_no_other_one_from_being_drained(tmp_path: Path) -> None:
    own = spool(tmp_path)
    for name in ("1" * 16, "2" * 16):
        (tmp_path / name).mkdir()
    (tmp_path / ("f" * 16) / "lock").mkdir(parents=True)
    assert await own.adopt() == [tmp_path / ("1" * 16), tmp_path / ("2" * 16)]
    with pytest.raises(IsADirectoryError):
        await own.adopt()
    own.close()
