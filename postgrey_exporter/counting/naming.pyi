from postgrey_exporter.clients.hostnames import ClientKind

def kind_of(name: str, address: str) -> ClientKind:
    """Return what a client is by its name."""
