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

#include "calls.hpp"
#include "host.hpp"
#include "runner.hpp"
#include "seqc_abi.h"
#include "stepper.hpp"

namespace seqc_host {

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

Team::Team(int members) : threads(seqc_threads_create(members, 0)) {
  if (threads == nullptr)
    throw std::bad_alloc();
}

void Memory::set_threads(int members) {
  if (members < 1 || members > MOST_THREADS)
    throw py::value_error("expected 1 to " + std::to_string(MOST_THREADS) + " threads");
  if (members != threads())
    team = members > 1 ? std::make_shared<Team>(members) : nullptr;
}

static py::object embedded(const Library &library) {
  if (library.model->embedded_plain == nullptr)
    return py::none();
  return py::bytes(static_cast<const char *>(library.model->embedded_plain), library.model->plain_bytes);
}

static void bind_library(py::module_ &module) {
  py::class_<Library, std::shared_ptr<Library>>(module, "Library", py::module_local())
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
  py::class_<Memory, std::shared_ptr<Memory>>(module, "Memory", py::module_local())
      .def(py::init<std::shared_ptr<Library>, py::array, py::array, py::array, py::array>(),
           py::arg("library"), py::arg("plain"), py::arg("optimizer"), py::arg("hyper"), py::arg("updates"))
      .def_readwrite("stale", &Memory::stale)
      .def_property("threads", &Memory::threads, &Memory::set_threads)
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

static void bind_runner(py::module_ &module) {
  py::class_<Runner>(module, "Runner", py::module_local())
      .def(py::init<std::shared_ptr<Memory>, const py::list &, const py::list &>(), py::arg("memory"),
           py::arg("inputs"), py::arg("outputs"))
      .def("infer", &Runner::infer, py::arg("args"), py::arg("out"))
      .def("update", &Runner::update, py::arg("args"), py::arg("seed"));
}

} // namespace seqc_host

namespace py = pybind11;

PYBIND11_MODULE(_host, module) {
  module.doc() = "Loads compiled model libraries and runs their entry points on numpy arrays.";
  py::register_local_exception<seqc_host::Busy>(module, "Busy");
  seqc_host::bind_library(module);
  seqc_host::bind_memory(module);
  seqc_host::bind_runner(module);
  module.def("stepper", &seqc_host::make_stepper, py::arg("memory"), py::arg("state"), py::arg("gate"),
             py::arg("inputs"), py::arg("outputs"), py::arg("batch"), py::arg("single"), py::arg("seed"),
             py::arg("slow"));
  module.attr("ABI_VERSION") = SEQC_ABI_VERSION;
}
