"""What is known of a client by its name and address: its domain, its network, and what kind of host it is."""
