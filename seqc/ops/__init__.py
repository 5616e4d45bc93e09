"""The operations of Flow: shape rule, numpy meaning and derivative of each; builder, verifier and interpreter.

`table` has the vocabulary and all rows, `build` makes and rewrites graphs, `verify` checks them, `evaluate` runs them
in numpy. A new elementwise operation is one row in `elementwise`.
"""
