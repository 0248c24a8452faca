"""Small kernels in CUDA C, right ones and wrong ones, for the tests of the stand-in."""

SCALE = """
#define LOOP(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
#define MAP(NAME, RESULT)                                                            \\
    extern "C" __global__ void NAME(const REAL* __restrict__ x, REAL* y, int n) {    \\
        LOOP(i, n) y[i] = RESULT;                                                    \\
    }
MAP(twice, 2 * x[i])
MAP(squashed, tanh(x[i]))

// A scale of its own for each place.
extern "C" __global__ void scale(const REAL* x, const int* places, REAL factor, long long offset, unsigned seed,
                                 const unsigned char* open, REAL* y, int n) {
    LOOP(i, n) y[i] = open[i] ? factor * x[places[i] + offset] + (REAL)(seed >> 31) : (REAL)0;
}
"""

ROWS = """
extern "C" __global__ void sum_of_rows(const REAL* x, REAL* sums, int rows, int columns) {
    SHARED(REAL, room);
    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int j = threadIdx.x; j < columns; j += blockDim.x) room[j] = x[row * columns + j];
        BARRIER
        if (threadIdx.x == 0) {
            REAL sum = 0;
            for (int j = 0; j < columns; j++) sum += room[j];
            sums[row] = sum;
        }
        __syncthreads();
    }
}
"""

MISTAKES = """
#define KERNEL(name) extern "C" __global__ void name(int* x, int n)
#define LOOP(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)

KERNEL(between_blocks) { LOOP(i, n) x[i / 4] += 1; }
KERNEL(write_behind) { LOOP(i, n) x[i + 1] = i; }
KERNEL(read_before) {
    int before = 0;
    LOOP(i, n) before += x[i - 1];
    if (before) x[0] = before;
}
KERNEL(overflow) { LOOP(i, n) x[i] = 2147483647 - 4 + i; }

extern "C" __global__ void move(const int* x, int* y, int n) { LOOP(i, n) y[i] = x[i]; }
"""
