"""Checks of the server: whether the store can be used now, and settings that cause problems sooner or later."""

from goodsgate.store.contract import HealthCheck, StoreBusyError
from goodsgate.store.postgres.database import MIGRATIONS, PostgresDatabase
from goodsgate.store.postgres.schema import VERSION_MIN, role_privilege, schema_number
from goodsgate.store.postgres.server import ROLE, SCHEMA
from goodsgate.store.postgres.statements import Cursor
from goodsgate.store.shared.database import ALL_MERCHANTS, Row

AHEAD_SECONDS_MAX = 1.0
"""Leases run on the server's clock, so that a host's own may be wrong; times in its log are then wrong, too."""
HOST_SECONDS = 3_600
"""Hosts that were seen within this time are reported."""
CONNECTIONS_LEFT_MIN = 10
ROWS_MAX = 100
LATE_SECONDS = 5.0
"""A lease that has ended is taken over at once; one that still exists after this time shows that nobody works."""

SETTINGS = {
    "fsync": ("on", "a power cut loses acknowledged batches"),
    "full_page_writes": ("on", "a power cut may damage pages"),
    "synchronous_commit": ("on", "a power cut loses acknowledged batches"),
    "autovacuum": ("on", "tables grow for ever"),
    "track_counts": ("on", "autovacuum does not know what to do"),
}
"""Setting → required value, and the harm of any other."""
SYNCHRONOUS = frozenset({"on", "remote_apply", "remote_write", "local"})


class PostgresHealth:
    """Implements the checks of MaintenanceStore."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._server = database.server

    def quick_checks(self) -> list[HealthCheck]:
        """Check connection, schema and whether the server is writable; cheap enough for every second."""
        known = MIGRATIONS[-1].number
        try:
            current = schema_number(self._server)
            if current:
                with self._server.transaction(ALL_MERCHANTS) as db:
                    row = db.cursor.execute("SELECT pg_is_in_recovery()").fetchone()
        except StoreBusyError as fault:
            return [HealthCheck("server", False, f"{self._server.display_address}: {fault}")]
        checks = [
            HealthCheck("server", True, self._server.display_address),
            HealthCheck("schema", current == known, f"{current} of {known}"),
        ]
        if current:
            standby = row is not None and bool(row[0])
            checks.append(HealthCheck("writable", not standby, "it is a standby" if standby else "yes"))
        return checks

    def health_checks(self) -> list[HealthCheck]:
        """Check version, privileges, settings, clocks of the hosts, and overdue leases."""
        if schema_number(self._server) < MIGRATIONS[-1].number:
            return [HealthCheck("migrations", False, "goodsgate migrate brings the schema up to date")]
        with self._server.session(f"BEGIN READ ONLY; SET LOCAL search_path = {SCHEMA}") as db:
            cursor = db.cursor
            checks = [
                _version(cursor), _login(cursor), _row_level_security(cursor), *_settings(cursor), _connections(cursor)
            ]
        since = self._database.now() - HOST_SECONDS * 1_000_000
        with self._server.transaction(ALL_MERCHANTS) as db:
            hosts = db.rows("hosts", {"since": since, "limit": ROWS_MAX})
            leases = db.rows("leases", {"limit": ROWS_MAX})
        return [*checks, self._clocks(hosts), self._leases(leases)]

    def _clocks(self, hosts: list[Row]) -> HealthCheck:
        ahead = {name: microseconds / 1e6 for name, microseconds in hosts}
        ahead["this host"] = self._server.ahead()
        worst = max(abs(seconds) for seconds in ahead.values())
        detail = ", ".join(f"{name} {seconds:+.3f} s" for name, seconds in sorted(ahead.items()))
        return HealthCheck("clocks", worst <= AHEAD_SECONDS_MAX, f"ahead of the server's: {detail}")

    def _leases(self, leases: list[Row]) -> HealthCheck:
        now = self._database.now()
        late = [
            f"{merchant} {kind} by {holder}, {(now - expires_at) / 1e6:.0f} s ago"
            for merchant, kind, holder, expires_at, open in leases if open and (now - expires_at) / 1e6 > LATE_SECONDS
        ]
        detail = f"ended: {'; '.join(late)}" if late else f"{len(leases)} held, none overdue"
        return HealthCheck("leases", not late, detail)


def _version(cursor: Cursor) -> HealthCheck:
    version = cursor.connection.info.server_version
    return HealthCheck("version", version >= VERSION_MIN, f"PostgreSQL {version // 10000}.{version % 10000}")


def _login(cursor: Cursor) -> HealthCheck:
    """Check that the login owns the tables, so that it can migrate and copy."""
    row = cursor.execute(
        "SELECT current_user::text, pg_has_role(current_user, c.relowner, 'usage'),"
        " pg_has_role(current_user, %s, %s) FROM pg_class c WHERE c.oid = 'item'::regclass",
        (ROLE, role_privilege(cursor)),
    ).fetchone()
    assert row is not None
    login, owns, member = row
    if owns and member:
        return HealthCheck("login", True, f"{login} owns the tables and may take the role {ROLE}")
    detail = f"{login} {'may not take the role ' + ROLE if owns else 'does not own the tables'}"
    return HealthCheck("login", False, detail)


def _row_level_security(cursor: Cursor) -> HealthCheck:
    """Check that row-level security is on, and that the role cannot bypass it."""
    row = cursor.execute(
        "SELECT bool_and(c.relrowsecurity), (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant'"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
        (ROLE,),
    ).fetchone()
    assert row is not None
    if row[1]:
        return HealthCheck("row-level security", False, f"the role {ROLE} may bypass it")
    detail = "on for every table of merchants" if row[0] else "off for some table"
    return HealthCheck("row-level security", bool(row[0]), detail)


def _settings(cursor: Cursor) -> list[HealthCheck]:
    checks = []
    for name, (required, harm) in SETTINGS.items():
        row = cursor.execute("SELECT current_setting(%s)", (name,)).fetchone()
        value = str(row[0]) if row is not None else ""
        ok = value == required or (name == "synchronous_commit" and value in SYNCHRONOUS)
        checks.append(HealthCheck(f"setting {name}", ok, value if ok else f"{value}: {harm}"))
    return checks


def _connections(cursor: Cursor) -> HealthCheck:
    row = cursor.execute(
        "SELECT count(*), current_setting('max_connections')::integer FROM pg_stat_activity WHERE backend_type ="
        " 'client backend'"
    ).fetchone()
    assert row is not None
    return HealthCheck("connections", row[1] - row[0] >= CONNECTIONS_LEFT_MIN, f"{row[0]} of {row[1]} in use")
