// One element of a matrix of any type: read as float64, written from a float, set to NaN.
//
// All in integer arithmetic, so that every GPU, old or new, and the host give the same bits.
#pragma once

#include "support.h"

namespace element {

// A binary floating-point type of at most 16 bits: sign, exponent, mantissa.
struct Format {
  int exponent_bits, mantissa_bits;
  unsigned largest;   // bits of the largest finite number
  unsigned infinity;  // bits of infinity; of nothing that occurs where there is none
  unsigned nan;
};

constexpr unsigned NONE = ~0u;
constexpr Format F16 = {5, 10, 0x7bff, 0x7c00, 0x7fff};
constexpr Format BF16 = {8, 7, 0x7f7f, 0x7f80, 0x7fff};
constexpr Format E4M3 = {4, 3, 0x7e, NONE, 0x7f};
constexpr Format E5M2 = {5, 2, 0x7b, 0x7c, 0x7f};
constexpr Format TF32 = {8, 10, 0x3fbff, 0x3fc00, 0x3ffff};
constexpr int TF32_UNUSED_BITS = 13;

constexpr unsigned F32_NAN = 0x7fffffffu;
constexpr long long F64_NAN = 0x7fffffffffffffffll;
constexpr int S32_NONE = -2147483647 - 1;  // stands for NaN where a type has none
constexpr signed char S8_NONE = -128;

__device__ inline int bias(Format const& format) { return (1 << (format.exponent_bits - 1)) - 1; }

__device__ inline double value_of(unsigned bits, Format const& format) {
  int const width = format.exponent_bits + format.mantissa_bits;
  double const sign = bits >> width ? -1.0 : 1.0;
  unsigned const magnitude = bits & ((1u << width) - 1);
  if (magnitude == format.infinity) return sign * __longlong_as_double(0x7ff0000000000000ll);
  if (magnitude > format.largest) return __longlong_as_double(F64_NAN);
  int const exponent = magnitude >> format.mantissa_bits;
  int const hidden = exponent ? 1 << format.mantissa_bits : 0;
  int const significand = hidden | (magnitude & ((1u << format.mantissa_bits) - 1));
  // Of the significand's last bit, as a float64 of its own.
  long long const power = (exponent ? exponent : 1) - bias(format) - format.mantissa_bits;
  return sign * significand * __longlong_as_double((power + 1023) << 52);
}

// Rounds to nearest, ties to even; what is too large becomes the largest finite number.
__device__ inline unsigned bits_of(float value, Format const& format) {
  unsigned const bits = __float_as_uint(value);
  unsigned const sign = bits >> 31 << (format.exponent_bits + format.mantissa_bits);
  int const field = bits >> 23 & 0xff;
  unsigned const significand = (bits & 0x7fffff) | (field ? 0x800000 : 0);
  int const exponent = (field ? field : 1) - 127;
  int const least = 1 - bias(format);
  int const rounded_exponent = exponent < least ? least : exponent;
  int const shift = 23 - format.mantissa_bits + rounded_exponent - exponent;
  if (shift > 24) return sign;
  unsigned const half = shift ? 1u << (shift - 1) : 0;
  unsigned const is_odd = significand >> shift & 1;
  unsigned const kept = shift ? (significand + half - 1 + is_odd) >> shift : significand;
  // A carry out of the mantissa counts the exponent up, as does the hidden bit.
  unsigned const magnitude =
      (static_cast<unsigned>(rounded_exponent - least) << format.mantissa_bits) + kept;
  return sign | (magnitude < format.largest ? magnitude : format.largest);
}

__device__ inline int clamped(float value, int limit) {
  int const rounded = static_cast<int>(rintf(value));
  return rounded < -limit ? -limit : rounded > limit ? limit : rounded;
}

__device__ inline double read(void const* data, long long index, int type) {
  switch (type) {
    case TYPE_F64: return static_cast<double const*>(data)[index];
    case TYPE_F32:
    case TYPE_TF32: return static_cast<float const*>(data)[index];
    case TYPE_F16: return value_of(static_cast<unsigned short const*>(data)[index], F16);
    case TYPE_BF16: return value_of(static_cast<unsigned short const*>(data)[index], BF16);
    case TYPE_E4M3: return value_of(static_cast<unsigned char const*>(data)[index], E4M3);
    case TYPE_E5M2: return value_of(static_cast<unsigned char const*>(data)[index], E5M2);
    case TYPE_S8: return static_cast<signed char const*>(data)[index];
    default: return static_cast<int const*>(data)[index];
  }
}

// `value` is rounded to the type; integers are clamped to -127 to 127.
__device__ inline void write(void* data, long long index, int type, float value) {
  switch (type) {
    case TYPE_F64: static_cast<double*>(data)[index] = value; break;
    case TYPE_F32: static_cast<float*>(data)[index] = value; break;
    case TYPE_TF32:
      static_cast<unsigned*>(data)[index] = bits_of(value, TF32) << TF32_UNUSED_BITS;
      break;
    case TYPE_F16: static_cast<unsigned short*>(data)[index] = bits_of(value, F16); break;
    case TYPE_BF16: static_cast<unsigned short*>(data)[index] = bits_of(value, BF16); break;
    case TYPE_E4M3: static_cast<unsigned char*>(data)[index] = bits_of(value, E4M3); break;
    case TYPE_E5M2: static_cast<unsigned char*>(data)[index] = bits_of(value, E5M2); break;
    case TYPE_S8: static_cast<signed char*>(data)[index] = clamped(value, 127); break;
    default: static_cast<int*>(data)[index] = clamped(value, 127);
  }
}

__device__ inline void write_nan(void* data, long long index, int type) {
  switch (type) {
    case TYPE_F64: static_cast<long long*>(data)[index] = F64_NAN; break;
    case TYPE_F32:
    case TYPE_TF32: static_cast<unsigned*>(data)[index] = F32_NAN; break;
    case TYPE_F16: static_cast<unsigned short*>(data)[index] = F16.nan; break;
    case TYPE_BF16: static_cast<unsigned short*>(data)[index] = BF16.nan; break;
    case TYPE_E4M3: static_cast<unsigned char*>(data)[index] = E4M3.nan; break;
    case TYPE_E5M2: static_cast<unsigned char*>(data)[index] = E5M2.nan; break;
    case TYPE_S8: static_cast<signed char*>(data)[index] = S8_NONE; break;
    default: static_cast<int*>(data)[index] = S32_NONE;
  }
}

// Of s32, what write_nan writes counts as not finite; of s8, nothing does.
__device__ inline bool is_finite(void const* data, long long index, int type) {
  if (type == TYPE_S32) return static_cast<int const*>(data)[index] != S32_NONE;
  long long const bits = __double_as_longlong(read(data, index, type));
  return (bits >> 52 & 0x7ff) != 0x7ff;
}

// What a result of float64 becomes in a type before floating-point rounding: whole where the type
// is, within its range where kernels saturate.
__device__ inline double limited(double value, int type) {
  double low = 0, high = 0;
  switch (type) {
    case TYPE_E4M3: high = value_of(E4M3.largest, E4M3), low = -high; break;
    case TYPE_E5M2: high = value_of(E5M2.largest, E5M2), low = -high; break;
    case TYPE_S8: low = -128, high = 127, value = rint(value); break;
    case TYPE_S32: low = -2147483648.0, high = 2147483647.0, value = rint(value); break;
    default: return value;
  }
  return value < low ? low : value > high ? high : value;
}

}  // namespace element
