"""Flash images: everything that a board has in its flash when it leaves the factory."""
