"""The stretch behind the one that is being settled elsewhere, as far as it is worked meanwhile."""

import msgspec

from goodsgate.engine.check import Judged, Shown
from goodsgate.engine.source import Stretch
from goodsgate.model.batch import Kind, RoundKind, Verb
from goodsgate.store.contract import ChunkCommit, ClaimedRound


class Made(msgspec.Struct, frozen=True):
    """A portion, and what must be known to make it once more."""

    portion: ChunkCommit
    shown: Shown
    earlier: set[str]
    """Of its keys, those that portions of its batch before it held."""


class Ahead(msgspec.Struct):
    """A stretch that was read before its turn; None behind the last."""

    stretch: Stretch | None
    judged: Judged | None = None
    made: Made | None = None
    """What it changes, if that is the same before and after what was being settled."""

    def is_made(self, work: ClaimedRound) -> bool:
        """Whether it is made for where the work stands."""
        return self.made is not None and self.made.portion.round == work


def is_apart(settling: Made, judged: Judged) -> bool:
    """Whether records change and are told the same whether the portion before them is in the store yet or not.

    So it is if they have no key in common, even without its case: what is held under a key, its twins, and whether the
    batch has shown it are all that a plain record asks for. Stock is moved by others, too.
    """
    work = settling.portion.round
    policy = work.policy
    if work.round_kind is not RoundKind.SUBMISSION or work.kind is Kind.STOCK or policy.schema:
        return False
    if policy.verb is not Verb.UPSERT or judged.verbs is not None:
        return False
    return settling.shown.shades.isdisjoint(judged.shown.shades)


def own_issues(judged: Judged) -> Judged:
    """The same, so that applying it leaves no trace in what was judged."""
    return msgspec.structs.replace(judged, issues={at: [*told] for at, told in judged.issues.items()})
