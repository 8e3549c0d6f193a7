"""Turn a catalogue into a bundle: read, extract, assemble, fit to a budget, calibrate, write.

It imports `search` and everything below it, and the merge of exported overlays from `device`. Begin with `build.py`:
`build_bundle` calls one stage after another; `entry_point.py` offers it. `build_options.py` explains every option.
"""
