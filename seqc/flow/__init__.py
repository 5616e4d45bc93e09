"""Flow: what a program means. An immutable SSA graph of values for one instant of one sequence.

`types` holds the records, `build` the only way to make a graph, `order` its cycles and running order,
`print` its text form, `verify` (in `ops`) its laws.
"""
