"""Models of the answers of the read service. Numbers come from aggregate tables; `meta` says how fresh they are."""
