"""Settles the small rounds at the head of a lane, many in one transaction, and reads on while they are settled."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from goodsgate.config import Config
from goodsgate.engine import portion as portions
from goodsgate.engine.apply import Shelf
from goodsgate.engine.check import Judged, Shown
from goodsgate.engine.making import Making, updates
from goodsgate.engine.opened import Opened
from goodsgate.engine.settling import Settling
from goodsgate.engine.source import Stretch
from goodsgate.model.batch import RoundKind
from goodsgate.store.contract import ChunkCommit, Claim, ClaimedRound, Store, StoreError

log = logging.getLogger(__name__)

GROUPS_CLAIMED = 8
"""Groups whose rounds are claimed at once, each of as many rounds and bytes as the settings have it."""

FIRST_PART = 3
"""Of a claim's groups the first is so many times smaller, so that there is something to settle soon."""

Ready = list[tuple[Opened, Stretch, Judged]]
"""A group: rounds with all their records, judged."""


class Together:
    """One worker's way with small rounds."""

    def __init__(self, store: Store, config: Config, settling: Settling, making: Making) -> None:
        self._store = store
        self._config = config
        self._settling = settling
        self._making = making

    def work(self, claim: Claim, stop: threading.Event) -> bool:
        """Group by group until somebody else's turn has come; False if the first rounds are better worked alone."""
        groups = self._groups(claim)
        begun = False
        try:
            ready = next(groups, [])
            if len(ready) < 2:
                return False
            while ready:
                ready = self._settle(claim, ready, groups, stop)
                begun = True
        except StoreError:
            raise
        except Exception:
            log.exception("fault in a group of batches; they are worked one by one")
            return begun  # the next claim begins with the group at fault
        return True

    def _settle(self, claim: Claim, ready: Ready, groups: Iterator[Ready], stop: threading.Event) -> Ready:
        """Settle a group; the next one, if it could be read meanwhile, and nobody waits."""
        following: list[Ready] = []

        def ahead() -> None:
            with suppress(Exception):  # it fails again when it is claimed first, and is then dealt with
                group = next(groups, [])
                if group and not self._gives_way(claim, stop):
                    following.append(group)

        made = self._made(ready)
        self._settling.settle(claim, *made, ahead=ahead, again=partial(self._again, ready), beside=True)
        return following[0] if following else []

    def _gives_way(self, claim: Claim, stop: threading.Event) -> bool:
        renewal = self._store.renew_claim(claim, lease_seconds=self._config.lease_seconds)
        self._making.anew()
        return renewal.others_waiting or bool(renewal.cancelling) or stop.is_set()

    def _groups(self, claim: Claim) -> Iterator[Ready]:
        """Rounds that can be settled together, as far as there are any."""
        ready: Ready = []
        size = 0
        most = max(2, self._config.claim_rounds_max // FIRST_PART)
        for work in claim.rounds:
            if not _goes_with(work, claim.rounds[0]):
                break
            if len(ready) >= most or size + work.bytes_total > self._config.claim_bytes_max:
                yield ready
                ready, size, most = [], 0, self._config.claim_rounds_max
            opened = Opened(self._store, self._config, work)
            stretch = opened.take()
            if stretch is None or not opened.exhausted:
                break
            ready.append((opened, stretch, self._making.judge(opened, stretch)))
            size += work.bytes_total
        if ready:
            yield ready

    def _again(self, ready: Ready) -> Sequence[ChunkCommit]:
        """Judged once more, too: applying leaves its traces in what was judged."""
        return self._made([(opened, stretch, self._making.judge(opened, stretch)) for opened, stretch, _ in ready])

    def _made(self, ready: Ready) -> Sequence[ChunkCommit]:
        shelves: dict[str, Shelf] = {}
        for collection in {opened.work.collection for opened, _, _ in ready}:
            mine = [one for one in ready if one[0].work.collection == collection]
            shown = Shown([key for _, _, judged in mine for key in judged.shown.keys])
            documents = any(updates(opened.work.policy, judged) for opened, _, judged in mine)
            judgements = [judged for _, _, judged in mine]
            shelves[collection] = self._making.shelf(mine[0][0].work, shown, judgements, documents=documents)
        made = []
        for opened, stretch, judged in ready:
            work = opened.work
            numbers = portions.claim_numbers(stretch, judged, work)
            portion = self._making.applied(
                work, stretch, judged, numbers=numbers, shelf=shelves[work.collection], earlier=set()
            )
            made.append(opened.dress(portion, ends=True))
        return made


def _goes_with(work: ClaimedRound, first: ClaimedRound) -> bool:
    """Whether a round may be settled with the first: with a schema, other things of what is held are asked for."""
    alone = work.policy.mode == "full" or work.policy.pace_seconds or work.round_kind is not RoundKind.SUBMISSION
    return not alone and not work.cancelling and bool(work.policy.schema) == bool(first.policy.schema)
