"""What the fuzz tests of all protocols share: the schema of a contract, and how many examples are tried.

The short form tries a few fixed examples of each operation. The long form (``make fuzz``, ``GOODSGATE_TEST_FUZZ=long``)
tries hundreds, other ones in each run, and every boundary value that the contract's schemas name.
"""

from collections.abc import Callable
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings

from goodsgate.http.endpoints import load_openapi
from tests.effort import LONG


def load_schema(package: str, checks: dict[str, dict[str, Any]]) -> schemathesis.BaseSchema:
    """Return the contract of a protocol's package as a schema to generate requests from.

    ``checks`` are settings of single checks, for example the statuses that well-formed requests may be answered with.
    A status of 500 or more never passes.
    """
    config = schemathesis.Config.from_dict({
        "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]}, **checks},
        # Generating the boundary values takes most of a short run.
        "phases": {"coverage": {"enabled": LONG}},
    })
    return schemathesis.openapi.from_dict(load_openapi(package).document, config=config)


def examples(short: int, long: int) -> Callable[[Any], Any]:
    """Set how many examples a test tries in each form."""
    return settings(
        max_examples=long if LONG else short, derandomize=not LONG, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
    )
