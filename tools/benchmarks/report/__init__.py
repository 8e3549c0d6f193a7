"""Measure everything, and write docs/figures.md and the figures quoted in README.md and docs/.

`sections.py` lists what is measured and shown; `quotes.md` holds the sentences that quote figures.
"""
