#include "libs/model/labels.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hash.h"
#include "libs/base/quote.h"
#include "libs/base/varint.h"

namespace narthex::model {
namespace {

using Pair = std::pair<std::string, std::string>;

void AppendString(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

// Reads a length-prefixed string whose bounds were checked when it was built.
absl::string_view TakeString(const char** position) {
  std::uint64_t size = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*(*position)++);
    size |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const absl::string_view text(*position, static_cast<std::size_t>(size));
  *position += size;
  return text;
}

void AppendLabel(const Label& label, std::string* out) {
  AppendString(label.name, out);
  AppendString(label.value, out);
}

// Whether `names`, sorted, holds `name`; `*from` moves along with the names
// asked for in order.
bool Contains(const std::vector<std::string>& names, absl::string_view name,
              std::size_t* from) {
  while (*from < names.size() && names[*from] < name) ++*from;
  return *from < names.size() && names[*from] == name;
}

std::string EncodeOf(const Labels& labels,
                     const std::vector<std::string>& names) {
  std::string out;
  std::size_t from = 0;
  for (const Label& label : labels) {
    if (Contains(names, label.name, &from)) AppendLabel(label, &out);
  }
  return out;
}

std::string EncodeWithout(const Labels& labels,
                          const std::vector<std::string>& names) {
  std::string out;
  std::size_t from = 0;
  for (const Label& label : labels) {
    if (label.name == kMetricName) continue;
    if (!Contains(names, label.name, &from)) AppendLabel(label, &out);
  }
  return out;
}

auto LowerBound(std::vector<Pair>& labels, absl::string_view name) {
  return std::lower_bound(
      labels.begin(), labels.end(), name,
      [](const Pair& a, absl::string_view b) { return a.first < b; });
}

}  // namespace

Labels::Labels(
    std::initializer_list<std::pair<absl::string_view, absl::string_view>>
        labels) {
  LabelsBuilder builder;
  for (const auto& [name, value] : labels) builder.Set(name, value);
  *this = builder.Build();
}

Labels::Labels(std::vector<Pair> labels) {
  // Stable, so that of equal names the last written stays last.
  std::stable_sort(
      labels.begin(), labels.end(),
      [](const Pair& a, const Pair& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i + 1 < labels.size() && labels[i + 1].first == labels[i].first) {
      continue;
    }
    if (labels[i].second.empty()) continue;
    AppendLabel({labels[i].first, labels[i].second}, &data_);
  }
}

bool Labels::FromEncoded(absl::string_view encoded, Labels* labels) {
  base::ByteReader reader(encoded);
  absl::string_view last;
  while (reader.remaining() > 0) {
    const absl::string_view name = reader.UvarintBytes();
    const absl::string_view value = reader.UvarintBytes();
    if (!reader.ok() || name.empty() || value.empty() || name <= last) {
      return false;
    }
    last = name;
  }
  if (!reader.ok()) return false;
  labels->data_.assign(encoded.data(), encoded.size());
  return true;
}

Labels::Iterator::Iterator(absl::string_view rest)
    : position_(rest.data()),
      next_(rest.data()),
      end_(rest.data() + rest.size()) {
  Decode();
}

void Labels::Iterator::Decode() {
  if (position_ == end_) return;
  next_ = position_;
  label_.name = TakeString(&next_);
  label_.value = TakeString(&next_);
}

Labels::Iterator& Labels::Iterator::operator++() {
  position_ = next_;
  Decode();
  return *this;
}

std::size_t Labels::size() const {
  return static_cast<std::size_t>(std::distance(begin(), end()));
}

absl::string_view Labels::Get(absl::string_view name) const {
  const char* position = data_.data();
  const char* const last = position + data_.size();
  while (position < last) {
    const absl::string_view found = TakeString(&position);
    const absl::string_view value = TakeString(&position);
    // Most names differ in their first byte already.
    if (!found.empty() && !name.empty() && found[0] != name[0]) {
      if (static_cast<unsigned char>(found[0]) >
          static_cast<unsigned char>(name[0])) {
        break;
      }
      continue;
    }
    if (found == name) return value;
    if (found > name) break;
  }
  return {};
}

bool Labels::Has(absl::string_view name) const { return !Get(name).empty(); }

std::uint64_t Labels::Hash() const { return base::XxHash64(data_); }

std::uint64_t Labels::HashOf(const std::vector<std::string>& names) const {
  return base::XxHash64(EncodeOf(*this, names));
}

std::uint64_t Labels::HashWithout(const std::vector<std::string>& names) const {
  return base::XxHash64(EncodeWithout(*this, names));
}

Labels Labels::Of(const std::vector<std::string>& names) const {
  Labels out;
  out.data_ = EncodeOf(*this, names);
  return out;
}

Labels Labels::Without(const std::vector<std::string>& names) const {
  Labels out;
  out.data_ = EncodeWithout(*this, names);
  return out;
}

Labels Labels::WithoutName() const { return Without({}); }

std::string Labels::ToString() const {
  std::string out = "{";
  for (const Label& label : *this) {
    if (out.size() > 1) out += ", ";
    absl::StrAppend(&out,
                    IsLegacyLabelName(label.name) ? std::string(label.name)
                                                  : base::Quote(label.name),
                    "=", base::Quote(label.value));
  }
  return out + "}";
}

std::string Labels::ToMetricString() const {
  const absl::string_view name = metric_name();
  if (name.empty()) return ToString();
  if (!IsLegacyMetricName(name)) {
    std::string rest = WithoutName().ToString();
    return absl::StrCat("{", base::Quote(name), rest.size() > 2 ? ", " : "",
                        rest.substr(1));
  }
  const Labels rest = WithoutName();
  return absl::StrCat(name, rest.empty() ? "" : rest.ToString());
}

std::vector<Pair> Labels::ToPairs() const {
  std::vector<Pair> pairs;
  for (const Label& label : *this) {
    pairs.emplace_back(std::string(label.name), std::string(label.value));
  }
  return pairs;
}

int Labels::Compare(const Labels& a, const Labels& b) {
  auto left = a.begin();
  auto right = b.begin();
  const auto left_end = a.end();
  const auto right_end = b.end();
  for (; left != left_end && right != right_end; ++left, ++right) {
    if (const int order = left->name.compare(right->name); order != 0) {
      return order;
    }
    if (const int order = left->value.compare(right->value); order != 0) {
      return order;
    }
  }
  if (left != left_end) return 1;
  return right != right_end ? -1 : 0;
}

void LabelsBuilder::Reset(const Labels& base) { labels_ = base.ToPairs(); }

LabelsBuilder& LabelsBuilder::Set(absl::string_view name,
                                  absl::string_view value) {
  if (value.empty()) return Del(name);
  const auto it = LowerBound(labels_, name);
  if (it != labels_.end() && it->first == name) {
    it->second = std::string(value);
  } else {
    labels_.emplace(it, std::string(name), std::string(value));
  }
  return *this;
}

LabelsBuilder& LabelsBuilder::Del(absl::string_view name) {
  const auto it = LowerBound(labels_, name);
  if (it != labels_.end() && it->first == name) labels_.erase(it);
  return *this;
}

absl::string_view LabelsBuilder::Get(absl::string_view name) const {
  for (const auto& [known, value] : labels_) {
    if (known == name) return value;
  }
  return {};
}

Labels LabelsBuilder::Build() const {
  Labels out;
  for (const auto& [name, value] : labels_) {
    AppendLabel({name, value}, &out.data_);
  }
  return out;
}

bool IsLegacyLabelName(absl::string_view name) {
  return IsLegacyMetricName(name) && name.find(':') == absl::string_view::npos;
}

bool IsLegacyMetricName(absl::string_view name) {
  if (name.empty() || absl::ascii_isdigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == ':';
  });
}

bool IsUtf8Name(absl::string_view name) {
  return !name.empty() && base::IsValidUtf8(name);
}

}  // namespace narthex::model
