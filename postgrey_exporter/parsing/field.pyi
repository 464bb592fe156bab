def message_text(sender: bytes, recipient: bytes) -> bytes:
    """Return what a message is known by: its sender without what changes from mail to mail, a NUL, and its recipient.

    Numbers, VERP extensions and BATV tags are left out as ``do_sender_substitutions`` in postgrey 1.37 does. The text
    is in lower case.
    """
