"""Who may see which page, who may send its form, and what that is called in the audit log: one table."""

from collections.abc import Mapping

import msgspec

from goodsgate.model.permissions import Permission

MERCHANT = "/console/merchants/{merchant}"
BATCH = f"{MERCHANT}/batches/{{batch}}"
ITEMS = f"{MERCHANT}/catalogue/{{kind}}/{{collection}}"


class PageAccess(msgspec.Struct, frozen=True):
    """The access to one path of the console."""

    see: Permission = "read"
    change: Permission = "submit"
    """Permission to send a form."""
    action: str | None = None
    """Action of the audit log; a page with several actions names the one that it carries out itself."""


ACCESS: Mapping[str, PageAccess] = {
    "/console/sign-out": PageAccess("read", "read", "sign_in.end"),
    f"{BATCH}/retry": PageAccess("read", "correct", "batch.retry"),
    f"{BATCH}/cancel": PageAccess("read", "decide", "batch.cancel"),
    f"{BATCH}/confirm": PageAccess("read", "decide", "batch.confirm"),
    f"{BATCH}/approve": PageAccess("read", "decide", "batch.approve"),
    f"{BATCH}/discard": PageAccess("read", "decide", "batch.discard"),
    f"{BATCH}/revert": PageAccess("read", "decide", "batch.revert"),
    f"{BATCH}/accept-suggestions": PageAccess("read", "correct", "batch.accept"),
    f"{BATCH}/fix": PageAccess("read", "correct"),
    f"{BATCH}/fix/preview": PageAccess("read", "correct"),
    f"{BATCH}/grid": PageAccess("read", "correct"),
    f"{BATCH}/grid/rows": PageAccess("read", "read"),
    f"{BATCH}/records/{{number}}": PageAccess("read", "correct"),
    f"{MERCHANT}/submit": PageAccess("submit", "submit"),
    f"{MERCHANT}/submit/preview": PageAccess("submit", "submit"),
    f"{MERCHANT}/submit/validate": PageAccess("submit", "submit"),
    f"{MERCHANT}/submit/profile": PageAccess("submit", "configure", "profile.put"),
    f"{ITEMS}/item/edit": PageAccess("read", "correct", "item.edit"),
    f"{ITEMS}/item/unlock": PageAccess("read", "correct", "item.unlock"),
    f"{MERCHANT}/reference/{{kind}}": PageAccess("read", "configure", "reference.load"),
    f"{MERCHANT}/webhooks": PageAccess("read", "configure", "webhook.add"),
    f"{MERCHANT}/webhooks/{{number}}": PageAccess("read", "configure", "webhook.change"),
    f"{MERCHANT}/sources": PageAccess("read", "configure", "source.put"),
    f"{MERCHANT}/destinations": PageAccess("read", "configure", "destination.put"),
    f"{MERCHANT}/destinations/{{name}}": PageAccess("read", "read", "destination.run"),
    f"{MERCHANT}/guards": PageAccess("read", "configure", "guard.put"),
    f"{MERCHANT}/rules": PageAccess("read", "configure", "rule.put"),
    f"{MERCHANT}/audit": PageAccess("audit", "admin"),
    "/console/audit": PageAccess("admin", "admin"),
    "/console/merchants": PageAccess("admin", "admin", "merchant.add"),
    MERCHANT: PageAccess("admin", "admin", "merchant.change"),
    f"{MERCHANT}/keys": PageAccess("admin", "admin", "key.add"),
    f"{MERCHANT}/keys/{{key}}": PageAccess("admin", "admin", "key.change"),
    f"{MERCHANT}/keys/{{key}}/rotate": PageAccess("admin", "admin", "key.rotate"),
    f"{MERCHANT}/keys/{{key}}/revoke": PageAccess("admin", "admin", "key.revoke"),
    "/console/traffic": PageAccess("admin", "admin"),
    "/console/health/figures": PageAccess("admin", "admin"),
}
"""Path → access; a path that is not listed is for everybody who may read."""


def page_access(path: str) -> PageAccess:
    """Return the access to a path."""
    return ACCESS.get(path, PageAccess())
