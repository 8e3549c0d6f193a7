"""Find likely mistakes in a catalogue before it is built: duplicates, wrong or unreadable pictures, odd prices.

It may import `images`, `embedding`, `index`, `catalog` and `html`. Begin with `checks.py`.
"""
