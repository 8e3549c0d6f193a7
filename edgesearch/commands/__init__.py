"""Offer the command line: parse arguments, call the package, print.

It may import every package, and computes nothing itself. Begin with `cli.py`; each module holds the commands of one kind of user.
"""
