"""The page docs/figures.md and the figures quoted in README.md and docs/: what they show, and how they are written."""
