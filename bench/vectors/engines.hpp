// The engines side by side behind one small interface. To add one: a class in engines.cpp and a line in engine_kinds().
#ifndef BENCH_VECTORS_ENGINES_HPP
#define BENCH_VECTORS_ENGINES_HPP

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data.hpp"

constexpr int M = 16, EF_CONSTRUCTION = 200;

class engine
{
  public:
    virtual ~engine() = default;
    virtual void build(const dataset &d, int threads) = 0;        // every base vector, in order of their numbers
    virtual int search(const float *q, int ef, int32_t *ids) = 0; // the K nearest, one query by itself
    virtual double says() // bytes of memory, by its own account; 0: it does not tell
    {
        return 0;
    }
    virtual void save(const std::string &path) = 0;
    virtual void load(const std::string &path) = 0; // into an engine that is empty
};

struct engine_kind {
    std::string name;
    bool normalises; // takes cosine itself; the others are given vectors of length 1 and the inner product
    std::function<std::unique_ptr<engine>(const dataset &)> make;
};
const std::vector<engine_kind> &engine_kinds();

std::string engine_versions(); // "faiss 1.7.3, ..."

#endif
