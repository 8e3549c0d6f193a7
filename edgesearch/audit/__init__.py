"""Find likely mistakes in a catalogue before it is built: duplicates, wrong or unreadable pictures, odd prices.

It imports `catalog`, `embedding`, `index` and `html`. Begin with `checks.py`.
"""
