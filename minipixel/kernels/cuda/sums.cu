// Sums in a fixed order, in two steps: parts of the rows first, one beside another, then these.

// The sums of the columns of g (rows, K) over parts of its rows: (blocks, lanes, K). With `of` 1 of g * x where x is not
// positive (a slope's gradient), with 2 of g * x (a factor's).
KERNEL column_sums(const REAL* g, const REAL* x, REAL* partial, int rows, int K, int lanes, int blocks, int of) {
    for (int block = blockIdx.x; block < blocks; block += gridDim.x) {
        const int first = (int)((long long)rows * block / blocks), last = (int)((long long)rows * (block + 1) / blocks);
        OF_BLOCK(j, lanes * K) {
            const int k = j % K;
            REAL sum = 0;
            for (int row = first + j / K; row < last; row += lanes) {
                const int i = row * K + k;
                sum += of == 0 ? g[i] : of == 1 && x[i] > 0 ? (REAL)0 : g[i] * x[i];
            }
            partial[block * lanes * K + j] = sum;
        }
    }
}

// y[k] += the sum of column k of partial (P, K): one block for each column.
KERNEL add_column(const REAL* partial, REAL* y, int P, int K) {
    SHARED(REAL, room);
    for (int k = blockIdx.x; k < K; k += gridDim.x) {
        REAL sum = 0;
        OF_BLOCK(p, P) sum += partial[p * K + k];
        const REAL total = sum_of_block(sum, room);
        if (threadIdx.x == 0) y[k] += total;
    }
}

// y[i] += the sum of column i of partial (P, n), of few parts and many columns.
KERNEL add_parts(const REAL* partial, REAL* y, int P, int n) {
    EACH(i, n) {
        REAL sum = y[i];
        for (int p = 0; p < P; p++) sum += partial[(long long)p * n + i];
        y[i] = sum;
    }
}
