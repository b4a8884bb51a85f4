"""HTTP for a device: deadlines on everything, verified TLS, bounded bodies. Always in memory; knows no service."""
