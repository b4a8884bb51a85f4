"""The benchmark: what an installation and a boot cost on the simulated board, beside the least that they could cost."""
