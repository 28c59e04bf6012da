#include "libs/http/response_reader.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace narthex::http {
namespace {

constexpr std::size_t kMaxHeadBytes = 64 << 10;
// Of a chunk's size with its extensions.
constexpr std::size_t kMaxChunkLine = 1 << 10;
constexpr absl::string_view kVersion = "HTTP/1.1 ";
// Simple servers, Python's among them, speak it and close after every answer.
constexpr absl::string_view kOldVersion = "HTTP/1.0 ";

bool IsDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
}

}  // namespace

ResponseReader::State ResponseReader::Advance(char* data, std::size_t size) {
  if (!got_head_) {
    const State state = ReadHead({data, size});
    if (!got_head_) return state;
  }
  if (to_the_end_) return ReadToTheEnd(size);
  return chunked_ ? ReadChunks(data, size) : ReadLength(size);
}

ResponseReader::State ResponseReader::ReadHead(absl::string_view data) {
  const std::size_t known = std::min(data.size(), kVersion.size());
  const bool old = data.substr(0, known) == kOldVersion.substr(0, known);
  if (!old && data.substr(0, known) != kVersion.substr(0, known)) {
    return State::kIrregular;
  }
  const std::size_t end = data.find("\r\n\r\n", scanned_);
  if (end == absl::string_view::npos) {
    // The mark may be cut in two.
    scanned_ = std::max<std::size_t>(data.size(), 3) - 3;
    return data.size() > kMaxHeadBytes ? State::kIrregular : State::kMore;
  }
  absl::string_view head = data.substr(kVersion.size(), end - kVersion.size());
  const absl::string_view code = head.substr(0, 3);
  if (!IsDigits(code) || code.size() != 3 || !absl::SimpleAtoi(code, &code_) ||
      code_ < 200) {
    return State::kIrregular;
  }
  for (std::size_t at = head.find("\r\n"); at != absl::string_view::npos;
       at = head.find("\r\n")) {
    head.remove_prefix(at + 2);
    if (!TakeField(head.substr(0, head.find("\r\n")))) return State::kIrregular;
  }
  if (chunked_ && (has_length_ || old)) return State::kIrregular;
  to_the_end_ = !chunked_ && !has_length_;
  if (old || to_the_end_) keep_alive_ = false;
  if (code_ == 204 || code_ == 304) return State::kIrregular;
  got_head_ = true;
  begin_ = end_ = raw_ = end + 4;
  return State::kMore;
}

bool ResponseReader::TakeField(absl::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == absl::string_view::npos || colon == 0) return false;
  const absl::string_view name = line.substr(0, colon);
  if (name.find_first_of(" \t\r\n") != absl::string_view::npos) return false;
  const absl::string_view value =
      absl::StripAsciiWhitespace(line.substr(colon + 1));
  if (absl::EqualsIgnoreCase(name, "Content-Length")) {
    if (has_length_ || !IsDigits(value) || !absl::SimpleAtoi(value, &length_)) {
      return false;
    }
    has_length_ = true;
  } else if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
    if (!absl::EqualsIgnoreCase(value, "chunked")) return false;
    chunked_ = true;
  } else if (absl::EqualsIgnoreCase(name, "Connection")) {
    if (!absl::EqualsIgnoreCase(value, "keep-alive")) keep_alive_ = false;
  }
  headers_.Add(name, value);
  return true;
}

ResponseReader::State ResponseReader::ReadLength(std::size_t size) {
  if (max_body_ > 0 && length_ > static_cast<std::uint64_t>(max_body_)) {
    return State::kTooLarge;
  }
  if (size - begin_ < length_) {
    wanted_ = length_ - (size - begin_);
    return State::kMore;
  }
  end_ = begin_ + length_;
  // Nothing else was asked for.
  if (size != end_) keep_alive_ = false;
  return State::kDone;
}

ResponseReader::State ResponseReader::ReadToTheEnd(std::size_t size) {
  end_ = size;
  const bool fits =
      max_body_ == 0 || body_size() <= static_cast<std::uint64_t>(max_body_);
  return fits ? State::kMore : State::kTooLarge;
}

ResponseReader::State ResponseReader::ReadChunks(char* data, std::size_t size) {
  for (;;) {
    const std::size_t have = std::min<std::uint64_t>(chunk_left_, size - raw_);
    if (have > 0 && raw_ != end_) std::memmove(data + end_, data + raw_, have);
    end_ += have;
    raw_ += have;
    chunk_left_ -= have;
    if (max_body_ > 0 &&
        end_ - begin_ + chunk_left_ > static_cast<std::uint64_t>(max_body_)) {
      return State::kTooLarge;
    }
    wanted_ = std::max<std::size_t>(chunk_left_, 1);
    if (chunk_left_ > 0) return State::kMore;
    std::size_t next = 0;
    const State state = ReadChunkLine({data, size}, &next);
    if (state != State::kDone) return state;
    if (next == 0) {
      if (size != raw_) keep_alive_ = false;
      return State::kDone;
    }
    chunk_left_ = next;
  }
}

ResponseReader::State ResponseReader::ReadChunkLine(absl::string_view data,
                                                    std::size_t* next) {
  absl::string_view rest = data.substr(raw_);
  const std::size_t offered = rest.size();
  if (!first_chunk_) {
    if (rest.size() < 2) return State::kMore;
    if (!absl::ConsumePrefix(&rest, "\r\n")) return State::kIrregular;
  }
  const std::size_t end = rest.find("\r\n");
  if (end == absl::string_view::npos) {
    return rest.size() > kMaxChunkLine ? State::kIrregular : State::kMore;
  }
  const absl::string_view line = rest.substr(0, end);
  const absl::string_view digits =
      absl::StripAsciiWhitespace(line.substr(0, line.find(';')));
  std::uint64_t value = 0;
  if (digits.empty() || digits.size() > 12 ||
      !std::all_of(digits.begin(), digits.end(),
                   [](char c) {
                     return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                   }) ||
      !absl::SimpleHexAtoi(digits, &value)) {
    return State::kIrregular;
  }
  rest.remove_prefix(end + 2);
  if (value == 0) {
    if (rest.size() < 2) return State::kMore;
    // Fields behind the body.
    if (!absl::ConsumePrefix(&rest, "\r\n")) return State::kIrregular;
  }
  raw_ += offered - rest.size();
  first_chunk_ = false;
  *next = value;
  return State::kDone;
}

}  // namespace narthex::http
