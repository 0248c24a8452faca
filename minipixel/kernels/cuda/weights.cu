// From the numbers of a model's weights to the places where a table reads them, and back.

// packed[i] = the sum of the numbers of place i, which stand from start[i] to start[i + 1]; 0 if there are none.
KERNEL gather(const REAL* numbers, const int* start, const int* of, REAL* packed, int n) {
    EACH(i, n) {
        REAL sum = 0;
        for (int e = start[i]; e < start[i + 1]; e++) sum += numbers[of[e]];
        packed[i] = sum;
    }
}
