"""Named points at which a test can kill the process, as a power failure would.

``GOODSGATE_TEST_CRASH_AT=commit-written`` kills the process when it first reaches the point, ``commit-written:3`` the
third time.
"""

import os
import signal

POINTS: tuple[str, ...] = (
    # receiving: the body is read / payload file and folder are synced, but there is no batch / everything is written,
    # but not committed / the batch is durable, but not acknowledged
    "received",
    # the row of a piece of a payload is on disk, but not its object / both are
    "piece-noted", "piece-stored",
    # as above
    "seal-synced", "seal-written", "sealed",
    # processing: a lane is leased / the worker knows it / a chunk is prepared
    "claim-taken", "claimed", "applied",
    # committing: everything is written, but not committed / the catalogue is committed, but not the intake file / the
    # intake file is up to date / the worker knows
    "commit-written", "commit-synced", "commit-mirrored", "committed",
    # the trial of a guarded batch is over, and what follows from it is known / a held batch whose time is over is to be
    # cancelled
    "trial-judged", "hold-expired",
    # what records waited for is marked as arrived / a round for them is queued
    "references-marked", "references-queued",
    # fetching from a source: a run is saved / a batch has an id and is being received / it is saved that there is the
    # batch / its file was moved
    "source-begun", "source-pending", "source-saved", "source-moved",
    # writing to a destination: a run is saved / the files are complete on this machine / one has its final name
    "destination-begun", "destination-written", "destination-published",
    # pushing to a platform: a request is noted and not sent / is answered / is noted as accepted / has ended
    "push-begun", "push-answered", "push-accepted", "push-ended",
    # sweeping: one half of related data is deleted
    "sweep-halved",
    # isolating a merchant: new partitions exist / have some rows / all rows / are in place, uncommitted / committed
    "isolation-prepared", "isolation-step", "isolation-copied", "isolation-replaced", "isolation-switched",
)
"""In the order in which a submission reaches them."""

_NAME, _, _TIMES = os.environ.get("GOODSGATE_TEST_CRASH_AT", "").partition(":")
_left = int(_TIMES or 1)

if _NAME and _NAME not in POINTS:
    raise ValueError(f"GOODSGATE_TEST_CRASH_AT: no such point: {_NAME}")


def point(name: str, /) -> None:
    """Kill the process without any cleanup if the environment names this point; costs nothing otherwise."""
    global _left
    if name != _NAME:
        return
    _left -= 1
    if not _left:
        os.kill(os.getpid(), signal.SIGKILL)
