"""Named steps at which a test may have the process killed, as by a power cut.

``GOODSGATE_CRASH_AT=settle-written`` kills it at the first time it comes by, ``settle-written:3`` at the third.
"""

import os
import signal

POINTS: tuple[str, ...] = (
    # receiving: the body is read / payload file and folder are synced, the batch is not there yet / everything is
    # written, nothing is committed / the batch is durable, nobody was told
    "received", "seal-synced", "seal-written", "sealed",
    # working: a lane is leased / the worker knows it / a portion is computed
    "claim-taken", "claimed", "applied",
    # settling: everything is written, nothing is committed / the catalogue is committed, the intake does not know /
    # the intake knows / the worker knows
    "settle-written", "settle-committed", "settle-mirrored", "settled",
    # sweeping: one half of what belongs together is gone
    "sweep-halved",
)
"""In the order in which a submission comes by."""

_NAME, _, _TIMES = os.environ.get("GOODSGATE_CRASH_AT", "").partition(":")
_left = int(_TIMES or 1)

if _NAME and _NAME not in POINTS:
    raise ValueError(f"GOODSGATE_CRASH_AT: no such point: {_NAME}")


def point(name: str, /) -> None:
    """Die here, without a chance to tidy up, if the environment says so; costs nothing otherwise."""
    global _left
    if name != _NAME:
        return
    _left -= 1
    if not _left:
        os.kill(os.getpid(), signal.SIGKILL)
