/* Trains a model for some updates on one batch, without Python, for machines that the tests only emulate.

   updates STEPS BATCH UPDATES < arrays > results: reads the plain weights, then int32 [steps][batch] for each input and
   target; writes the loss of each update (double), then the weights. */
#include "letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *memory(uint64_t bytes) {
  void *found = NULL;
  if (posix_memalign(&found, 64, (size_t)bytes + 64))
    exit(3);
  return memset(found, 0, (size_t)bytes + 64);
}

int main(int count, char **words) {
  if (count != 4)
    return 4;
  const int64_t steps = atoll(words[1]), batch = atoll(words[2]), updates = atoll(words[3]);
  const seqc_model *const model = letters_get();
  int64_t done = 0;
  const seqc_trainer trainer = {memory(model->plain_bytes), memory(model->packed_bytes),
                                memory(model->optimizer_bytes), model->hyper_values, &done};
  const void *given[8] = {0};
  if (fread(trainer.plain, 1, (size_t)model->plain_bytes, stdin) != model->plain_bytes)
    return 5;
  for (uint32_t i = 0; i < model->inputs; ++i) {
    int32_t *const read = memory((uint64_t)(steps * batch) * 4);
    if (fread(read, 4, (size_t)(steps * batch), stdin) != (size_t)(steps * batch))
      return 6;
    given[i] = read;
  }
  seqc_call call = {.size = sizeof call, .steps = steps, .batch = batch};
  call.workspace = memory((uint64_t)model->workspace_bytes(SEQC_UPDATE, steps, batch));
  if (model->pack(trainer.plain, trainer.packed) || model->initial_optimizer(trainer.optimizer))
    return 7;
  for (int64_t i = 0; i < updates; ++i) {
    double scores[8] = {0};
    const int code = model->update(&call, &trainer, NULL, given, scores);
    if (code || fwrite(scores, 8, 1, stdout) != 1)
      return 8;
  }
  return fwrite(trainer.plain, 1, (size_t)model->plain_bytes, stdout) == model->plain_bytes ? 0 : 9;
}
