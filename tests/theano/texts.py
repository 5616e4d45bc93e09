"""The models that replay the golden files, in the language. A bound of 0 is none, so one text serves with and without."""

from __future__ import annotations

import re

STEPS = """
use std.theano: Embedding, GatedInput, GRU, Layer, LSTM, RNN

# Every cell once, each on the same input, with a loss through the embedding.
model Steps {
  input x:  real[3]
  input h:  real[4]                     # what the gate sees beside x
  input k:  index(7)
  input up: real[3]

  layer identity_layer = Layer(4)
  layer tanh_layer     = Layer(4, tanh)
  layer sigmoid_layer  = Layer(4, sigmoid)
  layer softmax_layer  = Layer(4, softmax)
  layer tanh_rnn       = RNN(4, tanh)
  layer identity_rnn   = RNN(4)
  layer gru            = GRU(4)
  layer tanh_lstm      = LSTM(4, tanh)
  layer identity_lstm  = LSTM(4)
  layer override_lstm  = LSTM(4, tanh, in_gate2.activation = identity)
  layer gated          = GatedInput()
  layer embedding      = Embedding(3)

  output identity_layer_y = identity_layer(x)
  output tanh_layer_y     = tanh_layer(x)
  output sigmoid_layer_y  = sigmoid_layer(x)
  output softmax_layer_y  = softmax_layer(x)
  output tanh_rnn_y       = tanh_rnn(x)
  output identity_rnn_y   = identity_rnn(x)
  output gru_y            = gru(x)
  output tanh_lstm_y      = tanh_lstm(x)
  output identity_lstm_y  = identity_lstm(x)
  output override_lstm_y  = override_lstm(x)
  output tanh_lstm_c      = tanh_lstm.c
  output identity_lstm_c  = identity_lstm.c
  output override_lstm_c  = override_lstm.c
  output gated_y          = gated(x, h)
  output gated_gate       = gated.gate
  output embedding_y      = embedding(k)

  loss = sum(sum(up * embedding_y ^ 2) over time, batch)
}
"""

BPTT = """
use std.theano: {names}

model Bptt {{
  hyper low = 0.0                       # bounds of the gradients inside
  hyper top = 0.0

  input x:    real[3]
  input goal: real[2]

{layers}

  output y
  loss = mean(mean((y - goal) ^ 2) over time, batch)
}}
"""

RNN = """  layer l0 = RNN(4, tanh, low, learn = true)
  layer l1 = Layer(2, clip_gradients = top)
  h = l0(x)
  y = l1(h)
  output h"""

LSTM = """  layer l0 = LSTM(4, tanh, low, learn = true)
  layer l1 = LSTM(3, tanh, low, learn = true)
  layer l2 = Layer(2, clip_gradients = top)
  h0 = l0(x)
  h1 = l1(h0)
  y  = l2(h1)
  output h0
  output h1
  output c0 = l0.c
  output c1 = l1.c"""

GRU = """  layer l0 = GRU(4, learn = true)
  layer l1 = Layer(2, clip_gradients = top + low)
  h = l0(x)
  y = l1(h)
  output h"""

MASKS = """  input m0: real[3] once                # a mask from outside, one for the whole sequence
  input m1: real[4] once
  input m2: real[4] once
  layer l0 = LSTM(4, tanh, low, learn = true)
  layer l1 = LSTM(4, tanh, low, learn = true)
  layer l2 = Layer(2, clip_gradients = top)
  h0 = l0(m0 * x)
  h1 = l1(m1 * h0)
  y  = l2(m2 * h1)
  output h0
  output h1
  output c0 = l0.c
  output c1 = l1.c"""

GATED = """
use std.theano: GatedInput, Layer, LSTM

# The gate sees the state that the layer above it had one step ago; open gates cost something.
model Gated {
  input x:    real[3]
  input goal: real[2]

  layer l0 = GatedInput()
  layer l1 = LSTM(4, tanh, learn = true)
  layer l2 = Layer(2)
  h = l1(l0(x, prev l1.h))
  y = l2(h)

  output gate = l0.gate
  output c    = l1.c
  output h
  output y
  loss = mean(mean((y - goal) ^ 2) over time, batch) + 0.1 * mean(l0.gate over time, batch)
}
"""

OPTIM = """
use std.theano: {optimizer}, Layer, LSTM

model Optim {{
  input  x:    real[2]
  target goal: real[2]

  layer l0 = LSTM(3, tanh, learn = {learn})
  layer l1 = Layer(2)
  y = x |> l0 |> l1

  output y
  loss = sum(sum((y - goal) ^ 2) over time, batch)
}}

train Optim {{ update = {optimizer}() }}
"""

MASKED = """
use std.theano: masked_loss

model Masked {
  input logits: real[4]
  input weight: real once               # of each sequence in the loss
  target labels:  index(4)
  target lengths: int once
  target starts:  int once

  probs = softmax(logits)

  output probs
  loss = sum(weight * masked_loss(probs, labels, lengths, starts) over batch)
}
"""

GIVEN = """
use std.theano: masked_loss

model Given {
  input probs:  real[4]
  input weight: real once
  target labels:  index(4)
  target lengths: int once
  target starts:  int once

  output probs
  loss = sum(weight * masked_loss(probs, labels, lengths, starts) over batch)
}
"""

LANGUAGE = """
use std.theano: AdaDelta, Embedding, Layer, masked_loss, {cell}

model Language {{
  hyper stop_on: index(7) = 0           # the word after which a sentence is over
  hyper temperature = 0.0               # 0 says the best word, 1 draws one

  input  words:   index(7) = prev said  # given, or what was said one step ago
  target labels:  index(7)
  target lengths: int once
  target starts:  int once
  state  said: index(7) = 0

  layer l0 = Embedding(4)
  layer l1 = {cell}(5, learn = true)
  layer l2 = Layer(7, softmax)
  probs = words |> l0 |> l1 |> l2
  said  = categorical(log(probs), temperature)

  until said == stop_on
  output said
  output probs
  loss = sum(masked_loss(probs, labels, lengths, starts) over batch)
}}

# The start has a gradient, as in the files, and stays as it is.
train Language {{ update = AdaDelta()  freeze = l1.h0 }}
"""

PENDULUM = """
use std.theano: AdaDelta, Layer, LSTM

const M1 = 1.0, M2 = 0.7, L1 = 1.0, L2 = 0.6, G = 9.81, dt = 0.02, gain = 5.0

fn dynamics(x: real[4], u: real) -> y: real[4] {
  a, va, b, vb = x
  d    = b - a
  den1 = (M1 + M2) * L1 - M2 * L1 * cos(d) ^ 2
  den2 = L2 / L1 * den1
  acc1 = ( M2 * L1 * va ^ 2 * sin(d) * cos(d) + M2 * G * sin(b) * cos(d)
         + M2 * L2 * vb ^ 2 * sin(d) - (M1 + M2) * G * sin(a)) / den1
  acc2 = (-M2 * L2 * vb ^ 2 * sin(d) * cos(d) + (M1 + M2) * G * sin(a) * cos(d)
         - (M1 + M2) * L1 * va ^ 2 * sin(d) - (M1 + M2) * G * sin(b)) / den2 + u
  y = x + dt * [va, acc1, vb, acc2]
}

model Pendulum {
  dim A = 6, B = 5

  input start: real[4] once
  input goal:  real[4] once

  layer l0 = LSTM(A, tanh, in_gate2.activation = identity, learn = true)
  layer l1 = LSTM(B, tanh, learn = true)
  layer l2 = Layer(2, softmax)

  state x = start
  p = prev x |> l0 |> l1 |> l2
  u = gain * (p[0] - p[1])
  x = dynamics(prev x, u)

  output x
  output u
  output c0 = l0.c
  output h0 = l0.h
  output c1 = l1.c
  output h1 = l1.h
  miss = x[[0, 2]] - goal[[0, 2]]
  loss = mean(norm(norm(miss) over time) / steps over batch)
}

train Pendulum { update = AdaDelta()  freeze = [l0.h0, l1.h0] }
"""


DROPOUT = """
use std.theano: Dropout

model Dropped {
  hyper drop = 0.5

  input x:     real[50]
  input other: real[50]

  y = sum(Dropout(drop)(x)) + sum(Dropout(drop)(other))

  output y
  loss = sum(y over time, batch)
}
"""

STARTS = """
use std.theano: Embedding, Layer, LSTM, RNN

# The layers of the golden file, wide enough for their distribution to be seen.
model Starts {
  input k: index(40)
  y = k |> Embedding(50)
  layer l0 = LSTM(60)
  layer l1 = LSTM(70)
  layer l2 = RNN(80)
  layer l3 = Layer(90)
  layer l4 = Embedding(50)
  output z = y |> l0 |> l1 |> l2 |> l3
  output e = l4(k)
}
"""

HANDED = """
use std.theano: LSTM

# The hidden state starts from the caller, the cells from zeros.
model Handed {
  input x:     real[2]
  input start: real[5] once
  y = x |> LSTM(5, tanh, h = start, c = 0)
  output y
}
"""

EVERYTHING = """
use std.theano: AdaDelta, AdaGrad, Dropout, Embedding, GatedInput, GRU, Layer, LSTM, masked_loss, RNN, SGD

model Everything {
  hyper bound = 0.3
  hyper drop  = 0.4
  input  x: real[2]
  input  k: index(5)
  target next: index(3)
  target n: int once
  layer gate = GatedInput(clip_gradients = 0.2)
  a = x |> LSTM(3, tanh, bound) |> Dropout(drop)
  b = k |> Embedding(3) |> RNN(3, tanh, 0.1, learn = true)
  c = gate(concat(a, b), prev d) |> GRU(3)
  state d: real[3] = 0
  d = c |> LSTM(3, learn = true)
  p = d |> Layer(3, softmax)
  output p
  output g = gate.gate
  loss = mean(masked_loss(p, next, n, 0) over batch) + 0.1 * mean(gate.gate over time, batch)
}

train Everything { update = [AdaDelta(), AdaGrad(only = b), SGD(max_norm = 0.0, only = p)] }
"""


def bptt(layers: str, names: str) -> str:
    return BPTT.format(layers=layers, names=names)


def optim(optimizer: str, learn: str = "false") -> str:
    return OPTIM.format(optimizer=optimizer, learn=learn)


def language(cell: str) -> str:
    return LANGUAGE.format(cell=cell)


TEXTS = {
    "steps": STEPS,
    "rnn": bptt(RNN, "Layer, RNN"),
    "lstm": bptt(LSTM, "Layer, LSTM"),
    "gru": bptt(GRU, "GRU, Layer"),
    "masks": bptt(MASKS, "Layer, LSTM"),
    "gated": GATED,
    "sgd": optim("SGD"),
    "adagrad": optim("AdaGrad"),
    "adadelta": optim("AdaDelta"),
    "learned": optim("AdaDelta", "true"),
    "masked": MASKED,
    "given": GIVEN,
    "language_rnn": language("RNN"),
    "language_lstm": language("LSTM"),
    "pendulum": PENDULUM,
    "dropout": DROPOUT,
    "starts": STARTS,
    "handed": HANDED,
    "everything": EVERYTHING,
    "smooth": re.sub(r", (bound|0\.1)\b|clip_gradients = 0\.2", "", EVERYTHING).replace(
        "  hyper bound = 0.3\n", ""
    ),
}
"""Every text by name."""
