"""The owner's calls: claims, things and what they measured."""
