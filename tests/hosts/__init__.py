"""Several hosts and one database: hosts and servers that are cut off, killed, stopped, paused; and nothing is lost."""
