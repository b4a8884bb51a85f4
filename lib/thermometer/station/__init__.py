"""A board of ours apart from measuring: its clock, its hardware, its network, its turn. Always in memory."""
