"""Asking a service's ops port whether it is ready."""

import http.client
import time

from postmeter.cli.local.errors import StartError
from postmeter.cli.local.ports import HOST
from postmeter.cli.local.processes.process import Process


def wait_ready(process: Process, ops_port: int, timeout: float) -> None:
    """Wait until /readyz answers 200. Raises StartError when the process ends before, or time is up."""
    deadline = time.monotonic() + timeout
    answer = "nothing"
    while True:
        status, answer = _ask(ops_port) or (0, answer)
        if status == 200:
            return
        if process.returncode is not None:
            raise StartError(f"{process.name} ended with status {process.returncode} while it was started")
        if time.monotonic() > deadline:
            raise StartError(f"{process.name} was not ready after {timeout:.0f} s; it last said: {answer}")
        time.sleep(0.03)


def _ask(ops_port: int) -> tuple[int, str] | None:
    connection = http.client.HTTPConnection(HOST, ops_port, timeout=3.0)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, response.read(2000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
