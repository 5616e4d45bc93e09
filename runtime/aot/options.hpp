// The options of a standalone program: help, values that are set, weights.
#pragma once

#include "program.hpp"

namespace seqc_aot {

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
    if (settable(program.inputs[i]))
      printf("  %s[%lld]\n", program.inputs[i].name, static_cast<long long>(program.inputs[i].size));
  for (uint32_t i = 0; i < model.hypers; ++i)
    printf("  %s = %g\n", program.hypers[i].name, model.hyper_values[i]);
  printf("outputs:\n");
  for (uint32_t i = 0; i < model.outputs; ++i)
    printf("  %s[%lld]\n", program.outputs[i].name, static_cast<long long>(program.outputs[i].size));
  if (program.steps)
    printf("A sequence has %lld steps, as the profile of this build says.\n",
           static_cast<long long>(program.steps));
  printf("\n--steps says how many steps a model without inputs makes.\n");
  printf("--raw reads and writes %s and int32 in the byte order of the machine instead of text.\n",
         model.real_bytes == 8 ? "float64" : "float32");
  printf("Exit codes: 0 done, 1 wrong use or input, 2 weights or memory missing.\n");
}

// Whether a number is one that a setting takes.
static inline bool takes(const Setting &setting, double value) {
  return value >= setting.low && value <= setting.high && (setting.kind == 'd' || is_whole(value));
}

// --set NAME=1,2,3: an input that a sequence has once, or a hyper; an exit code.
static inline int set_value(const Run &run, const char *text) {
  const Program &program = *run.program;
  const char *const equals = strchr(text, '=');
  const char *numbers = equals ? equals + 1 : "";
  double value = 0.0;
  for (uint32_t i = 0; equals && i < program.model->inputs; ++i) {
    const Column &column = program.inputs[i];
    if (!settable(column) || !same(text, equals - text, column.name))
      continue;
    bool good = true;
    for (int64_t k = 0; good && k < column.size; ++k) {
      good = read_number(numbers, column, value);
      if (good)
        put_number(column, run.inputs[i], k, value);
    }
    run.set[i] = 1;
    char expected[96];
    snprintf(expected, sizeof expected, "expected %lld %snumbers", static_cast<long long>(column.size),
             column.kind == 'f' || column.kind == 'd' ? "" : "whole ");
    return good && at_end(numbers) ? 0 : fail(program, 1, "value", text, expected);
  }
  for (uint32_t i = 0; equals && i < program.model->hypers; ++i) {
    const Setting &setting = program.hypers[i];
    const Column real = {"", 'd', 1, false, false, false};
    if (!same(text, equals - text, setting.name))
      continue;
    if (read_number(numbers, real, value) && at_end(numbers) && takes(setting, value)) {
      run.hyper[i] = value;
      return 0;
    }
    char expected[96];
    snprintf(expected, sizeof expected, "expected a %snumber from %g to %g",
             setting.kind == 'd' ? "" : "whole ", setting.low, setting.high);
    return fail(program, 1, "value", text, expected);
  }
  return fail(program, 1, "value", text, "expected NAME=NUMBERS of an input or hyper; see --help");
}

// Fills the weights and packs them; an exit code.
static inline int take_weights(const Run &run, const char *path) {
  const Program &program = *run.program;
  const seqc_model &model = *program.model;
  if (path) {
    const Wrong wrong =
        load_weights(path, program.tensors, static_cast<int>(model.parameters), model.real_bytes, run.plain);
    if (wrong.why && wrong.tensor)
      return fail(program, 2, "weights: tensor", wrong.tensor, wrong.why);
    if (wrong.why)
      return fail(program, 2, "weights", path, wrong.why);
  } else if (model.embedded_plain) {
    memcpy(run.plain, model.embedded_plain, static_cast<size_t>(model.plain_bytes));
  } else if (model.parameters > 0) {
    return fail(program, 2, "no weights", "", "give --weights FILE.safetensors");
  }
  if (model.pack(run.plain, run.packed) != SEQC_OK)
    return fail(program, 2, "the weights cannot be packed", "", "");
  return 0;
}

// What the options leave open that a run needs; an exit code.
static inline int check_options(const Run &run, bool stepped) {
  const Program &program = *run.program;
  for (uint32_t i = 0; i < program.model->inputs; ++i)
    if (settable(program.inputs[i]) && !run.set[i])
      return fail(program, 1, "input", program.inputs[i].name, "not set; give --set NAME=NUMBERS");
  if (any_wanted(program) && stepped)
    return fail(program, 1, "option", "--steps", "the input says how many steps there are");
  if (!any_wanted(program) && !stepped)
    return fail(program, 1, "no steps", "", "the model reads no input: give --steps N");
  return 0;
}

// Reads the options into `run`; an exit code, or -1 where the run goes on.
static inline int read_options(Run &run, int argc, char **argv) {
  const Program &program = *run.program;
  const char *weights = nullptr;
  uint64_t steps = 0;
  bool stepped = false;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      help(program);
      return 0;
    }
    if (strcmp(argv[i], "--raw") == 0) {
      run.raw = true;
      continue;
    }
    const char *const option = argv[i], *const equals = strchr(option, '=');
    if (!equals && i + 1 >= argc)
      return fail(program, 1, "option", option, "not known, or without its value; see --help");
    const char *const value = equals ? equals + 1 : argv[++i];
    const auto length = equals ? equals - option : static_cast<int64_t>(strlen(option));
    const bool counts = same(option, length, "--steps"), seeds = same(option, length, "--seed");
    if (counts || seeds) {
      if (!read_whole(value, counts ? steps : run.seed))
        return fail(program, 1, "value", value, "expected a whole number from 0");
      stepped = stepped || counts;
    } else if (same(option, length, "--weights")) {
      weights = value;
    } else if (same(option, length, "--set")) {
      const int code = set_value(run, value);
      if (code != 0)
        return code;
    } else {
      return fail(program, 1, "option", option, "not known; see --help");
    }
  }
  run.steps = static_cast<int64_t>(steps);
  int code = take_weights(run, weights);
  if (code == 0)
    code = check_options(run, stepped);
  return code == 0 ? -1 : code;
}

} // namespace seqc_aot
