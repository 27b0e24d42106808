"""Storage: one writer, few readers, two tiers of readings; SQLite by default, PostgreSQL for more.

Start at :mod:`hub.storage.database`. Acknowledged means committed and fsynced: what ``write`` and ``append``
return is on disk.
"""
