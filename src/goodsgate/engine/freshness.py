"""Which times of observation are accepted. How versions are compared is in `apply`."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from goodsgate.model.issue import Issue, issue
from goodsgate.model.json_text import read_json
from goodsgate.model.versions import is_time, time_version, version_text
from goodsgate.store.contract import ClaimedRound


def latest_version(round: ClaimedRound, clock_ahead_seconds_max: int) -> int:
    """Return the latest acceptable time of observation; the same whenever and wherever the round is worked on.

    Records of a fix or a retry may have been observed after the batch was received.
    """
    submitted_at = round.received_at if round.number == 0 else round.started_at
    return time_version(submitted_at + timedelta(seconds=clock_ahead_seconds_max))


def future_issues(documents: Sequence[bytes], versions: Sequence[int | None], latest: int,
                  ) -> Iterator[tuple[int, Issue]]:
    """Yield index and issue of the records whose time of observation is after the latest acceptable one.

    Nothing could replace the item of such a record until that time.
    """
    if versions.count(None) == len(versions):
        return
    for at, version in enumerate(versions):
        if version is not None and is_time(version) and version > latest:
            record = read_json(documents[at])
            value = record.get("observed_at") if isinstance(record, dict) else None
            expected = f"at most {version_text(latest)}"
            yield at, issue("observed_in_future", "/observed_at", value=value, expected=expected)
