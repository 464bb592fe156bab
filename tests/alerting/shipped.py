"""The shipped Alertmanager configuration, made fit for a test: other addresses and shorter waits, nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ALERTING: Final = Path(__file__).parents[2] / "alerting"
CONFIG: Final = ALERTING / "alertmanager.yml"
TEMPLATES: Final = {"postgrey.tmpl": (ALERTING / "postgrey.tmpl").read_text()}


def alertmanager_config(webhook_url: str, smtp_address: str, group_wait: str, group_interval: str) -> str:
    """Return the configuration with these addresses of the receivers, and with these waits on every route.

    ``repeat_interval`` stays as it is: no test lives long enough to see a repetition.
    """
    text = _replace(r"localhost:25\b", smtp_address, CONFIG.read_text())
    text = _replace(r"https://chat\.example\.org/hooks/postgrey", webhook_url, text)
    text = _replace(r"\bgroup_wait: \w+", f"group_wait: {group_wait}", text)
    return _replace(r"\bgroup_interval: \w+", f"group_interval: {group_interval}", text)


def _replace(pattern: str, new: str, text: str) -> str:
    changed, count = re.subn(pattern, new, text)
    assert count, f"{CONFIG.name} holds no {pattern}"
    return changed
