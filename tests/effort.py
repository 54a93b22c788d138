"""How much the tests try: `make test` a fifth of the examples that `make fuzz` (``GOODSGATE_TEST_FUZZ=long``) tries.

Hypothesis draws other examples in every run, so that many short runs find what a long one finds.
"""

import os

LONG = os.environ.get("GOODSGATE_TEST_FUZZ") == "long"
SHARES = 1 if LONG else 5


def examples(number: int) -> int:
    """Return the number of examples for Hypothesis: this number in the long form, a fifth of it in the short one."""
    return max(5, number // SHARES)
