// What support.cu shares with the host.
#pragma once

// Types of matrix elements. The host passes these codes; README.md says what each means.
enum ElementType : int {
  TYPE_F64 = 0,
  TYPE_F32 = 1,
  TYPE_TF32 = 2,  // held as f32
  TYPE_F16 = 3,
  TYPE_BF16 = 4,
  TYPE_E4M3 = 5,
  TYPE_E5M2 = 6,
  TYPE_S8 = 7,
  TYPE_S32 = 8,
};

// A reading of one SM's clock counter, right after a tick of the global timer.
struct Stamp {
  long long clock;              // cycles of this SM
  unsigned long long timer_ns;  // the same timer on every SM; its ticks differ between GPUs
  unsigned sm;
  unsigned unused;
};
