// What CUDA C has and C++ lacks, so that a C++ compiler can build the kernels of this project for the host.
//
// The compiler puts this file in front of a CUDA source. A block of the grid has one thread, and one block follows the
// other; or, with STAND_IN_THREADED, it has several real threads with a real barrier, and several blocks run at once.
// Both are right only for kernels whose loops have strides of blockDim (and gridDim), which is the rule for kernels here.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include <cstring>
#include <memory>
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
static thread_local std::barrier<>* stand_in_barrier;
#define STAND_IN_OWN thread_local
static inline void __syncthreads() { stand_in_barrier->arrive_and_wait(); }
#else
#define STAND_IN_OWN
static dim3 threadIdx, blockIdx;
static inline void __syncthreads() {}
#endif
static dim3 blockDim, gridDim;

// Shared memory whose size the launch tells. A source writes SHARED(float, room); and nvrtc reads an extern array.
static STAND_IN_OWN char* stand_in_room;
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

// The dynamic shared memory of one block between its guards, spoilt at first.
struct Room {
    std::vector<unsigned char> bytes;
    explicit Room(size_t size) : bytes(size + 2 * GUARD, POISON) {}
    char* begin() { return reinterpret_cast<char*>(bytes.data()) + GUARD; }
    bool intact() const {
        for (size_t i = 0; i < GUARD; i++)
            if (bytes[i] != POISON || bytes[bytes.size() - 1 - i] != POISON) return false;
        return true;
    }
};

// Spoil shared memory of a fixed size. False if the source has none.
static inline bool spoil_fixed() {
#ifdef __ELF__
    if (__start_stand_in_shared) memset(__start_stand_in_shared, POISON, __stop_stand_in_shared - __start_stand_in_shared);
    return __start_stand_in_shared != nullptr;
#else
    return true;  // perhaps
#endif
}

static inline dim3 block_at(const unsigned* grid, size_t number) {
    return {unsigned(number % grid[0]), unsigned(number / grid[0] % grid[1]), unsigned(number / grid[0] / grid[1])};
}

// Run a kernel for each block of a grid. False if it wrote outside its shared memory.
template <class Kernel>
bool over_blocks(const unsigned* grid, unsigned threads, size_t shared, Kernel kernel) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads, 1, 1};
    const size_t blocks = size_t(grid[0]) * grid[1] * grid[2];
    bool intact = true;
#ifdef STAND_IN_THREADED
    const size_t together = spoil_fixed() ? 1 : 8;  // all blocks share what has a fixed size
    for (size_t first = 0; first < blocks; first += together) {
        const size_t last = first + together < blocks ? first + together : blocks;
        std::vector<Room> rooms(last - first, Room(shared));
        std::vector<std::unique_ptr<std::barrier<>>> barriers;
        std::vector<std::thread> all;
        spoil_fixed();
        for (size_t block = first; block < last; block++) {
            barriers.push_back(std::make_unique<std::barrier<>>(threads));
            for (unsigned number = 0; number < threads; number++)
                all.emplace_back([=, barrier = barriers.back().get(), room = rooms[block - first].begin()] {
                    threadIdx = {number, 0, 0};
                    blockIdx = block_at(grid, block);
                    stand_in_barrier = barrier;
                    stand_in_room = room;
                    kernel();
                    barrier->arrive_and_drop();  // others need not wait for a thread that has ended
                });
        }
        for (auto& one : all) one.join();
        for (auto& room : rooms) intact = intact && room.intact();
    }
#else
    Room room(shared);
    stand_in_room = room.begin();
    for (size_t block = 0; block < blocks; block++) {
        memset(room.begin(), POISON, shared);
        spoil_fixed();
        blockIdx = block_at(grid, block);
        kernel();
    }
    intact = room.intact();
#endif
    return intact;
}

}  // namespace stand_in
