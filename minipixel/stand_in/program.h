// A program that runs one launch, for the sanitizers of the C++ compiler: they cannot be loaded into Python.
//
// program FILE: the file has the launch and all memory it works on, and gets the memory back. Each block of memory is
// allocated by itself, so that a number read or written beside it is seen.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

namespace stand_in {

typedef int (*Launcher)(const unsigned* grid, unsigned threads, size_t shared, void** values);

static inline uint64_t read_number(FILE* file) {
    uint64_t number = 0;
    if (fread(&number, 8, 1, file) != 1) exit(3);
    return number;
}

// The file: the kernel, threads, shared memory, the grid; how many blocks of memory and the size of each; how many
// parameters, and of each the block it points into (or -1 for a number) and the offset there (or the number's bits).
static inline int run_file(const char* path, const std::map<uint64_t, Launcher>& launchers) {
    FILE* file = fopen(path, "r+b");
    if (!file) return 3;
    const Launcher launcher = launchers.at(read_number(file));
    const unsigned threads = read_number(file);
    const size_t shared = read_number(file);
    unsigned grid[3];
    for (unsigned& extent : grid) extent = read_number(file);
    std::vector<size_t> sizes(read_number(file));
    for (size_t& size : sizes) size = read_number(file);
    std::vector<uint64_t> blocks(read_number(file)), places(blocks.size());
    for (size_t i = 0; i < blocks.size(); i++) blocks[i] = read_number(file), places[i] = read_number(file);
    const long start = ftell(file);
    std::vector<char*> memory;
    for (size_t size : sizes) {
        memory.push_back(static_cast<char*>(malloc(size)));
        if (fread(memory.back(), 1, size, file) != size) return 3;
    }
    std::vector<char*> pointers(blocks.size());
    std::vector<void*> values;
    for (size_t i = 0; i < blocks.size(); i++) {
        const bool number = blocks[i] == UINT64_MAX;
        if (!number) pointers[i] = memory[blocks[i]] + places[i];
        values.push_back(number ? static_cast<void*>(&places[i]) : static_cast<void*>(&pointers[i]));
    }
    const int intact = launcher(grid, threads, shared, values.data());
    fseek(file, start, SEEK_SET);
    for (size_t i = 0; i < sizes.size(); i++) {
        fwrite(memory[i], 1, sizes[i], file);
        free(memory[i]);
    }
    fclose(file);
    return intact ? 0 : 4;
}

}  // namespace stand_in
