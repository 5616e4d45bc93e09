// The Stepper: one state of one model, ready to be called with the next instant at the cost of a C call.
//
// It owns references to all that the kernel touches. Arguments that are exactly what the kernel needs
// (ndarray, dtype, shape, dense, aligned) are checked by hand in a few nanoseconds; everything else goes to
// `slow`, a Python callable that converts, explains mistakes and gives the same result.
#ifndef SEQC_STEPPER_HPP
#define SEQC_STEPPER_HPP

#include <structmember.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "host.hpp"

namespace seqc_host {

constexpr std::size_t MOST = 16; // inputs or outputs of the fast way; models with more take the slow one

// What one argument or result must be.
struct Port {
  PyObject *dtype = nullptr; // owned
  std::vector<py::ssize_t> dims;
  std::vector<py::ssize_t> batched;
  std::size_t bytes = 0;
  char kind = 0;    // 'f' and 'd' take a Python float when there are no dims, 'i' a Python int
  bool used = true; // false: the kernel gets NULL (targets, the length)
};

struct Range {
  const char *first = nullptr;
  const char *end = nullptr;
};

struct Plan {
  std::shared_ptr<Memory> memory;
  std::vector<Port> inputs, outputs;
  std::vector<std::size_t> taken; // numbers of the inputs that are arguments
  std::vector<py::array> state_arrays;
  std::vector<void *> state;
  std::vector<Range> state_ranges;
  std::unique_ptr<Buffer> workspace;
  seqc_call call{};
  py::ssize_t batch = 1;
  bool single = false;
};

struct Stepper {
  PyObject ob_base;
  vectorcallfunc vectorcall;
  PyObject *gate; // list with one token while nobody uses the state
  PyObject *slow;
  Plan *plan;
};

constexpr int DENSE = 0x0001 | 0x0100; // NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_ALIGNED
constexpr int WRITABLE = 0x0400;       // NPY_ARRAY_WRITEABLE

inline bool same_shape(const py::detail::PyArray_Proxy *array, const std::vector<py::ssize_t> &shape) {
  if (static_cast<std::size_t>(array->nd) != shape.size())
    return false;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (array->dimensions[i] != shape[i])
      return false;
  return true;
}

// 1: fits without batch, 2: fits with it, 3: both are possible for no shape at all, 0: does not fit.
inline int fits(PyObject *object, const Port &port, py::ssize_t batch, int flags) {
  if (Py_TYPE(object) != py::detail::npy_api::get().PyArray_Type_)
    return 0;
  const auto *array = py::detail::array_proxy(object);
  if (array->descr != port.dtype || (array->flags & flags) != flags)
    return 0;
  if (same_shape(array, port.batched))
    return 2;
  return batch == 1 && same_shape(array, port.dims) ? 1 : 0;
}

inline bool overlaps(const char *first, std::size_t bytes, const Range &other) {
  return first < other.end && other.first < first + bytes;
}

// The pointers of one call, and the scratch that holds Python numbers.
struct Arguments {
  const void *in[MOST + 1] = {};
  void *out[MOST + 1] = {};
  Range ranges[2 * MOST];
  std::size_t count = 0;
  double scratch[MOST] = {};
  int shape = 0; // 1 single, 2 batched, 0 not known yet
};

inline bool take_number(PyObject *object, const Port &port, double *scratch) {
  if (!port.dims.empty())
    return false;
  if (PyFloat_CheckExact(object)) {
    const double number = PyFloat_AS_DOUBLE(object);
    const float narrow = static_cast<float>(number);
    if (port.kind == 'd')
      std::memcpy(scratch, &number, sizeof number);
    else if (port.kind == 'f')
      std::memcpy(scratch, &narrow, sizeof narrow);
    return port.kind == 'd' || port.kind == 'f';
  }
  if (port.kind != 'i' || !PyLong_CheckExact(object))
    return false;
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0 || number < INT32_MIN || number > INT32_MAX)
    return false;
  const auto narrow = static_cast<std::int32_t>(number);
  std::memcpy(scratch, &narrow, sizeof narrow);
  return true;
}

inline bool take_inputs(const Plan &plan, PyObject *const *args, Arguments &call) {
  for (std::size_t i = 0; i < plan.taken.size(); ++i) {
    const Port &port = plan.inputs[plan.taken[i]];
    if (const int shape = fits(args[i], port, plan.batch, DENSE); shape != 0) {
      if (call.shape != 0 && call.shape != shape)
        return false;
      call.shape = shape;
      const auto *data = py::detail::array_proxy(args[i])->data;
      call.in[plan.taken[i]] = data;
      call.ranges[call.count++] = {data, data + port.bytes};
    } else {
      if (plan.batch != 1 || call.shape == 2 || !take_number(args[i], port, &call.scratch[i]))
        return false;
      call.shape = 1;
      call.in[plan.taken[i]] = &call.scratch[i];
    }
  }
  if (call.shape == 0)
    call.shape = plan.single ? 1 : 2;
  return true;
}

inline bool take_output(const Plan &plan, PyObject *object, std::size_t number, Arguments &call) {
  const Port &port = plan.outputs[number];
  if (fits(object, port, plan.batch, DENSE | WRITABLE) != call.shape)
    return false;
  auto *data = py::detail::array_proxy(object)->data;
  for (std::size_t i = 0; i < call.count; ++i)
    if (overlaps(data, port.bytes, call.ranges[i]))
      return false;
  for (const Range &range : plan.state_ranges)
    if (overlaps(data, port.bytes, range))
      return false;
  for (std::size_t i = 0; i < number; ++i)
    if (overlaps(
            data, port.bytes,
            {static_cast<char *>(call.out[i]), static_cast<char *>(call.out[i]) + plan.outputs[i].bytes}))
      return false;
  call.out[number] = data;
  return true;
}

inline bool take_outputs(const Plan &plan, PyObject *out, Arguments &call) {
  if (plan.outputs.size() == 1 && !PyTuple_CheckExact(out))
    return take_output(plan, out, 0, call);
  if (!PyTuple_CheckExact(out) || static_cast<std::size_t>(PyTuple_GET_SIZE(out)) != plan.outputs.size())
    return false;
  for (std::size_t i = 0; i < plan.outputs.size(); ++i)
    if (!take_output(plan, PyTuple_GET_ITEM(out, static_cast<py::ssize_t>(i)), i, call))
      return false;
  return true;
}

// New arrays for the results: one array, or none of several (named tuples are made the slow way).
inline PyObject *make_output(const Plan &plan, Arguments &call) {
  const Port &port = plan.outputs[0];
  const auto dtype = py::reinterpret_borrow<py::dtype>(port.dtype);
  py::array made(dtype, call.shape == 1 ? port.dims : port.batched);
  call.out[0] = py::detail::array_proxy(made.ptr())->data;
  return made.release().ptr();
}

inline int run_kernel(Stepper *self, Arguments &call) {
  Plan &plan = *self->plan;
  Memory &memory = *plan.memory;
  PyList_SetSlice(self->gate, 0, 1, nullptr);
  ++memory.readers;
  const std::shared_ptr<Buffer> packed = memory.packed;
  const seqc_weights weights{memory.plain, packed->memory};
  int code = 0;
  Py_BEGIN_ALLOW_THREADS;
  code =
      memory.library->model->step(&plan.call, &weights, memory.hyper, plan.state.data(), call.in, call.out);
  Py_END_ALLOW_THREADS;
  --memory.readers;
  PyList_Append(self->gate, Py_None);
  return code;
}

// The result of the fast way, or NULL without an exception: then the slow way is to be taken.
inline PyObject *fast(Stepper *self, PyObject *const *args, std::size_t nargs, PyObject *names) {
  Plan &plan = *self->plan;
  Memory &memory = *plan.memory;
  if (nargs != plan.taken.size() || memory.stale || memory.writing != 0 || !memory.packed)
    return nullptr;
  if (PyList_GET_SIZE(self->gate) == 0)
    return nullptr;
  PyObject *out = nullptr;
  if (names != nullptr && PyTuple_GET_SIZE(names) != 0) {
    if (PyTuple_GET_SIZE(names) != 1 ||
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "out") != 0)
      return nullptr;
    out = args[nargs] == Py_None ? nullptr : args[nargs];
  }
  Arguments call;
  if (!take_inputs(plan, args, call))
    return nullptr;
  if (out != nullptr ? !take_outputs(plan, out, call) : plan.outputs.size() != 1)
    return nullptr;
  PyObject *result = out != nullptr ? Py_NewRef(out) : make_output(plan, call);
  if (run_kernel(self, call) == SEQC_OK)
    return result;
  Py_DECREF(result); // indices are checked before anything changes: the slow way finds the mistake again and
                     // names it
  return nullptr;
}

inline PyObject *stepper_call(PyObject *object, PyObject *const *args, std::size_t flags, PyObject *names) {
  auto *self = reinterpret_cast<Stepper *>(object);
  try {
    PyObject *result = fast(self, args, static_cast<std::size_t>(PyVectorcall_NARGS(flags)), names);
    if (result != nullptr || PyErr_Occurred() != nullptr)
      return result;
  } catch (py::error_already_set &error) {
    error.restore();
    return nullptr;
  } catch (const std::bad_alloc &) {
    return PyErr_NoMemory();
  } catch (const std::exception &error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
  return PyObject_Vectorcall(self->slow, args, flags & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
}

inline int stepper_traverse(PyObject *object, visitproc visit, void *arg) {
  auto *self = reinterpret_cast<Stepper *>(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->gate);
  Py_VISIT(self->slow);
  return 0;
}

inline int stepper_clear(PyObject *object) {
  auto *self = reinterpret_cast<Stepper *>(object);
  Py_CLEAR(self->slow);
  return 0;
}

inline void stepper_dealloc(PyObject *object) {
  auto *self = reinterpret_cast<Stepper *>(object);
  PyObject_GC_UnTrack(object);
  Py_CLEAR(self->gate);
  Py_CLEAR(self->slow);
  if (self->plan != nullptr) {
    for (auto *ports : {&self->plan->inputs, &self->plan->outputs})
      for (Port &port : *ports)
        Py_CLEAR(port.dtype);
    delete self->plan;
  }
  PyTypeObject *type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
}

inline PyTypeObject *stepper_type() {
  static PyTypeObject *type = [] {
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Stepper, vectorcall), READONLY, nullptr},
        {nullptr, 0, 0, 0, nullptr},
    };
    static PyType_Slot slots[] = {
        {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
        {Py_tp_traverse, reinterpret_cast<void *>(stepper_traverse)},
        {Py_tp_clear, reinterpret_cast<void *>(stepper_clear)},
        {Py_tp_dealloc, reinterpret_cast<void *>(stepper_dealloc)},
        {Py_tp_members, members},
        {0, nullptr},
    };
    static PyType_Spec spec = {"seqc.run._host.Stepper", sizeof(Stepper), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                                   Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               slots};
    return reinterpret_cast<PyTypeObject *>(PyType_FromSpec(&spec));
  }();
  if (type == nullptr)
    throw py::error_already_set();
  return type;
}

// (dtype, dims) of an argument or result; None for an input that the kernel does not read.
inline Port make_port(py::handle description, py::ssize_t batch) {
  Port port;
  if (description.is_none()) {
    port.used = false;
    return port;
  }
  const auto pair = description.cast<std::pair<py::dtype, std::vector<py::ssize_t>>>();
  port.dims = pair.second;
  port.batched = port.dims;
  port.batched.insert(port.batched.begin(), batch);
  port.bytes = static_cast<std::size_t>(pair.first.itemsize());
  for (const py::ssize_t size : port.batched)
    port.bytes *= static_cast<std::size_t>(size);
  const char kind = pair.first.kind();
  port.kind = kind == 'f' ? (pair.first.itemsize() == 4 ? 'f' : 'd') : kind == 'i' ? 'i' : 0;
  port.dtype = py::object(pair.first).release().ptr();
  return port;
}

inline void prepare(Plan &plan, const py::list &state, const py::list &inputs, const py::list &outputs) {
  const seqc_model &m = *plan.memory->library->model;
  if (m.step == nullptr)
    throw py::value_error("this model has no entry point `step`");
  if (inputs.size() != m.inputs || outputs.size() != m.outputs || state.size() != 2 * m.states + 1)
    throw py::value_error("wrong number of arrays");
  if (inputs.size() > MOST || outputs.size() > MOST)
    throw py::value_error("too many arrays for the fast way");
  for (const auto &input : inputs) {
    plan.inputs.push_back(make_port(input, plan.batch));
    if (plan.inputs.back().used)
      plan.taken.push_back(plan.inputs.size() - 1);
  }
  for (const auto &output : outputs)
    plan.outputs.push_back(make_port(output, plan.batch));
  for (const auto &each : state) {
    auto array = each.cast<py::array>();
    auto *first = static_cast<char *>(array.mutable_data());
    plan.state.push_back(first);
    plan.state_ranges.push_back({first, first + array.nbytes()});
    plan.state_arrays.push_back(std::move(array));
  }
  const std::int64_t bytes = m.workspace_bytes(SEQC_STEP, 1, plan.batch);
  if (bytes < 0)
    throw std::bad_alloc();
  plan.workspace = std::make_unique<Buffer>(static_cast<std::size_t>(bytes));
  plan.call.size = sizeof plan.call;
  plan.call.steps = 1;
  plan.call.batch = plan.batch;
  plan.call.workspace = plan.workspace->memory;
}

inline py::object make_stepper(std::shared_ptr<Memory> memory, const py::list &state, const py::list &gate,
                               const py::list &inputs, const py::list &outputs, py::ssize_t batch,
                               bool single, std::uint64_t seed, const py::object &slow) {
  auto plan = std::make_unique<Plan>();
  plan->memory = std::move(memory);
  plan->batch = batch;
  plan->single = single;
  plan->call.seed = seed;
  prepare(*plan, state, inputs, outputs);
  PyTypeObject *type = stepper_type();
  auto *self = reinterpret_cast<Stepper *>(type->tp_alloc(type, 0));
  if (self == nullptr)
    throw py::error_already_set();
  self->vectorcall = stepper_call;
  self->gate = py::object(gate).release().ptr();
  self->slow = py::object(slow).release().ptr();
  self->plan = plan.release();
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject *>(self));
}

} // namespace seqc_host
#endif
