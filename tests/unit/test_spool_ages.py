"""The age of what waits on disk, looked at while the spool's thread makes and removes segments."""

import threading
from pathlib import Path

from postmeter.tracking.durable import segment
from postmeter.tracking.durable.segment import Segment


def test_a_segment_that_goes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """As on a full disk, where each batch makes a segment and takes it away again."""
    Segment.create(tmp_path / segment.new_name(1), 1).close()
    stop = threading.Event()

    def fail_to_write() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            made = Segment.create(tmp_path / segment.new_name(number), 1)
            made.close()
            made.path.unlink()

    writer = threading.Thread(target=fail_to_write)
    writer.start()
    try:
        assert all(list(segment.written(tmp_path)) for _ in range(3000))
    finally:
        stop.set()
        writer.join()
