"""What commands on the machine of the gate do, for the audit log."""

import getpass

from goodsgate.model.audit import ACTIONS_OF_INSTALLATION, Act
from goodsgate.model.catalogue import Key


def command_act(action: str, subject: str, **detail: object) -> Act:
    """Return what a command does; the actor is the user of the operating system."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        user = "unknown"
    return Act(
        action=action, actor=f"command:{user}", subject=subject, of_installation=action in ACTIONS_OF_INSTALLATION,
        detail={name: str(fact) for name, fact in detail.items()},
    )


def key_act(action: str, key: Key) -> Act:
    """Return what a command does with a key, and what the key may do."""
    end = key.expires_at.isoformat() if key.expires_at is not None else "never"
    return command_act(action, key.id, scopes=" ".join(sorted(key.scopes)), label=key.label, expires_at=end)
