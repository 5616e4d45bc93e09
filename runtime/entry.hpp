// What every entry point of a model does around its kernels. Models bring tables (ModelInfo, EntryInfo) and
// the functions that run their kernels on a Frame; here they are checked, run by one thread or a team, and
// finished.
#pragma once

#include "checks.hpp"
#include "guard.hpp"

namespace seqc {

template <class R> static inline void add_to(void *to, const void *from, int64_t count) {
  R *const sum = static_cast<R *>(to);
  const R *const more = static_cast<const R *>(from);
  for (int64_t i = 0; to && i < count; ++i)
    sum[i] += more[i];
}

// The same for reals of so many bytes each: what is declared f32 or f64 may be none of the build's.
static inline void add_to(void *to, const void *from, int64_t count, int64_t bytes_each) {
  if (bytes_each == static_cast<int64_t>(sizeof(float)))
    add_to<float>(to, from, count);
  else
    add_to<double>(to, from, count);
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
    add_to(given.grads[2 + i], frame.input_gradients[i], info.size * instants(info, frame.steps, frame.batch),
           info.bytes);
  }
  for (int i = 0; i < model.states; ++i) {
    const ArrayInfo &info = model.state[i];
    add_to(given.grads[2 + model.inputs + i], frame.state_gradients[i], info.size * frame.batch, info.bytes);
  }
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

// Sorts the rows where the kernels want it; lengths have been checked.
static inline void order_rows(const EntryInfo &entry, const Areas &areas, Frame &frame) {
  if (entry.lengths < 0)
    return;
  sort_rows(static_cast<const int32_t *>(frame.inputs[entry.lengths]), frame.steps, frame.batch, areas.start,
            areas.order, areas.sorted);
  frame.alive = {areas.start, areas.order, areas.sorted, frame.steps, frame.batch};
}

// Runs the kernels, by the caller's team where that pays.
static inline int run_nodes(const EntryInfo &entry, const seqc_call *call, const Frame &frame) {
  const double cells = static_cast<double>(frame.steps) * static_cast<double>(frame.batch);
  return together(call, entry.work + entry.work_per_cell * cells,
                  [&](const Share &share) { return entry.nodes(frame, share); });
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
  if (code == SEQC_OK)
    order_rows(entry, areas, frame);
  if (code == SEQC_OK && given.grads)
    clear_gradients(model, given, frame);
  if (code == SEQC_OK)
    code = stepping ? entry.nodes(frame, alone) : run_nodes(entry, call, frame);
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
  if (!usable(call) || !given.inputs || !given.outputs || call->steps < 1 || call->given < 0 ||
      call->given > call->steps || !serves(entry, 1, call->batch))
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
    code = entry.nodes(frame, alone);
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

// The second half of an update: the rules of all parameters, which write most packed weights as well; `pack`
// makes the others, if there are any.
static inline int change(const EntryInfo &entry, const seqc_call *call, const seqc_trainer *trainer,
                         PackFunction *pack, Frame &frame) {
  frame.weights = static_cast<char *>(trainer->plain);
  frame.renewed_weights = static_cast<char *>(trainer->packed);
  frame.optimizer = static_cast<char *>(trainer->optimizer);
  frame.hyper = trainer->hyper;
  frame.updates = *trainer->updates;
  const int code = run_nodes(entry, call, frame);
  if (code != SEQC_OK)
    return code;
  ++*trainer->updates;
  return pack ? pack(trainer->plain, trainer->packed) : int{SEQC_OK};
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
  return change(entry, call, trainer, pack, frame);
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
    order_rows(entry, areas, frame);
  if (code == SEQC_OK)
    code = run_nodes(entry, call, frame);
  if (code == SEQC_OK)
    code = check_loss(model, entry, call, frame, inputs);
  if (code == SEQC_OK && !(frame.scores[0] - frame.scores[0] == 0.0))
    code = SEQC_NOT_FINITE;
  if (code == SEQC_OK)
    code = change(rules, call, trainer, pack, frame);
  if (code == SEQC_OK)
    hand_back(model, entry, given, frame, inputs);
  return code;
}

} // namespace seqc
