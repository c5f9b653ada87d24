"""People who open a message again and again while something is done to the service."""

import threading
from contextlib import closing

from postmeter.shared.links.hits import GIF
from tests.integration.tracking_service import Service, open_target
from tests.product import wait_for


class Visitors:
    """Threads that open one message again and again and count the answers."""

    def __init__(self, service: Service, message: bytes, count: int = 6) -> None:
        self.answered = 0
        self._stop = False
        self._lock = threading.Lock()
        self._service = service
        self._request = f"GET {open_target(message)} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with closing(self._service.connect()) as wire:
            while not self._stop:
                try:
                    wire.send(self._request)
                    assert wire.reply().body == GIF
                except (AssertionError, OSError):
                    return
                with self._lock:
                    self.answered += 1

    def more(self, hits: int) -> None:
        """Wait until that many more have been answered."""
        goal = self.answered + hits
        wait_for(f"{hits} more answers", lambda: self.answered >= goal)

    def end(self) -> int:
        self._stop = True
        for thread in self._threads:
            thread.join()
        return self.answered
