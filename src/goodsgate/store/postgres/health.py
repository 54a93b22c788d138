"""Checks of the server: whether the store can be used now, and settings that cause problems sooner or later.

Each check is one function in a list; see `store/contract/health.py`.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from goodsgate.store.contract import HealthCheck, StoreError, bad, ok, run_checks, warn
from goodsgate.store.postgres.database import MIGRATIONS, PostgresDatabase
from goodsgate.store.postgres.fingerprint import migration_difference, schema_difference
from goodsgate.store.postgres.schema import VERSION_MIN, role_privilege, schema_number
from goodsgate.store.postgres.server import ROLE, SCHEMA
from goodsgate.store.postgres.statements import Cursor
from goodsgate.store.postgres.table_health import check_partitions, check_tables
from goodsgate.store.shared.database import ALL_MERCHANTS, Row
from goodsgate.store.shared.health import judge_deaths, judge_search, judge_worker

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
    "autovacuum": ("on", "tables grow for ever"),
    "track_counts": ("on", "autovacuum does not know what to do"),
}
"""Setting → required value, and the harm of any other."""
FULL_SECONDS = 10.0
"""After a statement failed for lack of space, the store counts as full for this long."""
WORKER_LOOKS = 3
WORKER_LOOK_SECONDS = 0.3
"""A worker holds no lease between two claims, so that one look at the leases is not enough."""
PAYLOADS_REMEDY = "make the storage of the setting payloads reachable; submissions and batches wait for it"
SETUP = "see docs/how-to/run-on-postgresql.md"


class PostgresHealth:
    """Implements the checks of MaintenanceStore."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def quick_checks(self) -> list[HealthCheck]:
        """Check connection, schema and whether the server is writable; cheap enough for every second."""
        server = self._database.server
        try:
            current = schema_number(server)
        except StoreError as fault:
            remedy = "start the database, or correct the setting store"
            return [bad("server", f"{server.display_address}: {fault}", remedy)]
        checks = QUICK_CHECKS if current else (check_schema,)
        return [ok("server", server.display_address), *run_checks(checks, self._database)]

    def health_checks(self) -> list[HealthCheck]:
        """Check version, privileges, settings, clocks of the hosts, workers, and overdue leases."""
        return run_checks(THOROUGH_CHECKS, self._database)


# -- quick checks -----------------------------------------------------------------------------------------------------


def check_schema(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the database has the schema that this version knows."""
    current, known = schema_number(database.server), MIGRATIONS[-1].number
    detail = f"{current} of {known}"
    if current == known:
        yield ok("schema", detail)
    elif current < known:
        yield bad("schema", detail, "run `goodsgate migrate`")
    else:
        yield bad("schema", detail, "install the version of Goodsgate that created the schema")


def check_writable(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the server is no standby, and that transactions may write."""
    with database.server.transaction(ALL_MERCHANTS) as db:
        row = db.cursor.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").fetchone()
    assert row is not None
    if row[0]:
        yield bad("writable", "it is a standby", "let the setting store name the primary server")
    elif row[1] == "on":
        remedy = "ALTER DATABASE … or ALTER ROLE … RESET default_transaction_read_only"
        yield bad("writable", "default_transaction_read_only is on", remedy)
    else:
        yield ok("writable", "yes")


def check_free_space(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the server's disk is not full, as far as this process has noticed: the server does not tell."""
    full_at = database.server.full_at
    if full_at is not None and time.monotonic() - full_at < FULL_SECONDS:
        yield bad("free space", "a statement failed for lack of space", "free space on the disk of the server")
    else:
        yield ok("free space", "no statement has failed for lack of space")


def check_schema_content(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the schema is the one that this version creates, and that nobody has changed it since."""
    with _reading(database) as cursor:
        difference = migration_difference(cursor, MIGRATIONS[-1])
        change = schema_difference(cursor) if difference is None else None
    if difference is not None:
        yield bad("schema content", difference, "use the version of Goodsgate that created it, or restore a backup")
    elif change is not None:
        yield bad("schema content", f"changed since it was created: {change}", "undo the change, or restore a backup")
    else:
        yield ok("schema content", "as it was created")


def check_deaths(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that no batch ends the workers that process it."""
    yield judge_deaths(database)


def check_payload_faults(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Warn if the last use of the storage of payloads by this process failed."""
    if database.payload_objects.fault:
        yield warn("payloads", database.payload_objects.fault, PAYLOADS_REMEDY)


# -- thorough checks --------------------------------------------------------------------------------------------------


def check_payload_storage(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the storage of payloads can be reached and is that of this store."""
    if not database.payload_objects.is_used:
        return
    try:
        database.payload_objects.check()
    except StoreError as fault:
        yield bad("payload storage", str(fault), PAYLOADS_REMEDY)
    else:
        yield ok("payload storage", "it can be reached and belongs to this store")


def check_version(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the server is recent enough."""
    with _reading(database) as cursor:
        version = cursor.connection.info.server_version
    detail = f"PostgreSQL {version // 10000}.{version % 10000}"
    if version >= VERSION_MIN:
        yield ok("version", detail)
    else:
        yield bad("version", detail, f"upgrade to PostgreSQL {VERSION_MIN // 10000} or newer")


def check_login(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the login owns the tables, so that it can migrate and copy."""
    with _reading(database) as cursor:
        row = cursor.execute(
            "SELECT current_user::text, pg_has_role(current_user, c.relowner, 'usage'),"
            " pg_has_role(current_user, %s, %s) FROM pg_class c WHERE c.oid = 'item'::regclass",
            (ROLE, role_privilege(cursor)),
        ).fetchone()
    assert row is not None
    login, owns, member = row
    if not owns:
        yield bad("login", f"{login} does not own the tables", f"use the login that created them; {SETUP}")
    elif not member:
        yield bad("login", f"{login} may not take the role {ROLE}", f"GRANT {ROLE} TO {login}; {SETUP}")
    else:
        yield ok("login", f"{login} owns the tables and may take the role {ROLE}")


def check_row_level_security(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that row-level security is on, and that the role cannot bypass it."""
    with _reading(database) as cursor:
        row = cursor.execute(
            "SELECT bool_and(c.relrowsecurity), (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s)"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'merchant'"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition",
            (ROLE,),
        ).fetchone()
    assert row is not None
    name = "row-level security"
    if row[1]:
        yield bad(name, f"the role {ROLE} may bypass it", f"ALTER ROLE {ROLE} NOSUPERUSER NOBYPASSRLS")
    elif not row[0]:
        yield bad(name, "off for some table", "ALTER TABLE … ENABLE ROW LEVEL SECURITY for every table of merchants")
    else:
        yield ok(name, "on for every table of merchants")


def check_settings(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check the settings of the server that durability and maintenance depend on."""
    with _reading(database) as cursor:
        for name, (required, harm) in SETTINGS.items():
            row = cursor.execute("SELECT current_setting(%s)", (name,)).fetchone()
            value = str(row[0]) if row is not None else ""
            if value == required:
                yield ok(f"setting {name}", value)
            else:
                yield bad(f"setting {name}", f"{value}: {harm}", f"set {name} = {required} on the server")


def check_session_settings(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Warn of settings of server, database or role that the gate has to set again in each transaction."""
    with closing(database.server.connect()) as connection:
        differences = {**connection.differences}
    if not differences:
        yield ok("session settings", "as the gate needs them")
        return
    listed = ", ".join(f"{name} = {value}" for name, value in differences.items())
    remedy = "ALTER ROLE … RESET or ALTER DATABASE … RESET them, or leave them: the gate sets them for its transactions"
    yield warn("session settings", f"differ from what the gate needs: {listed}", remedy)


def check_connections(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the server has connections left."""
    with _reading(database) as cursor:
        row = cursor.execute(
            "SELECT count(*), current_setting('max_connections')::integer FROM pg_stat_activity WHERE backend_type ="
            " 'client backend'"
        ).fetchone()
    assert row is not None
    detail = f"{row[0]} of {row[1]} in use"
    if row[1] - row[0] >= CONNECTIONS_LEFT_MIN:
        yield ok("connections", detail)
    else:
        yield bad("connections", detail, "raise max_connections of the server, or lower the setting connections_max")


def check_clocks(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the clocks of all hosts agree with the server's."""
    since = database.now() - HOST_SECONDS * 1_000_000
    with database.server.transaction(ALL_MERCHANTS) as db:
        hosts = db.rows("hosts", {"since": since, "limit": ROWS_MAX})
    ahead = {name: microseconds / 1e6 for name, microseconds in hosts}
    ahead["this host"] = database.server.ahead()
    worst = max(abs(seconds) for seconds in ahead.values())
    listed = ", ".join(f"{name} {seconds:+.3f} s" for name, seconds in sorted(ahead.items()))
    detail = f"ahead of the server's: {listed}"
    if worst <= AHEAD_SECONDS_MAX:
        yield ok("clocks", detail)
    else:
        yield bad("clocks", detail, "synchronize the clocks of the hosts, for example with chrony")


def check_worker(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that somebody works while work waits."""
    for _ in range(WORKER_LOOKS):
        now = database.now()
        is_worked = any(expires_at > now for *_, expires_at, _ in _leases(database))
        check = judge_worker(database, is_worked=is_worked, absence="no worker holds a lease")
        if check.is_ok:
            break
        time.sleep(WORKER_LOOK_SECONDS)
    yield check


def check_leases(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that leases that have ended are taken over."""
    now, leases = database.now(), _leases(database)
    late = [
        f"{merchant} {kind} {collection} by {holder}, {(now - expires_at) / 1e6:.0f} s ago"
        for merchant, kind, collection, holder, expires_at, open in leases
        if open and (now - expires_at) / 1e6 > LATE_SECONDS
    ]
    if late:
        yield bad("leases", f"ended: {'; '.join(late)}", "start a worker; the log of the old one says why it ended")
    else:
        yield ok("leases", f"{len(leases)} held, none overdue")


def check_search(database: PostgresDatabase) -> Iterator[HealthCheck]:
    """Check that the search index has all items."""
    yield judge_search(database)


QUICK_CHECKS = (check_schema, check_writable, check_free_space, check_payload_faults, check_deaths, check_worker)
THOROUGH_CHECKS = (
    check_schema_content, check_version, check_login, check_row_level_security, check_settings, check_session_settings,
    check_connections, check_clocks, check_leases, check_search, check_payload_storage, check_partitions, check_tables,
)


@contextmanager
def _reading(database: PostgresDatabase) -> Iterator[Cursor]:
    """Open a transaction of the login itself, which sees the catalogue of the server."""
    with database.server.session(f"BEGIN READ ONLY; SET LOCAL search_path = {SCHEMA}") as db:
        yield db.cursor


def _leases(database: PostgresDatabase) -> list[Row]:
    with database.server.transaction(ALL_MERCHANTS) as db:
        return db.rows("leases", {"limit": ROWS_MAX})
