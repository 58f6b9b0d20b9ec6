// Registers of the GPU that only PTX can read (PTX ISA, "Special Registers").
#pragma once

// Nanoseconds; the same timer on every SM.
__device__ inline unsigned long long global_timer_ns() {
  unsigned long long value;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(value)::"memory");
  return value;
}

// Number of the SM that this thread runs on.
__device__ inline unsigned sm_number() {
  unsigned value;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(value));
  return value;
}
