"""A round in a worker's hands: its source, its settled shape, and where it stands."""

from itertools import islice

import msgspec

from goodsgate.config import Config
from goodsgate.engine.shape import SAMPLE_RECORDS, Shape, settle_shape
from goodsgate.engine.source import Stretch, open_source
from goodsgate.model.batch import RoundKind, State
from goodsgate.model.issue import Issue
from goodsgate.store.contract import Portion, Store, Work


class Opened:
    """One round, opened at its first record that is not settled; kept open between claims while memory allows."""

    def __init__(self, store: Store, config: Config, work: Work) -> None:
        self.work = work
        self._source = open_source(store, work, config)
        self._stretches = self._source.stretches()
        self._ahead: Stretch | None = None
        self.exhausted = False
        """The stretch last taken was the last one."""
        self._shape: Shape | None = None
        self._told = 0
        """Of the source's notices, those in the store or on their way there."""
        self._before = _notices(store, work) if work.portions else []
        """A source that is read again says again what earlier portions told."""
        self._header_notices: list[Issue] = []

    def take(self) -> Stretch | None:
        """The next records; None at the end."""
        stretch = self._ahead if self._ahead is not None else next(self._stretches, None)
        self._ahead = None
        if stretch is None or stretch.bytes_done >= self.work.bytes_total or stretch.passed is not None:
            # Only here is a look ahead cheap or likely to find the end; elsewhere it would hold two blocks.
            self._ahead = next(self._stretches, None) if stretch is not None else None
            self.exhausted = self._ahead is None
        return stretch

    def shape(self, stretch: Stretch) -> Shape:
        """How names are read; settled with the batch's first stretch."""
        if self._shape is None:
            work = self.work
            if work.mapping is not None or work.round_kind is not RoundKind.SUBMISSION:
                self._shape = Shape(work.kind, work.mapping or {}, work.columns)
            else:
                self._shape, self._header_notices = settle_shape(
                    work.kind, work.policy, columns=self._source.header, sample=islice(stretch.lines, SAMPLE_RECORDS)
                )
        return self._shape

    def dress(self, portion: Portion) -> Portion:
        """The portion with what the batch keeps of the file: shape and notices, told once each."""
        fresh = [told for told in self._source.notices[self._told :] if told not in self._before]
        notices = [*self._header_notices, *fresh]
        first = self.work.mapping is None and self._shape is not None and self.work.round_kind is RoundKind.SUBMISSION
        if not notices and not first:
            return portion
        shape = self._shape
        return msgspec.structs.replace(
            portion, notices=notices, columns=shape.columns if first and shape else portion.columns,
            mapping=shape.mapping if first and shape else portion.mapping,
        )

    def settled(self, portion: Portion) -> None:
        """Note that the portion is in the store."""
        self._header_notices = []
        self._told = max(self._told, len(self._source.notices))
        self.work = after(self.work, portion)

    def end(self) -> tuple[State, list[Issue]]:
        """State the round leaves the batch in, and what is to be said of a payload that broke off."""
        stopped = self._source.stopped
        if stopped is None:
            return State.FINISHED, []
        return (State.BROKEN if self.work.round_kind is RoundKind.SUBMISSION else State.FINISHED), [stopped]


def _notices(store: Store, work: Work) -> list[Issue]:
    """What was already said of the file as a whole."""
    first = store.findings(work.merchant, work.batch, after=-1, limit=1)
    return first[0].issues if first and first[0].number == 0 else []


def after(work: Work, portion: Portion) -> Work:
    """The work once the portion is settled."""
    return msgspec.structs.replace(
        work, portions=work.portions + 1, records=work.records + portion.records,
        total=work.total + len(portion.results),
        columns=portion.columns if portion.columns is not None else work.columns,
        mapping=portion.mapping if portion.mapping is not None else work.mapping,
    )
