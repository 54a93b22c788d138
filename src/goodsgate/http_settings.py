"""What the HTTP server and the protocols read of the settings.

Each function imports what it returns, because a worker does not load the server.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from goodsgate.config import Config
from goodsgate.store.contract import StoreError

if TYPE_CHECKING:
    from goodsgate.http.openid import OpenIdProvider
    from goodsgate.http.services import HttpLimits, MailSettings, ProtocolSettings


def http_limits(config: Config) -> "HttpLimits":
    """Return the bounds of requests."""
    from goodsgate.http.services import HttpLimits

    names = set(HttpLimits.__struct_fields__) - {"session_seconds"}
    return HttpLimits(session_seconds=config.session_hours * 3600, **{name: getattr(config, name) for name in names})


def protocol_settings(config: Config) -> "ProtocolSettings":
    """Return what protocols read of the settings."""
    from goodsgate.http.services import ProtocolSettings, WebhookSettings

    host = f"[{config.host}]" if ":" in config.host else config.host
    return ProtocolSettings(
        public_url=config.public_url.rstrip("/"), local_url=f"http://{host}:{config.port}",
        rate_limits=config.rate_limits == "on", verify_signatures=config.signatures == "verify",
        import_streams_at_once=config.stream_imports == "at_once", metrics_token=config.metrics_token,
        call_aliases=config.call_aliases, token_seconds=config.token_hours * 3600, order_days=config.order_days,
        report_link_seconds=config.report_link_seconds,
        courier_seconds=config.courier_seconds, delivery_seconds=config.delivery_seconds,
        delivery_retries_max=len(config.delivery_retry_seconds.split(",")),
        webhooks=WebhookSettings(
            mail=mail_settings(config),
            hosts=frozenset(config.webhook_hosts.lower().replace(" ", "").split(",")) - {""},
            allow_private=config.webhook_private == "allow", webhooks_max=config.webhooks_max,
            overlap_seconds=config.webhook_overlap_hours * 3600,
        ),
    )


def mail_settings(config: Config) -> "MailSettings | None":
    """Return the server for mail; None if the settings name none. Raises StoreError if the password cannot be read."""
    from goodsgate.http.services import MailSettings

    if not config.mail_host:
        return None
    return MailSettings(
        host=config.mail_host, port=config.mail_port, security=config.mail_security, user=config.mail_user,
        password=_secret(config, "mail_password"), sender=config.mail_from,
        domains=frozenset(config.mail_domains.lower().replace(" ", "").split(",")) - {""},
        per_hour_max=config.mails_per_hour_max, templates=config.mail_templates, language=config.mail_language,
    )


def create_openid_provider(config: Config) -> "OpenIdProvider | None":
    """Return with whom people sign in; None if the settings name nobody. Raises StoreError if they cannot be used."""
    from goodsgate.http.openid import OpenIdProvider, OpenIdSettings

    if not config.oidc_issuer:
        return None
    return OpenIdProvider(OpenIdSettings(
        issuer=config.oidc_issuer, client_id=config.oidc_client_id, client_secret=_secret(config, "oidc_client_secret"),
        name=config.oidc_name,
        scopes=config.oidc_scopes, merchant=config.oidc_merchant, merchant_claim=config.oidc_merchant_claim,
        merchants=_mapping(config.oidc_merchants), role_claim=config.oidc_role_claim, roles=_mapping(config.oidc_roles),
        allow_private=config.oidc_private == "allow", leeway_seconds=config.oidc_leeway_seconds,
    ))


def _mapping(setting: str) -> dict[str, str]:
    """Return the pairs of a setting like ``value=name,value=name``."""
    pairs = (pair.partition("=") for pair in setting.split(",") if pair)
    return {value.strip(): name.strip() for value, _, name in pairs}


def _secret(config: Config, name: str) -> str:
    """Return a secret setting, from the file that `name` with ``_file`` names if there is one. Raises StoreError."""
    file = getattr(config, f"{name}_file")
    if not file:
        return str(getattr(config, name))
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the file of the setting {name}_file cannot be read: {error}") from error
