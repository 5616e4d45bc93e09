// What the host's files share: a loaded library with its pool of workspaces, and the memory of one model.
#ifndef SEQC_HOST_HPP
#define SEQC_HOST_HPP

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "seqc_abi.h"
#include "seqc_team.h"

namespace seqc_host {

namespace py = pybind11;

// Memory aligned to 64 bytes; more than the machine has is refused with std::bad_alloc.
struct Buffer {
  explicit Buffer(std::size_t wanted);
  ~Buffer() { std::free(memory); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  static std::size_t physical_memory();

  std::size_t bytes;
  void *memory = nullptr;
};

// Workspaces that are not in use; there are never more than calls have run at the same time.
class Pool {
public:
  std::unique_ptr<Buffer> take(std::size_t bytes);
  void give(std::unique_ptr<Buffer> block);

private:
  std::mutex lock;
  std::vector<std::unique_ptr<Buffer>> free;
};

struct Library {
  Library(const std::string &path, const std::string &symbol);
  bool has(int entry) const;
  std::vector<std::string> entries() const;

  const seqc_model *model = nullptr;
  Pool pool;
};

constexpr int MOST_THREADS = 256;

// Threads that share the calls of one model.
struct Team {
  explicit Team(int members);
  ~Team() { seqc_threads_destroy(threads); }
  Team(const Team &) = delete;
  Team &operator=(const Team &) = delete;
  int members() const { return static_cast<int>(threads->team.members); }

  seqc_threads *threads;
};

// Raised where one thread trains a model while another uses it, or two use one state.
struct Busy : std::exception {
  const char *what() const noexcept override { return "in use by another thread"; }
};

// The arenas of one model. Counters change only under the interpreter lock.
struct Memory {
  Memory(std::shared_ptr<Library> owner, py::array plain_, py::array optimizer_, py::array hyper_,
         py::array updates_);
  void repack();
  int threads() const { return team ? team->members() : 1; }
  void set_threads(int members); // running calls keep the team that they have

  std::shared_ptr<Library> library;
  std::vector<py::array> keep;
  void *plain = nullptr, *optimizer = nullptr;
  double *hyper = nullptr;
  std::int64_t *updates = nullptr;
  std::shared_ptr<Buffer> packed;
  std::shared_ptr<Team> team; // none: every call is its caller's alone
  bool stale = true;          // plain may have changed: a stepper then goes the slow way
  int readers = 0, writing = 0;
};

} // namespace seqc_host
#endif
