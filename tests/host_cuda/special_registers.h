// Stands for cuda/special_registers.h.
#pragma once

inline unsigned long long global_timer_ns() {
  host_cuda::Clocks& clocks = host_cuda::clocks;
  clocks.now_ns += clocks.read_ns;
  return floor(clocks.now_ns / clocks.tick_ns) * clocks.tick_ns;
}

inline unsigned sm_number() { return host_cuda::sm_of_block(); }
