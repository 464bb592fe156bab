"""What is known of each sender domain, and what to do about it."""
