"""All tables, once, for SQLite and PostgreSQL.

Times are UTC epoch milliseconds in ``*_ms`` columns; ``json`` columns take and give Python objects. Names of
tables and columns are part of the data format: a change needs a revision in :mod:`hub.storage.migrations`.

``readings`` (hot tier) and the block tables (sealed tier) are never altered in SQLite's copy-and-rename way:
they hold nearly all bytes of the file. Read both tiers through :mod:`hub.storage.readings`.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in an INTEGER key; PostgreSQL gets eight bytes.
_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, *, default: str | None = "") -> sa.Column[str]:
    """Text that is always there; ``default=None`` makes it required."""
    return sa.Column(name, sa.Text, nullable=False, default=default)


def _maybe_text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=True)


def _ms(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _maybe_real(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=True)


def _count(name: str, *, default: int | None = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, default=default)


def _small(name: str, *, default: int | None = 0) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False, default=default)


def _flag(name: str, *, default: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, default=default)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


def _numbered(name: str = "id") -> sa.Column[int]:
    """A row number that is given once and never again."""
    return sa.Column(name, _ROW_ID, primary_key=True, autoincrement=True)


def _series_of_key() -> sa.Column[int]:
    return sa.Column("series", sa.Integer, primary_key=True, autoincrement=False)


def _ms_of_key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _json(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=nullable)


def _owner(name: str, of: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, sa.ForeignKey(of, ondelete="CASCADE"), nullable=False)


# --- things -------------------------------------------------------------------------------------------------

sites = sa.Table(
    "sites",
    METADATA,
    _key("id"),
    _text("name", default=None),
    _text("time_zone", default=None),
    _text("currency", default="EUR"),
    _text("country"),
    _maybe_real("latitude"),
    _maybe_real("longitude"),
    _text("holidays"),
    _ms("created_ms"),
)

areas = sa.Table(
    "areas",
    METADATA,
    _key("id"),
    sa.Column("site", sa.Text, nullable=False, default="home"),
    _maybe_text("parent"),
    _text("name", default=None),
    _text("kind"),
    _ms("created_ms"),
)

devices = sa.Table(
    "devices",
    METADATA,
    _key("id"),
    _text("name"),
    _text("integration"),
    _text("kind"),
    _text("maker"),
    _text("model"),
    _text("firmware"),
    _text("serial"),
    _text("role", default="none"),
    _maybe_text("area"),
    _maybe_text("parent"),
    _text("site", default="home"),
    _ms("created_ms"),
)

series = sa.Table(
    "series",
    METADATA,
    sa.Column("no", sa.Integer, primary_key=True, autoincrement=True),
    _text("device_id", default=None),
    _text("key", default=None),
    _text("quantity", default=None),
    _text("unit"),
    _text("behaviour", default=None),
    _text("direction", default="both"),
    _text("name"),
    _maybe_real("register_width"),
    _maybe_real("resolution"),
    _maybe_real("physical_limit"),
    sa.Column("interval_ms", sa.BigInteger, nullable=True),
    _text("sent_unit"),
    _flag("in_balance", default=True),
    _ms("created_ms"),
    sa.UniqueConstraint("device_id", "key"),
    sqlite_autoincrement=True,
)

inbox = sa.Table(
    "inbox",
    METADATA,
    _key("device_id"),
    _text("entry_id", default=None),
    _text("domain", default=None),
    _text("state", default="waiting"),
    _json("info"),
    _json("series"),
    _text("sample"),
    _ms("first_ms"),
    _ms("last_ms"),
    _count("count", default=1),
    sa.CheckConstraint("state IN ('waiting', 'ignored')", name="state"),
)

metering_points = sa.Table(
    "metering_points",
    METADATA,
    _key("id"),
    sa.Column("site", sa.Text, nullable=False, default="home"),
    _text("name", default=None),
    _text("kind", default="electricity"),
    _text("code"),
    _ms("created_ms"),
)

# A device's register at a metering point, dated: a swap of meter, factor or calorific value is a new row.
installations = sa.Table(
    "installations",
    METADATA,
    _numbered(),
    _owner("metering_point", "metering_points.id"),
    sa.Column("series", sa.Integer, nullable=False),
    _ms("from_ms"),
    _ms("to_ms", nullable=True),
    sa.Column("factor", sa.Double, nullable=False, default=1.0),
    _maybe_real("opening"),
    _maybe_real("closing"),
    _maybe_real("calorific_value"),
    _text("note"),
    _ms("created_ms"),
    _maybe_real("state_number"),
    sa.Index("ix_installations_series", "series", "from_ms"),
    sqlite_autoincrement=True,
)

# --- readings -----------------------------------------------------------------------------------------------

readings = sa.Table(
    "readings",
    METADATA,
    _series_of_key(),
    _ms_of_key("ts_ms"),
    sa.Column("value", sa.Double, nullable=False),
    _small("flags"),
    sqlite_with_rowid=False,
)

# One block per series and UTC day (``day`` = days since 1970-01-01), see hub.storage.codec.
reading_blocks = sa.Table(
    "reading_blocks",
    METADATA,
    _series_of_key(),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    _ms("first_ms"),
    _ms("last_ms"),
    sa.Column("count", sa.Integer, nullable=False),
    _small("codec"),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

# The same conflict sent again is the same row: ``other`` belongs to its key.
conflicts = sa.Table(
    "conflicts",
    METADATA,
    _numbered(),
    sa.Column("series", sa.Integer, nullable=False),
    _ms("ts_ms"),
    sa.Column("kept", sa.Double, nullable=False),
    sa.Column("other", sa.Double, nullable=False),
    _text("source"),
    _ms("arrival_ms"),
    sa.UniqueConstraint("series", "ts_ms", "other"),
    sqlite_autoincrement=True,
)

quarantine = sa.Table(
    "quarantine",
    METADATA,
    _numbered(),
    _text("source"),
    _ms("arrival_ms"),
    sa.Column("series", sa.Integer, nullable=True),
    _ms("ts_ms", nullable=True),
    _maybe_text("value"),
    _text("code", default=None),
    _text("text"),
    _text("field"),
    sa.Column("payload", sa.LargeBinary, nullable=True),
    sqlite_autoincrement=True,
)

# An event: who, when, why, which range, what instead. ``undoes`` names the correction it takes back, once;
# ``data`` holds what does not fit into ``value``: the rows of a replaced range.
corrections = sa.Table(
    "corrections",
    METADATA,
    _numbered(),
    sa.Column("series", sa.Integer, nullable=False),
    _ms("start_ms"),
    _ms("end_ms"),
    _text("action", default=None),
    _maybe_real("value"),
    sa.Column("undoes", sa.BigInteger, nullable=True),
    _text("reason"),
    _maybe_text("user_id"),
    _ms("created_ms"),
    _json("data", nullable=True),
    sa.Index("ix_corrections_series", "series", "start_ms"),
    sa.Index("uq_corrections_undoes", "undoes", unique=True),
    sqlite_autoincrement=True,
)

# --- derived figures ----------------------------------------------------------------------------------------

energy_metrics = sa.Table(
    "energy_metrics",
    METADATA,
    _series_of_key(),
    sa.Column("resolution", sa.Text, primary_key=True),
    _ms_of_key("start_ms"),
    _ms("end_ms"),
    sa.Column("delta", sa.BigInteger, nullable=True),
    _count("count"),
    _maybe_real("mean"),
    _maybe_real("min"),
    _maybe_real("max"),
    _maybe_real("last"),
    _count("measured_ms"),
    _count("late_ms"),
    _count("estimated_ms"),
    _count("suspect_ms"),
    sa.Column("flags", sa.Integer, nullable=False, default=0),
    _count("revision"),
    _maybe_text("zone"),
    _maybe_text("zone_version"),
    sa.CheckConstraint("resolution IN ('15m', '1d', '1mo')", name="resolution"),
    sqlite_with_rowid=False,
)

metric_blocks = sa.Table(
    "metric_blocks",
    METADATA,
    _series_of_key(),
    sa.Column("resolution", sa.Text, primary_key=True),
    _ms_of_key("period_ms"),
    sa.Column("count", sa.Integer, nullable=False),
    _small("codec"),
    _count("revision"),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

# ``created_ms`` grows with each new mark of the same range: whoever works a range off deletes it only if
# ``created_ms`` is still the one that was read, so that a mark set meanwhile is not lost.
dirty_ranges = sa.Table(
    "dirty_ranges",
    METADATA,
    _series_of_key(),
    _ms_of_key("start_ms"),
    _ms_of_key("end_ms"),
    sa.Column("cause", sa.Text, primary_key=True),
    _ms("created_ms"),
    sqlite_with_rowid=False,
)

# --- money --------------------------------------------------------------------------------------------------

# Tariffs of people; those of the configuration stay in its files. ``body`` is the tariff as it was sent.
tariffs = sa.Table(
    "tariffs",
    METADATA,
    _key("id"),
    _text("name"),
    _text("metering_point", default="grid"),
    _text("currency", default=None),
    _json("body"),
    _ms("created_ms"),
    _ms("updated_ms"),
)

price_series = sa.Table(
    "price_series",
    METADATA,
    _key("id"),
    _text("name"),
    _text("unit", default=None),
    _text("source"),
    _maybe_text("series"),
    _ms("created_ms"),
)

# Rows of one ``id`` never overlap: what is inserted cuts what was there. ``price_e8``: 1e-8 currency per kWh.
prices = sa.Table(
    "prices",
    METADATA,
    _key("id"),
    _ms_of_key("start_ms"),
    _ms("end_ms"),
    _count("price_e8", default=None),
    _text("source"),
    _ms("created_ms"),
    sqlite_with_rowid=False,
)

budgets = sa.Table(
    "budgets",
    METADATA,
    _key("id"),
    _text("metering_point", default="grid"),
    _json("body"),
    _ms("created_ms"),
    _ms("updated_ms"),
)

# What a supplier asked for, as somebody typed it in; ``body`` holds its lines.
invoices = sa.Table(
    "invoices",
    METADATA,
    _key("id"),
    _text("metering_point", default="grid"),
    _ms("start_ms"),
    _ms("end_ms"),
    _json("body"),
    _ms("created_ms"),
    _ms("updated_ms"),
)

# --- people -------------------------------------------------------------------------------------------------

users = sa.Table(
    "users",
    METADATA,
    _key("id"),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    _maybe_text("password_hash"),
    _flag("disabled"),
    _text("locale"),
    sa.Column("preferences", sa.JSON(none_as_null=True), nullable=False, default=dict),
    _ms("created_ms"),
)

roles = sa.Table("roles", METADATA, _key("name"), _flag("builtin"))

permissions = sa.Table("permissions", METADATA, _key("name"))

# ``scope`` is a site or an area; null means that the role holds everywhere.
user_roles = sa.Table(
    "user_roles",
    METADATA,
    _numbered(),
    _owner("user_id", "users.id"),
    _owner("role", "roles.name"),
    _maybe_text("scope"),
)
sa.Index(
    "uq_user_roles_user_id_role_scope",
    user_roles.c.user_id,
    user_roles.c.role,
    sa.func.coalesce(user_roles.c.scope, sa.literal_column("''")),
    unique=True,
)

role_permissions = sa.Table(
    "role_permissions",
    METADATA,
    sa.Column("role", sa.Text, sa.ForeignKey("roles.name", ondelete="CASCADE"), primary_key=True),
    sa.Column("permission", sa.Text, sa.ForeignKey("permissions.name", ondelete="CASCADE"), primary_key=True),
)

sessions = sa.Table(
    "sessions",
    METADATA,
    _key("id"),
    _owner("user_id", "users.id"),
    _ms("created_ms"),
    _ms("expires_ms"),
    _text("refresh_hash", default=None),
    _maybe_text("previous_hash"),
    _ms("previous_until_ms", nullable=True),
    _text("user_agent"),
    _text("address"),
    _ms("last_seen_ms"),
    _ms("ended_ms", nullable=True),
    sa.Index("ix_sessions_user_id", "user_id"),
    sa.Index("ix_sessions_refresh_hash", "refresh_hash"),
    sa.Index("ix_sessions_previous_hash", "previous_hash"),
)

api_tokens = sa.Table(
    "api_tokens",
    METADATA,
    _key("id"),
    _owner("user_id", "users.id"),
    _text("name", default=None),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    _json("scopes"),
    _ms("created_ms"),
    _ms("expires_ms", nullable=True),
    _ms("revoked_ms", nullable=True),
    _ms("last_used_ms", nullable=True),
    sa.Index("ix_api_tokens_user_id", "user_id"),
)

# Users may go, their audit rows stay: no foreign key.
audit_log = sa.Table(
    "audit_log",
    METADATA,
    _numbered(),
    _ms("ts_ms"),
    _maybe_text("user_id"),
    _text("action", default=None),
    _text("object"),
    sa.Column("detail", sa.JSON(none_as_null=True), nullable=False, default=dict),
    _text("address"),
    sa.Index("ix_audit_log_ts_ms", "ts_ms"),
    sqlite_autoincrement=True,
)

notifications = sa.Table(
    "notifications",
    METADATA,
    _numbered(),
    _ms("created_ms"),
    _maybe_text("user_id"),
    _text("kind", default=None),
    _text("severity", default="info"),
    _text("title"),
    _text("body"),
    sa.Column("data", sa.JSON(none_as_null=True), nullable=False, default=dict),
    _ms("read_ms", nullable=True),
    sa.Index("ix_notifications_user_id", "user_id", "created_ms"),
    sqlite_autoincrement=True,
)

notification_templates = sa.Table(
    "notification_templates",
    METADATA,
    _key("name"),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("language", sa.Text, primary_key=True),
    _text("subject"),
    _text("body"),
    _flag("builtin"),
    _ms("updated_ms"),
)

# --- the hub itself -----------------------------------------------------------------------------------------

processing_jobs = sa.Table(
    "processing_jobs",
    METADATA,
    _key("id"),
    _text("kind", default=None),
    _text("state", default="waiting"),
    sa.Column("progress", sa.Double, nullable=False, default=0.0),
    sa.Column("params", sa.JSON(none_as_null=True), nullable=False, default=dict),
    _json("result", nullable=True),
    _text("error"),
    _maybe_text("user_id"),
    _ms("created_ms"),
    _ms("started_ms", nullable=True),
    _ms("finished_ms", nullable=True),
    sa.Index("ix_processing_jobs_state", "state", "created_ms"),
)

settings = sa.Table("settings", METADATA, _key("key"), _json("value"))
