// One instant of one sequence whose caller gave everything: the way into a step that costs least. Nothing is
// checked but pointers, nothing is copied: kernels read the carried state where it lies and write the new one
// there in the end.
#pragma once

#include "entry.hpp"

namespace seqc {

// quick_step<Inputs, Outputs, States>(model, entry, call, weights, …, nodes): whether the call was one that
// could be done here; nodes(frame) runs the kernels, which cannot fail. For models whose steps read no index,
// no length and no input that may be left out, and advance all states.
template <int Inputs, int Outputs, int States, class Nodes>
SEQC_INLINE bool quick_step(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                            const seqc_weights *weights, const double *hyper, void *const *state,
                            const void *const *inputs, void *const *outputs, Nodes nodes) {
  if (!usable(call) || call->batch != 1 || !usable(model, weights) || !state || !inputs || !outputs ||
      !state[2 * States] || (!hyper && model.hypers > 0))
    return false;
  for (int i = 0; i < Inputs; ++i)
    if (entry.reads[i] && !inputs[i])
      return false;
  for (int i = 0; i < Outputs; ++i)
    if (!outputs[i])
      return false;
  const void *carried[static_cast<size_t>(States) + 1] = {};
  void *next[static_cast<size_t>(States) + 1] = {};
  const uint8_t *fresh[static_cast<size_t>(States) + 1] = {};
  for (int i = 0; i < States; ++i) {
    carried[i] = next[i] = state[2 * i];
    fresh[i] = static_cast<const uint8_t *>(state[2 * i + 1]);
    if (!carried[i] || !fresh[i])
      return false;
  }
  const FlushToZero flush;
  Frame frame = {};
  frame.steps = frame.batch = 1;
  frame.seed = call->seed;
  frame.call = call->call;
  frame.first_row = call->first_row;
  frame.memory = static_cast<char *>(call->workspace);
  frame.fixed_weights = static_cast<const char *>(weights->plain);
  frame.packed_weights = static_cast<const char *>(weights->packed);
  frame.hyper = hyper;
  frame.inputs = const_cast<const void **>(inputs);
  frame.outputs = const_cast<void **>(outputs);
  frame.carried = carried;
  frame.next = next;
  frame.fresh = fresh;
  frame.started = static_cast<const int64_t *>(state[2 * States]);
  nodes(frame);
  for (int i = 0; i < States; ++i)
    *static_cast<uint8_t *>(state[2 * i + 1]) = 0;
  ++*static_cast<int64_t *>(state[2 * States]);
  return true;
}

} // namespace seqc
