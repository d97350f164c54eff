"""studentcli: student enrollment from the command line, on SQLite or PostgreSQL."""

__version__ = "0.1.0"
