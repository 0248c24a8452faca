// From the numbers of a model's weights to the places where a table reads them, and back.

// packed[i] = the sum of the numbers of place i, which stand from start[i] to start[i + 1]; 0 if there are none.
KERNEL gather(const REAL* numbers, const int* start, const int* of, REAL* packed, int n) {
    EACH(i, n) {
        REAL sum = 0;
        for (int e = start[i]; e < start[i + 1]; e++) sum += numbers[of[e]];
        packed[i] = sum;
    }
}

// Weight normalisation, ops/weights.py: each output channel of a weight is gain * v / |v|. A channel is seven numbers:
// where its v, its gain, its result and its mask (-1: none) begin, how many rows v has, how wide these are, and which
// column it is.
#define CHANNEL(c)                                                                                  \
    const int *at = channels + 7 * (c), rows = at[4], K = at[5], k = at[6];                         \
    const REAL *v = numbers + at[0] + k, *mask = numbers + at[3] + k, gain = numbers[at[1] + k];    \
    const int masked = at[3] >= 0;

KERNEL normalise(REAL* numbers, const int* channels, int n, REAL tiny) {
    SHARED(REAL, room);
    for (int c = blockIdx.x; c < n; c += gridDim.x) {
        CHANNEL(c)
        REAL squares = 0;
        OF_BLOCK(row, rows) {
            const REAL x = masked ? v[row * K] * mask[row * K] : v[row * K];
            squares += x * x;
        }
        const REAL length = sqrt(sum_of_block(squares, room) + tiny);
        REAL* out = numbers + at[2] + k;
        OF_BLOCK(row, rows) out[row * K] = gain * (masked ? v[row * K] * mask[row * K] : v[row * K]) / length;
    }
}

// The way back: g has the gradients of the results, and gets those of v and gain, in the places of `numbers`.
KERNEL normalise_x(const REAL* numbers, REAL* g, const int* channels, int n, REAL tiny) {
    SHARED(REAL, room);
    for (int c = blockIdx.x; c < n; c += gridDim.x) {
        CHANNEL(c)
        const REAL* out_g = g + at[2] + k;
        REAL squares = 0, along = 0;
        OF_BLOCK(row, rows) {
            const REAL x = masked ? v[row * K] * mask[row * K] : v[row * K];
            squares += x * x;
            along += x * out_g[row * K];
        }
        const REAL length = sqrt(sum_of_block(squares, room) + tiny);
        const REAL gain_g = sum_of_block(along, room) / length;
        OF_BLOCK(row, rows) {
            const REAL direction = (masked ? v[row * K] * mask[row * K] : v[row * K]) / length;
            const REAL v_g = (out_g[row * K] - gain_g * direction) * (gain / length);
            g[at[0] + k + row * K] = masked ? v_g * mask[row * K] : v_g;
        }
        if (threadIdx.x == 0) g[at[1] + k] = gain_g;
    }
}
