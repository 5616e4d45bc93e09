// What every entry point of a model does around its kernels: checks the call record and the inputs, divides
// the workspace, stands in for pointers that the caller left out, and hands the carried state back in the
// end. Models bring tables (ModelInfo, EntryInfo) and the functions that run their kernels on a Frame.
#pragma once

#include "guard.hpp"
#include "seqc_abi.h"
#include "vector.hpp"

namespace seqc {

// Values per instant of one sequence, bytes of one value, and which axes it has.
struct ArrayInfo {
  int64_t size, bytes;
  bool time, batch;
};

// An input or a target. `bound` > 0 asks for an index below it; `fed`: it has a value of its own where it is
// not given.
struct InputInfo {
  ArrayInfo array;
  int64_t bound;
  bool target, length, fed;
};

// A parameter in the plain arena.
struct ParameterInfo {
  int64_t offset, size;
};

// What all entry points of a model share.
struct ModelInfo {
  int inputs, outputs, states, hypers, scores, parameters;
  const InputInfo *input;
  const ArrayInfo *output, *state;
  const ParameterInfo *parameter;
  int64_t plain_bytes, packed_bytes;
};

// Everything that the kernels of one call read and write. Pointers that the caller left out lead into the
// workspace.
struct Frame {
  int64_t steps, batch;
  uint64_t seed, call;
  int64_t first_row, updates;
  char *memory, *weights, *gradients, *optimizer;
  const char *fixed_weights, *packed_weights;
  const double *hyper;
  const void **inputs;
  void **outputs;
  const void **carried;
  void **next;
  const uint8_t **fresh;
  const int64_t *started;
  void **input_gradients, **state_gradients;
  double *hyper_gradients, *scores;
  uint8_t *given, *active, *stop;

  template <class T> T *at(int64_t offset) const { return reinterpret_cast<T *>(memory + offset); }
  template <class T> T *gradient(int64_t offset) const { return reinterpret_cast<T *>(gradients + offset); }
  template <class T> T *changed(int64_t offset) const { return reinterpret_cast<T *>(weights + offset); }
  template <class T> T *moment(int64_t offset) const { return reinterpret_cast<T *>(optimizer + offset); }
  template <class T> const T *plain(int64_t offset) const {
    return reinterpret_cast<const T *>(fixed_weights + offset);
  }
  template <class T> const T *packed(int64_t offset) const {
    return reinterpret_cast<const T *>(packed_weights + offset);
  }
};

// One entry point: its kernels, the memory that they ask for (see plan.Arena), what they read and what they
// advance.
struct EntryInfo {
  int (*nodes)(const Frame &frame);
  int64_t fixed, per_row, per_step, per_cell;
  int64_t rules; // bytes that the update rules ask for, in the same place, when the gradients are done
  const bool *reads, *advances;
  bool outputs, parameter_gradients, other_gradients;
  int64_t only_steps, only_batch; // sizes that the kernels were compiled for, 0: any
};

// What a caller hands in beside the call record; NULL where an entry point has no such thing.
struct Given {
  const seqc_weights *weights;
  const seqc_trainer *trainer;
  const double *hyper;
  void *const *state;
  const void *const *inputs;
  void *const *outputs;
  void *const *grads;
  double *scores;
  bool accumulate;
};

// Cuts a workspace into pieces: `take` at multiples of 64 bytes, `squeeze` (small tables) of 8. Without a
// workspace (null) it only counts.
struct Carver {
  char *base;
  int64_t used;
  template <class T> T *piece(int64_t count, int64_t alignment) {
    used = (used + alignment - 1) & -alignment; // a power of two
    char *const at = base ? base + used : nullptr;
    used += count * static_cast<int64_t>(sizeof(T));
    return reinterpret_cast<T *>(at);
  }
  template <class T = char> T *take(int64_t count) { return piece<T>(count, count > 0 ? 64 : 1); }
  template <class T = char> T *squeeze(int64_t count) { return piece<T>(count, 8); }
  int64_t total() const { return (used + 63) & ~int64_t(63); }
};

SEQC_INLINE int64_t instants(const ArrayInfo &info, int64_t steps, int64_t batch) {
  return (info.time ? steps : 1) * (info.batch ? batch : 1);
}
SEQC_INLINE int64_t bytes_of(const ArrayInfo &info, int64_t steps, int64_t batch) {
  return info.size * info.bytes * instants(info, steps, batch);
}

// Pieces of the workspace behind the memory of the kernels.
struct Areas {
  const void **inputs;
  void **outputs;
  const void **carried;
  void **next;
  const uint8_t **fresh;
  void **input_gradients, **state_gradients;
  int32_t *lengths;
  char *zeros;
  uint8_t *ones, *given, *active, *stop;
  int64_t *started;
  double *scores, *hyper_gradients;
  char *gradients;
};

// areas(model, entry, steps, batch, carver): divides the workspace; frame arrays of pointers are filled with
// stand-ins.
static inline Areas divide(const ModelInfo &model, const EntryInfo &entry, int64_t steps, int64_t batch,
                           Carver &carver) {
  Areas areas = {};
  const int64_t cells = entry.per_row * batch + entry.per_step * steps + entry.per_cell * steps * batch;
  carver.take(max(entry.fixed + cells, entry.rules));
  areas.inputs = carver.squeeze<const void *>(model.inputs);
  areas.outputs = carver.squeeze<void *>(model.outputs);
  areas.carried = carver.squeeze<const void *>(model.states);
  areas.next = carver.squeeze<void *>(model.states);
  areas.fresh = carver.squeeze<const uint8_t *>(model.states);
  areas.input_gradients = carver.squeeze<void *>(model.inputs);
  areas.state_gradients = carver.squeeze<void *>(model.states);
  areas.lengths = carver.squeeze<int32_t>(batch);
  areas.ones = carver.squeeze<uint8_t>(batch);
  areas.given = carver.squeeze<uint8_t>(model.inputs);
  areas.active = carver.squeeze<uint8_t>(batch);
  areas.stop = carver.squeeze<uint8_t>(batch);
  areas.started = carver.squeeze<int64_t>(batch);
  areas.scores = carver.squeeze<double>(model.scores);
  int64_t largest = 0;
  for (int i = 0; i < model.states; ++i) {
    const int64_t bytes = bytes_of(model.state[i], steps, batch);
    largest = max(largest, bytes);
    char *const next = carver.take(entry.advances[i] ? bytes : 0);
    char *const gradient = carver.take(entry.other_gradients ? bytes : 0);
    if (carver.base) {
      areas.next[i] = next;
      areas.state_gradients[i] = gradient;
    }
  }
  for (int i = 0; i < model.inputs; ++i) {
    const int64_t bytes = bytes_of(model.input[i].array, steps, batch);
    largest = max(largest, model.input[i].fed ? bytes_of(model.input[i].array, 1, batch) : 0);
    char *const gradient = carver.take(entry.other_gradients ? bytes : 0);
    if (carver.base)
      areas.input_gradients[i] = gradient;
  }
  for (int i = 0; i < model.outputs; ++i) {
    char *const output = carver.take(entry.outputs ? bytes_of(model.output[i], steps, batch) : 0);
    if (carver.base)
      areas.outputs[i] = output;
  }
  areas.zeros = carver.take(largest);
  areas.hyper_gradients = carver.take<double>(entry.other_gradients ? model.hypers : 0);
  areas.gradients = carver.take(entry.parameter_gradients ? model.plain_bytes : 0);
  if (carver.base) {
    __builtin_memset(areas.zeros, 0, static_cast<size_t>(largest));
    __builtin_memset(areas.ones, 1, static_cast<size_t>(batch));
    __builtin_memset(areas.active, 1, static_cast<size_t>(batch));
    __builtin_memset(areas.started, 0, static_cast<size_t>(batch) * sizeof(int64_t));
  }
  return areas;
}

// Whether a call of this size would need more memory than any machine has: then nothing is computed that
// overflows.
static inline bool too_large(const ModelInfo &model, const EntryInfo &entry, int64_t steps, int64_t batch) {
  int64_t bytes = entry.per_row + entry.per_step + entry.per_cell + 64;
  for (int i = 0; i < model.inputs; ++i)
    bytes += model.input[i].array.size * model.input[i].array.bytes;
  for (int i = 0; i < model.outputs; ++i)
    bytes += model.output[i].size * model.output[i].bytes;
  for (int i = 0; i < model.states; ++i)
    bytes += 4 * model.state[i].size * model.state[i].bytes;
  return static_cast<double>(steps) * static_cast<double>(batch) * static_cast<double>(bytes) > 4e18;
}

// workspace(model, entry, steps, batch): bytes that a call needs; 0 for sizes below 1, -1 for impossible
// ones.
static inline int64_t workspace(const ModelInfo &model, const EntryInfo &entry, int64_t steps,
                                int64_t batch) {
  if (steps < 1 || batch < 1)
    return 0;
  if (too_large(model, entry, steps, batch))
    return -1;
  Carver carver = {nullptr, 0};
  divide(model, entry, steps, batch, carver);
  return carver.total();
}

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
  return call && call->size >= sizeof(seqc_call) && call->steps >= 1 && call->batch >= 1 && call->workspace;
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
  if (!usable(call) || (!given.weights && !given.trainer) || (!given.inputs && model.inputs > 0))
    return SEQC_BAD_CALL;
  if (!given.hyper && model.hypers > 0)
    return SEQC_BAD_CALL;
  if ((entry.only_steps && steps != entry.only_steps) ||
      (entry.only_batch && call->batch != entry.only_batch))
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

template <class R> static inline void add_to(void *to, const void *from, int64_t count) {
  R *const sum = static_cast<R *>(to);
  const R *const more = static_cast<const R *>(from);
  for (int64_t i = 0; to && i < count; ++i)
    sum[i] += more[i];
}

// Adds the gradients of this call to those of the caller.
template <class R>
static inline void accumulate(const ModelInfo &model, const Given &given, const Frame &frame) {
  for (int i = 0; i < model.parameters && given.grads[0]; ++i) {
    const ParameterInfo &info = model.parameter[i];
    add_to<R>(static_cast<char *>(given.grads[0]) + info.offset, frame.gradients + info.offset, info.size);
  }
  add_to<double>(given.grads[1], frame.hyper_gradients, model.hypers);
  for (int i = 0; i < model.inputs; ++i) {
    const ArrayInfo &info = model.input[i].array;
    add_to<R>(given.grads[2 + i], frame.input_gradients[i],
              info.size * instants(info, frame.steps, frame.batch));
  }
  for (int i = 0; i < model.states; ++i)
    add_to<R>(given.grads[2 + model.inputs + i], frame.state_gradients[i], model.state[i].size * frame.batch);
}

// Clears the gradients that are asked for: kernels write only those that something reaches.
static inline void clear_gradients(const ModelInfo &model, const Given &given, const Frame &frame) {
  const auto clear = [](void *to, int64_t bytes) { __builtin_memset(to, 0, static_cast<size_t>(bytes)); };
  if (given.grads[0])
    clear(frame.gradients, model.plain_bytes);
  if (given.grads[1])
    clear(frame.hyper_gradients, model.hypers * static_cast<int64_t>(sizeof(double)));
  for (int i = 0; i < model.inputs; ++i)
    if (given.grads[2 + i])
      clear(frame.input_gradients[i], bytes_of(model.input[i].array, frame.steps, frame.batch));
  for (int i = 0; i < model.states; ++i)
    if (given.grads[2 + model.inputs + i])
      clear(frame.state_gradients[i], bytes_of(model.state[i], 1, frame.batch));
}

// infer, evaluate, gradients and step: one run of the kernels. `stepping`: one step, without a time axis.
template <class R>
static inline int run(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                      const Given &given, bool stepping) {
  const FlushToZero flush;
  Areas areas;
  Frame frame;
  const int64_t steps = stepping ? 1 : call ? call->steps : 0;
  int code = begin(model, entry, call, given, steps, stepping, areas, frame);
  if (code == SEQC_OK)
    code = check_inputs(model, entry, call, given.inputs, steps, steps);
  if (code == SEQC_OK && given.grads)
    clear_gradients(model, given, frame);
  if (code == SEQC_OK)
    code = entry.nodes(frame);
  if (code == SEQC_OK && given.scores)
    code = check_loss(model, entry, call, frame, given.inputs);
  if (code != SEQC_OK)
    return code;
  if (given.grads && given.accumulate)
    accumulate<R>(model, given, frame);
  hand_back(model, entry, given, frame, given.inputs);
  return SEQC_OK;
}

// A state of `generate` for callers that keep none: all rows fresh, in the workspace behind everything else.
static inline void **own_state(const ModelInfo &model, int64_t batch, Carver &carver) {
  void **const state = carver.squeeze<void *>(2 * model.states + 1);
  for (int i = 0; i < model.states; ++i) {
    const int64_t bytes = bytes_of(model.state[i], 1, batch);
    char *const values = carver.take(bytes);
    char *const fresh = carver.squeeze(batch);
    if (!carver.base)
      continue;
    __builtin_memset(values, 0, static_cast<size_t>(bytes));
    __builtin_memset(fresh, 1, static_cast<size_t>(batch));
    state[2 * i] = values;
    state[2 * i + 1] = fresh;
  }
  int64_t *const started = carver.squeeze<int64_t>(batch);
  if (carver.base) {
    __builtin_memset(started, 0, static_cast<size_t>(batch) * sizeof(int64_t));
    state[2 * model.states] = started;
  }
  return state;
}

// Bytes that `generate` needs: one step, and a state.
static inline int64_t generate_workspace(const ModelInfo &model, const EntryInfo &entry, int64_t batch) {
  if (batch < 1)
    return 0;
  if (too_large(model, entry, 1, batch))
    return -1;
  Carver carver = {nullptr, 0};
  divide(model, entry, 1, batch, carver);
  own_state(model, batch, carver);
  return carver.total();
}

// Points the inputs at one step: a given one, or zeros where the model feeds itself.
static inline void take_step(const ModelInfo &model, const EntryInfo &entry, const Given &given, int64_t step,
                             int64_t given_steps, const Areas &areas, int64_t batch) {
  for (int i = 0; i < model.inputs; ++i) {
    const InputInfo &info = model.input[i];
    if (!entry.reads[i] || info.length)
      continue;
    const auto *const data = static_cast<const char *>(given.inputs[i]);
    const bool there = data && (!info.fed || !info.array.time || step < given_steps);
    areas.given[i] = there;
    areas.inputs[i] = areas.zeros;
    if (there)
      areas.inputs[i] = info.array.time ? data + step * bytes_of(info.array, 1, batch) : data;
  }
}

// Writes one step of the results: zeros in rows that have ended.
static inline void give_step(const ModelInfo &model, const Given &given, int64_t step, const Areas &areas,
                             int64_t batch) {
  for (int i = 0; i < model.outputs; ++i) {
    const ArrayInfo &info = model.output[i];
    if (!given.outputs[i])
      continue;
    const int64_t row_bytes = info.size * info.bytes, rows = info.batch ? batch : 1;
    char *const to = static_cast<char *>(given.outputs[i]) + (info.time ? step * rows * row_bytes : 0);
    const char *const from = static_cast<const char *>(areas.outputs[i]);
    for (int64_t row = 0; row < rows; ++row) {
      const bool shown = areas.active[row] || !info.time || !info.batch;
      for (int64_t k = 0; k < row_bytes; ++k)
        to[row * row_bytes + k] = shown ? from[row * row_bytes + k] : char(0);
    }
  }
}

// One step is done: the new state becomes the state, rows count on while they are active.
static inline void go_on(const ModelInfo &model, const EntryInfo &entry, void *const *state,
                         const Frame &frame, const Areas &areas) {
  for (int i = 0; i < model.states; ++i) {
    if (!entry.advances[i])
      continue;
    const auto bytes = static_cast<size_t>(bytes_of(model.state[i], 1, frame.batch));
    __builtin_memcpy(state[2 * i], frame.next[i], bytes);
    __builtin_memset(state[2 * i + 1], 0, static_cast<size_t>(frame.batch));
  }
  int64_t *const started = static_cast<int64_t *>(state[2 * model.states]);
  for (int64_t row = 0; row < frame.batch; ++row) {
    started[row] += areas.active[row];
    areas.active[row] = areas.active[row] && !areas.stop[row];
  }
}

// generate: `given` steps of the caller, then steps that feed themselves, until rows end or all steps are
// done.
static inline int generate(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                           Given given) {
  const FlushToZero flush;
  if (!usable(call) || !given.inputs || !given.outputs || call->given < 0 || call->given > call->steps)
    return SEQC_BAD_CALL;
  for (int i = 0; i < model.inputs; ++i)
    if (entry.reads[i] && !given.inputs[i] && !model.input[i].fed && !model.input[i].length)
      return SEQC_BAD_CALL;
  Carver carver = {static_cast<char *>(call->workspace), 0};
  divide(model, entry, 1, call->batch, carver);
  void **const own = own_state(model, call->batch, carver);
  if (!given.state)
    given.state = own;
  Given stepping = given;
  stepping.outputs = nullptr;
  Areas areas;
  Frame frame;
  int code = begin(model, entry, call, stepping, 1, true, areas, frame);
  if (code == SEQC_OK)
    code = check_inputs(model, entry, call, given.inputs, call->steps, call->given);
  if (code != SEQC_OK)
    return code;
  const int64_t first = call->given > 0 ? call->given - 1 : 0;
  int32_t *const lengths = static_cast<int32_t *>(given.outputs[model.outputs]);
  for (int64_t row = 0; lengths && row < frame.batch; ++row)
    lengths[row] = 0;
  __builtin_memset(areas.stop, 0, static_cast<size_t>(frame.batch));
  for (int64_t step = 0; step < call->steps && code == SEQC_OK; ++step) {
    take_step(model, entry, given, step, call->given, areas, frame.batch);
    code = entry.nodes(frame);
    if (step >= first) {
      give_step(model, given, step - first, areas, frame.batch);
      for (int64_t row = 0; lengths && row < frame.batch; ++row)
        lengths[row] += areas.active[row];
    }
    if (step < first) // what the model guesses inside the prompt ends nothing
      __builtin_memset(areas.stop, 0, static_cast<size_t>(frame.batch));
    go_on(model, entry, given.state, frame, areas);
  }
  return code;
}

typedef int PackFunction(const void *plain, void *packed);

// The second half of an update: the rules of all parameters, then packing anew.
static inline int change(const EntryInfo &entry, const seqc_trainer *trainer, PackFunction *pack,
                         Frame &frame) {
  frame.weights = static_cast<char *>(trainer->plain);
  frame.optimizer = static_cast<char *>(trainer->optimizer);
  frame.hyper = trainer->hyper;
  frame.updates = *trainer->updates;
  const int code = entry.nodes(frame);
  if (code != SEQC_OK)
    return code;
  ++*trainer->updates;
  return pack(trainer->plain, trainer->packed);
}

SEQC_INLINE bool usable(const ModelInfo &model, const seqc_trainer *trainer) {
  return trainer && trainer->plain && (trainer->packed || model.packed_bytes == 0) && trainer->updates &&
         (trainer->hyper || model.hypers == 0);
}

// apply: changes the weights by gradients that the caller gathered.
static inline int apply(const ModelInfo &model, const EntryInfo &entry, const seqc_call *call,
                        const seqc_trainer *trainer, const void *grads, PackFunction *pack) {
  const FlushToZero flush;
  if (!call || call->size < sizeof(seqc_call) || !call->workspace || !usable(model, trainer) || !grads)
    return SEQC_BAD_CALL;
  Frame frame = {};
  frame.steps = 1;
  frame.batch = 1;
  frame.memory = static_cast<char *>(call->workspace);
  frame.fixed_weights = static_cast<const char *>(trainer->plain);
  frame.packed_weights = static_cast<const char *>(trainer->packed);
  frame.gradients = const_cast<char *>(static_cast<const char *>(grads));
  return change(entry, trainer, pack, frame);
}

// update: gradients, and if they are finite the rules; else nothing is changed, the state neither.
static inline int update(const ModelInfo &model, const EntryInfo &entry, const EntryInfo &rules,
                         const seqc_call *call, const seqc_trainer *trainer, void *const *state,
                         const void *const *inputs, double *scores, PackFunction *pack) {
  const FlushToZero flush;
  if (!usable(model, trainer))
    return SEQC_BAD_CALL;
  Given given = {};
  given.trainer = trainer;
  given.hyper = trainer->hyper;
  given.state = state;
  given.inputs = inputs;
  given.scores = scores;
  Areas areas;
  Frame frame;
  int code = begin(model, entry, call, given, call ? call->steps : 0, false, areas, frame);
  if (code == SEQC_OK)
    code = check_inputs(model, entry, call, inputs, frame.steps, frame.steps);
  if (code == SEQC_OK)
    code = entry.nodes(frame);
  if (code == SEQC_OK)
    code = check_loss(model, entry, call, frame, inputs);
  if (code == SEQC_OK && !(frame.scores[0] - frame.scores[0] == 0.0))
    code = SEQC_NOT_FINITE;
  if (code == SEQC_OK)
    code = change(rules, trainer, pack, frame);
  if (code == SEQC_OK)
    hand_back(model, entry, given, frame, inputs);
  return code;
}

} // namespace seqc
