/* Plays samples through the amplifier of ../amp.seq: one number a line in, one a line out, exact to the last
   bit.

   The model allocates nothing: every array that it touches is declared here. */
#include "amp.h"

#include <stdio.h>

/* A place inside `memory` that is aligned to 64 bytes; each arena below has 64 bytes to spare for it. */
static void *aligned(unsigned char *memory) { return memory + (64 - (uintptr_t)memory % 64) % 64; }

int main(void) {
  static unsigned char packed[AMP_PACKED_BYTES + 64], workspace[AMP_STEP_WORKSPACE_BYTES + 64];
  const seqc_model *model = amp_get();
  const seqc_weights weights = {model->embedded_plain, aligned(packed)};

  /* State of one row: it starts fresh, which means with the values that the source gives it. */
  float h[16], heard, miss, dry, wet, gain = 0.5f;
  uint8_t h_fresh = 1, heard_fresh = 1, miss_fresh = 1;
  int64_t started = 0;
  const amp_state state = {h, &h_fresh, &heard, &heard_fresh, &miss, &miss_fresh, &started};
  const amp_inputs inputs = {&dry, &gain, NULL};
  const amp_outputs outputs = {&wet};

  seqc_call call = {0};
  call.size = sizeof call;
  call.steps = 1;
  call.batch = 1;
  call.workspace = aligned(workspace);

  if (!weights.plain || amp_pack(weights.plain, aligned(packed)) != SEQC_OK)
    return 1;
  while (scanf("%f", &dry) == 1) {
    if (amp_step(&call, &weights, model->hyper_values, &state, &inputs, &outputs) != SEQC_OK)
      return 1;
    printf("%a\n", (double)wet);
  }
  return 0;
}
