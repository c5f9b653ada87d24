"""Processes of the product find only the libraries of requirements.lock (`as_installed` in tests/product.py).

The tests need rich and OpenTelemetry. structlog and redis load them where they find them, which took 0.15 of the 0.85
seconds of a core of each start of a service. Traces, and services without what sends them, are the subject of
tests/integration/services/test_traces.py.

Nor do they read the machine's certificate authorities, which aiohttp loads when it is imported: a tenth of each start.
No test talks to anybody whom one of them vouches for.
"""

import os
import sys

os.environ["SSL_CERT_FILE"] = os.devnull

sys.modules.update(dict.fromkeys(("rich", "opentelemetry")))  # type: ignore[arg-type]  # None: is not to be found
