// Finds races for shared memory: a byte that two threads touch between two barriers, one of which
// writes it. g++ calls what is here at every access to memory that it compiles with
// -fsanitize=thread; its own library is not linked.
#pragma once

#define UNCHECKED __attribute__((no_sanitize("thread"), used))

namespace host_cuda {

// The threads that have touched a byte since the last barrier; stale, if that was an earlier one.
struct Touched {
  long long interval;
  void const* writer;
  void const* reader;
};

constexpr long MOST_BYTES = 1 << 17;
inline Touched touched[MOST_BYTES];
inline char const several = 0;  // stands for readers that are more than one

UNCHECKED inline void touch(char const* address, long n_bytes, bool writes) {
  long const first = address - __start_shared_memory;
  if (!running || first < 0 || address >= __stop_shared_memory) return;
  if (first + n_bytes > MOST_BYTES) fail("more shared memory than races are looked for in");
  for (long i = first; i < first + n_bytes; ++i) {
    Touched& byte = touched[i];
    if (byte.interval != n_intervals) byte = {n_intervals, nullptr, nullptr};
    bool const is_written = byte.writer && byte.writer != running;
    bool const is_read = byte.reader && byte.reader != running;
    if (is_written || (writes && is_read)) fail("a race for shared memory");
    if (writes)
      byte.writer = running;
    else
      byte.reader = is_read ? static_cast<void const*>(&several) : running;
  }
}

}  // namespace host_cuda

#define ON_ACCESS(n)                                                                            \
  UNCHECKED void __tsan_read##n(void* p) { host_cuda::touch((char*)p, n, false); }              \
  UNCHECKED void __tsan_write##n(void* p) { host_cuda::touch((char*)p, n, true); }              \
  UNCHECKED void __tsan_unaligned_read##n(void* p) { host_cuda::touch((char*)p, n, false); }    \
  UNCHECKED void __tsan_unaligned_write##n(void* p) { host_cuda::touch((char*)p, n, true); }

extern "C" {
ON_ACCESS(1) ON_ACCESS(2) ON_ACCESS(4) ON_ACCESS(8) ON_ACCESS(16)
UNCHECKED void __tsan_read_range(void* p, long n) { host_cuda::touch((char*)p, n, false); }
UNCHECKED void __tsan_write_range(void* p, long n) { host_cuda::touch((char*)p, n, true); }
UNCHECKED void __tsan_vptr_update(void**, void*) {}
UNCHECKED void __tsan_func_entry(void*) {}
UNCHECKED void __tsan_func_exit() {}
UNCHECKED void __tsan_init() {}
}
