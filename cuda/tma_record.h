// What the driver needs to encode a TMA descriptor, left in the place of the descriptor.
//
// Descriptors are encoded by a call of the driver, cuTensorMapEncodeTiled, on the host. Compiled
// for the device, CUTLASS leaves the 128 bytes of a descriptor zero. record_tma.h writes the
// arguments of that call into them; builder/device/cuda/tensor_map.py finds them by their mark,
// makes the call, and puts its result in their place.
#pragma once

constexpr unsigned long long TMA_RECORD_MARK = 0x31'43'45'52'41'4d'54'00ull;

constexpr int TMA_MOST_MODES = 5;

enum class TmaElement : unsigned char { UNSIGNED, SIGNED, FLOAT, BFLOAT, TFLOAT };

struct alignas(64) TmaRecord {
  unsigned long long mark;
  unsigned long long address;
  unsigned long long extents[TMA_MOST_MODES];           // in elements
  unsigned long long strides_bytes[TMA_MOST_MODES - 1];  // of all modes but the first
  unsigned short box[TMA_MOST_MODES];                    // what one instruction moves, in elements
  unsigned char modes;
  unsigned char element_bits;
  TmaElement element;
  unsigned char swizzle;       // cute::TMA::SmemSwizzleBits
  unsigned char swizzle_base;  // cute::TMA::SmemSwizzleBase
};
static_assert(sizeof(TmaRecord) == 128, "a record takes the place of a descriptor");
