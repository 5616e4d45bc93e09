// The standalone program of a model: a line of numbers in, a line of numbers out, with carried state. Models
// that cannot stream read the whole sequence first. Needs the C library only.
#pragma once

#include "../seqc_abi.h"
#include "safetensors.hpp"
#include "text.hpp"

namespace seqc_aot {

// What the program knows of its model.
struct Program {
  const char *title, *hypers;
  const seqc_model *model;
  const Tensor *tensors;
  const Column *inputs, *outputs, *states;
  const char *const *hyper_names;
};

// Everything that one run owns.
struct Run {
  const Program *program;
  bool raw;
  int64_t steps;
  uint64_t seed;
  char *plain, *packed, *workspace;
  double *hyper;
  void **inputs, **outputs, **state;
};

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

static inline bool wanted(const Column &column) { return column.time && !column.target && !column.length; }

// The inputs of step `step` from a line; false if the line does not hold exactly these numbers.
static inline bool parse_step(const Run &run, const char *text, int64_t step) {
  const seqc_model &model = *run.program->model;
  for (uint32_t i = 0; i < model.inputs; ++i) {
    const Column &column = run.program->inputs[i];
    double value = 0.0;
    for (int64_t k = 0; wanted(column) && k < column.size; ++k) {
      if (!read_number(text, column, value))
        return false;
      put_number(column, run.inputs[i], step * column.size + k, value);
    }
  }
  return at_end(text);
}

static inline bool read_raw(const Run &run, int64_t step) {
  const seqc_model &model = *run.program->model;
  for (uint32_t i = 0; i < model.inputs; ++i) {
    const Column &column = run.program->inputs[i];
    const auto size = static_cast<size_t>(bytes(column));
    char *const to = static_cast<char *>(run.inputs[i]) + static_cast<size_t>(step) * size;
    if (wanted(column) && fread(to, 1, size, stdin) != size)
      return false;
  }
  return true;
}

// The outputs of one step, or (`once`) those that a sequence has once.
static inline void write_step(const Run &run, int64_t step, bool once, bool all) {
  const seqc_model &model = *run.program->model;
  bool first = true;
  for (uint32_t i = 0; i < model.outputs; ++i) {
    const Column &column = run.program->outputs[i];
    if (!all && column.time == once)
      continue;
    const int64_t from = column.time ? step * column.size : 0;
    if (run.raw)
      fwrite(static_cast<const char *>(run.outputs[i]) + from * width(column.kind), 1,
             static_cast<size_t>(bytes(column)), stdout);
    for (int64_t k = 0; !run.raw && k < column.size; ++k, first = false) {
      if (!first)
        putchar(',');
      print_number(column, run.outputs[i], from + k);
    }
  }
  if (!run.raw && !first)
    putchar('\n');
}

static inline const char *reason(int code) {
  if (code == SEQC_BAD_INDEX)
    return "an index is out of range";
  if (code == SEQC_BAD_LENGTH)
    return "a length is out of range";
  return "the model refused the call";
}

static inline seqc_call record(const Run &run, int64_t steps) {
  seqc_call call = {};
  call.size = sizeof call;
  call.steps = steps;
  call.batch = 1;
  call.seed = run.seed;
  call.workspace = run.workspace;
  return call;
}

static inline bool any_wanted(const Program &program) {
  for (uint32_t i = 0; i < program.model->inputs; ++i)
    if (wanted(program.inputs[i]))
      return true;
  return false;
}

// Whether a word is the name of another input of a step than `own`.
static inline bool names_another(const Program &program, uint32_t own, const char *word, size_t length) {
  for (uint32_t i = 0; i < program.model->inputs; ++i) {
    const Column &column = program.inputs[i];
    if (i != own && wanted(column) && strlen(column.name) == length && !strncmp(word, column.name, length))
      return true;
  }
  return false;
}

// Whether a line names columns: a word for each number of a step, none of them a number itself or the name
// of an input that stands elsewhere.
static inline bool names_columns(const Run &run, const char *text) {
  const char *const between = " \t\r\n,;\"";
  for (uint32_t i = 0; i < run.program->model->inputs; ++i) {
    const Column &column = run.program->inputs[i];
    for (int64_t k = 0; wanted(column) && k < column.size; ++k) {
      text += strspn(text, between);
      const size_t length = strcspn(text, between);
      char *end = nullptr;
      strtod(text, &end);
      if (length == 0 || end == text + length || names_another(*run.program, i, text, length))
        return false;
      text += length + strspn(text + length, "\"");
    }
  }
  return at_end(text);
}

// Takes the next step from standard input to place `step`: 1 done, 0 end, -1 not understood.
static inline int next_step(const Run &run, int64_t step, int64_t number, char *&buffer, size_t &room) {
  if (!any_wanted(*run.program))
    return number < run.steps;
  if (run.raw)
    return read_raw(run, step);
  for (;;) {
    char *const line = read_line(buffer, room);
    if (!line)
      return 0;
    if (at_end(line))
      continue;
    if (parse_step(run, line, step))
      return 1;
    if (number > 0 || !(*line == '#' || names_columns(run, line)))
      return -1;
    number = 1; // the first line may name the columns
  }
}

// What has been written, and whether all was read: the exit code of a run.
static inline int finish(const Run &run) {
  if (ferror(stdin))
    return fail(*run.program, 1, "input", "", "cannot be read");
  if (fflush(stdout) != 0 || ferror(stdout))
    return fail(*run.program, 1, "output", "", "cannot be written");
  return 0;
}

static inline int refuse_line(const Run &run, int64_t number) {
  char where[64];
  snprintf(where, sizeof where, "step %lld", static_cast<long long>(number));
  return fail(*run.program, 1, "input", where, "not the numbers that the model takes; see --help");
}

// One step in, one step out.
static inline int run_streaming(Run &run) {
  const seqc_model &model = *run.program->model;
  run.workspace = memory(model.workspace_bytes(SEQC_STEP, 1, 1));
  if (!run.workspace)
    return fail(*run.program, 2, "not enough memory", "", "");
  const seqc_weights weights = {run.plain, run.packed};
  const seqc_call call = record(run, 1);
  char *buffer = nullptr;
  size_t room = 0;
  for (int64_t number = 0;; ++number) {
    const int got = next_step(run, 0, number, buffer, room);
    if (got < 0)
      return refuse_line(run, number);
    if (got == 0)
      break;
    const int code = model.step(&call, &weights, run.hyper, run.state, run.inputs, run.outputs);
    if (code != SEQC_OK)
      return fail(*run.program, 1, reason(code), "", "");
    write_step(run, 0, false, true);
    if (!run.raw && fflush(stdout) != 0)
      break;
  }
  return finish(run);
}

static inline bool grow(void **data, int64_t old_bytes, int64_t new_bytes) {
  char *const more = memory(new_bytes);
  if (more && old_bytes)
    memcpy(more, *data, static_cast<size_t>(old_bytes));
  *data = more;
  return more != nullptr;
}

// All steps in, then all steps out.
static inline int run_whole(Run &run) {
  const seqc_model &model = *run.program->model;
  char *buffer = nullptr;
  size_t room = 0;
  int64_t steps = 0, capacity = 1;
  for (;; ++steps) {
    if (steps == capacity) {
      for (uint32_t i = 0; i < model.inputs; ++i)
        if (run.program->inputs[i].time && !grow(&run.inputs[i], capacity * bytes(run.program->inputs[i]),
                                                 2 * capacity * bytes(run.program->inputs[i])))
          return fail(*run.program, 2, "not enough memory", "", "");
      capacity *= 2;
    }
    const int got = next_step(run, steps, steps, buffer, room);
    if (got < 0)
      return refuse_line(run, steps);
    if (got == 0)
      break;
  }
  if (steps == 0)
    return fail(*run.program, 1, "input", "", ferror(stdin) ? "cannot be read" : "there are no steps");
  bool enough = true;
  for (uint32_t i = 0; i < model.outputs; ++i)
    enough = grow(&run.outputs[i], 0,
                  (run.program->outputs[i].time ? steps : 1) * bytes(run.program->outputs[i])) &&
             enough;
  run.workspace = memory(model.workspace_bytes(SEQC_INFER, steps, 1));
  if (!run.workspace || !enough)
    return fail(*run.program, 2, "not enough memory", "", "");
  for (uint32_t i = 0; i < model.inputs; ++i)
    if (run.program->inputs[i].length)
      run.inputs[i] = nullptr;
  const seqc_weights weights = {run.plain, run.packed};
  const seqc_call call = record(run, steps);
  const int code = model.infer(&call, &weights, run.hyper, nullptr, run.inputs, run.outputs);
  if (code != SEQC_OK)
    return fail(*run.program, 1, reason(code), "", "");
  for (int64_t step = 0; step < steps; ++step)
    write_step(run, step, false, false);
  write_step(run, 0, true, false);
  return finish(run);
}

static inline void help(const Program &program) {
  const seqc_model &model = *program.model;
  printf("usage: %s [--weights FILE.safetensors] [--raw] [--set NAME=NUMBERS] [--steps N] [--seed N] < IN > "
         "OUT\n\n",
         program.title);
  printf("One step on a line, numbers between commas; the first line may name the columns, in this "
         "order.\n\ninputs "
         "of a step:\n");
  for (uint32_t i = 0; i < model.inputs; ++i)
    if (wanted(program.inputs[i]))
      printf("  %s[%lld]\n", program.inputs[i].name, static_cast<long long>(program.inputs[i].size));
  printf("set once, with --set:\n");
  for (uint32_t i = 0; i < model.inputs; ++i)
    if (!program.inputs[i].time && !program.inputs[i].target && !program.inputs[i].length)
      printf("  %s[%lld]\n", program.inputs[i].name, static_cast<long long>(program.inputs[i].size));
  for (uint32_t i = 0; i < model.hypers; ++i)
    printf("  %s = %g\n", program.hyper_names[i], model.hyper_values[i]);
  printf("outputs:\n");
  for (uint32_t i = 0; i < model.outputs; ++i)
    printf("  %s[%lld]\n", program.outputs[i].name, static_cast<long long>(program.outputs[i].size));
  printf("\n--raw reads and writes %s and int32 in the byte order of the machine instead of text.\n",
         model.real_bytes == 8 ? "float64" : "float32");
  printf("Exit codes: 0 done, 1 wrong use or input, 2 weights or memory missing.\n");
}

// --set NAME=1,2,3: an input that a sequence has once, or a hyper.
static inline bool set_value(const Run &run, const char *text) {
  const seqc_model &model = *run.program->model;
  const char *const equals = strchr(text, '=');
  if (!equals)
    return false;
  const char *numbers = equals + 1;
  double value = 0.0;
  for (uint32_t i = 0; i < model.inputs; ++i) {
    const Column &column = run.program->inputs[i];
    if (column.time || column.target || column.length || !same(text, equals - text, column.name))
      continue;
    for (int64_t k = 0; k < column.size; ++k) {
      if (!read_number(numbers, column, value))
        return false;
      put_number(column, run.inputs[i], k, value);
    }
    return at_end(numbers);
  }
  const Column real = {"", 'd', 1, false, false, false};
  for (uint32_t i = 0; i < model.hypers; ++i)
    if (same(text, equals - text, run.program->hyper_names[i]) && read_number(numbers, real, value)) {
      run.hyper[i] = value;
      return at_end(numbers);
    }
  return false;
}

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
  if (!run.plain || !run.packed || !run.hyper || !run.inputs || !run.outputs || !run.state)
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

// Where the value of an option that takes a whole number goes; null for any other.
static inline uint64_t *whole_option(const char *text, uint64_t &steps, uint64_t &seed) {
  return strcmp(text, "--steps") == 0 ? &steps : strcmp(text, "--seed") == 0 ? &seed : nullptr;
}

// The whole program.
static inline int stream_main(const Program &program, int argc, char **argv) {
  const seqc_model &model = *program.model;
  Run run = {};
  run.program = &program;
  const char *weights = nullptr;
  uint64_t steps = 0;
  if (!prepare(run))
    return fail(program, 2, "not enough memory", "", "");
  for (int i = 1; i < argc; ++i) {
    const char *const value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      help(program);
      return 0;
    }
    if (strcmp(argv[i], "--raw") == 0) {
      run.raw = true;
      continue;
    }
    if (i + 1 >= argc)
      return fail(program, 1, "option", argv[i], "not known, or without its value; see --help");
    if (strcmp(argv[i], "--weights") == 0)
      weights = value;
    else if (uint64_t *const whole = whole_option(argv[i], steps, run.seed)) {
      if (!read_whole(value, *whole))
        return fail(program, 1, "value", value, "expected a whole number from 0");
    } else if (strcmp(argv[i], "--set") != 0)
      return fail(program, 1, "option", argv[i], "not known; see --help");
    else if (!set_value(run, value))
      return fail(program, 1, "value", value, "expected NAME=NUMBERS of an input or hyper; see --help");
    ++i;
  }
  run.steps = static_cast<int64_t>(steps);
  if (weights) {
    const char *const why = load_weights(weights, program.tensors, static_cast<int>(model.parameters),
                                         model.real_bytes, run.plain);
    if (why)
      return fail(program, 2, "weights", weights, why);
  } else if (model.embedded_plain) {
    memcpy(run.plain, model.embedded_plain, static_cast<size_t>(model.plain_bytes));
  } else if (model.parameters > 0) {
    return fail(program, 2, "no weights", "", "give --weights FILE.safetensors");
  }
  if (model.pack(run.plain, run.packed) != SEQC_OK)
    return fail(program, 2, "the weights cannot be packed", "", "");
  return model.step ? run_streaming(run) : run_whole(run);
}

} // namespace seqc_aot
