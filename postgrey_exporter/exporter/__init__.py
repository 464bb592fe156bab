"""The exporter: it reads on, keeps what scrapes are answered from, and serves it."""
