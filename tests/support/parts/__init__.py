"""The real parts of a mail server's monitoring, each started on loopback for a test and stopped by its process id.

Every part is a context manager. Entering it needs the Debian package it comes from (`require`), waits until it
answers, and raises with its own words when it does not. Waiting lives in `wait_until` alone.
"""

from __future__ import annotations

from support.parts.alertmanager import Alertmanager
from support.parts.daemon import Daemon, PartError
from support.parts.postgrey import Postgrey
from support.parts.prometheus import Alert, Prometheus, Sample
from support.parts.receivers import SmtpSink, WebhookReceiver
from support.parts.requirement import find_program, lacking, require
from support.parts.rsyslog import DebianRsyslog, Rsyslog, Template
from support.parts.waiting import free_port, wait_until

__all__ = [
    "Alert",
    "Alertmanager",
    "Daemon",
    "DebianRsyslog",
    "PartError",
    "Postgrey",
    "Prometheus",
    "Rsyslog",
    "Sample",
    "SmtpSink",
    "Template",
    "WebhookReceiver",
    "find_program",
    "free_port",
    "lacking",
    "require",
    "wait_until",
]
