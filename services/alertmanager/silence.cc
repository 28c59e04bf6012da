#include "services/alertmanager/silence.h"

#include <algorithm>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "libs/base/varint.h"

namespace narthex::alertmanager {
namespace {

constexpr std::uint8_t kVersion = 1;

void PutText(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

std::string GetText(base::ByteReader& reader) {
  return std::string(reader.UvarintBytes());
}

}  // namespace

absl::string_view SilenceStateName(SilenceState state) {
  switch (state) {
    case SilenceState::kPending:
      return "pending";
    case SilenceState::kActive:
      return "active";
    case SilenceState::kExpired:
      return "expired";
  }
  return "";
}

SilenceState Silence::StateAt(std::int64_t now_ms) const {
  if (now_ms < starts_at_ms) return SilenceState::kPending;
  // At its very end a silence that was expired by hand must be over at once.
  if (now_ms >= ends_at_ms) return SilenceState::kExpired;
  return SilenceState::kActive;
}

std::string EncodeSilence(const Silence& silence) {
  std::string out(1, static_cast<char>(kVersion));
  PutText(silence.id, &out);
  base::PutVarint(silence.starts_at_ms, &out);
  base::PutVarint(silence.ends_at_ms, &out);
  base::PutVarint(silence.updated_at_ms, &out);
  PutText(silence.created_by, &out);
  PutText(silence.comment, &out);
  base::PutUvarint(silence.matchers.size(), &out);
  for (const model::Matcher& matcher : silence.matchers) {
    PutText(model::MatchOperator(matcher.type()), &out);
    PutText(matcher.name(), &out);
    PutText(matcher.value(), &out);
  }
  base::PutUvarint(silence.annotations.size(), &out);
  for (const auto& [name, value] : silence.annotations) {
    PutText(name, &out);
    PutText(value, &out);
  }
  return out;
}

absl::StatusOr<Silence> DecodeSilence(absl::string_view encoded) {
  using model::MatchType;
  base::ByteReader reader(encoded);
  if (reader.Byte() != kVersion) {
    return absl::DataLossError("stored silence: unknown version");
  }
  Silence silence;
  silence.id = GetText(reader);
  silence.starts_at_ms = reader.Varint();
  silence.ends_at_ms = reader.Varint();
  silence.updated_at_ms = reader.Varint();
  silence.created_by = GetText(reader);
  silence.comment = GetText(reader);
  const std::uint64_t matchers = reader.Uvarint();
  for (std::uint64_t i = 0; i < matchers && reader.ok(); ++i) {
    const std::string op = GetText(reader);
    const std::string name = GetText(reader);
    const std::string value = GetText(reader);
    for (const MatchType type : {MatchType::kEqual, MatchType::kNotEqual,
                                 MatchType::kRegex, MatchType::kNotRegex}) {
      if (model::MatchOperator(type) != op) continue;
      auto matcher = model::Matcher::Create(type, name, value);
      if (!matcher.ok()) return matcher.status();
      silence.matchers.push_back(*std::move(matcher));
    }
  }
  const std::uint64_t annotations = reader.Uvarint();
  for (std::uint64_t i = 0; i < annotations && reader.ok(); ++i) {
    std::string name = GetText(reader);
    silence.annotations[std::move(name)] = GetText(reader);
  }
  if (!reader.ok() || silence.matchers.size() != matchers) {
    return absl::DataLossError("stored silence: malformed");
  }
  return silence;
}

std::string NewUuid() {
  std::random_device random;
  std::uint32_t word[4];
  for (std::uint32_t& w : word) w = random();
  // Version 4, variant 1.
  word[1] = (word[1] & 0xffff0fffU) | 0x00004000U;
  word[2] = (word[2] & 0x3fffffffU) | 0x80000000U;
  return absl::StrFormat("%08x-%04x-%04x-%04x-%04x%08x", word[0], word[1] >> 16,
                         word[1] & 0xffffU, word[2] >> 16, word[2] & 0xffffU,
                         word[3]);
}

bool IsUuid(absl::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-'
             : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

}  // namespace narthex::alertmanager
