#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::discovery {

/// Writes records as ZooKeeper's Jute does.
class JuteWriter {
 public:
  JuteWriter& Int(std::int32_t value) { return Number(value, 4); }
  JuteWriter& Long(std::int64_t value) { return Number(value, 8); }
  JuteWriter& Bool(bool value) { return Number(value ? 1 : 0, 1); }
  JuteWriter& Text(absl::string_view text) {
    Int(static_cast<std::int32_t>(text.size()));
    out_.append(text.data(), text.size());
    return *this;
  }
  const std::string& data() const { return out_; }

 private:
  JuteWriter& Number(std::int64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) {
      out_.push_back(static_cast<char>(value >> (8 * i)));
    }
    return *this;
  }
  std::string out_;
};

/// Reads such records; what is missing is zero or empty, and then ok() is
/// false.
class JuteReader {
 public:
  explicit JuteReader(absl::string_view data) : rest_(data) {}

  std::int32_t Int() { return static_cast<std::int32_t>(Number(4)); }
  std::int64_t Long() { return Number(8); }
  bool Bool() { return Number(1) != 0; }
  /// A length of -1 is a null, which counts as empty.
  std::string Text() {
    const std::int32_t size = Int();
    if (size <= 0) return "";
    if (static_cast<std::size_t>(size) > rest_.size()) {
      ok_ = false;
      return "";
    }
    std::string text(rest_.substr(0, static_cast<std::size_t>(size)));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    return text;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> out;
    const std::int32_t count = Int();
    for (std::int32_t i = 0; i < count && ok_; ++i) out.push_back(Text());
    return out;
  }
  absl::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::int64_t Number(std::size_t bytes) {
    if (rest_.size() < bytes) {
      ok_ = false;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      value = value << 8 | static_cast<unsigned char>(rest_[i]);
    }
    rest_.remove_prefix(bytes);
    return static_cast<std::int64_t>(value);
  }

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace narthex::discovery
