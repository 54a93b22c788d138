"""What scopes and roles permit, as one table. Routes and pages demand a permission; keys have scopes.

A scope that is a role (``clerk``, ``integrator``) suits a person, the others suit programs.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from goodsgate.model.catalogue import Scope

Permission = Literal["read", "submit", "correct", "decide", "configure", "audit", "admin"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)

MEANINGS: Mapping[Permission, str] = {
    "read": "See batches, reports, the catalogue, reference data, profiles, rules, guards, sources, destinations and "
            "webhooks.",
    "submit": "Submit records, and try how they would be read.",
    "correct": "Fix and retry rejected records, apply suggestions, edit items and unlock their fields.",
    "decide": "Confirm or cancel a batch, and revert one.",
    "configure": "Change reference data, profiles, rules, guards, sources, destinations and webhooks.",
    "audit": "Read the audit log of the merchant.",
    "admin": "Manage merchants and keys, and act for every merchant.",
}

GRANTS: Mapping[Scope, frozenset[Permission]] = {
    Scope.READ: frozenset({"read"}),
    Scope.SUBMIT: frozenset({"submit", "correct", "decide", "configure"}),
    Scope.AUDIT: frozenset({"audit"}),
    Scope.CLERK: frozenset({"read", "submit", "correct", "decide"}),
    Scope.INTEGRATOR: frozenset({"read", "submit", "configure", "audit"}),
    Scope.ADMIN: frozenset(PERMISSIONS),
}

ROLES: Mapping[str, Scope] = {"clerk": Scope.CLERK, "integrator": Scope.INTEGRATOR, "operator": Scope.ADMIN}
"""Role → the scope that its people have."""


def permits(scopes: Iterable[Scope], permission: str) -> bool:
    """Return whether one of the scopes grants a permission."""
    return any(permission in GRANTS[scope] for scope in scopes)


def granting_scopes(permission: str) -> list[str]:
    """Return the scopes that grant a permission."""
    return [scope.value for scope, granted in GRANTS.items() if permission in granted]
