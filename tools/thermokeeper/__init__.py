"""Host tools for devices that keep themselves up to date: make, feed, simulate and watch them."""
