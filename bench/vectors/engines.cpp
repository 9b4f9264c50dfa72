// hnswlib, faiss and Skald as engines; see engines.hpp. hnswlib is a header, compiled here for this very machine; faiss
// is Debian's library, compiled for every x86-64, which is what `apt install` gives.
#include "engines.hpp"

#include <faiss/IndexHNSW.h>
#include <faiss/index_io.h>
#include <hnswlib/hnswlib.h>
#include <omp.h>

#include <atomic>
#include <thread>

#include "skald_engine.h"

namespace
{

class hnswlib_engine : public engine
{
    std::unique_ptr<hnswlib::SpaceInterface<float>> space;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> index;

  public:
    explicit hnswlib_engine(const dataset &d)
    {
        if (d.by == metric::l2)
            space = std::make_unique<hnswlib::L2Space>(d.dim);
        else
            space = std::make_unique<hnswlib::InnerProductSpace>(d.dim);
    }
    void build(const dataset &d, int threads) override
    {
        index = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), d.n, M, EF_CONSTRUCTION);
        std::atomic<size_t> next{0};
        auto work = [&] {
            for (size_t i; (i = next++) < d.n;)
                index->addPoint(d.unit_base + i * d.dim, i);
        };
        std::vector<std::thread> others;
        for (int t = 1; t < threads; t++)
            others.emplace_back(work);
        work();
        for (auto &t : others)
            t.join();
    }
    int search(const float *q, int ef, int32_t *ids) override
    {
        index->setEf(size_t(ef));
        auto found = index->searchKnn(q, K);
        int count = int(found.size());
        for (int i = count; i-- > 0; found.pop())
            ids[i] = int32_t(found.top().second);
        return count;
    }
    void save(const std::string &path) override
    {
        index->saveIndex(path);
    }
    void load(const std::string &path) override
    {
        index = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), path);
    }
};

class faiss_engine : public engine
{
    std::unique_ptr<faiss::IndexHNSW> index;

  public:
    explicit faiss_engine(faiss::IndexHNSW *made) : index(made)
    {
        index->hnsw.efConstruction = EF_CONSTRUCTION;
    }
    void build(const dataset &d, int threads) override
    {
        omp_set_num_threads(threads);
        if (!index->is_trained)
            index->train(faiss::Index::idx_t(d.n), d.unit_base);
        index->add(faiss::Index::idx_t(d.n), d.unit_base);
        omp_set_num_threads(1);
    }
    int search(const float *q, int ef, int32_t *ids) override
    {
        float far[K];
        faiss::Index::idx_t found[K];
        index->hnsw.efSearch = ef;
        index->search(1, q, K, far, found);
        int count = 0;
        while (count < K && found[count] >= 0) {
            ids[count] = int32_t(found[count]);
            count++;
        }
        return count;
    }
    void save(const std::string &path) override
    {
        faiss::write_index(index.get(), path.c_str());
    }
    void load(const std::string &path) override
    {
        omp_set_num_threads(1);
        index.reset(dynamic_cast<faiss::IndexHNSW *>(faiss::read_index(path.c_str())));
    }
};

class skald_engine : public engine
{
    void *index = nullptr; // lives as long as the process
    int quant, dim;
    bool cosine;

  public:
    skald_engine(const dataset &d, int quant_) : quant(quant_), dim(d.dim), cosine(d.by == metric::cosine)
    {
    }
    void build(const dataset &d, int threads) override
    {
        index = skald_make(quant, dim, cosine, M, EF_CONSTRUCTION);
        (threads > 1 ? skald_build_by_two : skald_build)(index, d.base, uint32_t(d.n), dim);
    }
    int search(const float *q, int ef, int32_t *ids) override
    {
        return skald_search(index, q, dim, K, ef, ids);
    }
    double says() override
    {
        return double(skald_says(index));
    }
    void save(const std::string &path) override
    {
        skald_save(index, path.c_str());
    }
    void load(const std::string &path) override
    {
        index = skald_open(path.c_str());
    }
};

faiss::MetricType faiss_metric(const dataset &d)
{
    return d.by == metric::l2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT;
}

std::vector<engine_kind> all_kinds()
{
    std::vector<engine_kind> kinds = {
        {"hnswlib f32", false, [](const dataset &d) { return std::make_unique<hnswlib_engine>(d); }},
        {"faiss f32", false,
         [](const dataset &d) {
             return std::make_unique<faiss_engine>(new faiss::IndexHNSWFlat(d.dim, M, faiss_metric(d)));
         }},
        {"faiss sq8", false,
         [](const dataset &d) {
             return std::make_unique<faiss_engine>(
                 new faiss::IndexHNSWSQ(d.dim, faiss::ScalarQuantizer::QT_8bit, M, faiss_metric(d)));
         }},
    };
    for (int i = 0; i < skald_kind_count; i++) {
        int quant = skald_kinds[i].quant;
        kinds.push_back({skald_kinds[i].name, true,
                         [quant](const dataset &d) { return std::make_unique<skald_engine>(d, quant); }});
    }
    return kinds;
}

} // namespace

const std::vector<engine_kind> &engine_kinds()
{
    static const std::vector<engine_kind> kinds = all_kinds();
    return kinds;
}

std::string engine_versions()
{
    return "faiss " + std::to_string(FAISS_VERSION_MAJOR) + "." + std::to_string(FAISS_VERSION_MINOR) + "." +
           std::to_string(FAISS_VERSION_PATCH);
}
