"""The contract enforced: wraps a store, looks at every argument before and at every result after.

All tests run through it. Each file of this package is one part of the contract and builds on the one before::

    opened → merchants → messages → receiving → asking → working

What is demanded of the values themselves is in `demands.py`.
"""

from goodsgate.store.strict.working import Working

__all__ = ["StrictStore"]


class StrictStore(Working):
    """A store that is watched; see Store for what each method does."""
