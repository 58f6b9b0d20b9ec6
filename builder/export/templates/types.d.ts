// SPDX-License-Identifier: Apache-2.0
// Types of @FILE@, which says more.

export type Dtype = @DTYPES@;
export type Layout = "nn" | "nt" | "tn" | "tt";
export type Objective = "runtime" | "energy" | "edp" | "power";

/** C[m, n] = alpha * A[m, k] B[k, n] + beta * C, `batch` times; n is column-major, t is row-major. */
export interface Gemm {
  m: number;
  n: number;
  k: number;
  /** "f16" where it is left out. */
  dtype?: Dtype;
  /** Of A and B; "tn" where it is left out. */
  layout?: Layout;
  batch?: number;
  beta?: number;
}

/** Seconds, watts and joules; what the model does not know is NaN. */
export interface Prediction {
  kernel: string;
  runtimeS: number;
  runtimeLowS: number;
  runtimeHighS: number;
  /** Of one launch among many, under the power cap. */
  sustainedRuntimeS: number;
  powerW: number;
  powerLowW: number;
  powerHighW: number;
  energyJ: number;
  /** The largest part of the physical model's time. */
  bound: "compute" | "memory" | "latency";
  inDomain: boolean;
  /** In which respects nothing like the GEMM was measured. */
  outside: string[];
  /** What runtimeS covers. */
  timed: "" | "gemm" | "quantise+gemm" | "layer";
  /** So short that power follows from physics alone. */
  powerIsUnmeasured: boolean;
  confidence: number;
}

export interface PredictOptions {
  /** By name; null for the one that the Python package takes where none is asked for. */
  kernel?: string | null;
  /** Of the intervals: above 0 and below 1; 0.9 where it is left out. */
  confidence?: number;
}

export interface BestOptions {
  objective?: Objective;
  /** Names to choose from; null for all that timed the same as the default. */
  kernels?: Iterable<string> | null;
  confidence?: number;
}

/** A question that is not valid: `message` says what must be what. */
export class GpperfError extends Error {}

export const model: string;
export const version: string;
export const gpu: string;
export const packageVersion: string;
export const card: Record<string, unknown>;
export const dtypes: readonly Dtype[];
export const kernels: readonly string[];

/** One GEMM; throws GpperfError. */
export function predict(gemm: Gemm, options?: PredictOptions): Prediction;

/** Many GEMMs; throws GpperfError at the first that is not valid. */
export function predictBatch(gemms: Iterable<Gemm>, options?: PredictOptions): Prediction[];

/** The best of some kernels; of equals, the first by name. Throws GpperfError. */
export function best(gemm: Gemm, options?: BestOptions): Prediction;

/** All kernels that can run a GEMM, best first; of equals, the first by name. Throws GpperfError. */
export function rank(gemm: Gemm, options?: BestOptions): Prediction[];

/** How many of the stored answers, which Python gave, come out differently: 0 everywhere. */
export function selftest(): number;
