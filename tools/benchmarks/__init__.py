"""The project's benchmarks: `tools/bench NAME` prints figures with the device, the seed and the command.

Begin with `__main__.py`, whose table names the module of each command. `context`, `processes`, `protocols` and
`vectors` are shared; `report/` measures everything and writes docs/figures.md.
"""
