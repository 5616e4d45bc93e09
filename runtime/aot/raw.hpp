// Standard input as bytes, in the pieces in which it arrives. Whoever sends a step and waits for its results
// gets them: they are handed on before more is awaited.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace seqc_aot {

// Bytes that have arrived and are not taken yet. `failed`: more could not be read.
struct Arrived {
  char *data;
  size_t first, last, room;
  bool failed;
};

// Room for `size` bytes from `first` on, and for a good piece of what follows.
static inline bool make_room(Arrived &arrived, size_t size) {
  const size_t left = arrived.last - arrived.first;
  if (left)
    memmove(arrived.data, arrived.data + arrived.first, left);
  arrived.first = 0;
  arrived.last = left;
  if (arrived.room >= size && arrived.room > 0)
    return true;
  arrived.room = size < 65536 ? 65536 : size;
  char *const more = static_cast<char *>(realloc(arrived.data, arrived.room));
  if (more)
    arrived.data = more;
  return more != nullptr;
}

// Waits until `size` bytes are there; false if the input ends before, or nobody takes the results any more.
static inline bool await_bytes(Arrived &arrived, size_t size) {
  if (arrived.last - arrived.first >= size)
    return true;
  arrived.failed = !make_room(arrived, size);
  while (!arrived.failed && arrived.last < size) {
    if (fflush(stdout) != 0)
      return false;
    const auto found = read(STDIN_FILENO, arrived.data + arrived.last, arrived.room - arrived.last);
    if (found == 0)
      return false;
    if (found > 0)
      arrived.last += static_cast<size_t>(found);
    else
      arrived.failed = errno != EINTR;
  }
  return !arrived.failed;
}

} // namespace seqc_aot
