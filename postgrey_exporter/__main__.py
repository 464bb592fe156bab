"""``python -m postgrey_exporter`` is the same as ``postgrey-exporter``."""

from postgrey_exporter.cli import main

main()
