"""Tell which senders greylisting delays for no gain, from postgrey's log, for Prometheus and for people."""

__version__ = "0.1.0"
