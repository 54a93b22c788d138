"""One record → issues; pure functions, grouped by what they look at.

Start with `record`, which applies every rule to one decoded record. `checker` is what the engine calls: it lets
spotless records pass by a typed decode (`forms`) and a few cheap looks (`spotless`), and sends all others to `record`.
Records in another vocabulary must satisfy a `schema`, which a protocol supplies as data; `record_mapping` maps them to
items, and `merchant_rules` are what a merchant configures for itself.
"""

from goodsgate.rules.checker import Checked, Checker, checker
from goodsgate.rules.library import LIBRARY_KINDS, library_entries
from goodsgate.rules.memory import Memory
from goodsgate.rules.merchant_rules import CompiledRules, MerchantRules
from goodsgate.rules.record_mapping import RecordMapping, RecordRefs
from goodsgate.rules.reference import Reference
from goodsgate.rules.schema import Schema
from goodsgate.rules.schema_checker import SchemaChecker

__all__ = [
    "LIBRARY_KINDS", "Checked", "Checker", "CompiledRules", "Memory", "MerchantRules", "RecordMapping", "RecordRefs",
    "Reference", "Schema", "SchemaChecker", "checker", "library_entries",
]
