"""What POSTMETER_TRACES switches on."""

from __future__ import annotations

from postmeter.shared.errors import SettingsError
from postmeter.shared.process.settings import TraceSettings
from postmeter.shared.process.traces import OFF, Traces


def of(settings: TraceSettings, service: str) -> Traces:
    """The process's traces. Needs a running event loop where they are on.

    Raises SettingsError where OpenTelemetry is not installed, or one of its own variables (OTEL_*) is wrong.
    """
    if not settings.traces:
        return OFF
    try:
        from postmeter.shared.process import spans  # only here: it needs the extra `traces`
    except ImportError:
        raise SettingsError(
            "POSTMETER_TRACES needs `pip install 'postmeter[traces]'`, in a clone `./postmeter extras`"
        ) from None
    return spans.Recording(service)
