"""The doctor: where postgrey logs here, what can be read, what is wrong, and the command that mends it.

Each module makes the checks of one subject from a `Machine`; nothing is changed anywhere. What is printed, and how,
is the command line's business.
"""

from __future__ import annotations

from postgrey_exporter.doctor.check import Check, Verdict
from postgrey_exporter.doctor.examination import Examination
from postgrey_exporter.doctor.machine import Machine, Process

__all__ = ["Check", "Examination", "Machine", "Process", "Verdict"]
