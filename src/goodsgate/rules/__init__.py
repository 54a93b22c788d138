"""One record → issues; pure functions, grouped by what they look at.

Start with `record`, which applies every rule to one decoded record. `checker` is what the engine calls: it lets
spotless records pass by a typed decode (`forms`) and a few cheap looks (`spotless`), and sends all others to `record`.
Records in another vocabulary are held to a `schema`, which a protocol gives as data; `ties` tie them to items, and
`merchant_rules` are what a merchant configures for itself.
"""

from goodsgate.rules.checker import Checked, Checker, checker
from goodsgate.rules.library import LIBRARY_KINDS, library_entries
from goodsgate.rules.memory import Memory
from goodsgate.rules.merchant_rules import CompiledRules, MerchantRules
from goodsgate.rules.reference import Reference
from goodsgate.rules.schema import Schema
from goodsgate.rules.schema_checker import SchemaChecker
from goodsgate.rules.ties import Placed, Tied, Ties

__all__ = [
    "LIBRARY_KINDS", "Checked", "Checker", "CompiledRules", "Memory", "MerchantRules", "Placed", "Reference", "Schema",
    "SchemaChecker", "Tied", "Ties", "checker", "library_entries",
]
