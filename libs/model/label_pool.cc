#include "libs/model/label_pool.h"

#include <cstring>

#include "libs/base/varint.h"

namespace narthex::model {
namespace {

std::uint32_t TakeVarint(const char** at) {
  std::uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(*(*at)++);
    value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace

LabelPool::Handle LabelPool::Add(const Labels& labels) {
  if (labels.empty()) return kEmpty;
  scratch_.clear();
  base::PutUvarint(labels.size(), &scratch_);
  std::string encoded;
  for (const Label& label : labels) {
    encoded.clear();
    for (const absl::string_view text : {label.name, label.value}) {
      base::PutUvarint(text.size(), &encoded);
      encoded.append(text.data(), text.size());
    }
    base::PutUvarint(Acquire(encoded), &scratch_);
  }
  const Handle handle = sets_.Allocate(scratch_.size());
  std::memcpy(sets_.At(handle), scratch_.data(), scratch_.size());
  return handle;
}

void LabelPool::Remove(Handle handle) {
  if (handle == kEmpty) return;
  const std::size_t size =
      Walk(handle, [this](std::uint32_t number) { Release(number); });
  sets_.Free(handle, size);
}

void LabelPool::AppendEncoded(Handle handle, std::string* encoded) const {
  if (handle == kEmpty) return;
  Walk(handle,
       [&](std::uint32_t number) { encoded->append(pairs_[number].encoded); });
}

std::size_t LabelPool::memory_bytes() const {
  return sets_.allocated_bytes() + pair_bytes_ + pairs_.size() * sizeof(Pair) +
         free_.capacity() * sizeof(free_[0]) +
         numbers_.capacity() * (sizeof(*numbers_.begin()) + 1);
}

// Returns how many bytes the set takes.
template <typename Visit>
std::size_t LabelPool::Walk(Handle handle, const Visit& visit) const {
  const char* const begin = sets_.At(handle);
  const char* at = begin;
  for (std::uint32_t left = TakeVarint(&at); left > 0; --left) {
    visit(TakeVarint(&at));
  }
  return static_cast<std::size_t>(at - begin);
}

std::uint32_t LabelPool::Acquire(absl::string_view encoded) {
  const auto it = numbers_.find(encoded);
  if (it != numbers_.end()) {
    ++pairs_[it->second].uses;
    return it->second;
  }
  std::uint32_t number = 0;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(pairs_.size());
    pairs_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  Pair& pair = pairs_[number];
  pair.encoded = std::string(encoded);
  pair.uses = 1;
  pair_bytes_ += encoded.size();
  numbers_.emplace(pair.encoded, number);
  return number;
}

void LabelPool::Release(std::uint32_t number) {
  Pair& pair = pairs_[number];
  if (--pair.uses > 0) return;
  numbers_.erase(pair.encoded);
  pair_bytes_ -= pair.encoded.size();
  pair = Pair();
  free_.push_back(number);
}

}  // namespace narthex::model
