// What the emulated driver loads in the place of a cubin: a shared object that exports, for each
// kernel, `HostKernel const NAME__host`, and constants under their own names.
#pragma once

struct HostKernel {
  // Runs all blocks of a launch; returns 0, or the code of the fault that a GPU would meet.
  int (*run)(void** arguments, unsigned const grid[3], unsigned const block[3], unsigned shared);
  unsigned n_arguments;
  unsigned argument_bytes[12];
  unsigned argument_alignment[12];
};
