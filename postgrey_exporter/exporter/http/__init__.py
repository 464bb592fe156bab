"""The exporter's HTTP face: metrics for Prometheus, health for supervisors, a page for people."""
