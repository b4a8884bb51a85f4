"""Calls at random, those that the page at /docs allows and others: the server answers as that page says."""
