"""JSON over HTTP, and the page: for this machine, and for others where somebody was let in."""
