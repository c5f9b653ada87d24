"""An event loop whose time is virtual, and the processes that live in it."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from tests.simulation.network import Network

T = TypeVar("T")
Given = TypeVarTuple("Given")

MOST_STEPS = 500_000
"""Of a world. One that needs more goes round in a circle without time passing."""


class Circle(Exception):
    """The world does not come to rest."""


class Process:
    """A process of the simulated world: everything that was started in it stops when it is killed, in mid-air."""

    def __init__(self, name: str, skew: float = 0.0) -> None:
        """skew: seconds by which its wall clock is ahead."""
        self.name = name
        self.skew = skew
        self.is_alive = True
        self.frozen_until = 0.0
        self.at_death: list[Callable[[], None]] = []
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run this inside the process."""
        loop = asyncio.get_running_loop()
        return loop.create_task(work) if CURRENT.get() is self else self.context.run(loop.create_task, work)

    def kill(self) -> None:
        """As kill -9: nothing of it runs any more, not even its `finally`."""
        self.is_alive = False
        for each in self.at_death:
            each()


CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("CURRENT", default=None)
OUTSIDE = contextvars.Context()
"""Where servers and the world itself run: no process, so nothing stops it."""


class Handle(asyncio.TimerHandle):
    """What is to run. Leaves out what asyncio's own does for its debug mode, which is a good part of a step."""

    __slots__ = ()

    def __init__(self, when: float, callback: Any, args: Any, loop: Loop, context: Any) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._scheduled = True
        self._repr = self._source_traceback = None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback, self._args = None, ()


class Loop(asyncio.AbstractEventLoop):
    """Runs what is ready, in the order in which it became so; then time jumps to what is due next.

    What is ready at the same moment in two processes runs in an order that follows from the network's delays, which
    are drawn from the seed: so the seed decides it.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.steps = 0
        self.errors: list[dict[str, Any]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.network: Network
        """Where connections of the processes lead; the world sets it."""
        self._number = 0
        self._due: list[tuple[float, int, asyncio.Handle]] = []
        self._ready: deque[asyncio.Handle] = deque()
        self._free: dict[object, float] = {}
        self._executor_delay: Callable[[], float] = lambda: 0.0005

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        handle = Handle(self.now, callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = Handle(when, callback, args, self, context)
        self._push(when if when > self.now else self.now, handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Given], object], *args: *Given, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Any = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks.append(task)
        return task

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Given], T], *args: *Given
    ) -> asyncio.Future[T]:
        """In a thread of the process: later, one thing after the other where it is the same executor."""
        future: asyncio.Future[T] = self.create_future()
        begin = max(self.now, self._free.get(executor, 0.0)) if executor is not None else self.now
        end = begin + self._executor_delay()
        if executor is not None:
            self._free[executor] = end
        self.call_at(end, self._in_thread, future, func, args)
        return future

    def _in_thread(self, future: asyncio.Future[Any], func: Any, args: Any) -> None:
        try:
            result = func(*args)
        except Exception as error:
            if not future.done():
                future.set_exception(error)
        except Killed:
            pass
        else:
            if not future.done():
                future.set_result(result)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.network.connect(protocol_factory, host)

    async def shutdown_asyncgens(self) -> None:
        return None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    # -- how time passes

    def set_executor_delay(self, delay: Callable[[], float]) -> None:
        self._executor_delay = delay

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run until the coroutine has ended. Raises Circle, and what it raises."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main)
            while not task.done():
                if not self._step():
                    raise Circle("nothing is left to happen, and the world has not ended")
            return task.result()
        finally:
            asyncio._set_running_loop(None)

    def _push(self, when: float, handle: asyncio.Handle) -> None:
        self._number += 1
        heapq.heappush(self._due, (when, self._number, handle))

    def _step(self) -> bool:
        if self._ready:
            handle = self._ready.popleft()
        elif self._due:
            when, _, handle = heapq.heappop(self._due)
            if when > self.now and not handle._cancelled:
                self.now = when
        else:
            return False
        if handle._cancelled:
            return True
        process = handle._context.get(CURRENT)  # type: ignore[attr-defined]  # get_context() is of Python 3.12
        if process is not None:
            if not process.is_alive:
                return True
            if process.frozen_until > self.now:
                self._push(process.frozen_until, handle)
                return True
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Circle(f"{MOST_STEPS} steps, at {self.now:.3f}")
        handle._run()
        return True


class Killed(BaseException):
    """A process was killed while it was in the middle of something that the loop cannot cut through."""
