"""Prove robustness by faults: after damage, a crash or a refused write, a user sees one sentence and loses nothing.

Six commands stand here: `faults` injects thousands of faults, `fuzz` searches for inputs that break a reader, `soak`
queries one device folder for hours, `pictures` reads hostile pictures, `flood` attacks a server over the network,
`check_kernel` runs the tests of the compiled code with sanitizers.
"""
