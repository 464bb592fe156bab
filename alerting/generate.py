#!/usr/bin/env python3
"""Write prometheusrule.yml, the resource of the Prometheus operator, from postgrey.rules.yml.

The rules are copied as text, with their comments, so the two files cannot say different things. With --check nothing
is written; the exit status is 1 when the resource is not what the rules give.
"""

import argparse
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
RULES = HERE / "postgrey.rules.yml"
RESOURCE = HERE / "prometheusrule.yml"

HEAD = """\
# Generated from postgrey.rules.yml by generate.py; edit that file and run this one again.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: postgrey
  labels:
    app.kubernetes.io/name: postgrey-exporter
spec:
"""


def resource(rules: str) -> str:
    """Give the text of the PrometheusRule resource that holds the rule file's groups."""
    groups = rules[rules.index("groups:\n") :]
    return HEAD + textwrap.indent(groups, "  ")


def main() -> int:
    """Write or check the resource; give the exit status."""
    parser = argparse.ArgumentParser(description="Write prometheusrule.yml from postgrey.rules.yml.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is out of date")
    wanted = resource(RULES.read_text(encoding="utf-8"))
    if not parser.parse_args().check:
        RESOURCE.write_text(wanted, encoding="utf-8")
    elif not RESOURCE.exists() or RESOURCE.read_text(encoding="utf-8") != wanted:
        sys.stderr.write(f"{RESOURCE.name} is out of date: run {Path(__file__).name}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
