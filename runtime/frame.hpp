// The records that a model's tables are made of, the Frame that its kernels run on, and how the workspace of
// a call is divided. Whatever a caller may leave out has its place there.
#pragma once

#include "alive.hpp"
#include "lanes.hpp"
#include "random.hpp"
#include "seqc_abi.h"

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
  int64_t plain_bytes, packed_bytes, optimizer_bytes;
};

// Everything that the kernels of one call read and write. Pointers that the caller left out lead into the
// workspace.
struct Frame {
  int64_t steps, batch;
  uint64_t seed, call;
  int64_t first_row, updates;
  char *memory, *weights, *gradients, *optimizer;
  const char *fixed_weights, *packed_weights;
  char *renewed_weights; // packed ones, where rules change what they are made of
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
  Alive alive; // where rows are sorted by their lengths

  // Who draws at a step, when row 0 of a kernel is row `first` of the call.
  DrawKey key(int64_t step, int64_t first) const {
    return {seed, call, started + first, step, first_row + first};
  }
  template <class T> T *at(int64_t offset) const { return reinterpret_cast<T *>(memory + offset); }
  template <class T> T *gradient(int64_t offset) const { return reinterpret_cast<T *>(gradients + offset); }
  template <class T> T *changed(int64_t offset) const { return reinterpret_cast<T *>(weights + offset); }
  template <class T> T *moment(int64_t offset) const { return reinterpret_cast<T *>(optimizer + offset); }
  template <class T> T *renewed(int64_t offset) const {
    return reinterpret_cast<T *>(renewed_weights + offset);
  }
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
  int (*nodes)(const Frame &frame, const Share &share);
  double work, work_per_cell; // additions and multiplications of a call, and for each step of a row
  int64_t fixed, per_row, per_step, per_cell;
  int64_t rules; // bytes that the update rules ask for, in the same place, when the gradients are done
  const bool *reads, *advances;
  bool outputs, parameter_gradients, other_gradients;
  int64_t only_steps, only_batch; // sizes that the kernels were compiled for, 0: any
  int lengths = -1;               // the input by which the kernels want rows sorted, -1: none
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
  int64_t *start;
  int32_t *order, *sorted;
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
  if (entry.lengths >= 0) {
    areas.start = carver.squeeze<int64_t>(steps + 1);
    areas.order = carver.squeeze<int32_t>(batch);
    areas.sorted = carver.squeeze<int32_t>(batch);
  }
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

} // namespace seqc
