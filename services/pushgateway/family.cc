#include "services/pushgateway/family.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/base/varint.h"
#include "libs/model/labels.h"
#include "services/pushgateway/series_text.h"

namespace narthex::pushgateway {

namespace {

// Counts and flags are most of what is pushed: integers that print as such.
constexpr double kPlainIntegerLimit = 1e6;

void AppendValue(double value, std::string* out) {
  if (value >= 0 && value < kPlainIntegerLimit && value == std::floor(value)) {
    char text[8];
    const auto end =
        std::to_chars(text, text + sizeof(text), static_cast<int>(value)).ptr;
    out->append(text, static_cast<std::size_t>(end - text));
  } else {
    *out += base::FormatFloatG(value);
  }
}

// The position after the quoted text that begins at `begin`.
std::size_t QuotedEnd(absl::string_view text, std::size_t begin) {
  std::size_t i = begin + 1;
  while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
  return std::min(i + 1, text.size());
}

// Takes the first label off rendered labels; its value is still escaped.
absl::string_view TakeValue(absl::string_view* labels) {
  const std::size_t name_end = labels->empty() || labels->front() != '"'
                                   ? labels->find('=')
                                   : QuotedEnd(*labels, 0);
  if (name_end >= labels->size()) return {};
  const std::size_t end = QuotedEnd(*labels, name_end + 1);
  const auto value = labels->substr(name_end + 2, end - name_end - 3);
  labels->remove_prefix(std::min(end + 1, labels->size()));
  return value;
}

std::string Unescape(absl::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
    } else {
      ++i;
      out.push_back(text[i] == 'n' ? '\n' : text[i]);
    }
  }
  return out;
}

int CompareEscaped(absl::string_view a, absl::string_view b) {
  const bool plain = a.find('\\') == absl::string_view::npos &&
                     b.find('\\') == absl::string_view::npos;
  return plain ? a.compare(b) : Unescape(a).compare(Unescape(b));
}

}  // namespace

void Layout::BeginMetric(absl::string_view labels, std::size_t count) {
  metrics_.push_back({static_cast<std::uint32_t>(line_ends_.size()), 0,
                      static_cast<std::uint32_t>(labels.size()),
                      static_cast<std::uint32_t>(count)});
  pending_labels_.assign(labels.data(), labels.size());
}

void Layout::AddLine(absl::string_view name, absl::string_view extra) {
  const bool legacy = model::IsLegacyMetricName(name);
  Metric& metric = metrics_.back();
  const bool is_first = metric.first_line == line_ends_.size();
  // A copy: the text that is appended to may be where the labels are.
  const std::string labels(is_first ? absl::string_view(pending_labels_)
                                    : this->labels(metrics_.size() - 1));
  // A quoted name stands inside the braces.
  if (legacy) AppendName(name, legacy, &text_);
  text_.push_back('{');
  if (!legacy) {
    AppendName(name, legacy, &text_);
    text_.push_back(',');
  }
  if (is_first) {
    metric.labels_begin = static_cast<std::uint32_t>(text_.size());
    pending_labels_.clear();
  }
  text_ += labels;
  if (!extra.empty()) absl::StrAppend(&text_, ",", extra);
  text_ += "} ";
  line_ends_.push_back(static_cast<std::uint32_t>(text_.size()));
}

absl::string_view Layout::labels(std::size_t metric) const {
  const Metric& m = metrics_[metric];
  return absl::string_view(text_).substr(m.labels_begin, m.labels_size);
}

absl::string_view Layout::line(std::size_t line) const {
  const std::size_t begin = line == 0 ? 0 : line_ends_[line - 1];
  return absl::string_view(text_).substr(begin, line_ends_[line] - begin);
}

void Layout::Encode(std::string* out) const {
  base::PutUvarint(text_.size(), out);
  *out += text_;
  base::PutUvarint(line_ends_.size(), out);
  std::uint32_t last = 0;
  for (const std::uint32_t end : line_ends_) {
    base::PutUvarint(end - last, out);
    last = end;
  }
  base::PutUvarint(metrics_.size(), out);
  for (const Metric& metric : metrics_) {
    base::PutUvarint(metric.first_line, out);
    base::PutUvarint(metric.labels_begin, out);
    base::PutUvarint(metric.labels_size, out);
    base::PutUvarint(metric.label_count, out);
  }
}

bool Layout::Decode(absl::string_view data, Layout* layout) {
  *layout = Layout();
  base::ByteReader reader(data);
  layout->text_ = std::string(reader.UvarintBytes());
  const std::uint64_t lines = reader.Uvarint();
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < lines && reader.ok(); ++i) {
    end += reader.Uvarint();
    layout->line_ends_.push_back(static_cast<std::uint32_t>(end));
  }
  const std::uint64_t metrics = reader.Uvarint();
  for (std::uint64_t i = 0; i < metrics && reader.ok(); ++i) {
    Metric metric;
    metric.first_line = static_cast<std::uint32_t>(reader.Uvarint());
    metric.labels_begin = static_cast<std::uint32_t>(reader.Uvarint());
    metric.labels_size = static_cast<std::uint32_t>(reader.Uvarint());
    metric.label_count = static_cast<std::uint32_t>(reader.Uvarint());
    const bool inside = metric.first_line < layout->line_ends_.size() &&
                        metric.labels_begin <= layout->text_.size();
    if (!inside) return false;
    layout->metrics_.push_back(metric);
  }
  return reader.ok() && end == layout->text_.size();
}

absl::string_view TypeWord(model::MetricType type) {
  return type == model::MetricType::kUnknown ? "untyped"
                                             : model::MetricTypeName(type);
}

void AppendFamilyHead(const Family& family, std::string* out) {
  const bool legacy = model::IsLegacyMetricName(family.name);
  if (!family.help.empty()) {
    *out += "# HELP ";
    AppendName(family.name, legacy, out);
    out->push_back(' ');
    for (const char c : family.help) {
      if (c == '\\') {
        *out += "\\\\";
      } else if (c == '\n') {
        *out += "\\n";
      } else {
        out->push_back(c);
      }
    }
    out->push_back('\n');
  }
  *out += "# TYPE ";
  AppendName(family.name, legacy, out);
  absl::StrAppend(out, " ", TypeWord(family.type), "\n");
}

void AppendMetric(const Family& family, std::size_t metric, std::string* out) {
  const std::size_t end = family.layout.end_line(metric);
  for (std::size_t i = family.layout.first_line(metric); i < end; ++i) {
    const absl::string_view line = family.layout.line(i);
    out->append(line.data(), line.size());
    AppendValue(family.values[i], out);
    out->push_back('\n');
  }
}

bool MetricLess(const Layout& a, std::size_t metric_a, const Layout& b,
                std::size_t metric_b) {
  const std::size_t count = a.label_count(metric_a);
  if (count != b.label_count(metric_b)) {
    return count < b.label_count(metric_b);
  }
  absl::string_view left = a.labels(metric_a);
  absl::string_view right = b.labels(metric_b);
  for (std::size_t i = 0; i < count; ++i) {
    const int order = CompareEscaped(TakeValue(&left), TakeValue(&right));
    if (order != 0) return order < 0;
  }
  return false;
}

}  // namespace narthex::pushgateway
