"""What `benchmarks/grid.py` is made of: rows of work, models, peers, the runner that lets them take turns, the table."""
