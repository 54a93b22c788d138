"""Import schedules of sites: cron entries in UTC (`engine.cron`), or none, or `ALWAYS`."""

ALWAYS = "@always"
"""An extension: uploads are imported at once."""
