"""From sources to counts: into the state, or into memory for a report."""
