"""`make demo`: a thermometer's life, live, on a simulated board and a local server, told in a few lines."""
