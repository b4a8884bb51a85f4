"""What all calls share: who calls, limits, bodies and answers, refusals. It knows no call."""
