#pragma once

#include <random>
#include <string>
#include <vector>

namespace narthex::fuzz {

/// Makes inputs of seeds by a few random changes each: without feedback, but
/// the same ones on every machine.
class Mutator {
 public:
  /// Requires seeds.
  Mutator(std::vector<std::string> seeds, unsigned seed)
      : seeds_(std::move(seeds)), random_(seed) {}

  std::string Next();

 private:
  static constexpr std::size_t kMaxBytes = 1 << 16;

  std::size_t Below(std::size_t bound) { return random_() % bound; }
  void Change(std::string* input);

  const std::vector<std::string> seeds_;
  std::mt19937 random_;
};

}  // namespace narthex::fuzz
