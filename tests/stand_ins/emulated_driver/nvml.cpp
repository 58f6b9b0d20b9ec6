// A stand-in for libnvidia-ml.so.1: one GPU that draws 250 W, whatever it does. Its energy counter
// moves every 100 ms, its powers are always there. Functions and structures are those that NVML's
// reference documents (https://docs.nvidia.com/deploy/nvml-api/), as far as they are asked for.
#include <chrono>
#include <cstring>

namespace {

constexpr int SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6;
constexpr double POWER_W = 250;
constexpr char const* UUID = "GPU-00102030-4050-6070-8090-a0b0c0d0e0f0";

int gpu;

double now_s() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

struct Field {
  unsigned id, scope;
  long long timestamp, latency;
  unsigned type;
  int code;
  union {
    double real;
    unsigned number;
    unsigned long long large;
  } value;
};

struct Utilisation {
  unsigned gpu, memory;
};

}  // namespace

extern "C" {

int nvmlInitWithFlags(unsigned) { return SUCCESS; }
int nvmlShutdown() { return SUCCESS; }
char const* nvmlErrorString(int) { return "an emulated error"; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  std::strncpy(version, "580.00.01", length);
  return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(char const* uuid, void** device) {
  if (std::strcmp(uuid, UUID)) return NOT_FOUND;
  *device = &gpu;
  return SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* energy_mj) {
  if (device != &gpu) return INVALID_ARGUMENT;
  long long const steps = now_s() / 0.1;
  *energy_mj = steps * 0.1 * POWER_W * 1000;
  return SUCCESS;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* power_mw) {
  *power_mw = POWER_W * 1000;
  return SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* limit_mw) {
  *limit_mw = 700000;
  return SUCCESS;
}
int nvmlDeviceGetClockInfo(void*, unsigned domain, unsigned* clock_mhz) {
  *clock_mhz = domain == 1 ? 1500 : 3201;
  return SUCCESS;
}
int nvmlDeviceGetTemperature(void*, unsigned sensor, unsigned* temperature_c) {
  if (sensor) return INVALID_ARGUMENT;
  *temperature_c = 45;
  return SUCCESS;
}
int nvmlDeviceGetCurrentClocksEventReasons(void*, unsigned long long* reasons) {
  *reasons = 1;  // idle
  return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void*, Utilisation* rates) {
  *rates = {0, 0};
  return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, void*) {
  *count = 0;
  return SUCCESS;
}
int nvmlDeviceGetMigMode(void*, unsigned*, unsigned*) { return NOT_SUPPORTED; }
int nvmlDeviceGetPersistenceMode(void*, unsigned* mode) {
  *mode = 1;
  return SUCCESS;
}
int nvmlDeviceGetFieldValues(void*, int count, Field* fields) {
  for (int i = 0; i < count; ++i) {
    fields[i].code = fields[i].id == 186 ? SUCCESS : NOT_SUPPORTED;
    fields[i].type = 1;
    fields[i].value.number = POWER_W * 1000;
  }
  return SUCCESS;
}

}  // extern "C"
