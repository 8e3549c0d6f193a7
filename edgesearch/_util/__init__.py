"""Provide what several packages need and no library offers: locks, SQLite files, mapped arrays, threads, stopping.

It may import nothing of edgesearch but `errors`. Begin with `files.py`, which replaces files so that a power cut loses
nothing.
"""
