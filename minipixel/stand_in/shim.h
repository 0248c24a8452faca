// What CUDA C has and C++ lacks, so that a C++ compiler can build the kernels of this project for the host.
//
// The compiler puts this file in front of a CUDA source. The blocks of a grid run one after another. A block has one
// thread, or, with STAND_IN_THREADED, several real ones with a real barrier. Both are right only for kernels whose
// loops have strides of blockDim (and gridDim), which is the rule for kernels here.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <cstring>
#include <vector>
#ifdef STAND_IN_THREADED
#include <barrier>
#include <thread>
#endif

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct dim3 {
    unsigned x, y, z;
};

#ifdef STAND_IN_THREADED
static thread_local dim3 threadIdx, blockIdx;
static std::barrier<>* stand_in_barrier;
static inline void __syncthreads() { stand_in_barrier->arrive_and_wait(); }
#else
static dim3 threadIdx, blockIdx;
static inline void __syncthreads() {}
#endif
static dim3 blockDim, gridDim;

// Shared memory whose size the launch tells. A source writes SHARED(float, room); and nvrtc reads an extern array.
static char* stand_in_room;
#define SHARED(T, name) T* name = reinterpret_cast<T*>(stand_in_room)

// Shared memory of a fixed size lies in a section of its own, so that it can be spoilt before each block.
#ifdef __ELF__
#define __shared__ static __attribute__((section("stand_in_shared")))
extern "C" __attribute__((weak, visibility("hidden"))) char __start_stand_in_shared[], __stop_stand_in_shared[];
#else
#define __shared__ static
#endif

// CUDA's min and max exist for each pair of these types.
#define STAND_IN_MIN_MAX(R, A, B)                                                                   \
    static inline R min(A a, B b) { return static_cast<R>(a) < static_cast<R>(b) ? static_cast<R>(a) : static_cast<R>(b); } \
    static inline R max(A a, B b) { return static_cast<R>(a) > static_cast<R>(b) ? static_cast<R>(a) : static_cast<R>(b); }
STAND_IN_MIN_MAX(int, int, int)
STAND_IN_MIN_MAX(unsigned, unsigned, unsigned)
STAND_IN_MIN_MAX(unsigned, int, unsigned)
STAND_IN_MIN_MAX(unsigned, unsigned, int)
STAND_IN_MIN_MAX(long, long, long)
STAND_IN_MIN_MAX(long long, long long, long long)
STAND_IN_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
#undef STAND_IN_MIN_MAX
// As CUDA's, those of floating point give the other number where one is NaN.
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
static inline double min(float a, double b) { return fmin(a, b); }
static inline double max(float a, double b) { return fmax(a, b); }
static inline double min(double a, float b) { return fmin(a, b); }
static inline double max(double a, float b) { return fmax(a, b); }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}
template <class T>
static inline T __ldg(const T* place) {
    return *place;
}
static inline double erfcx(double x) {  // exp(x * x) * erfc(x)
    if (x < 26.0) {
        double square = x * x;
        return exp(square) * (1.0 + fma(x, x, -square)) * erfc(x);
    }
    double y = 1.0 / (2.0 * x * x), sum = 1.0, term = 1.0;  // the asymptotic series
    for (int k = 1; k < 7; k++) sum += term *= -(2 * k - 1) * y;
    return sum / (x * 1.7724538509055160273);
}
static inline float erfcxf(float x) { return static_cast<float>(erfcx(static_cast<double>(x))); }
static inline float erfcx(float x) { return erfcxf(x); }
static inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
static inline float normcdff(float x) { return static_cast<float>(normcdf(static_cast<double>(x))); }
static inline float normcdf(float x) { return normcdff(x); }

namespace stand_in {

const size_t GUARD = 256;           // bytes before and behind the shared memory that no kernel may touch
const unsigned char POISON = 0xFF;  // NaN as a floating point number, -1 as an integer

// Shared memory of one launch between its guards.
struct Room {
    std::vector<unsigned char> bytes;
    explicit Room(size_t size) : bytes(size + 2 * GUARD) { stand_in_room = reinterpret_cast<char*>(bytes.data()) + GUARD; }
    void spoil() {
        memset(bytes.data(), POISON, bytes.size());
#ifdef __ELF__
        if (__start_stand_in_shared) memset(__start_stand_in_shared, POISON, __stop_stand_in_shared - __start_stand_in_shared);
#endif
    }
    bool intact() const {
        for (size_t i = 0; i < GUARD; i++)
            if (bytes[i] != POISON || bytes[bytes.size() - 1 - i] != POISON) return false;
        return true;
    }
};

// Run a kernel for each block of a grid. False if it wrote outside its shared memory.
template <class Kernel>
bool over_blocks(const unsigned* grid, unsigned threads, size_t shared, Kernel kernel) {
    Room room(shared);
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    bool intact = true;
#ifdef STAND_IN_THREADED
    std::barrier<> barrier(threads);
    stand_in_barrier = &barrier;
    auto thread = [&](unsigned number) {
        threadIdx = {number, 0, 0};
        for (unsigned z = 0; z < grid[2]; z++)
            for (unsigned y = 0; y < grid[1]; y++)
                for (unsigned x = 0; x < grid[0]; x++) {
                    if (number == 0) room.spoil();
                    barrier.arrive_and_wait();
                    blockIdx = {x, y, z};
                    kernel();
                    barrier.arrive_and_wait();
                    if (number == 0) intact = intact && room.intact();
                }
    };
    std::vector<std::thread> all;
    for (unsigned number = 0; number < threads; number++) all.emplace_back(thread, number);
    for (auto& one : all) one.join();
#else
    for (unsigned z = 0; z < grid[2]; z++)
        for (unsigned y = 0; y < grid[1]; y++)
            for (unsigned x = 0; x < grid[0]; x++) {
                room.spoil();
                blockIdx = {x, y, z};
                kernel();
                intact = intact && room.intact();
            }
#endif
    return intact;
}

}  // namespace stand_in
