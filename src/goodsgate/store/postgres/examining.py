"""What a doctor is told: whether the store can be used now, and what of the server will hurt sooner or later."""

from goodsgate.store.contract import StoreBusyError
from goodsgate.store.postgres.ask import Cursor, every
from goodsgate.store.postgres.database import MIGRATIONS, VERSION_MIN, taking
from goodsgate.store.postgres.server import ROLE, SCHEMA
from goodsgate.store.postgres.sweeping import Sweeping

AHEAD_SECONDS_MAX = 1.0
"""Leases run on the server's clock, so that a host's own may be wrong; times in its log are then wrong too."""
HOST_SECONDS = 3_600
"""Hosts that were seen within this are told of."""
CONNECTIONS_LEFT_MIN = 10
ROWS_MAX = 100
LATE_SECONDS = 5.0
"""A lease that ran out is taken over at once; one that still stands after this says that nobody works."""

HURTS = {
    "fsync": ("on", "a power cut loses what was acknowledged"),
    "full_page_writes": ("on", "a power cut may damage pages"),
    "synchronous_commit": ("on", "a power cut loses what was acknowledged"),
    "autovacuum": ("on", "tables grow for ever"),
    "track_counts": ("on", "autovacuum does not know what to do"),
}
"""Setting → what it has to be, and what happens if it is not."""
SYNCHRONOUS = frozenset({"on", "remote_apply", "remote_write", "local"})


class Examining(Sweeping):
    """Facts, each with a name, whether it is well, and a detail."""

    def quick_checks(self) -> list[tuple[str, bool, str]]:
        """Cheap enough to be asked every second: way, schema, rights."""
        known = MIGRATIONS[-1].number
        try:
            there = self.schema_number()
            if there:
                with self.server.transaction(every=True) as db:
                    row = db.execute("SELECT pg_is_in_recovery()").fetchone()
        except StoreBusyError as fault:
            return [("server", False, f"{self.server.shown}: {fault}")]
        facts = [
            ("server", True, self.server.shown),
            ("schema", there == known, f"{there} of {known}"),
        ]
        if there:
            standby = row is not None and bool(row[0])
            facts.append(("writable", not standby, "it is a standby" if standby else "it is"))
        return facts

    def health_checks(self) -> list[tuple[str, bool, str]]:
        """Version, privileges, settings that hurt, clocks of the hosts, leases that ran out."""
        if self.schema_number() < MIGRATIONS[-1].number:
            return [("migrations", False, "goodsgate migrate brings the schema up to date")]
        with self.server.session(f"BEGIN READ ONLY; SET LOCAL search_path = {SCHEMA}") as db:
            facts = [_version(db), _login(db), _second_lock(db), *_settings(db), _connections(db)]
        with self.server.transaction(every=True) as db:
            hosts = every(db, "hosts", {"since": self.now() - HOST_SECONDS * 1_000_000, "limit": ROWS_MAX})
            leases = every(db, "leases", {"limit": ROWS_MAX})
        return [*facts, self._clocks(hosts), self._leases(leases)]

    def _clocks(self, hosts: list[tuple[str, int]]) -> tuple[str, bool, str]:
        ahead = {name: seconds / 1e6 for name, seconds in hosts}
        ahead["this host"] = self.server.ahead()
        worst = max(abs(seconds) for seconds in ahead.values())
        told = ", ".join(f"{name} {seconds:+.3f} s" for name, seconds in sorted(ahead.items()))
        return "clocks", worst <= AHEAD_SECONDS_MAX, f"ahead of the server's: {told}"

    def _leases(self, leases: list[tuple[str, str, str, int, int]]) -> tuple[str, bool, str]:
        now = self.now()
        late = [
            f"{merchant} {kind} by {holder}, {(now - until) / 1e6:.0f} s ago"
            for merchant, kind, holder, until, open in leases if open and (now - until) / 1e6 > LATE_SECONDS
        ]
        return "leases", not late, f"ran out: {'; '.join(late)}" if late else f"{len(leases)} held, none overdue"


def _version(db: Cursor) -> tuple[str, bool, str]:
    version = db.connection.info.server_version
    return "version", version >= VERSION_MIN, f"PostgreSQL {version // 10000}.{version % 10000}"


def _login(db: Cursor) -> tuple[str, bool, str]:
    """The login has to own the tables, so that it can migrate and copy."""
    row = db.execute(
        "SELECT current_user::text, pg_has_role(current_user, c.relowner, 'usage'),"
        " pg_has_role(current_user, %s, %s) FROM pg_class c WHERE c.oid = 'item'::regclass", (ROLE, taking(db)),
    ).fetchone()
    assert row is not None
    login, owns, member = row
    if owns and member:
        return "login", True, f"{login} owns the tables and may take the role {ROLE}"
    return "login", False, f"{login} {'may not take the role ' + ROLE if owns else 'does not own the tables'}"


def _second_lock(db: Cursor) -> tuple[str, bool, str]:
    """Row-level security is there, and the role is one that it holds for."""
    row = db.execute(
        "SELECT bool_and(c.relrowsecurity), (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant'"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
        (ROLE,),
    ).fetchone()
    assert row is not None
    if row[1]:
        return "row-level security", False, f"the role {ROLE} may bypass it"
    return "row-level security", bool(row[0]), "on for every table of merchants" if row[0] else "off for some table"


def _settings(db: Cursor) -> list[tuple[str, bool, str]]:
    facts = []
    for name, (wanted, harm) in HURTS.items():
        row = db.execute("SELECT current_setting(%s)", (name,)).fetchone()
        found = str(row[0]) if row is not None else ""
        well = found == wanted or (name == "synchronous_commit" and found in SYNCHRONOUS)
        facts.append((f"setting {name}", well, found if well else f"{found}: {harm}"))
    return facts


def _connections(db: Cursor) -> tuple[str, bool, str]:
    row = db.execute(
        "SELECT count(*), current_setting('max_connections')::integer FROM pg_stat_activity WHERE backend_type ="
        " 'client backend'"
    ).fetchone()
    assert row is not None
    return "connections", row[1] - row[0] >= CONNECTIONS_LEFT_MIN, f"{row[0]} of {row[1]} in use"
