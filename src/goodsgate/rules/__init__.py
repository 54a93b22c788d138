"""One record → issues; pure functions, grouped by what they look at.

Start with `record`, which applies every rule to one decoded record. `checker` is what the engine calls: it lets
spotless records pass by a typed decode (`forms`) and a few cheap looks (`spotless`), and sends all others to `record`.
"""

from goodsgate.rules.checker import Checked, Checker, checker
from goodsgate.rules.library import LIBRARY_KINDS, library_entries
from goodsgate.rules.reference import Reference

__all__ = ["LIBRARY_KINDS", "Checked", "Checker", "Reference", "checker", "library_entries"]
