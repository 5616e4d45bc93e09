// The Python host: loads compiled model libraries and runs their entry points on numpy arrays.
//
// It knows nothing of any model: counts come from the library, shapes from the manifest by way of Python,
// which has checked them. Whatever runs long runs without the interpreter lock; allocation happens before,
// never inside.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host.hpp"
#include "seqc_abi.h"
#include "stepper.hpp"

namespace seqc_host {

const char *const ENTRY_NAMES[SEQC_ENTRIES] = {"infer",  "evaluate", "gradients", "apply",
                                               "update", "step",     "generate"};

Library::Library(const std::string &path, const std::string &symbol) {
  // Never closed: arrays and steppers may outlive this object, and a second load of one file gives the same
  // handle.
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char *reason = dlerror();
    throw std::runtime_error(reason != nullptr ? reason : "the library cannot be loaded");
  }
  void *found = dlsym(handle, (symbol + "_get").c_str());
  if (found == nullptr)
    throw std::runtime_error("the library has no symbol `" + symbol + "_get`");
  const seqc_model *(*get)(void) = nullptr;
  std::memcpy(&get, &found, sizeof get);
  model = get();
  if (model == nullptr || model->abi != SEQC_ABI_VERSION || model->size < sizeof(seqc_model))
    throw std::runtime_error("the library was built for another version of this interface");
}

bool Library::has(int entry) const {
  switch (entry) {
  case SEQC_INFER:
    return model->infer != nullptr;
  case SEQC_EVALUATE:
    return model->evaluate != nullptr;
  case SEQC_GRADIENTS:
    return model->gradients != nullptr;
  case SEQC_APPLY:
    return model->apply != nullptr;
  case SEQC_UPDATE:
    return model->update != nullptr;
  case SEQC_STEP:
    return model->step != nullptr;
  case SEQC_GENERATE:
    return model->generate != nullptr;
  default:
    return false;
  }
}

std::vector<std::string> Library::entries() const {
  std::vector<std::string> names;
  for (int entry = 0; entry < SEQC_ENTRIES; ++entry)
    if (has(entry))
      names.emplace_back(ENTRY_NAMES[entry]);
  return names;
}

Buffer::Buffer(std::size_t wanted) : bytes((wanted + 63) / 64 * 64) {
  if (bytes < wanted || bytes > physical_memory())
    throw std::bad_alloc();
  memory = bytes == 0 ? nullptr : std::aligned_alloc(64, bytes);
  if (bytes != 0 && memory == nullptr)
    throw std::bad_alloc();
}

std::size_t Buffer::physical_memory() {
  // The system may promise more than it has and kill the process later: refuse what can never fit.
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(size) : SIZE_MAX;
}

std::unique_ptr<Buffer> Pool::take(std::size_t bytes) {
  const std::lock_guard<std::mutex> hold(lock);
  std::size_t best = free.size();
  for (std::size_t i = 0; i < free.size(); ++i)
    if (free[i]->bytes >= bytes && (best == free.size() || free[i]->bytes < free[best]->bytes))
      best = i;
  if (best == free.size()) {
    if (!free.empty())
      free.pop_back(); // too small: it makes room for the larger one
    return std::make_unique<Buffer>(bytes);
  }
  std::unique_ptr<Buffer> block = std::move(free[best]);
  free.erase(free.begin() + static_cast<std::ptrdiff_t>(best));
  return block;
}

void Pool::give(std::unique_ptr<Buffer> block) {
  const std::lock_guard<std::mutex> hold(lock);
  free.push_back(std::move(block));
}

// A dense array's memory, or NULL for None.
static void *pointer(py::handle object, bool writable) {
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

static std::vector<void *> pointers(const py::list &objects, std::size_t count, bool writable) {
  if (objects.size() != count)
    throw py::value_error("wrong number of arrays");
  std::vector<void *> found;
  found.reserve(count + 1);
  for (const auto &object : objects)
    found.push_back(pointer(object, writable));
  found.push_back(nullptr); // never an empty vector, whose data() may be NULL
  return found;
}

static void *sized(const py::array &array, std::uint64_t bytes) {
  if (static_cast<std::uint64_t>(array.nbytes()) < bytes)
    throw py::value_error("an arena is smaller than its library asks");
  return pointer(array, true);
}

Memory::Memory(std::shared_ptr<Library> owner, py::array plain_, py::array optimizer_, py::array hyper_,
               py::array updates_)
    : library(std::move(owner)), keep{plain_, optimizer_, hyper_, updates_} {
  const seqc_model &m = *library->model;
  plain = sized(plain_, m.plain_bytes);
  optimizer = sized(optimizer_, m.optimizer_bytes);
  hyper = static_cast<double *>(sized(hyper_, m.hypers * sizeof(double)));
  updates = static_cast<std::int64_t *>(sized(updates_, sizeof(std::int64_t)));
}

void Memory::repack() {
  // Into new memory: calls in other threads go on reading the old one.
  if (writing != 0)
    throw Busy();
  auto fresh = std::make_shared<Buffer>(library->model->packed_bytes);
  if (library->model->pack != nullptr) {
    ++readers;
    int code = SEQC_OK;
    {
      py::gil_scoped_release release;
      code = library->model->pack(plain, fresh->memory);
    }
    --readers;
    if (code != SEQC_OK)
      throw std::runtime_error("packing the weights failed");
  }
  packed = std::move(fresh);
}

// What every kind of call needs: the record, a workspace, the lock between trainers and readers.
class Running {
public:
  Running(Memory &memory_, int entry, bool writes_, std::int64_t steps, std::int64_t batch,
          std::uint64_t seed, std::uint64_t number)
      : memory(memory_), writes(writes_), packed(memory_.packed) {
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
  std::unique_ptr<Buffer> workspace;
  seqc_where where{};
};

static std::vector<void *> state_pointers(const Memory &memory, const py::object &state) {
  if (state.is_none())
    return {};
  return pointers(state.cast<py::list>(), 2 * memory.library->model->states + 1, true);
}

static void *const *table(const std::vector<void *> &found) { return found.empty() ? nullptr : found.data(); }

static const void *const *readable(const std::vector<void *> &found) {
  return const_cast<const void *const *>(found.data());
}

static void require(const Memory &memory, int entry) {
  if (!memory.library->has(entry))
    throw py::value_error(std::string("this model has no entry point `") + ENTRY_NAMES[entry] + "`");
}

struct Moment {
  std::int64_t steps, batch;
  std::uint64_t seed, number;
};

static py::object run_forward(Memory &memory, int entry, const py::object &state, const py::list &inputs,
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

static py::object run_evaluate(Memory &memory, const py::object &state, const py::list &inputs,
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

static py::object run_gradients(Memory &memory, const py::object &state, const py::list &inputs,
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

static py::object run_apply(Memory &memory, const py::array &gradients) {
  require(memory, SEQC_APPLY);
  void *arena = sized(gradients, memory.library->model->plain_bytes);
  Running running(memory, SEQC_APPLY, true, 1, 1, 0, static_cast<std::uint64_t>(*memory.updates));
  const seqc_trainer trainer = running.trainer();
  return running.run([&] { return memory.library->model->apply(&running.call, &trainer, arena); });
}

static py::object run_update(Memory &memory, const py::object &state, const py::list &inputs,
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

static py::object embedded(const Library &library) {
  if (library.model->embedded_plain == nullptr)
    return py::none();
  return py::bytes(static_cast<const char *>(library.model->embedded_plain), library.model->plain_bytes);
}

static void bind_library(py::module_ &module) {
  py::class_<Library, std::shared_ptr<Library>>(module, "Library")
      .def(py::init<const std::string &, const std::string &>(), py::arg("path"), py::arg("symbol"))
      .def_property_readonly("name", [](const Library &l) { return std::string(l.model->name); })
      .def_property_readonly("source_hash",
                             [](const Library &l) { return std::string(l.model->source_hash); })
      .def_property_readonly("entries", &Library::entries)
      .def_property_readonly("real_bytes", [](const Library &l) { return l.model->real_bytes; })
      .def_property_readonly("parameters", [](const Library &l) { return l.model->parameters; })
      .def_property_readonly("inputs", [](const Library &l) { return l.model->inputs; })
      .def_property_readonly("outputs", [](const Library &l) { return l.model->outputs; })
      .def_property_readonly("states", [](const Library &l) { return l.model->states; })
      .def_property_readonly("hypers", [](const Library &l) { return l.model->hypers; })
      .def_property_readonly("metrics", [](const Library &l) { return l.model->metrics; })
      .def_property_readonly("optimizer_states", [](const Library &l) { return l.model->optimizer_states; })
      .def_property_readonly("plain_bytes", [](const Library &l) { return l.model->plain_bytes; })
      .def_property_readonly("packed_bytes", [](const Library &l) { return l.model->packed_bytes; })
      .def_property_readonly("optimizer_bytes", [](const Library &l) { return l.model->optimizer_bytes; })
      .def("workspace_bytes",
           [](const Library &l, int entry, std::int64_t steps, std::int64_t batch) {
             return l.model->workspace_bytes(entry, steps, batch);
           })
      .def("initial_optimizer",
           [](const Library &l, const py::array &arena) {
             void *memory = sized(arena, l.model->optimizer_bytes);
             return l.model->initial_optimizer == nullptr ? 0 : l.model->initial_optimizer(memory);
           })
      .def("embedded", &embedded);
}

static void bind_memory(py::module_ &module) {
  py::class_<Memory, std::shared_ptr<Memory>>(module, "Memory")
      .def(py::init<std::shared_ptr<Library>, py::array, py::array, py::array, py::array>(),
           py::arg("library"), py::arg("plain"), py::arg("optimizer"), py::arg("hyper"), py::arg("updates"))
      .def_readwrite("stale", &Memory::stale)
      .def("repack", &Memory::repack)
      .def("forward",
           [](Memory &m, int entry, const py::object &state, const py::list &inputs, const py::list &outputs,
              std::int64_t steps, std::int64_t batch, std::uint64_t seed, std::uint64_t call,
              std::int64_t given) {
             return run_forward(m, entry, state, inputs, outputs, {steps, batch, seed, call}, given);
           })
      .def("evaluate",
           [](Memory &m, const py::object &state, const py::list &inputs, const py::array &scores,
              std::int64_t steps, std::int64_t batch, std::uint64_t seed, std::uint64_t call) {
             return run_evaluate(m, state, inputs, scores, {steps, batch, seed, call});
           })
      .def("gradients",
           [](Memory &m, const py::object &state, const py::list &inputs, const py::list &gradients,
              bool accumulate, const py::array &scores, std::int64_t steps, std::int64_t batch,
              std::uint64_t seed, std::uint64_t call) {
             return run_gradients(m, state, inputs, gradients, accumulate, scores,
                                  {steps, batch, seed, call});
           })
      .def("apply", &run_apply)
      .def("update", [](Memory &m, const py::object &state, const py::list &inputs, const py::array &scores,
                        std::int64_t steps, std::int64_t batch, std::uint64_t seed) {
        return run_update(m, state, inputs, scores, {steps, batch, seed, 0});
      });
}

} // namespace seqc_host

namespace py = pybind11;

PYBIND11_MODULE(_host, module) {
  module.doc() = "Loads compiled model libraries and runs their entry points on numpy arrays.";
  py::register_exception<seqc_host::Busy>(module, "Busy");
  seqc_host::bind_library(module);
  seqc_host::bind_memory(module);
  module.def("stepper", &seqc_host::make_stepper, py::arg("memory"), py::arg("state"), py::arg("gate"),
             py::arg("inputs"), py::arg("outputs"), py::arg("batch"), py::arg("single"), py::arg("seed"),
             py::arg("slow"));
  module.attr("ABI_VERSION") = SEQC_ABI_VERSION;
}
