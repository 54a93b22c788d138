"""What a merchant's rules did to the records of a batch, beside the issues that they found."""

from collections.abc import Mapping

import msgspec

EXAMPLES_MAX = 5

class RuleCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Records of a batch on which one rule had no effect: because it only counts, or because it failed."""

    rejected: int = 0
    """Records that it would have rejected."""
    warned: int = 0
    """Records that it would have given a warning."""
    accepted: int = 0
    """Rejected records that it would have accepted, by making an error a warning."""
    faults: int = 0
    """Records on which it failed."""
    fault: str = ""
    """How it failed on one of them."""
    examples: list[str] = []
    """Keys of the first of all these records."""

    def plus(self, other: "RuleCounts", /) -> "RuleCounts":
        """Add field by field; the fault of ``other`` is kept if it has one."""
        return RuleCounts(
            rejected=self.rejected + other.rejected, warned=self.warned + other.warned,
            accepted=self.accepted + other.accepted, faults=self.faults + other.faults,
            fault=other.fault or self.fault, examples=[*self.examples, *other.examples][:EXAMPLES_MAX],
        )


def add_rule_counts(counts: Mapping[str, RuleCounts], more: Mapping[str, RuleCounts]) -> dict[str, RuleCounts]:
    """Return the sum by name of the rule."""
    total = dict(counts)
    for name, each in more.items():
        total[name] = total[name].plus(each) if name in total else each
    return total
