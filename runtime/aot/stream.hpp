// The standalone program of a model: a line of numbers in, a line of numbers out, with carried state. Models
// that cannot stream read the whole sequence first. Needs the C library only.
#pragma once

#include "options.hpp"

namespace seqc_aot {

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

// The inputs of step `step` as bytes: 1 done, 0 end, -1 if the input ends within the step.
static inline int read_raw(const Run &run, int64_t step) {
  const seqc_model &model = *run.program->model;
  Arrived &arrived = *run.arrived;
  int64_t all = 0;
  for (uint32_t i = 0; i < model.inputs; ++i)
    all += wanted(run.program->inputs[i]) ? bytes(run.program->inputs[i]) : 0;
  if (!await_bytes(arrived, static_cast<size_t>(all)))
    return arrived.failed || ferror(stdout) || arrived.first == arrived.last ? 0 : -1;
  for (uint32_t i = 0; i < model.inputs; ++i) {
    const Column &column = run.program->inputs[i];
    const auto size = static_cast<size_t>(bytes(column));
    if (!wanted(column))
      continue;
    memcpy(static_cast<char *>(run.inputs[i]) + static_cast<size_t>(step) * size,
           arrived.data + arrived.first, size);
    arrived.first += size;
  }
  return 1;
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

// Why the model did not take a call of so many steps, the first of them number `number` of the run.
static inline int refused(const Run &run, int code, int64_t number) {
  const Program &program = *run.program;
  if (code != SEQC_BAD_INDEX || run.where->input < 0)
    return fail(program, 1, "the model refused the call", "", "");
  const Column &column = program.inputs[run.where->input];
  char why[160];
  int used = 0;
  if (column.time)
    used = snprintf(why, sizeof why, "step %lld: ", static_cast<long long>(number + run.where->step));
  snprintf(why + used, sizeof why - static_cast<size_t>(used), "%lld is an index out of range",
           static_cast<long long>(run.where->value));
  return fail(program, 1, "input", column.name, why);
}

static inline seqc_call record(const Run &run, int64_t steps) {
  seqc_call call = {};
  call.size = sizeof call;
  call.steps = steps;
  call.batch = 1;
  call.seed = run.seed;
  call.workspace = run.workspace;
  call.where = run.where;
  return call;
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
  if (strchr(text, zero_byte))
    return false;
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
    char *line = read_line(buffer, room);
    if (!line)
      return 0;
    if (number == 0)
      line = after_mark(line);
    if (at_end(line))
      continue;
    if (parse_step(run, line, step))
      return 1;
    if (number > 0 || !(*line == '#' || names_columns(run, line)))
      return -1;
    number = 1; // the first line may name the columns
  }
}

// Whether some of the input could not be read.
static inline bool unread(const Run &run) { return ferror(stdin) || run.arrived->failed; }

// What has been written, and whether all was read: the exit code of a run.
static inline int finish(const Run &run) {
  if (unread(run))
    return fail(*run.program, 1, "input", "", "cannot be read");
  if (fflush(stdout) != 0 || ferror(stdout))
    return fail(*run.program, 1, "output", "", "cannot be written");
  return 0;
}

static inline int refuse_step(const Run &run, int64_t number) {
  char where[64];
  snprintf(where, sizeof where, "step %lld", static_cast<long long>(number));
  return fail(*run.program, 1, "input", where,
              run.raw ? "the input ends within it" : "not the numbers that the model takes; see --help");
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
      return refuse_step(run, number);
    if (got == 0)
      break;
    const int code = model.step(&call, &weights, run.hyper, run.state, run.inputs, run.outputs);
    if (code != SEQC_OK)
      return refused(run, code, number);
    write_step(run, 0, false, true);
    if (!run.raw && fflush(stdout) != 0)
      break;
  }
  return finish(run);
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
      return refuse_step(run, steps);
    if (got == 0)
      break;
  }
  if (steps == 0)
    return fail(*run.program, 1, "input", "", unread(run) ? "cannot be read" : "there are no steps");
  if (run.program->steps && steps != run.program->steps) {
    char why[96];
    snprintf(why, sizeof why, "%lld steps, and this program takes %lld", static_cast<long long>(steps),
             static_cast<long long>(run.program->steps));
    return fail(*run.program, 1, "input", "", why);
  }
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
    return refused(run, code, 0);
  for (int64_t step = 0; step < steps; ++step)
    write_step(run, step, false, false);
  write_step(run, 0, true, false);
  return finish(run);
}

// The whole program.
static inline int stream_main(const Program &program, int argc, char **argv) {
  Run run = {};
  run.program = &program;
  if (!prepare(run))
    return fail(program, 2, "not enough memory", "", "");
  const int code = read_options(run, argc, argv);
  if (code >= 0)
    return code;
  return program.model->step ? run_streaming(run) : run_whole(run);
}

} // namespace seqc_aot
