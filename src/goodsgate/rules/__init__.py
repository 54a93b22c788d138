"""One record → issues: pure functions, grouped by what they check.

Start with `record_rules`, which applies every rule to one decoded record. The engine calls `checker`: it accepts most
valid records by a typed decode (`typed_decoder`) and a few cheap checks (`fast_path`), and leaves all others to
`record_rules`. Records in another vocabulary must satisfy a `schema`, which a protocol supplies as data;
`record_mapping` maps them to items, and `merchant_rules` are what a merchant configures for itself there. What a
merchant adds to the gate's own rules is data: `rule_set` compiles it, with `cel` and `json_schema`.
"""

from goodsgate.rules.builtin_data import BUILTIN_KINDS, builtin_entries
from goodsgate.rules.checker import Checker, CheckResult
from goodsgate.rules.merchant_rules import CompiledRules, MerchantRules
from goodsgate.rules.passed_documents import PassedDocuments
from goodsgate.rules.record_mapping import RecordMapping, RecordRefs
from goodsgate.rules.reference_data import ReferenceData
from goodsgate.rules.rule_set import CompiledRule, RecordRules, RuleResults, RuleSet, SeverityRules
from goodsgate.rules.schema import Schema
from goodsgate.rules.schema_checker import SchemaChecker
from goodsgate.rules.valid_cache import ValidCache

__all__ = [
    "BUILTIN_KINDS", "CheckResult", "Checker", "CompiledRule", "CompiledRules", "MerchantRules",
    "PassedDocuments", "RecordMapping", "RecordRefs", "RecordRules", "ReferenceData", "RuleResults", "RuleSet",
    "Schema", "SchemaChecker", "SeverityRules", "ValidCache", "builtin_entries",
]
