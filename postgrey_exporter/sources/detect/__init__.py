"""Finds out where postgrey logs on this machine."""
