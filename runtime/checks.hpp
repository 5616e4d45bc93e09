// What is looked at before and after the kernels of a call: the record, lengths, indices, a loss that is not
// a number. Fills the Frame of a call, and hands the carried state back in the end.
#pragma once

#include "frame.hpp"

namespace seqc {

SEQC_INLINE int refuse(const seqc_call *call, int code, int input, int64_t step, int64_t row, int64_t value) {
  if (call->where) {
    call->where->input = input;
    call->where->step = step;
    call->where->row = row;
    call->where->value = value;
  }
  return code;
}

// Number of the input that holds the lengths, -1 if there is none that counts in this call.
static inline int length_input(const ModelInfo &model, const EntryInfo &entry, const void *const *inputs) {
  for (int i = 0; i < model.inputs; ++i)
    if (model.input[i].length && entry.reads[i] && inputs[i])
      return i;
  return -1;
}

// Looks for the first index that `wrong` finds, in the steps that are real.
template <class Wrong>
static inline bool find_index(const ArrayInfo &info, const void *data, int64_t steps, int64_t batch,
                              const int32_t *lengths, seqc_where *where, Wrong wrong) {
  const int32_t *value = static_cast<const int32_t *>(data);
  const int64_t last = info.time ? steps : 1;
  for (int64_t t = 0; t < last; ++t)
    for (int64_t row = 0; row < batch; ++row) {
      const bool real_step = !info.time || !lengths || t < lengths[row];
      for (int64_t i = 0; i < info.size; ++i, ++value)
        if (real_step && wrong(*value)) {
          where->step = t;
          where->row = row;
          where->value = *value;
          return true;
        }
    }
  return false;
}

// Checks the lengths, then all indices that the entry point reads; `given_steps` of the inputs that may be
// fed back.
static inline int check_inputs(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                               const void *const *inputs, int64_t steps, int64_t given_steps) {
  const int length = length_input(model, entry, inputs);
  const int32_t *lengths = length < 0 ? nullptr : static_cast<const int32_t *>(inputs[length]);
  for (int64_t row = 0; lengths && row < call->batch; ++row)
    if (lengths[row] < 0 || lengths[row] > steps)
      return refuse(call, SEQC_BAD_LENGTH, length, -1, row, lengths[row]);
  for (int i = 0; i < model.inputs; ++i) {
    const InputInfo &info = model.input[i];
    if (!entry.reads[i] || !inputs[i] || info.bound < 1)
      continue;
    seqc_where at = {};
    const int64_t seen = info.fed ? given_steps : steps;
    if (find_index(info.array, inputs[i], seen, call->batch, lengths, &at,
                   [&](int32_t value) { return value >= info.bound || (value < 0 && !info.target); }))
      return refuse(call, SEQC_BAD_INDEX, i, info.array.time ? at.step : -1, at.row, at.value);
  }
  return SEQC_OK;
}

// A loss that is not a number although all labels are there is the model's; with a missing one it is the
// caller's.
static inline int check_loss(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                             const Frame &frame, const void *const *inputs) {
  if (frame.scores[0] == frame.scores[0])
    return SEQC_OK;
  const int length = length_input(model, entry, inputs);
  const int32_t *lengths = length < 0 ? nullptr : static_cast<const int32_t *>(inputs[length]);
  for (int i = 0; i < model.inputs; ++i) {
    const InputInfo &info = model.input[i];
    if (!entry.reads[i] || !inputs[i] || info.bound < 1 || !info.target)
      continue;
    seqc_where at = {};
    if (find_index(info.array, inputs[i], frame.steps, frame.batch, lengths, &at,
                   [](int32_t value) { return value < 0; }))
      return refuse(call, SEQC_COUNTED_LABEL, i, info.array.time ? at.step : -1, at.row, at.value);
  }
  return SEQC_OK;
}

SEQC_INLINE bool usable(const seqc_call *call) {
  return call && call->size >= sizeof(seqc_call) && call->batch >= 1 && call->workspace;
}

SEQC_INLINE bool usable(const ModelInfo &model, const seqc_weights *weights) {
  return weights && (weights->plain || model.plain_bytes == 0) &&
         (weights->packed || model.packed_bytes == 0);
}

SEQC_INLINE bool usable(const ModelInfo &model, const seqc_trainer *trainer) {
  return trainer && (trainer->plain || model.plain_bytes == 0) &&
         (trainer->packed || model.packed_bytes == 0) && (trainer->optimizer || model.optimizer_bytes == 0) &&
         trainer->updates && (trainer->hyper || model.hypers == 0);
}

// Whether the kernels were compiled for calls of this size; nothing may be cut from the workspace of another.
SEQC_INLINE bool serves(const EntryInfo &entry, int64_t steps, int64_t batch) {
  return (!entry.only_steps || steps == entry.only_steps) && (!entry.only_batch || batch == entry.only_batch);
}

// Points the frame at what the caller gave, and at stand-ins for what he did not; false if something is
// missing.
static inline bool connect(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                           const Given &given, const Areas &areas, bool may_feed, Frame &frame) {
  for (int i = 0; i < model.inputs; ++i) {
    const InputInfo &info = model.input[i];
    const void *data = entry.reads[i] && given.inputs ? given.inputs[i] : nullptr;
    areas.given[i] = data != nullptr;
    if (!data && entry.reads[i]) {
      if (info.length)
        for (int64_t row = 0; row < call->batch; ++row)
          areas.lengths[row] = static_cast<int32_t>(frame.steps);
      else if (!(info.fed && may_feed))
        return false;
      data = info.length ? static_cast<const void *>(areas.lengths) : areas.zeros;
    }
    areas.inputs[i] = data;
    if (given.grads && given.grads[2 + i] && !given.accumulate)
      areas.input_gradients[i] = given.grads[2 + i];
  }
  for (int i = 0; i < model.states; ++i) {
    areas.carried[i] = given.state ? given.state[2 * i] : areas.zeros;
    areas.fresh[i] = given.state ? static_cast<const uint8_t *>(given.state[2 * i + 1]) : areas.ones;
    if (!areas.carried[i] || !areas.fresh[i])
      return false;
    if (given.grads && given.grads[2 + model.inputs + i] && !given.accumulate)
      areas.state_gradients[i] = given.grads[2 + model.inputs + i];
  }
  for (int i = 0; i < model.outputs; ++i)
    if (given.outputs && given.outputs[i])
      areas.outputs[i] = given.outputs[i];
  frame.inputs = areas.inputs;
  frame.outputs = areas.outputs;
  frame.carried = areas.carried;
  frame.next = areas.next;
  frame.fresh = areas.fresh;
  frame.started = given.state ? static_cast<const int64_t *>(given.state[2 * model.states]) : areas.started;
  frame.input_gradients = areas.input_gradients;
  frame.state_gradients = areas.state_gradients;
  frame.gradients = areas.gradients;
  frame.hyper_gradients = areas.hyper_gradients;
  frame.scores = given.scores ? given.scores : areas.scores;
  frame.given = areas.given;
  frame.active = areas.active;
  frame.stop = areas.stop;
  if (given.grads && !given.accumulate) {
    if (given.grads[0])
      frame.gradients = static_cast<char *>(given.grads[0]);
    if (given.grads[1])
      frame.hyper_gradients = static_cast<double *>(given.grads[1]);
  }
  return frame.started != nullptr;
}

// Fills the frame for one call; gives a code.
static inline int begin(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                        const Given &given, int64_t steps, bool may_feed, Areas &areas, Frame &frame) {
  if (!usable(call) || steps < 1 || (!given.inputs && model.inputs > 0))
    return SEQC_BAD_CALL;
  if (!(given.trainer ? usable(model, given.trainer) : usable(model, given.weights)))
    return SEQC_BAD_CALL;
  if (!given.hyper && model.hypers > 0)
    return SEQC_BAD_CALL;
  if (!serves(entry, steps, call->batch))
    return SEQC_BAD_CALL;
  Carver carver = {static_cast<char *>(call->workspace), 0};
  areas = divide(model, entry, steps, call->batch, carver);
  frame = {};
  frame.steps = steps;
  frame.batch = call->batch;
  frame.seed = call->seed;
  frame.call = call->call;
  frame.first_row = call->first_row;
  frame.memory = static_cast<char *>(call->workspace);
  const void *plain = given.weights ? given.weights->plain : given.trainer->plain;
  const void *packed = given.weights ? given.weights->packed : given.trainer->packed;
  frame.fixed_weights = static_cast<const char *>(plain);
  frame.packed_weights = static_cast<const char *>(packed);
  frame.hyper = given.hyper;
  if (!connect(model, entry, call, given, areas, may_feed, frame))
    return SEQC_BAD_CALL;
  return SEQC_OK;
}

// Hands the new states to the caller, clears their fresh bytes and counts the steps seen.
static inline void hand_back(const ModelInfo &model, const EntryInfo &entry, const Given &given,
                             const Frame &frame, const void *const *inputs) {
  if (!given.state)
    return;
  for (int i = 0; i < model.states; ++i) {
    if (!entry.advances[i])
      continue;
    const auto bytes = static_cast<size_t>(bytes_of(model.state[i], 1, frame.batch));
    __builtin_memcpy(given.state[2 * i], frame.next[i], bytes);
    __builtin_memset(given.state[2 * i + 1], 0, static_cast<size_t>(frame.batch));
  }
  const int length = length_input(model, entry, inputs);
  const int32_t *lengths = length < 0 ? nullptr : static_cast<const int32_t *>(inputs[length]);
  int64_t *const started = static_cast<int64_t *>(given.state[2 * model.states]);
  for (int64_t row = 0; row < frame.batch; ++row)
    started[row] += lengths ? lengths[row] : frame.steps;
}

} // namespace seqc
