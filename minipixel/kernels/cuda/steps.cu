// What happens to all weights after a step of training, each number by itself, in one pass over the flat arrays.

// optim/adaptive.py. `fresh1` and `fresh2` are 1 - beta1 and 1 - beta2, `start1` and `start2` correct both averages.
KERNEL adam(REAL* w, const REAL* g, REAL* mean, REAL* square, int n, REAL rate, REAL fresh1, REAL fresh2, REAL start1,
            REAL start2, REAL epsilon) {
    EACH(i, n) {
        mean[i] += fresh1 * (g[i] - mean[i]);
        square[i] += fresh2 * (g[i] * g[i] - square[i]);
        w[i] -= rate * (mean[i] / start1) / (sqrt(square[i] / start2) + epsilon);
    }
}

// training/callbacks/ema.py.
KERNEL average(REAL* mean, const REAL* w, int n, REAL share) {
    EACH(i, n) mean[i] += share * (w[i] - mean[i]);
}
