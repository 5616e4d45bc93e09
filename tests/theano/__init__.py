"""What the original theano_lstm computed, replayed; and what of `std.theano` needs no golden file."""
