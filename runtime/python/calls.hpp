// The calls: arrays become tables of pointers, a kernel runs without the interpreter lock, codes come back as
// tuples.
#ifndef SEQC_CALLS_HPP
#define SEQC_CALLS_HPP

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "host.hpp"

namespace seqc_host {

constexpr const char *ENTRY_NAMES[SEQC_ENTRIES] = {"infer",  "evaluate", "gradients", "apply",
                                                   "update", "step",     "generate"};

// A dense array's memory, or NULL for None.
inline void *pointer(py::handle object, bool writable) {
  if (object.is_none())
    return nullptr;
  if (!py::isinstance<py::array>(object))
    throw py::type_error("expected a numpy array or None");
  const auto array = py::reinterpret_borrow<py::array>(object);
  if ((array.flags() & py::array::c_style) == 0)
    throw py::value_error("expected a C-contiguous array");
  if (writable && !array.writeable())
    throw py::value_error("expected a writable array");
  return const_cast<void *>(array.data());
}

inline std::vector<void *> pointers(const py::list &objects, std::size_t count, bool writable) {
  if (objects.size() != count)
    throw py::value_error("wrong number of arrays");
  std::vector<void *> found;
  found.reserve(count + 1);
  for (const auto &object : objects)
    found.push_back(pointer(object, writable));
  found.push_back(nullptr); // never an empty vector, whose data() may be NULL
  return found;
}

inline void *sized(const py::array &array, std::uint64_t bytes) {
  if (static_cast<std::uint64_t>(array.nbytes()) < bytes)
    throw py::value_error("an arena is smaller than its library asks");
  return pointer(array, true);
}

// What every kind of call needs: the record, a workspace, the lock between trainers and readers.
class Running {
public:
  Running(Memory &memory_, int entry, bool writes_, std::int64_t steps, std::int64_t batch,
          std::uint64_t seed, std::uint64_t number)
      : memory(memory_), writes(writes_), packed(memory_.packed), team(memory_.team) {
    const std::int64_t bytes = memory.library->model->workspace_bytes(entry, steps, batch);
    if (bytes < 0)
      throw std::bad_alloc();
    if (!packed)
      throw std::runtime_error("the weights are not packed yet");
    if (writes ? memory.readers != 0 || memory.writing : memory.writing)
      throw Busy();
    workspace = memory.library->pool.take(static_cast<std::size_t>(bytes));
    (writes ? memory.writing : memory.readers) += 1;
    call.size = sizeof call;
    call.steps = steps;
    call.batch = batch;
    call.seed = seed;
    call.call = number;
    call.workspace = workspace->memory;
    where = {-1, -1, -1, 0};
    call.where = &where;
    call.team = team ? seqc_threads_team(team->threads) : nullptr;
  }
  ~Running() {
    (writes ? memory.writing : memory.readers) -= 1;
    memory.library->pool.give(std::move(workspace));
  }
  Running(const Running &) = delete;
  Running &operator=(const Running &) = delete;

  seqc_weights weights() const { return {memory.plain, packed->memory}; }
  seqc_trainer trainer() const {
    return {memory.plain, packed->memory, memory.optimizer, memory.hyper, memory.updates};
  }

  template <class Kernel> py::object run(Kernel kernel) {
    int code = SEQC_OK;
    {
      py::gil_scoped_release release;
      code = kernel();
    }
    if (code == SEQC_OK)
      return py::none();
    return py::make_tuple(code, where.input, where.step, where.row, where.value);
  }

  seqc_call call{};

private:
  Memory &memory;
  bool writes;
  std::shared_ptr<Buffer> packed;
  std::shared_ptr<Team> team;
  std::unique_ptr<Buffer> workspace;
  seqc_where where{};
};

inline std::vector<void *> state_pointers(const Memory &memory, const py::object &state) {
  if (state.is_none())
    return {};
  return pointers(state.cast<py::list>(), 2 * memory.library->model->states + 1, true);
}

inline void *const *table(const std::vector<void *> &found) { return found.empty() ? nullptr : found.data(); }

inline const void *const *readable(const std::vector<void *> &found) {
  return const_cast<const void *const *>(found.data());
}

inline void require(const Memory &memory, int entry) {
  if (!memory.library->has(entry))
    throw py::value_error(std::string("this model has no entry point `") + ENTRY_NAMES[entry] + "`");
}

struct Moment {
  std::int64_t steps, batch;
  std::uint64_t seed, number;
};

inline py::object run_forward(Memory &memory, int entry, const py::object &state, const py::list &inputs,
                              const py::list &outputs, Moment at, std::int64_t given) {
  require(memory, entry);
  const seqc_model &m = *memory.library->model;
  const auto states = state_pointers(memory, state);
  const auto in = pointers(inputs, m.inputs, false);
  const auto out = pointers(outputs, m.outputs + (entry == SEQC_GENERATE ? 1u : 0u), true);
  Running running(memory, entry, false, at.steps, at.batch, at.seed, at.number);
  running.call.given = given;
  const seqc_weights weights = running.weights();
  seqc_infer_fn *kernel = entry == SEQC_INFER ? m.infer : entry == SEQC_STEP ? m.step : m.generate;
  return running.run(
      [&] { return kernel(&running.call, &weights, memory.hyper, table(states), readable(in), out.data()); });
}

inline py::object run_evaluate(Memory &memory, const py::object &state, const py::list &inputs,
                               const py::array &scores, Moment at) {
  require(memory, SEQC_EVALUATE);
  const seqc_model &m = *memory.library->model;
  const auto states = state_pointers(memory, state);
  const auto in = pointers(inputs, m.inputs, false);
  auto *score = static_cast<double *>(sized(scores, (1 + m.metrics) * sizeof(double)));
  Running running(memory, SEQC_EVALUATE, false, at.steps, at.batch, at.seed, at.number);
  const seqc_weights weights = running.weights();
  return running.run(
      [&] { return m.evaluate(&running.call, &weights, memory.hyper, table(states), readable(in), score); });
}

inline py::object run_gradients(Memory &memory, const py::object &state, const py::list &inputs,
                                const py::list &gradients, bool accumulate, const py::array &scores,
                                Moment at) {
  require(memory, SEQC_GRADIENTS);
  const seqc_model &m = *memory.library->model;
  const auto states = state_pointers(memory, state);
  const auto in = pointers(inputs, m.inputs, false);
  const auto out = pointers(gradients, 2 + m.inputs + m.states, true);
  auto *score = static_cast<double *>(sized(scores, (1 + m.metrics) * sizeof(double)));
  Running running(memory, SEQC_GRADIENTS, false, at.steps, at.batch, at.seed, at.number);
  const seqc_weights weights = running.weights();
  return running.run([&] {
    return m.gradients(&running.call, &weights, memory.hyper, table(states), readable(in), out.data(),
                       accumulate ? 1 : 0, score);
  });
}

inline py::object run_apply(Memory &memory, const py::array &gradients) {
  require(memory, SEQC_APPLY);
  void *arena = sized(gradients, memory.library->model->plain_bytes);
  Running running(memory, SEQC_APPLY, true, 1, 1, 0, static_cast<std::uint64_t>(*memory.updates));
  const seqc_trainer trainer = running.trainer();
  return running.run([&] { return memory.library->model->apply(&running.call, &trainer, arena); });
}

inline py::object run_update(Memory &memory, const py::object &state, const py::list &inputs,
                             const py::array &scores, Moment at) {
  require(memory, SEQC_UPDATE);
  const seqc_model &m = *memory.library->model;
  const auto states = state_pointers(memory, state);
  const auto in = pointers(inputs, m.inputs, false);
  auto *score = static_cast<double *>(sized(scores, (1 + m.metrics) * sizeof(double)));
  Running running(memory, SEQC_UPDATE, true, at.steps, at.batch, at.seed,
                  static_cast<std::uint64_t>(*memory.updates));
  const seqc_trainer trainer = running.trainer();
  return running.run([&] { return m.update(&running.call, &trainer, table(states), readable(in), score); });
}

} // namespace seqc_host
#endif
