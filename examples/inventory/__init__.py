"""A small inventory window that embeds edgesearch: find by photo or words, teach, count."""
