"""The command line: parse arguments, call the package, print the result.

It may import every package, and computes nothing itself. Begin with `cli.py`; each other module holds related commands.
"""
