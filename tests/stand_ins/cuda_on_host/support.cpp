// Launches the kernels of support.cu on the host.
#include <support.cu>

#define LAUNCHABLE(kernel, arguments, ...)                                                 \
  extern "C" char const* launch_##kernel(host_cuda::Setup const* setup, ##__VA_ARGS__) {   \
    return host_cuda::launch(*setup, [=] { kernel arguments; });                           \
  }

LAUNCHABLE(fill_normal, (data, count, type, seed), void* data, long long count, int type,
           unsigned long long seed)
LAUNCHABLE(fill_nan, (data, count, type), void* data, long long count, int type)
LAUNCHABLE(count_non_finite, (*problem, type_d, count), Problem const* problem, int type_d,
           unsigned long long* count)
LAUNCHABLE(reference_entries,
           (*problem, types[0], types[1], types[2], types[3], gemm, rows, columns, count, got,
            wanted),
           Problem const* problem, int const* types, int gemm, long long const* rows,
           long long const* columns, int count, double* got, double* wanted)
LAUNCHABLE(stamp_clock, (stamps), Stamp* stamps)
LAUNCHABLE(spin_gemm, (memory, count, iterations, duration_ns), float const* memory,
           long long count, long long iterations, unsigned long long duration_ns)
LAUNCHABLE(do_nothing, ())

extern "C" void set_clocks(host_cuda::Clocks const* clocks) { host_cuda::clocks = *clocks; }

extern "C" double now_ns() { return host_cuda::clocks.now_ns; }

// Rounds values to a type, as the fills do.
extern "C" void write_elements(void* data, float const* values, long long count, int type) {
  for (long long i = 0; i < count; ++i) element::write(data, i, type, values[i]);
}

// Reads elements, as the references do.
extern "C" void read_elements(double* values, void const* data, long long count, int type) {
  for (long long i = 0; i < count; ++i) values[i] = element::read(data, i, type);
}
