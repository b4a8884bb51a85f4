"""The vendor's calls: templates and versions, products and serials, the fleet, tokens."""
