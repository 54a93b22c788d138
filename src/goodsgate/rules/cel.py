"""CEL expressions of merchants (Common Expression Language, https://cel.dev), with bounded cost.

An expression sees `record`, the record as the catalogue would hold it, and `held`, the item that it would replace or
null. Two functions are added to the standard ones, because the catalogue holds prices and measures as texts:
``amount("7.90 EUR")`` is the number, ``unit("7.90 EUR")`` what stands behind it.

The library bounds nesting (32) and the steps of all comprehensions of one evaluation (10,000), and its regular
expressions take linear time. It compiles them at every evaluation, so that they must be literals of a bounded size. The
rest is bounded by `Expression.fits`: how much an expression does in each step, times the size of the record.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from goodsgate.model.extras import needed_extra
from goodsgate.rules.patterns import PatternError, compile_pattern

COST_MAX = 50_000_000
"""Most bytes that one evaluation may look at, in the worst case: some tenths of a second."""
STEPS_MAX = 10_000
"""Steps of all comprehensions after which the library ends an evaluation."""
TOKENS_A_PASS = 10
"""Tokens that together look at a record once, in the worst case."""
PROGRAM_SIZE_MAX = 500
"""Instructions of a regular expression: compiled in less than a millisecond."""
FAULT_CHARACTERS_MAX = 200
MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
    | (?P<raw>(?:[rR][bB]?|[bB][rR])(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*'))
    | (?P<text>[bB]?(?:\"{3}(?:\\.|[\s\S])*?\"{3}|'{3}(?:\\.|[\s\S])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>\.?[0-9][A-Za-z0-9_.]*)
    | (?P<mark>.)
    """, re.VERBOSE,
)
_PLACE = re.compile(r"<input>:1:(\d+): (.*)")
_STATUS = re.compile(r"^[A-Z_]+: ")


class ExpressionError(ValueError):
    """An expression cannot be used; the message says why."""


class EvaluationError(ValueError):
    """An expression failed on a record, or its value is no yes or no; the message says why."""


class Members(NamedTuple):
    """The members that an expression reads of a variable; None: all of them."""

    record: frozenset[str] | None
    held: frozenset[str] | None
    """Empty if it does not read the variable."""


class Expression:
    """A compiled expression."""

    def __init__(self, source: str) -> None:
        """Compile the source. Raises ExpressionError, ExtraMissingError."""
        tokens = _tokens(source)
        _check_patterns(tokens)
        self.members = Members(_members_of(tokens, "record"), _members_of(tokens, "held"))
        self.source = source
        self.comprehensions = sum(
            kind == "name" and text in MACROS and tokens[at + 1 : at + 2] == [("mark", "(")]
            for at, (kind, text) in enumerate(tokens)
        )
        self.passes = 1 + len(tokens) // TOKENS_A_PASS
        environment = _environment()
        try:
            self._compiled = environment.compile(source)
        except Exception as fault:
            raise ExpressionError(_compile_fault(str(fault))) from fault
        if self._compiled.return_type().name() not in ("BOOL", "DYN"):
            raise ExpressionError("the expression must be true or false")

    def fits(self, document: bytes) -> bool:
        """Return whether the expression is certain to end soon on the record."""
        steps = 1
        if self.comprehensions:
            entries = document.count(b",") + 2
            steps = min(STEPS_MAX, entries**self.comprehensions)
        return len(document) * steps * self.passes <= COST_MAX

    def holds(self, activation: Any) -> bool:
        """Return the value of the expression. Raises EvaluationError."""
        try:
            result = self._compiled.eval(activation)
            value = result.value()
        except Exception as fault:
            raise EvaluationError(_evaluation_fault(str(fault))) from fault
        if isinstance(value, bool):
            return value
        is_error = result.type().name() == "ERROR"
        raise EvaluationError(_evaluation_fault(value) if is_error else "the value is not true or false")

    def surely_holds(self, activation: Any) -> bool:
        """Return whether the expression is true; False also if it fails."""
        try:
            return self._compiled.eval(activation).value() is True
        except Exception:
            return False


class Conjunction:
    """Expressions that are evaluated at once, for one record or for many; each has been compiled alone before."""

    def __init__(self, expressions: Sequence[Expression]) -> None:
        source = " && ".join(f"({each.source}\n)" for each in expressions)
        self._of_one = Expression(source)
        self._of_many = _environment(of_many=True).compile(f"records.all(record, {source})")
        self.fits = self._of_one.fits
        self.surely_holds = self._of_one.surely_holds

    def surely_holds_for_all(self, records: Sequence[Mapping[str, object]]) -> bool:
        """Return whether all expressions are true of all records, none of which replaces an item."""
        try:
            variables = _environment(of_many=True).Activation({"records": records, "held": None})
            return self._of_many.eval(variables).value() is True
        except Exception:
            return False


def activation(record: Mapping[str, object], held: Mapping[str, object] | None) -> Any:
    """Return the values of the variables, for expressions."""
    return _environment().Activation({"record": record, "held": held})


@cache
def _environment(*, of_many: bool = False) -> Any:
    """Return what expressions may name: for one record, or for the list `records`."""
    # Loaded with the first expression, since few merchants have any.
    with needed_extra("rules", "A rule"):
        from cel_expr_python import cel  # type: ignore[import-untyped]  # its types lack the marker py.typed

    type = cel.Type
    taken = {"string": type.STRING, "int": type.INT, "double": type.DOUBLE, "map": type.Map(type.STRING, type.DYN)}
    functions = [
        cel.FunctionDecl(name, [
            cel.Overload(
                f"{name}_{word}", return_type=result, parameters=[parameter], is_member=False, impl=function
            )
            for word, parameter in taken.items()
        ])
        for name, function, result in (("amount", _amount, type.DOUBLE), ("unit", _unit, type.STRING))
    ]
    record = type.Map(type.STRING, type.DYN)
    subject = {"records": type.List(record)} if of_many else {"record": record}
    return cel.NewEnv(variables={**subject, "held": type.DYN}, functions=functions)


def _amount(value: Any) -> float:
    if isinstance(value, dict):
        value = value["value"]
    return float(value.partition(" ")[0] if isinstance(value, str) else value)


def _unit(value: Any) -> str:
    if isinstance(value, dict):
        return str(value["currency"])
    return value.partition(" ")[2] if isinstance(value, str) else ""


def _tokens(source: str) -> list[tuple[str, str]]:
    """Return kind and text of each token, without blanks and comments."""
    found = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(source)]
    if any(kind == "mark" and text in "\"'`\\" for kind, text in found):
        raise ExpressionError("a quotation mark is not closed, or stands where none may be")
    return [(kind, text) for kind, text in found if kind != "space"]


def _check_patterns(tokens: list[tuple[str, str]]) -> None:
    """Raise ExpressionError unless every regular expression is a literal of a bounded size."""
    for at, token in enumerate(tokens):
        if token != ("name", "matches"):
            continue
        following = tokens[at + 1 : at + 4]
        is_literal = len(following) == 3 and following[1][0] in ("text", "raw")
        if not is_literal or (following[0][1], following[2][1]) != ("(", ")"):
            raise ExpressionError('matches needs a text in quotation marks: record.title.matches("^[A-Z]")')
        try:
            text = _environment().compile(following[1][1]).eval().value()
            pattern = compile_pattern(text if isinstance(text, str) else "(")
        except PatternError as fault:
            raise ExpressionError(f"{following[1][1]}: {fault}") from fault
        if pattern.size > PROGRAM_SIZE_MAX:
            raise ExpressionError(f"{following[1][1]} is too large; repeat less, or with smaller character classes")


def _members_of(tokens: list[tuple[str, str]], variable: str) -> frozenset[str] | None:
    """Return the members of a variable that an expression reads; None if it may read any."""
    members = set()
    for at, token in enumerate(tokens):
        if token != ("name", variable) or (at and tokens[at - 1] == ("mark", ".")):
            continue
        following = [*tokens[at + 1 : at + 4], *[("", "")] * 3]
        (_, mark), (kind, text), (_, after) = following[:3]
        if mark == "." and kind == "name" and after != "(":
            members.add(text)
        elif mark == "[" and kind == "text" and after == "]" and text[0] in "\"'" and "\\" not in text:
            members.add(text.strip(text[0]))
        elif not (mark in ("=", "!") and text == "="):  # held == null reads no member
            return None
    return frozenset(members)


def _compile_fault(text: str) -> str:
    place = _PLACE.search(text)
    if place is None:
        return text.splitlines()[0][:FAULT_CHARACTERS_MAX] if text else "it cannot be compiled"
    reason = place[2].replace(" (in container '')", "").removesuffix(" [INVALID_ARGUMENT]")
    return f"at character {place[1]}: {reason}"[:FAULT_CHARACTERS_MAX]


def _evaluation_fault(text: str) -> str:
    return _STATUS.sub("", text.partition(" [")[0])[:FAULT_CHARACTERS_MAX]
