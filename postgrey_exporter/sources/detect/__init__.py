"""Where postgrey logs on this machine."""
