#include "libs/model/label_pool.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

namespace narthex::model {
namespace {

TEST_CASE("a pool gives back the label sets that were added") {
  std::mt19937 random(9);
  LabelPool pool;
  std::map<LabelPool::Handle, Labels> held;
  for (int i = 0; i < 5000; ++i) {
    if (!held.empty() && random() % 3 == 0) {
      const auto it = held.begin();
      pool.Remove(it->first);
      held.erase(it);
      continue;
    }
    LabelsBuilder builder;
    builder.Set("__name__", "m" + std::to_string(random() % 7));
    for (const char* name : {"a", "b", "c"}) {
      builder.Set(name, std::to_string(random() % 300));
    }
    const Labels labels = builder.Build();
    const LabelPool::Handle handle = pool.Add(labels);
    REQUIRE(!held.contains(handle));
    held[handle] = labels;
  }
  for (const auto& [handle, labels] : held) {
    std::string encoded;
    pool.AppendEncoded(handle, &encoded);
    REQUIRE(encoded == std::string(labels.encoded()));
  }
  for (const auto& [handle, labels] : held) pool.Remove(handle);
  CHECK(pool.pair_count() == 0);
}

TEST_CASE("the empty set takes nothing") {
  LabelPool pool;
  CHECK(pool.Add(Labels()) == LabelPool::kEmpty);
  std::string encoded;
  pool.AppendEncoded(LabelPool::kEmpty, &encoded);
  CHECK(encoded.empty());
  pool.Remove(LabelPool::kEmpty);
}

}  // namespace
}  // namespace narthex::model
