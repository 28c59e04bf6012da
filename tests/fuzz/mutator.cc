#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <iterator>

namespace narthex::fuzz {
namespace {

// Bytes at which decoders turn.
constexpr unsigned char kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe,
                                    '"',  '{',  '}',  '(',  '\\', '\n'};

}  // namespace

std::string Mutator::Next() {
  std::string input = seeds_[Below(seeds_.size())];
  for (std::size_t left = Below(8); left > 0; --left) Change(&input);
  input.resize(std::min(input.size(), kMaxBytes));
  return input;
}

void Mutator::Change(std::string* input) {
  if (input->empty()) {
    input->push_back(static_cast<char>(random_()));
    return;
  }
  const std::size_t at = Below(input->size());
  const std::size_t length =
      1 + Below(std::min<std::size_t>(input->size() - at, 32));
  switch (random_() % 9) {
    case 0:
      (*input)[at] = static_cast<char>((*input)[at] ^ (1 << Below(8)));
      break;
    case 1:
      (*input)[at] = static_cast<char>(random_());
      break;
    case 2:
      (*input)[at] = static_cast<char>(kEdges[Below(std::size(kEdges))]);
      break;
    case 3:
      input->insert(at, 1, static_cast<char>(kEdges[Below(std::size(kEdges))]));
      break;
    case 4:
      input->erase(at, length);
      break;
    case 5:
      input->insert(at, input->substr(Below(input->size()), length));
      break;
    case 6:
      input->resize(at);
      break;
    case 7: {
      // The beginning of one, the end of another.
      const std::string& other = seeds_[Below(seeds_.size())];
      input->resize(at);
      if (!other.empty()) input->append(other, Below(other.size()));
      break;
    }
    default:
      input->replace(at, length, length, static_cast<char>(0xff));
  }
}

}  // namespace narthex::fuzz
