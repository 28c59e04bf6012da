#include "libs/http/body_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace narthex::http {
namespace {

constexpr std::size_t kMostOfRest = 4;

}  // namespace

bool BodyBudget::Take(std::size_t bytes, std::size_t whole) {
  std::size_t used = used_bytes_;
  std::size_t after = 0;
  do {
    after = used + bytes;
    if (limit_bytes_ != 0 &&
        (after > limit_bytes_ || whole / kMostOfRest > limit_bytes_ - after)) {
      ++refused_;
      return false;
    }
  } while (!used_bytes_.compare_exchange_weak(used, after));
  return true;
}

BodyClaim::~BodyClaim() {
  if (budget_ != nullptr) budget_->Return(bytes_);
}

bool BodyClaim::Cover(std::size_t bytes) {
  if (budget_ == nullptr || bytes <= BodyBudget::kFreeBytes ||
      bytes <= bytes_) {
    return true;
  }
  if (!budget_->Take(bytes - bytes_, bytes)) return false;
  bytes_ = bytes;
  return true;
}

bool BodyClaim::Grow(std::size_t bytes, std::string* buffer) {
  if (budget_ == nullptr || bytes <= BodyBudget::kFreeBytes) return true;
  const std::size_t before = buffer->capacity();
  if (bytes <= before) return Cover(before);
  const std::size_t after = std::max(bytes, 2 * before);
  // Both are there while the content is copied.
  if (!budget_->Take(after, bytes_ + after)) return false;
  buffer->reserve(after);
  budget_->Return(bytes_);
  bytes_ = after;
  return true;
}

absl::Status BodyClaim::Refusal() const {
  return absl::UnavailableError(absl::StrCat(
      "no room for the body: all bodies under way hold ", budget_->used_bytes(),
      " of at most ", budget_->limit_bytes(), " bytes"));
}

}  // namespace narthex::http
