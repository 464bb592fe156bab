class Seen:
    """Remembers which stories a state has messages of, in two megabytes, whatever their number."""
