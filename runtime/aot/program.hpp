// What a standalone program knows of its model, and what one run of it owns. Needs the C library only.
#pragma once

#include "../seqc_abi.h"
#include "raw.hpp"
#include "safetensors.hpp"
#include "text.hpp"

namespace seqc_aot {

// A number that may be set: its kind as in Column, and the values that it takes.
struct Setting {
  const char *name;
  char kind;
  double low, high;
};

// What the program knows of its model. `steps`: how many a sequence must have, 0: any.
struct Program {
  const char *title;
  const seqc_model *model;
  const Tensor *tensors;
  const Column *inputs, *outputs, *states;
  const Setting *hypers;
  int64_t steps;
};

// Everything that one run owns. `set`: whether an input that a sequence has once was given.
struct Run {
  const Program *program;
  bool raw;
  int64_t steps;
  uint64_t seed;
  char *plain, *packed, *workspace, *set;
  double *hyper;
  void **inputs, **outputs, **state;
  seqc_where *where;
  Arrived *arrived;
};

// One line on standard error: what, `name`: why; gives the exit code.
static inline int fail(const Program &program, int code, const char *what, const char *name,
                       const char *why) {
  fprintf(stderr, "%s: %s%s%s%s%s%s\n", program.title, what, *name ? " `" : "", name, *name ? "`" : "",
          *why ? ": " : "", why);
  return code;
}

// Zeroed memory, aligned to 64 bytes; it lives as long as the program.
static inline char *memory(int64_t size) {
  char *const block = static_cast<char *>(calloc(1, static_cast<size_t>(size) + 128));
  if (!block)
    return nullptr;
  return block + (64 - reinterpret_cast<uintptr_t>(block) % 64) % 64;
}

// Inputs that come step by step, and those that are set once.
static inline bool wanted(const Column &column) { return column.time && !column.target && !column.length; }
static inline bool settable(const Column &column) { return !column.time && !column.target && !column.length; }

static inline bool any_wanted(const Program &program) {
  for (uint32_t i = 0; i < program.model->inputs; ++i)
    if (wanted(program.inputs[i]))
      return true;
  return false;
}

// Memory of another size, with what the old one held.
static inline bool grow(void **data, int64_t old_bytes, int64_t new_bytes) {
  char *const more = memory(new_bytes);
  if (more && old_bytes)
    memcpy(more, *data, static_cast<size_t>(old_bytes));
  *data = more;
  return more != nullptr;
}

// Memory for one step of everything, fresh states, hypers as in the source.
static inline bool prepare(Run &run) {
  const Program &program = *run.program;
  const seqc_model &model = *program.model;
  const auto pointer = static_cast<int64_t>(sizeof(void *));
  run.plain = memory(static_cast<int64_t>(model.plain_bytes));
  run.packed = memory(static_cast<int64_t>(model.packed_bytes));
  run.hyper = reinterpret_cast<double *>(memory(8 * static_cast<int64_t>(model.hypers)));
  run.inputs = reinterpret_cast<void **>(memory(pointer * model.inputs));
  run.outputs = reinterpret_cast<void **>(memory(pointer * (model.outputs + 1)));
  run.state = reinterpret_cast<void **>(memory(pointer * (2 * model.states + 1)));
  run.set = memory(model.inputs);
  run.where = reinterpret_cast<seqc_where *>(memory(static_cast<int64_t>(sizeof(seqc_where))));
  run.arrived = reinterpret_cast<Arrived *>(memory(static_cast<int64_t>(sizeof(Arrived))));
  if (!run.plain || !run.packed || !run.hyper || !run.inputs || !run.outputs || !run.state || !run.set ||
      !run.where || !run.arrived)
    return false;
  bool enough = true;
  for (uint32_t i = 0; i < model.inputs; ++i)
    enough = grow(&run.inputs[i], 0, bytes(program.inputs[i])) && enough;
  for (uint32_t i = 0; i < model.outputs; ++i)
    enough = grow(&run.outputs[i], 0, bytes(program.outputs[i])) && enough;
  for (uint32_t i = 0; i < model.states; ++i) {
    enough =
        grow(&run.state[2 * i], 0, bytes(program.states[i])) && grow(&run.state[2 * i + 1], 0, 1) && enough;
    if (enough)
      *static_cast<uint8_t *>(run.state[2 * i + 1]) = 1;
  }
  enough = grow(&run.state[2 * model.states], 0, 8) && enough;
  for (uint32_t i = 0; i < model.hypers; ++i)
    run.hyper[i] = model.hyper_values[i];
  return enough;
}

} // namespace seqc_aot
