"""The rule book, rule by rule: pure tables of boundaries, without a database."""
