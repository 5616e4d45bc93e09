// The Runner: whole sequences by the shortest way from Python, through `infer` or `update`.
//
// Arrays that are exactly what the entry point takes (ndarray, kind of element, sizes that agree, dense,
// aligned) are checked by hand; for everything else it answers NotImplemented, and the caller converts,
// explains mistakes and gives the same result.
#ifndef SEQC_RUNNER_HPP
#define SEQC_RUNNER_HPP

#include <new>
#include <tuple>
#include <utility>

#include "calls.hpp"
#include "stepper.hpp"

namespace seqc_host {

// What one argument or result must be: kind of element, axes before its own sizes.
struct Stream {
  py::dtype dtype;
  bool time = false, batch = true, used = true;
  std::vector<py::ssize_t> dims;
};

// What the arrays of a call agree upon; 0: not known yet.
struct Extent {
  py::ssize_t steps = 0, batch = 0;
  int rank = 0; // 1 without an axis of rows, 2 with it
};

inline bool agree(py::ssize_t &known, py::ssize_t found) {
  if (known == 0)
    known = found;
  return found > 0 && known == found;
}

class Runner {
public:
  Runner(std::shared_ptr<Memory> memory_, const py::list &inputs_, const py::list &outputs_)
      : memory(std::move(memory_)) {
    const seqc_model &m = *memory->library->model;
    if (inputs_.size() != m.inputs || (!outputs_.empty() && outputs_.size() != m.outputs))
      throw py::value_error("the arrays do not fit this model");
    if (inputs_.size() > MOST || outputs_.size() > MOST)
      throw py::value_error("too many arrays for the fast way");
    for (const auto &each : inputs_)
      inputs.push_back(stream_of(each));
    for (const auto &each : outputs_)
      outputs.push_back(stream_of(each));
  }

  // The outputs, `out` itself where it is given; NotImplemented where the slow way is to be taken.
  py::object infer(const py::tuple &args, const py::object &out) const {
    const py::object slow = py::reinterpret_borrow<py::object>(Py_NotImplemented);
    if (memory->stale || memory->writing != 0 || !memory->packed || !memory->library->has(SEQC_INFER))
      return slow;
    Arguments call;
    Extent extent;
    if (!take_all(args, call, extent))
      return slow;
    py::object result = out;
    if (out.is_none() && outputs.size() == 1) {
      result = py::array(outputs[0].dtype, shape_of(outputs[0], extent));
      call.out[0] = py::detail::array_proxy(result.ptr())->data;
    } else if (!write_all(out, call, extent)) {
      return slow;
    }
    try {
      Running running(*memory, SEQC_INFER, false, extent.steps, extent.batch, 0, 0);
      running.call.given = extent.steps;
      const seqc_weights weights = running.weights();
      const auto kernel = memory->library->model->infer;
      // Nothing but `out` has changed: the slow way finds a mistake again and names it.
      return running.run([&] {
                      return kernel(&running.call, &weights, memory->hyper, nullptr, call.in, call.out);
                    })
                     .is_none()
                 ? result
                 : slow;
    } catch (const std::bad_alloc &) {
      return slow;
    }
  }

  // One update on fresh states: loss and metrics; NotImplemented where the slow way is to be taken.
  py::object update(const py::tuple &args, std::uint64_t seed) const {
    const py::object slow = py::reinterpret_borrow<py::object>(Py_NotImplemented);
    if (memory->stale || memory->writing != 0 || memory->readers != 0 || !memory->packed ||
        !memory->library->has(SEQC_UPDATE))
      return slow;
    Arguments call;
    Extent extent;
    if (!take_all(args, call, extent))
      return slow;
    const seqc_model &m = *memory->library->model;
    py::array_t<double> scores(static_cast<py::ssize_t>(1 + m.metrics));
    double *const score = scores.mutable_data();
    try {
      Running running(*memory, SEQC_UPDATE, true, extent.steps, extent.batch, seed,
                      static_cast<std::uint64_t>(*memory->updates));
      const seqc_trainer trainer = running.trainer();
      // An update that fails changes nothing: the slow way finds the mistake again and names it.
      return running.run([&] { return m.update(&running.call, &trainer, nullptr, call.in, score); }).is_none()
                 ? py::object(std::move(scores))
                 : slow;
    } catch (const std::bad_alloc &) {
      return slow;
    }
  }

private:
  // (dtype, dims, has time, has rows); None for an input that the kernel does not read.
  static Stream stream_of(py::handle description) {
    Stream stream;
    stream.used = !description.is_none();
    if (stream.used) {
      const auto parts = description.cast<std::tuple<py::dtype, std::vector<py::ssize_t>, bool, bool>>();
      std::tie(stream.dtype, stream.dims, stream.time, stream.batch) = parts;
    }
    return stream;
  }

  // The array, if it is dense and of the right kind.
  static const py::detail::PyArray_Proxy *dense(PyObject *object, const Stream &stream, int flags) {
    if (Py_TYPE(object) != py::detail::npy_api::get().PyArray_Type_)
      return nullptr;
    const auto *array = py::detail::array_proxy(object);
    return array->descr == stream.dtype.ptr() && (array->flags & flags) == flags ? array : nullptr;
  }

  static std::size_t bytes_of(const py::detail::PyArray_Proxy *array, const Stream &stream) {
    auto bytes = static_cast<std::size_t>(stream.dtype.itemsize());
    for (int i = 0; i < array->nd; ++i)
      bytes *= static_cast<std::size_t>(array->dimensions[i]);
    return bytes;
  }

  static bool take(PyObject *object, const Stream &stream, Arguments &call, std::size_t number,
                   Extent &extent) {
    const auto *array = dense(object, stream, DENSE);
    const int own = static_cast<int>(stream.dims.size()), time = stream.time ? 1 : 0;
    if (array == nullptr || array->nd - own - time < 0 || array->nd - own - time > 1)
      return false;
    const int rank = array->nd - own - time + 1;
    if (extent.rank != 0 && extent.rank != rank)
      return false;
    extent.rank = rank;
    if (stream.time && !agree(extent.steps, array->dimensions[0]))
      return false;
    if (!agree(extent.batch, rank == 2 ? array->dimensions[time] : 1))
      return false;
    for (int i = 0; i < own; ++i)
      if (array->dimensions[array->nd - own + i] != stream.dims[static_cast<std::size_t>(i)])
        return false;
    call.in[number] = array->data;
    call.ranges[call.count++] = {array->data, array->data + bytes_of(array, stream)};
    return true;
  }

  bool take_all(const py::tuple &args, Arguments &call, Extent &extent) const {
    std::size_t next = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].used) {
        if (next >= args.size() ||
            !take(PyTuple_GET_ITEM(args.ptr(), static_cast<py::ssize_t>(next)), inputs[i], call, i, extent))
          return false;
        ++next;
      }
    return next == args.size() && extent.steps > 0 && extent.batch > 0;
  }

  static std::vector<py::ssize_t> shape_of(const Stream &stream, const Extent &extent) {
    std::vector<py::ssize_t> shape;
    if (stream.time)
      shape.push_back(extent.steps);
    if (stream.batch && extent.rank == 2)
      shape.push_back(extent.batch);
    shape.insert(shape.end(), stream.dims.begin(), stream.dims.end());
    return shape;
  }

  bool write(PyObject *object, std::size_t number, Arguments &call, const Extent &extent) const {
    const auto *array = dense(object, outputs[number], DENSE | WRITABLE);
    if (array == nullptr || !same_shape(array, shape_of(outputs[number], extent)))
      return false;
    const std::size_t bytes = bytes_of(array, outputs[number]);
    const auto *plain = static_cast<const char *>(memory->plain);
    if (overlaps(array->data, bytes, {plain, plain + memory->library->model->plain_bytes}))
      return false;
    for (std::size_t i = 0; i < call.count; ++i)
      if (overlaps(array->data, bytes, call.ranges[i]))
        return false;
    if (number + 1 < outputs.size()) // the next ones must not write there, too
      call.ranges[call.count++] = {array->data, array->data + bytes};
    call.out[number] = array->data;
    return true;
  }

  bool write_all(const py::object &out, Arguments &call, const Extent &extent) const {
    if (outputs.size() == 1 && !PyTuple_CheckExact(out.ptr()))
      return write(out.ptr(), 0, call, extent);
    if (!PyTuple_CheckExact(out.ptr()) ||
        static_cast<std::size_t>(PyTuple_GET_SIZE(out.ptr())) != outputs.size())
      return false;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (!write(PyTuple_GET_ITEM(out.ptr(), static_cast<py::ssize_t>(i)), i, call, extent))
        return false;
    return true;
  }

  std::shared_ptr<Memory> memory;
  std::vector<Stream> inputs, outputs;
};

} // namespace seqc_host
#endif
