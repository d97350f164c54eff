"""Files in and out: reading them into requests and records, without a query or a rule."""
